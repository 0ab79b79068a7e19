"""From a spec to a verdict on tiny models: the planted truth comes out."""

import json

import pytest
import world as builder

from auditkit.evidence.audit import run
from auditkit.evidence.prepare import Options, prepare
from auditkit.files import cache_folder
from auditkit.measurement.progress import progress_for


def audit(path, **options):
    with progress_for(quiet=True) as progress:
        return run(prepare(path, Options(**options)), progress=progress, run_dir=path.parent / "run")


def results(outcome):
    return {requirement.name: requirement.result for requirement in outcome.results.requirements}


@pytest.fixture(scope="module")
def place(world, tmp_path_factory):
    return builder.copy(world, tmp_path_factory.mktemp("place"))


def test_a_model_that_never_saw_the_data_passes(place):
    outcome = audit(builder.spec(place, candidate="clean"))
    assert results(outcome) == {"answers": "pass", "probability": "pass", "membership": "pass"}
    assert outcome.results.verdict == "PASS"


def test_the_original_under_another_name_fails_at_once(place):
    outcome = audit(builder.spec(place, candidate="original"))
    assert outcome.results.verdict == "FAIL"
    assert results(outcome)["the weights differ from the original's"] == "fail"
    assert results(outcome)["answers"] == "fail"


def test_under_suppression_identical_weights_are_a_limitation_and_no_failure_of_their_own(place):
    outcome = audit(builder.spec(place, candidate="original", intent="suppression"))
    assert "the weights differ from the original's" not in results(outcome)
    assert any("identical" in line for line in outcome.results.limitations)


def test_without_reference_and_original_the_limits_are_stated(place):
    require = [{**builder.REQUIRE[0], "at_most": 0.5}]
    models = {"candidate": {"checkpoint": "./clean"}}
    outcome = audit(builder.spec(place, models=models, require=require))
    assert sum("No reference" in line or "No original" in line for line in outcome.results.limitations) == 2


def test_limit_taints(place):
    outcome = audit(builder.spec(place), limit=8)
    assert "pass" not in results(outcome).values()
    assert outcome.results.verdict == "INCOMPLETE"
    assert outcome.results.tainted


def test_what_is_left_out_is_not_checked_and_not_a_pass(place):
    outcome = audit(builder.spec(place), only=("answers",))
    assert results(outcome) == {"answers": "pass", "probability": "not_checked", "membership": "not_checked"}
    assert outcome.results.verdict == "INCOMPLETE"


def test_a_check_that_breaks_is_an_error_and_the_others_go_on(place, monkeypatch):
    from auditkit.checks import CHECKS

    def broken(*_):
        raise ZeroDivisionError("secret forget text")

    monkeypatch.setattr(type(CHECKS.get("answer_probability")), "values", broken)
    outcome = audit(builder.spec(place))
    assert results(outcome) == {"answers": "pass", "probability": "error", "membership": "pass"}
    assert outcome.results.verdict == "INCOMPLETE"
    assert "secret" not in outcome.results.model_dump_json()


def test_a_waived_failure_passes_with_exceptions(place):
    waiver = {
        "requirement": "answers", "justification": "known", "approver": "the board",
        "approved_on": "2026-01-01", "expires_on": "2099-01-01",
    }  # fmt: skip
    require = [builder.REQUIRE[0]]
    path = builder.spec(place, candidate="original", intent="suppression", require=require, waivers=[waiver])
    assert audit(path).results.verdict == "PASS WITH EXCEPTIONS"
    expired = builder.spec(place, candidate="original", intent="suppression", require=require,
                           waivers=[{**waiver, "expires_on": "2026-02-01"}])  # fmt: skip
    assert audit(expired).results.verdict == "FAIL"


def test_equal_requests_of_different_checks_are_asked_once(place):
    twice = [{**builder.REQUIRE[0], "name": name} for name in ("one", "two")]
    work = audit(builder.spec(place, require=twice)).results.work
    assert work.requests_run * 2 == work.requests_asked_for


def test_measured_afresh_the_results_are_the_same_but_for_the_run_block(place, tmp_path, monkeypatch):
    found = []
    for cache in ("first", "second"):
        monkeypatch.setenv("AUDITKIT_CACHE", str(tmp_path / cache))
        found.append(json.loads(audit(builder.spec(place)).results.model_dump_json()))
        assert found[-1].pop("run")["cached_requests"] == 0
    assert found[0] == found[1]


def test_forget_text_is_redacted_unless_asked_for(place):
    path = builder.spec(place, candidate="original", require=[builder.REQUIRE[0]])
    hidden = audit(path)
    names = [json.loads(line)["subject"] for line in (place / "forget.jsonl").read_text().splitlines()]
    text = hidden.results.model_dump_json() + "".join(doc.model_dump_json() for doc in hidden.values.values())
    assert not any(name in text for name in names)
    assert "[redacted: " in text


def test_a_model_that_the_spec_makes_is_made_once_and_audited(place):
    models = {
        "candidate": {"checkpoint": "./clean"},
        "base": {"checkpoint": "./reference"},
        "original": {"from": "base", "finetune": {"corpora": ["forget"], "epochs": 12, "lr": 0.005, "batch": 16}},
        "reference": {"checkpoint": "./reference"},
    }
    path = builder.spec(place, models=models, require=[builder.REQUIRE[0]])
    first = audit(path)
    (requirement,) = first.results.requirements
    assert requirement.models["original"].value > 0.6
    assert requirement.result == "pass"
    made = list((cache_folder() / "made").iterdir())
    assert audit(path).results.report_id == first.results.report_id
    assert list((cache_folder() / "made").iterdir()) == made
