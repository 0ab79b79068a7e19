from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditkit.checks import CHECKS
from auditkit.errors import SpecError
from auditkit.spec.bounds import Bound
from auditkit.spec.model import Spec
from auditkit.spec.profiles import expand, expand_entries, load_profile, profile_names


def spec_of(**fields: object) -> Spec:
    return Spec.model_validate(
        {
            "auditkit": 1,
            "title": "t",
            "intent": "removal",
            "models": {name: {"checkpoint": f"./{name}"} for name in ("candidate", "original", "reference")},
            "corpora": {name: {"file": f"{name}.jsonl"} for name in ("forget", "forget_documents", "retain", "holdout")},
            **fields,
        }
    )


ENTRIES = [(name, item) for name in profile_names() for item in load_profile(name).require]


def test_the_profiles_that_there_are():
    assert profile_names() == ("erasure", "muse", "removal", "tofu")


@pytest.mark.parametrize(("profile", "item"), ENTRIES, ids=[f"{name}: {item.name}" for name, item in ENTRIES])
def test_every_entry_of_a_profile_is_fit_to_run(profile, item):
    assert item.name
    assert item.because
    assert item.corpus in ("forget", "forget_documents", "retain")
    check = CHECKS.get(item.check)
    better = check.metric_for(check.params.model_validate(item.with_)).better
    assert item.level == "advisory" or any(item.bounds)
    lower, upper = item.bounds
    assert upper is None or better in ("lower", "target")
    # A leak bounded on both sides: what looks stranger than never-trained rows gives itself away too.
    assert lower is None or upper is not None or better in ("higher", "target")


def test_muse_is_the_four_criteria():
    rows = {item.name: item for item in expand(spec_of(profile="muse"))}
    assert list(rows) == [
        "muse: verbatim memorization",
        "muse: knowledge memorization",
        "muse: privacy leakage",
        "muse: utility",
    ]
    assert rows["muse: verbatim memorization"].at_most == Bound(0.05, "reference")
    assert rows["muse: knowledge memorization"].with_["shots"] == 10
    assert rows["muse: privacy leakage"].bounds == (Bound(-5.0), Bound(5.0))
    assert rows["muse: utility"].at_least == Bound(0.0, "reference", 0.95)
    assert rows["muse: utility"].corpus == "retain"


def test_profiles_come_first_then_the_specs_own():
    spec = spec_of(profile=["muse", "tofu"], require=[{"check": "fluency", "at_least": 0.9}])
    entries = expand_entries(spec)
    assert [entry.path for entry in entries] == [("profile", 0)] * 4 + [("profile", 1)] * 6 + [("require", 0)]
    assert entries[-1].requirement.name == "fluency"


def test_a_requirement_with_a_profiles_name_takes_its_place():
    own = {"name": "muse: privacy leakage", "check": "privacy_leakage", "between": [-10, 10]}
    entries = expand_entries(spec_of(profile="muse", require=[own, {"check": "fluency", "at_least": 0.9}]))
    assert [entry.requirement.name for entry in entries][2:] == ["muse: privacy leakage", "muse: utility", "fluency"]
    assert entries[2].requirement.bounds == (Bound(-10.0), Bound(10.0))
    assert entries[2].path == ("require", 0)


def test_a_profile_finds_corpora_by_role():
    roles = {"people": "forget", "books": "forget_documents", "rest": "retain"}
    corpora = {name: {"file": f"{name}.jsonl", "role": role} for name, role in roles.items()}
    found = [item.corpus for item in expand(spec_of(profile="muse", corpora=corpora))]
    assert found == ["books", "people", "books", "rest"]


def test_default_names_say_what_is_measured_and_are_unique():
    item = {"check": "knowledge_memorization", "corpus": "forget", "at_most": 0.1}
    attacked = {**item, "under": ["relearn", {"prune": {"share": 0.5}}]}
    taken = {**item, "name": "knowledge memorization on forget (2)"}
    names = [
        row.name for row in expand(spec_of(require=[item, item, attacked, taken, {"check": "fluency", "level": "advisory"}]))
    ]
    assert names == [
        "knowledge memorization on forget",
        "knowledge memorization on forget (3)",
        "knowledge memorization on forget under relearn, prune",
        "knowledge memorization on forget (2)",
        "fluency",
    ]


@given(st.lists(st.sampled_from(["a", "a (2)", "b", None]), min_size=1, max_size=8))
def test_names_are_unique_whatever_is_named(names):
    given_names = [name for name in names if name is not None]
    if len(set(given_names)) < len(given_names):
        return  # refused when the spec is loaded
    require = [{"check": "a", "at_most": 1, **({"name": name} if name else {})} for name in names]
    found = [item.name for item in expand(spec_of(require=require))]
    assert len(set(found)) == len(names)
    assert None not in found


def test_an_unknown_profile():
    with pytest.raises(SpecError, match=r"profile: unknown profile 'must'; did you mean 'muse'\?"):
        expand(spec_of(profile="must"))
    with pytest.raises(SpecError, match="unknown profile 'must'"):
        load_profile("must")
    with pytest.raises(SpecError, match=r"profile\.1: unknown profile '\.\./\.\./etc/passwd'"):
        expand(spec_of(profile=["muse", "../../etc/passwd"]))


def test_a_profile_says_what_the_spec_lacks(good, faults):
    lacking = (
        good.replace("  reference: {checkpoint: ./reference}\n", "")
        .replace("  retain: {file: retain.jsonl}\n", "")
        .replace("reference + 0.05", "0.05")
    )
    found = faults(lacking.replace("decide:", "profile: [muse]\ndecide:"))
    assert (
        "spec.yaml:18:11: profile.0: 'muse: verbatim memorization' needs a model named reference; got none; "
        "add it under models, or put a requirement named 'muse: verbatim memorization' under require"
    ) in found
    assert any("'muse: utility' needs a corpus with the role retain; got none" in line for line in found)


def test_erasure_and_removal_together_hold_what_removal_asks_for():
    import datetime as dt

    from auditkit.spec.intent import missing

    today = dt.date(2026, 11, 27)
    for profile, lacking in ((["erasure", "removal"], []), (["erasure"], ["relearn", "quantize", "prompts", "sampling"])):
        spec = spec_of(profile=profile, access=["weights"])
        words = " ".join(finding.message for finding in missing(spec, expand(spec), as_of=today))
        assert all(f"item {name}" in words for name in lacking) and (lacking or not words)
