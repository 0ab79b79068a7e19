"""An audit with an attack of every family: recovery defined and undefined, curves, an indicative attack, one stopped early."""

from __future__ import annotations

from typing import Any

from auditkit.evidence.results import AttackDoc, BoundDoc, CurveDoc, EstimateDoc, OutcomeDoc, RequirementDoc, Results
from tests.reporting.sample_results import FRACTION, estimate, requirement, results

UNDEFINED = "the original is not shown to score above the reference"
PARAPHRASE = AttackDoc(
    name="paraphrase",
    title="Other wordings",
    family="prompt",
    params={"wordings": 5, "summarise": "worst_question"},
    attacker="Anyone who can type a question. No skill is needed and it costs minutes.",
    budget="5 wordings of each question",
    limits="Only the wordings in the bank were tried.",
    kinds=["jailbreak", "prefix"],
)
QUANTISE = AttackDoc(
    name="quantise",
    title="Round the weights",
    family="precision",
    params={"bits": [8, 4]},
    attacker="Whoever runs the model with fewer digits to save memory. It is one setting of common software and costs nothing.",
    budget="8 bit, 4 bit",
    limits="Rounding to the nearest value only; other ways of rounding behave a little differently.",
)
RELEARN = AttackDoc(
    name="relearn",
    title="Fine-tune on other forgotten facts",
    family="relearning",
    params={"corpus": "forget", "split": "subject", "fraction": 0.5, "steps": [1, 2, 4, 8, 16, 32, 64, 128]},
    attacker="Somebody with the weights, half of the forgotten records and one graphics card for an afternoon.",
    budget="128 steps at 3 learning rates, 3 seeds",
    limits="Another recipe could bring back more. What was taught by a short fine-tuning looks safer than it is.",
)
ATTACKS = {
    "sampling": AttackDoc(name="samples", title="Ask again and again", family="sampling", budget="200 samples"),
    "construction": AttackDoc(name="detach", title="Take the adapter off", family="construction"),
    "weights": AttackDoc(
        name="prune",
        title="Prune",
        family="weights",
        budget="1%, 5%, 10%",
        indicative=True,
        attacker="Whoever has the weights.",
    ),
    "representation": AttackDoc(
        name="ablate_direction",
        title="Take out one direction of the hidden states",
        family="representation",
        budget="all layers",
    ),
}
OUTCOME = OutcomeDoc(
    kind="suppression",
    claim="L1",
    sentence=("Not shown under direct questions; it is found under quantise (8 bit, 4 bit). That is suppression, not removal."),
    claim_sentence="L1: not extractable through the interface, by the tests made and no others. L2 would need: rounding.",
    attacks=["Other wordings (5 wordings of each question)", "Round the weights (8 bit, 4 bit)"],
    omitted=["Direction ablation: no time before the release; accepted by A. Moreau until 2027-01-31."],
)


def under(number: int, *attacks: AttackDoc, after: float, recovery: float | None = None, **changes: Any) -> RequirementDoc:
    """The candidate at 0.14 before and ``after`` under the attack; the reference hardly moves."""
    before = {"candidate": estimate(0.14, 0.03), "original": estimate(0.87, 0.03), "reference": estimate(0.13, 0.03)}
    models = {"candidate": estimate(after, 0.05), "original": estimate(0.86, 0.04), "reference": estimate(0.15, 0.03)}
    failed = after > 0.3
    base: dict[str, Any] = {
        "name": f"does not come back, {number}",
        "slug": f"{number:02d}-knowledge",
        "check": "knowledge_memorization",
        "title": "Knowledge memorization",
        "result": "fail" if failed else "pass",
        "reason": "The difference to the reference is at least 0.201." if failed else "At most reference + 0.1 holds.",
        "bound": BoundDoc(text="at most reference + 0.1", upper=0.1, model="reference", upper_value=0.25),
        "estimate": models["candidate"],
        "difference": estimate(round(after - 0.15, 3), 0.06),
        "models": models,
        "before": before,
        "under": list(attacks),
        "recovery": estimate(recovery, 0.09) if recovery is not None else EstimateDoc(note=UNDEFINED),
        "controls": [],
        "values_file": "",
        "line": 0,
    }
    return requirement(number, **(base | changes))


def curves(axis: str, xs: list[float], lines: dict[str, list[float]], **marks: dict[str, Any]) -> list[CurveDoc]:
    """One curve a model; ``marks`` are chosen and reached by model."""
    return [
        CurveDoc(model=model, axis=axis, x=xs, estimates=[estimate(y, 0.04) for y in ys], **marks.get(model, {}))
        for model, ys in lines.items()
    ]


def relearned(number: int, **changes: Any) -> RequirementDoc:
    """Half of the original's 0.87 is reached after 8 steps by the candidate, and never by the reference."""
    lines = {
        "candidate": [0.14, 0.16, 0.22, 0.37, 0.52, 0.6, 0.63, 0.66, 0.65],
        "original": [0.87, 0.87, 0.86, 0.87, 0.88, 0.88, 0.87, 0.86, 0.86],
        "reference": [0.13, 0.13, 0.13, 0.14, 0.15, 0.17, 0.18, 0.17, 0.18],
    }
    marks = {
        "candidate": {"chosen": 64, "reached": 8},
        "original": {"chosen": 1, "reached": 0},
        "reference": {"chosen": 64},
    }
    found = curves("training steps", [0, 1, 2, 4, 8, 16, 32, 64, 128], lines, **marks)
    return under(number, RELEARN, after=0.66, recovery=0.69, curves=found, worst_group="chosen", **changes)


def lens(number: int) -> RequirementDoc:
    """A check that reads the layers by itself."""
    lines = {
        "candidate": [0.02, 0.05, 0.2, 0.41, 0.44, 0.3, 0.12],
        "original": [0.02, 0.06, 0.25, 0.48, 0.7, 0.82, 0.87],
        "reference": [0.02, 0.05, 0.09, 0.1, 0.11, 0.13, 0.13],
    }
    marks = {model: {"chosen": 4} for model in lines}
    return under(
        number,
        after=0.44,
        recovery=0.56,
        check="logit_lens",
        title="Logit lens",
        before={},
        curves=curves("layer", list(range(7)), lines, **marks),
    )


def attacked_rows() -> list[RequirementDoc]:
    """Every family, and both checks under two of the attacks."""
    verbatim = {"check": "verbatim_memorization", "title": "Verbatim memorization"}
    return [
        requirement(1),
        under(2, PARAPHRASE, after=0.19, recovery=0.05, worst_group="any wording"),
        under(3, QUANTISE, after=0.72, recovery=0.8, worst_group="4 bit", stopped_early=12),
        under(4, QUANTISE, after=0.17, before={}, **verbatim),
        relearned(5),
        under(6, ATTACKS["sampling"], after=0.28, recovery=0.18, result="inconclusive"),
        under(7, ATTACKS["construction"], after=0.14, recovery=-0.01, difference=None, bound=BoundDoc(text="at most 0.3")),
        under(8, ATTACKS["weights"], after=0.42, recovery=0.38),
        under(9, ATTACKS["representation"], after=0.16, recovery=0.01, **verbatim),
        under(10, QUANTISE, PARAPHRASE, after=0.75, recovery=0.84),
        lens(11),
        under(
            12, RELEARN, after=0.2, models={}, before={}, estimate=EstimateDoc(note="error"), difference=None, result="error",
            **verbatim,
        ),
    ]  # fmt: skip


def attacked(**changes: Any) -> Results:
    """The audit."""
    base: dict[str, Any] = {"outcome": OUTCOME, "access": ["weights"], "waivers": [], "examples": []}
    return results(attacked_rows(), **(base | changes))


def with_metric(doc: RequirementDoc, **changes: Any) -> RequirementDoc:
    """Another metric."""
    return doc.model_copy(update={"metric": FRACTION.model_copy(update=changes)})
