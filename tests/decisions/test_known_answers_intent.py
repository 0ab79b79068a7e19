"""Linear softmax memories whose truth is known, attacked for real, judged as an audit judges: does the class come out?

A memory answers ``argmax(x W + b)``; every subject has features of its own. 100 subjects had to be forgotten (50 answers, each
of two subjects), 100 had to be kept (50 other answers). The reference was taught the second hundred alone: of what it never
saw it gets one answer in fifty right, by the order of the answers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np
import pytest

from auditkit.checks._base import Metric, Statistic, Values
from auditkit.decisions.findings import Attack, Finding, below_reference
from auditkit.decisions.judge import judge
from auditkit.decisions.outcome import Outcome, outcome
from auditkit.decisions.recovery import recovery
from auditkit.decisions.types import Judgement, Result, Verdict
from auditkit.decisions.verdict import verdict
from auditkit.spec.bounds import Bound
from auditkit.spec.model import Decide

ANSWERS = 100
FORGET, RETAIN = np.arange(100), np.arange(100, 200)
TRUTH = np.concatenate([np.arange(100) % 50, 50 + np.arange(100) % 50])
"""The answer of each subject. Of the forget subjects the first 50 are known to an attacker (A), the others are asked (B)."""
A, B = FORGET[:50], FORGET[50:]
ACCURACY = Metric("share of subjects", "fraction", 0.0, 1.0, "lower", 0.02)
PROBABILITY = Metric("probability of the answer", "fraction", 0.0, 1.0, "lower")
KEPT = Metric("accuracy", "fraction", 0.0, 1.0, "higher", 0.01)
AREA = Metric("AUC", "AUC", 0.0, 1.0, "lower", 0.5)
SHARE, MEAN, AUC = Statistic("leaking_subjects", at=1.0), Statistic("mean"), Statistic("auc")
NOT_ABOVE = (None, Bound(0.10, "reference"))


@dataclass(frozen=True)
class Memory:
    weights: np.ndarray
    bias: np.ndarray
    refuses: bool = False
    """A guard in front of the model, which refuses every question about a forget subject."""

    def states(self, subjects: np.ndarray) -> np.ndarray:
        return self.weights[subjects]

    def logits(self, subjects: np.ndarray) -> np.ndarray:
        return self.states(subjects) + self.bias

    def right(self, subjects: np.ndarray) -> np.ndarray:
        said = (self.logits(subjects).argmax(1) == TRUTH[subjects]).astype(float)
        return np.where(np.isin(subjects, FORGET), 0.0, said) if self.refuses else said

    def probability(self, subjects: np.ndarray) -> np.ndarray:
        logits = self.logits(subjects)
        p = np.exp(logits - logits.max(1, keepdims=True))
        return (p / p.sum(1, keepdims=True))[np.arange(len(subjects)), TRUTH[subjects]]


Change = Callable[[Memory], Memory]


def taught(memory: Memory, subjects: np.ndarray, *, steps: int = 40, lr: float = 1.0, bias: bool = False) -> Memory:
    """Gradient descent on the cross-entropy of these subjects."""
    weights, offset = memory.weights.copy(), memory.bias.copy()
    for _ in range(steps):
        logits = weights[subjects] + offset
        p = np.exp(logits - logits.max(1, keepdims=True))
        gradient = np.eye(ANSWERS)[TRUTH[subjects]] - p / p.sum(1, keepdims=True)
        weights[subjects] += lr * gradient
        if bias:
            offset = offset + lr * gradient.sum(0)
    return replace(memory, weights=weights, bias=offset)


EMPTY = Memory(np.zeros((200, ANSWERS)), np.zeros(ANSWERS))
ORIGINAL, REFERENCE = taught(EMPTY, np.concatenate([FORGET, RETAIN])), taught(EMPTY, RETAIN)


def zeroed(memory: Memory, subjects: np.ndarray) -> Memory:
    return replace(memory, weights=np.where(np.isin(np.arange(200), subjects)[:, None], 0.0, memory.weights))


# Attacks, each on every model alike


def relearn(memory: Memory) -> Memory:
    return taught(memory, A, steps=30, bias=True)


def quantize(memory: Memory) -> Memory:
    """Round to nearest at 4 bits, a step for each answer."""
    step = np.maximum(np.abs(memory.weights).max(0, keepdims=True), 1e-12) / 7
    return replace(memory, weights=np.round(memory.weights / step) * step)


def ablate(memory: Memory) -> Memory:
    """Takes off the mean shift of the logits against the original's, on what had to be forgotten."""
    shift = memory.logits(FORGET).mean(0) - ORIGINAL.logits(FORGET).mean(0)
    return replace(memory, bias=memory.bias - shift)


def unguarded(memory: Memory) -> Memory:
    return replace(memory, refuses=False)


ATTACKS: Mapping[str, tuple[str, Change, np.ndarray]] = {
    "remove_guard": ("construction", unguarded, FORGET),
    "quantize": ("precision", lambda memory: quantize(unguarded(memory)), FORGET),
    "relearn": ("relearning", lambda memory: relearn(unguarded(memory)), B),
    "ablate_direction": ("representation", lambda memory: ablate(unguarded(memory)), FORGET),
}


# The audit


def measured(numbers: np.ndarray, subjects: np.ndarray, **more: object) -> Values:
    names = tuple(f"forget/{subject}" for subject in subjects)
    return Values(ids=names, subjects=names, values=tuple(map(float, numbers)), **more)  # type: ignore[arg-type]


def decided(
    samples: Mapping[str, Values], metric: Metric, statistic: Statistic, bounds: tuple[Bound | None, Bound | None]
) -> Judgement:
    return judge(metric=metric, statistic=statistic, bounds=bounds, samples=samples, decide=Decide(), rng_seed=0)


def finding(name: str, check: str, dimension: str, judgement: Judgement, metric: Metric, **more: object) -> Finding:
    return Finding(
        name,
        check,
        dimension,
        True,
        judgement.result,
        better=metric.better,
        missed=judgement.missed,
        below_reference=below_reference(check, judgement.models),
        **more,  # type: ignore[arg-type]
    )


class Audit:
    def __init__(self, candidate: Memory, original: Memory = ORIGINAL, reference: Memory = REFERENCE) -> None:
        self.models = {"candidate": candidate, "original": original, "reference": reference}

    def samples(self, of: Callable[[Memory], np.ndarray], subjects: np.ndarray) -> dict[str, Values]:
        return {name: measured(of(memory), subjects) for name, memory in self.models.items()}

    def direct(self) -> Finding:
        samples = self.samples(lambda memory: memory.right(FORGET), FORGET)
        return finding(
            "direct questions", "knowledge_memorization", "forgetting", decided(samples, ACCURACY, SHARE, NOT_ABOVE), ACCURACY
        )

    def kept(self) -> Finding:
        samples = self.samples(lambda memory: memory.right(RETAIN), RETAIN)
        bounds = (Bound(0.0, "original", 0.95), None)
        return finding("what is kept", "utility", "utility", decided(samples, KEPT, MEAN, bounds), KEPT)

    def offered(self) -> Finding:
        samples = self.samples(lambda memory: memory.probability(FORGET), FORGET)
        return finding(
            "offered answers", "answer_probability", "forgetting", decided(samples, PROBABILITY, MEAN, NOT_ABOVE), PROBABILITY
        )

    def attacked(self, name: str) -> Finding:
        family, change, subjects = ATTACKS[name]
        samples = self.samples(lambda memory: change(memory).right(subjects), subjects)
        judgement = decided(samples, ACCURACY, SHARE, NOT_ABOVE)
        share = recovery(samples, metric=ACCURACY, statistic=SHARE, decide=Decide(), rng_seed=0, component=("",))
        attack = (Attack(name, family),)
        return finding(name, "knowledge_memorization", "forgetting", judgement, ACCURACY, attacks=attack, recovery=share)

    def probe(self) -> Finding:
        """Reads the answer in the states: right answers of half of the subjects against wrong ones of the others."""
        asked = np.where(FORGET < 50, TRUTH[FORGET], (TRUTH[FORGET] + 7) % 50)
        labels = tuple(int(subject < 50) for subject in FORGET)
        samples = {
            name: measured(memory.states(FORGET)[FORGET, asked], FORGET, labels=labels) for name, memory in self.models.items()
        }
        return finding("probe", "linear_probe", "robustness", decided(samples, AREA, AUC, NOT_ABOVE), AREA)

    def identical(self) -> tuple[Finding, ...]:
        one, other = self.models["candidate"], self.models["original"]
        same = one.weights.tobytes() == other.weights.tobytes() and one.bias.tobytes() == other.bias.tobytes()
        fact = Finding("the weights differ", "identical_weights", "forgetting", True, Result.FAIL, identical=True)
        return (fact,) if same else ()

    def findings(self) -> tuple[Finding, ...]:
        attacks = [self.attacked(name) for name in ATTACKS]
        return (*self.identical(), self.direct(), self.offered(), self.kept(), *attacks, self.probe())


def come_to(findings: tuple[Finding, ...]) -> Outcome:
    return outcome(findings, intent="removal", epsilon=0.10)


def by_name(findings: tuple[Finding, ...]) -> dict[str, Finding]:
    return {one.name: one for one in findings}


def word(findings: tuple[Finding, ...]) -> Verdict:
    return verdict([("required" if one.required else "advisory", one.result, False) for one in findings])


def test_the_world() -> None:
    assert ORIGINAL.right(FORGET).mean() == ORIGINAL.right(RETAIN).mean() == REFERENCE.right(RETAIN).mean() == 1
    assert REFERENCE.right(FORGET).mean() == 0.02
    assert (REFERENCE.weights[FORGET] == 0).all() and (REFERENCE.bias == 0).all()


def test_the_original_is_not_unlearned() -> None:
    found = Audit(ORIGINAL).findings()
    assert come_to(found).kind == "not unlearned"
    assert by_name(found)["direct questions"].result is Result.FAIL


def test_a_guarded_copy_is_suppression_and_fails_removal_at_once() -> None:
    """The weights are those of the original; the answers come back as soon as the guard is off."""
    audit = Audit(replace(ORIGINAL, refuses=True))
    direct, kept, (same,) = audit.direct(), audit.kept(), audit.identical()
    assert direct.result is kept.result is Result.PASS
    seen = come_to((same, direct, kept))
    assert seen.kind == "suppression" and "the weights are the original's" in seen.sentence
    assert word((same, direct, kept)) is Verdict.FAIL
    off = audit.attacked("remove_guard")
    assert off.result is Result.FAIL and off.recovery is not None and off.recovery.value == 1
    assert come_to((direct, kept, off)).kind == "suppression"


def test_answers_suppressed_by_a_bias_are_read_in_the_states() -> None:
    """The bias of all forget answers is lowered by 20: nothing comes out, everything is there."""
    bias = np.where(np.arange(ANSWERS) < 50, -20.0, 0.0)
    candidate = replace(ORIGINAL, bias=ORIGINAL.bias + bias)
    assert candidate.right(FORGET).mean() == 0 and candidate.right(RETAIN).mean() == 1
    assert ablate(candidate).right(FORGET).mean() == 1 and ablate(REFERENCE).right(FORGET).mean() == 0.02
    found = Audit(candidate).findings()
    results = {name: one.result for name, one in by_name(found).items()}
    assert results == {
        "direct questions": Result.PASS,
        "offered answers": Result.PASS,
        "what is kept": Result.PASS,
        "remove_guard": Result.PASS,
        "quantize": Result.PASS,
        "relearn": Result.FAIL,
        "ablate_direction": Result.FAIL,
        "probe": Result.FAIL,
    }
    assert not any(one.below_reference for one in found), "0 of 100 against chance is not below the reference"
    for name in ("relearn", "ablate_direction"):
        share = by_name(found)[name].recovery
        assert (
            share is not None and share.value == pytest.approx(1.0, abs=0.02) and share.lower is not None and share.lower > 0.8
        )
    seen = come_to(found)
    assert seen.kind == "suppression"
    assert "it is found under relearn, ablate direction and linear probe" in seen.sentence
    assert seen.sentence.endswith("That is suppression, not removal.")


def test_true_removal_is_consistent_with_removal_under_every_attack() -> None:
    """The rows of the forget subjects are set to zero."""
    found = Audit(zeroed(ORIGINAL, FORGET)).findings()
    assert {one.result for one in found} == {Result.PASS}
    for one in found:
        if one.recovery is not None:
            assert one.recovery.value == 0 and one.recovery.upper is not None and one.recovery.upper <= 0.10
    seen = come_to(found)
    assert seen.kind == "consistent with removal"
    assert seen.sentence == (
        "No evidence of the data was found under: remove guard, quantize, relearn, ablate direction and linear probe; this is "
        "consistent with removal up to these attacks and no further."
    )


@pytest.mark.parametrize("missing", ["quantize and relearn", "ablate_direction and probe"])
def test_the_same_model_with_a_kind_of_attack_left_out_is_inconclusive(missing: str) -> None:
    found = Audit(zeroed(ORIGINAL, FORGET)).findings()
    assert come_to(tuple(one for one in found if one.name not in missing)).kind == "inconclusive"


def test_half_of_the_subjects_unlearned_is_not_unlearned() -> None:
    assert come_to(Audit(zeroed(ORIGINAL, A)).findings()).kind == "not unlearned"


def test_a_small_change_is_rounded_away() -> None:
    """Ten answers, four features a subject, the right answer's lead exactly one step: -.4 and +.4 on all four overturn it."""
    truth = np.arange(50) % 10
    features = np.arange(200).reshape(50, 4)
    original, change = np.zeros((200, 10)), np.zeros((200, 10))
    for subject in range(50):
        original[features[subject, 0], truth[subject]] = 1.0
        change[features[subject], truth[subject]] = -0.4
        change[features[subject], (truth[subject] + 1) % 10] = 0.4
    models = {"candidate": original + change, "original": original, "reference": np.zeros((200, 10))}

    def right(weights: np.ndarray) -> np.ndarray:
        return (weights[features].sum(1).argmax(1) == truth).astype(float)

    assert [right(weights).mean() for weights in models.values()] == [0.0, 1.0, 0.1]
    assert right(np.round(models["candidate"])).mean() == 1.0
    subjects = np.arange(50)
    plain = {name: measured(right(weights), subjects) for name, weights in models.items()}
    rounded = {name: measured(right(np.round(weights)), subjects) for name, weights in models.items()}
    share = recovery(rounded, metric=ACCURACY, statistic=SHARE, decide=Decide(), rng_seed=0, component=("",))
    assert share.value == 1.0
    direct = decided(plain, ACCURACY, SHARE, NOT_ABOVE)
    four_bit = decided(rounded, ACCURACY, SHARE, NOT_ABOVE)
    assert (direct.result, four_bit.result) == (Result.PASS, Result.FAIL)
    found = (
        finding("direct questions", "knowledge_memorization", "forgetting", direct, ACCURACY),
        Audit(ORIGINAL).kept(),
        finding(
            "4 bit",
            "knowledge_memorization",
            "forgetting",
            four_bit,
            ACCURACY,
            attacks=(Attack("quantize", "precision", "4 bit"),),
            recovery=share,
        ),
    )
    assert come_to(found).kind == "suppression"
    assert "it is found under quantize" in come_to(found).sentence


def test_a_model_without_weights_has_collapsed() -> None:
    audit = Audit(EMPTY)
    found = audit.findings()
    assert audit.direct().result is Result.PASS and audit.kept().result is Result.FAIL
    seen = come_to(found)
    assert (seen.kind, seen.claim) == ("collapse", "none")
    assert "what had to be kept is lost as well (what is kept)" in seen.sentence


def test_what_a_second_request_brings_back_fails() -> None:
    """The first request zeroes the rows of A; the second zeroes those of B, and restores the first."""
    first = zeroed(ORIGINAL, A)
    second = replace(first, weights=np.where(np.isin(np.arange(200), A)[:, None], ORIGINAL.weights, zeroed(first, B).weights))
    models = {"candidate": second, "request_1": first, "original": ORIGINAL, "reference": REFERENCE}
    samples = {name: measured(memory.right(A), A) for name, memory in models.items()}
    again = decided(samples, ACCURACY, SHARE, (None, Bound(0.05, "request_1")))
    assert again.result is Result.FAIL
    assert again.difference is not None and again.difference.value == pytest.approx(0.98)
    current = decided({name: measured(memory.right(B), B) for name, memory in models.items()}, ACCURACY, SHARE, NOT_ABOVE)
    assert current.result is Result.PASS
    found = (
        finding("request 2 after request 2", "knowledge_memorization", "forgetting", current, ACCURACY),
        finding("request 1 after request 2", "knowledge_memorization", "forgetting", again, ACCURACY),
        Audit(ORIGINAL).kept(),
    )
    assert come_to(found).kind == "not unlearned"
    assert word(found) is Verdict.FAIL
