"""Every construction says what it is; what costs minutes to build is in test_selftest.py."""

import pytest

from auditkit.evidence.selftest import COLUMNS, CaseDoc
from auditkit.zoo import cases, probe, selftest
from auditkit.zoo.constructions import CONSTRUCTIONS

NAMES = CONSTRUCTIONS.names()
TABLE = {
    "Z0", "Z1", "Z2", "Z3", "Z4", "Z4m", "Z5", "Z6", "Z7", "Z8", "Z9", "Z9b", "Z10", "Z11", "Z12", "Z13", "Z14", "Z15", "Z16",
    "Z17", "Z18", "Z19", "Z20", "Z21",
}  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_a_construction_states_recipe_truth_and_expected_row(name):
    one = CONSTRUCTIONS.get(name)
    assert one.label and one.title and one.recipe.endswith(".")
    assert set(one.expected) <= set(COLUMNS) and one.expected["overall"]
    assert all(set(cell.split("/")) <= {"P", "F", "I", "-"} for cell in one.expected.values())
    if one.truth.audit == "must fail":
        assert one.truth.weights != "no" or one.truth.utility != "yes"
        assert "P" not in one.expected["overall"]
    if one.truth.audit == "must pass":
        assert (one.truth.weights, one.truth.utility) == ("no", "yes") and "F" not in one.expected["overall"]


def test_the_whole_table_is_built_or_said_not_to_be():
    labels = {CONSTRUCTIONS.get(name).label.split()[0].rstrip("qr") for name in NAMES}
    assert labels | {one.label for one in selftest.NOT_BUILT} == TABLE
    assert len({CONSTRUCTIONS.get(name).label for name in NAMES}) == len(NAMES)
    assert all(one.why for one in selftest.NOT_BUILT)


def test_a_column_stands_for_requirements_that_the_profiles_have():
    from auditkit.spec.profiles import load_profile

    shipped = {f"{profile}: {item.name}" for profile in cases.PROFILES for item in load_profile(profile).require}
    named = {name for names in cases.REQUIREMENTS.values() for name in names} - {"the weights differ from the original's"}
    assert named <= shipped and set(cases.REQUIREMENTS) | {"overall"} == set(COLUMNS)
    assert shipped - named == {"erasure: privacy leakage", "erasure: fluency"}, "the table has no column for these"


def test_a_number_outside_of_what_is_promised_is_a_problem_and_so_is_none():
    found = probe.Findings()
    found.expect("share", 0.5, at_least=0.4, at_most=0.6)
    assert found.numbers == {"share": 0.5} and not found.problems
    found.expect("share", 0.7, at_most=0.6)
    found.expect("other", float("nan"), at_least=0.0)
    assert len(found.problems) == 2


def test_cells_that_are_not_as_written_before_are_named():
    assert cases.deviations({"ask": "P", "mia": "-", "overall": "F/I"}, {"ask": "F", "mia": "I", "overall": "I"}) == [
        "ask: expected P, found F"
    ]


def test_what_was_kept_is_found_again_and_other_code_makes_it_anew(tmp_path, monkeypatch):
    asked, made = selftest.quick(tmp_path), []

    def make():
        made.append(1)
        return {"number": len(made)}

    assert [selftest._kept(asked, "one", make) for _ in range(3)] == [{"number": 1}] * 3
    monkeypatch.setattr(selftest, "code", lambda: "other")
    assert selftest._kept(asked, "one", make) == {"number": 2}


def test_what_failed_its_verification_is_told_again_and_nothing_is_run_to_collect(tmp_path):
    asked, collecting = selftest.quick(tmp_path), selftest.quick(tmp_path, collect=True)

    def fails():
        raise cases.ConstructionError("world 1: forget asked must be at most 0.05; got 0.300")

    with pytest.raises(selftest.NotAuditedError, match="did not get so far"):
        selftest._kept(collecting, "one", fails)
    for run in (asked, collecting):
        with pytest.raises(selftest.NotAuditedError, match="forget asked must be at most"):
            selftest._kept(run, "one", fails)


def test_the_log_of_looks_is_read_and_an_error_is_a_case():
    assert all(isinstance(line, str) for line in selftest.looks())
    site = selftest.site_of(100)
    assert site.world.book == "locked" and selftest.site_of(0).world.book == "development"
    case = cases.document("refusal", site, probe.Findings(), None, error="it broke", seconds=1.0)
    assert case.verdict == "ERROR" and case.deviations == ["it broke"] and isinstance(case, CaseDoc)
