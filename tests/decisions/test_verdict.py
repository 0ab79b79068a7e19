from __future__ import annotations

import datetime as dt
import itertools

import pytest

from auditkit.decisions.types import Estimate, Judgement, Result, Verdict
from auditkit.decisions.verdict import Row, apply_waivers, summarise, taint, verdict
from auditkit.errors import ExitCode
from auditkit.spec.model import Waiver

TODAY = dt.date(2026, 11, 24)


def required(*results: Result) -> list[Row]:
    return [("required", result, False) for result in results]


def judged(result: Result, value: float | None = 0.2, missed: str = "upper") -> Judgement:
    return Judgement(result, "why.", Estimate(value, None, None, 20, 20, "subject", "m"), missed=missed)


def waiver(**more: object) -> Waiver:
    given = {
        "requirement": "one",
        "justification": "accepted",
        "approver": "board",
        "approved_on": "2026-11-01",
        "expires_on": "2026-11-24",
    }
    return Waiver.model_validate(given | more)


@pytest.mark.parametrize(
    ("rows", "word"),
    [
        (required(Result.PASS, Result.PASS), Verdict.PASS),
        (required(Result.PASS, Result.FAIL), Verdict.FAIL),
        (required(Result.FAIL, Result.ERROR), Verdict.FAIL),
        (required(Result.PASS, Result.INCONCLUSIVE), Verdict.INCOMPLETE),
        (required(Result.PASS, Result.ERROR), Verdict.INCOMPLETE),
        (required(Result.PASS, Result.NOT_CHECKED), Verdict.INCOMPLETE),
        (required(Result.PASS, Result.NOT_APPLICABLE), Verdict.PASS),
        (required(Result.NOT_APPLICABLE), Verdict.INCOMPLETE),
        (required(Result.NOT_CHECKED), Verdict.INCOMPLETE),
        (required(Result.INFORMATIONAL), Verdict.INCOMPLETE),
        ([], Verdict.INCOMPLETE),
        ([("advisory", Result.PASS, False)], Verdict.INCOMPLETE),
        ([("advisory", Result.FAIL, False), ("required", Result.PASS, False)], Verdict.PASS),
        ([("required", Result.FAIL, True), ("required", Result.PASS, False)], Verdict.PASS_WITH_EXCEPTIONS),
        ([("required", Result.FAIL, True)], Verdict.PASS_WITH_EXCEPTIONS),
        ([("required", Result.FAIL, True), ("required", Result.FAIL, False)], Verdict.FAIL),
        ([("required", Result.FAIL, True), ("required", Result.INCONCLUSIVE, False)], Verdict.INCOMPLETE),
        ([("required", Result.INCONCLUSIVE, True)], Verdict.INCOMPLETE),
    ],
)
def test_the_verdict(rows: list[Row], word: Verdict) -> None:
    assert verdict(rows) is word


def test_only_a_required_pass_ever_gives_a_pass() -> None:
    """Over all triples of results: PASS needs one pass and nothing open or failed, and the order does not matter."""
    for results in itertools.product(Result, repeat=3):
        rows = required(*results)
        clean = {Result.PASS, Result.NOT_APPLICABLE, Result.INFORMATIONAL}
        assert (verdict(rows) is Verdict.PASS) == (Result.PASS in results and set(results) <= clean)
        assert verdict(rows[::-1]) is verdict(rows)


def test_exit_codes() -> None:
    assert [word.exit_code for word in Verdict] == [ExitCode.PASS, ExitCode.PASS, ExitCode.FAIL, ExitCode.INCOMPLETE]


@pytest.mark.parametrize(
    ("rows", "sentence"),
    [
        (
            required(Result.PASS, Result.PASS),
            "The candidate meets all 2 required properties on the subjects, tests and attacks used.",
        ),
        (required(Result.PASS), "The candidate meets the one required property on the subjects, tests and attacks used."),
        (required(Result.PASS, Result.FAIL), "The candidate misses 1 of 2 required properties."),
        (
            [("required", Result.FAIL, True), *required(Result.FAIL)],
            "The candidate misses 1 of 2 required properties (1 more under a waiver).",
        ),
        (
            [("required", Result.FAIL, True), *required(Result.PASS)],
            "The candidate misses 1 of 2 required properties, each accepted by a waiver",
        ),
        (
            required(Result.PASS, Result.INCONCLUSIVE, Result.ERROR),
            "Not decided: of 3 required properties, 1 inconclusive and 1 in error; what was not decided is not a pass.",
        ),
        ([], "Nothing that is required was decided, so nothing is shown."),
    ],
)
def test_the_sentence(rows: list[Row], sentence: str) -> None:
    assert summarise(verdict(rows), rows).startswith(sentence)


def test_no_sentence_promises_more_than_was_tested() -> None:
    for results in itertools.product(Result, repeat=2):
        rows = required(*results)
        text = summarise(verdict(rows), rows).lower()
        assert not any(word in text for word in ("removed", "erased", "complian", "safe", "forgotten"))
        assert ("not that anything is gone" in text) == (verdict(rows) is Verdict.PASS)


def test_taint_leaves_nothing_better_than_inconclusive() -> None:
    assert taint(judged(Result.PASS)).result is Result.INCONCLUSIVE
    assert "--limit" in taint(judged(Result.PASS)).reason and taint(judged(Result.PASS)).reason.endswith("why.")
    for result in Result:
        if result is not Result.PASS:
            assert taint(judged(result)) == judged(result)


@pytest.mark.parametrize(
    ("given", "judgement", "state"),
    [
        ({}, judged(Result.FAIL), "applied"),
        ({"expires_on": "2026-11-23"}, judged(Result.FAIL), "expired"),
        ({"approved_on": "2026-11-25", "expires_on": "2026-12-01"}, judged(Result.FAIL), "unused"),
        ({}, judged(Result.PASS), "unused"),
        ({}, judged(Result.INCONCLUSIVE), "unused"),
        ({}, judged(Result.ERROR), "unused"),
        ({}, judged(Result.NOT_CHECKED), "unused"),
        ({"requirement": "another"}, judged(Result.FAIL), "no such requirement"),
        ({"ceiling": 0.2}, judged(Result.FAIL, 0.2), "applied"),
        ({"ceiling": 0.2}, judged(Result.FAIL, 0.21), "above ceiling"),
        ({"ceiling": 0.2}, judged(Result.FAIL, 0.19, "lower"), "above ceiling"),
        ({"ceiling": 0.2}, judged(Result.FAIL, 0.21, "lower"), "applied"),
        ({"ceiling": 0.2}, judged(Result.FAIL, None), "above ceiling"),
    ],
)
def test_the_state_of_a_waiver(given: dict[str, object], judgement: Judgement, state: str) -> None:
    (applied,) = apply_waivers([waiver(**given)], [("one", judgement)], as_of=TODAY)
    assert applied.state == state and applied.waiver.approver == "board"
