from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from auditkit.spec.bounds import Bound

CASES = yaml.safe_load((Path(__file__).parent / "broken_overrides.yaml").read_text(encoding="utf-8"))


def test_a_bound_by_number_by_name_and_by_check(good, load):
    spec = load(
        good,
        overrides=["require.0.at_most=reference + 0.1", "require.utility is kept.at_least=0.9 * original"],
    ).spec
    assert spec.require[0].at_most == Bound(0.1, "reference")
    assert spec.require[1].at_least == Bound(0.0, "original", 0.9)
    assert load(good, overrides=["require.verbatim_memorization.at_most=0.2"]).spec.require[0].at_most == Bound(0.2)


def test_a_name_with_dots(good, load):
    named = good.replace("name: utility is kept", "name: utility v1.2 is kept")
    assert load(named, overrides=["require.utility v1.2 is kept.level=advisory"]).spec.require[1].level == "advisory"


def test_fields_that_the_text_does_not_have(good, load):
    spec = load(
        good,
        overrides=[
            "decide.min_subjects=5",
            "models.candidate.device=cpu",
            "require.0.with={prefix_tokens: 8}",
            "require.0.with.leak.deep=[1, 2]",
            "corpora.retain.where.split=test",
            "corpora.retain.sample.n=4",
            "report.auditor=A. Person",
            "title=Gate = closed",
        ],
    ).spec
    assert spec.decide.min_subjects == 5
    assert spec.decide.confidence == 0.95
    assert spec.models["candidate"].device == "cpu"
    assert spec.require[0].with_ == {"prefix_tokens": 8, "leak": {"deep": [1, 2]}}
    assert spec.corpora["retain"].where == {"split": "test"}
    assert spec.corpora["retain"].sample is not None
    assert spec.report.auditor == "A. Person"
    assert spec.title == "Gate = closed"


def test_seed_and_device_count_as_overrides(good, load):
    loaded = load(good, overrides=["title=x"], seed=7, device="cpu")
    assert loaded.spec.seed == 7
    assert {model.device for model in loaded.spec.models.values()} == {"cpu"}
    assert loaded.overrides[:2] == ("title=x", "seed=7")
    assert load(good, overrides=loaded.overrides).spec == loaded.spec


def test_what_is_set_replaces_what_was_wrong(good, load):
    assert load(good.replace("confidence: 0.95", "confidence: no"), overrides=["decide.confidence=0.9"])


@pytest.mark.parametrize("case", CASES, ids=[case["set"] for case in CASES])
def test_a_wrong_override_is_located_on_the_command_line(case, good, faults):
    assert faults(good, overrides=[case["set"]]) == [case["says"]]


def test_an_argument_that_is_no_text(good, faults):
    assert faults(good, overrides=["title=\udcff"]) == ["--set title: must be valid UTF-8; got other bytes"]


def test_wrong_options_name_themselves(good, faults):
    assert faults(good, seed=-1) == ["--seed: must be at least 0; got -1"]
    assert faults(good, device="gpu") == ["--device: must be auto, cpu, mps, cuda or cuda:N; got 'gpu'"]


def test_all_wrong_overrides_at_once(good, faults):
    assert len(faults(good, overrides=["nothing=1", "nowhere=2"])) == 2


def test_a_problem_found_later_names_the_option(good, load):
    loaded = load(good, overrides=["require.0.with={prefix_tokens: 8}"])
    assert str(loaded.problem(("require", 0, "with", "prefix_tokens"), "must be less")) == (
        "--set require.0.with: prefix_tokens: must be less"
    )


def test_an_entry_is_not_addressed_by_an_ambiguous_check(good, faults):
    twice = good.replace("check: utility", "check: verbatim_memorization").replace(
        "  - name: utility is kept\n    check", "  - check"
    )
    found = faults(twice, overrides=["require.verbatim_memorization.at_most=1"])
    assert found[0].endswith("got an unknown one in require; known: 0, 1")
