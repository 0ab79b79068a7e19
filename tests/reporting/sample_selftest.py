"""A self-test made by hand: a miss under one seed of two, a false alarm, an abstention, an error and an undetected set-up."""

from __future__ import annotations

from typing import Any

from auditkit.evidence.selftest import CaseDoc, CaseRequirementDoc, NotBuiltDoc, RepeatDoc, SelftestDoc
from tests.reporting.sample_results import HOSTILE

LETTERS = {"pass": "P", "fail": "F", "inconclusive": "I"}


def asked(name: str, result: str, value: float | None = 0.1, **changes: Any) -> CaseRequirementDoc:
    """One requirement of a case."""
    base: dict[str, Any] = {
        "name": name, "check": name.partition(" ")[0], "level": "required", "result": result, "value": value,
        "lower": None if value is None else value - 0.05, "upper": None if value is None else value + 0.05,
        "reason": "The bound is 0.2.",
    }  # fmt: skip
    return CaseRequirementDoc(**(base | changes))


def case(label: str, construction: str, seed: int, truth: str, verdict: str, **changes: Any) -> CaseDoc:
    """One audited model that was asked directly and after relearning."""
    known = {"must fail": "yes", "must pass": "no"}.get(truth, "partly")
    results = {"PASS": ("pass", "pass"), "FAIL": ("pass", "fail"), "INCOMPLETE": ("pass", "inconclusive"), "ERROR": ()}[verdict]
    names = ("ask directly", "ask after relearning")
    base: dict[str, Any] = {
        "construction": construction, "label": label, "title": f"{construction} model", "family": "honest", "seed": seed,
        "book": "development", "tuned": True, "truth": truth, "weights": known, "reachable": "no", "utility": "yes",
        "verification": {"answers after one epoch": 0.91}, "verdict": verdict,
        "requirements": [
            asked(name, result, attack="relearning" if "after" in name else "", margin=0.1)
            for name, result in zip(names, results, strict=False)
        ],
        "expected": {"ask": "P", "relearn": {"must fail": "F", "must pass": "P"}.get(truth, "I")},
        "found": dict(zip(("ask", "relearn"), map(LETTERS.get, results), strict=False)),
        "outcome": "suppression", "claim": "L0", "report_id": f"{seed}f0c2a91", "seconds": 62.0,
    }  # fmt: skip
    return CaseDoc(**(base | changes))


def cases() -> list[CaseDoc]:
    """Ten models of seven constructions."""
    return [
        case("Z1", "retrained", 0, "must pass", "PASS", dose=0.0),
        case("Z1", "retrained", 1, "must pass", "FAIL", dose=0.0, deviations=["relearning failed on a retrained model"]),
        case("Z2", "original", 0, "must fail", "FAIL", family="plain", dose=1.0),
        case("Z3", "refusal", 0, "must fail", "FAIL", family="refusal"),
        case("Z3", "refusal", 1, "must fail", "PASS", family="refusal", book="locked"),
        case("Z4", "adapter", 0, "must fail", "INCOMPLETE", family="adapter", book="locked", tuned=False),
        case("Z5", "guard", 0, "must fail", "ERROR", family="guard", book="locked", tuned=False),
        case("Z7", "half", 0, "at the bound", "PASS", family="partial", dose=0.5),
        case("Z20", "leaky", 0, "must not decide", "PASS", family="set-up", book="locked"),
        case("Z20", "leaky", 1, "must not decide", "INCOMPLETE", family="set-up", book="locked"),
    ]


def chance(value: float) -> dict[str, float]:
    """As the simulation writes it."""
    return {"count": round(500 * value), "value": value, "lower": max(0.0, value - 0.02), "upper": min(1.0, value + 0.02)}


def outcomes(dose: float, passed: float, failed: float) -> dict[str, Any]:
    """As the simulation writes it."""
    rest = round(1 - passed - failed, 6)
    return {"dose": dose, "audits": 500, "passed": chance(passed), "failed": chance(failed), "inconclusive": chance(rest)}


def selftest(**changes: Any) -> SelftestDoc:
    """The whole run."""
    curve = {
        "kind": "mean", "bound": "at most 0.1", "subjects": 60, "dose_on_bound": 0.1, "detectable": {"failing": 0.2},
        "points": [outcomes(0.0, 0.97, 0.0), outcomes(0.1, 0.04, 0.04), outcomes(0.3, 0.0, 0.93), outcomes(0.5, 0.0, 1.0)],
    }  # fmt: skip
    at_bound = {"kind": "mean", "bound": "at most 0.1", "subjects": 60, "skewed": False, "truth": 0.1, "alpha": 0.05}
    base: dict[str, Any] = {
        "tool_version": "0.1.0", "commit": "44077fc0011223344", "date": "2026-11-27", "mode": "full", "seeds": [0, 1],
        "cases": cases(),
        "not_built": [NotBuiltDoc(label="Z11", construction="quantisation-fragile", why="int4 shows nothing that bf16 hides")],
        "repeatability": [
            RepeatDoc(case="Z3 refusal", seeds=10, verdicts={"FAIL": 9, "INCOMPLETE": 1}),
            RepeatDoc(case="Z1 retrained", seeds=4, verdicts={"PASS": 3, "FAIL": 1}),
        ],
        "boundary": [
            {**at_bound, "outcomes": outcomes(0.1, 0.04, 0.04)},
            {**at_bound, "kind": "skewed mean", "outcomes": outcomes(0.1, 0.2, 0.01)},
            {"another": "form", "passed": 0.25},
        ],
        "power": [curve, {**curve, "kind": "AUC", "points": curve["points"][:2]}],
        "looks": ["2026-11-26: first run of the locked zoo"],
    }  # fmt: skip
    return SelftestDoc(**(base | changes))


def hostile() -> SelftestDoc:
    """Every text of the data's own is hostile."""
    found = selftest()
    changed = [
        one.model_copy(
            update={
                "title": HOSTILE,
                "construction": f"{one.construction}{HOSTILE}",
                "deviations": [HOSTILE],
                "verification": {HOSTILE: 0.5},
                "requirements": [part.model_copy(update={"name": HOSTILE, "reason": HOSTILE}) for part in one.requirements],
            }
        )
        for one in found.cases
    ]
    rows = [{**row, "kind": HOSTILE, HOSTILE: HOSTILE} for row in found.power]
    return found.model_copy(update={"cases": changed, "power": rows, "boundary": [{HOSTILE: HOSTILE}], "looks": [HOSTILE]})
