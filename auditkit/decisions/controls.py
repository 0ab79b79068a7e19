"""The same requirement on models whose answer is known: does the instrument see what it must, and only that.

========== ==================================== =======================================================
            leak checks                          what has to be kept (utility)
========== ==================================== =======================================================
original    must fail, else: no power            must not fail; must lie above chance, else: no power
reference   must not fail, else: confounded      must not fail, else: confounded
========== ==================================== =======================================================

A control that is itself the model of the bound is compared with itself and shows nothing: it is left out, not counted as held.
An absolute bound that a model which only guesses would miss is confounded too; so is an AUC by which the reference, which saw
neither members nor non-members, takes the non-members for members; and a comparison with a model that is the same one.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from auditkit.decisions import words
from auditkit.decisions.samples import UnpairedError
from auditkit.decisions.types import Control, Estimate, Result

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from auditkit.decisions.bench import Bench

_SHIFT = 0.1
"""By how much the reference's AUC must lie below chance, for certain, before non-members count as trained on."""
_NOISE = 1e-4
"""Relative; as far as one model's values for a row may differ from batch to batch."""
MUST_FAIL, MUST_NOT_FAIL, ABOVE_CHANCE = "fail", "not fail", "above chance"


def controls(bench: Bench) -> tuple[Control, ...]:
    """Every control that the models at hand permit, judged."""
    found = [
        _control(bench, name, MUST_FAIL if bench.rule.leak and name == "original" else MUST_NOT_FAIL) for name in _asked(bench)
    ]
    if not bench.rule.leak:
        named = {end.model for end in bench.ends if end.model is not None}
        models = [name for name in bench.samples if name == "original" or name in named]
        found += [_above_chance(bench, name) for name in models if name != "candidate" and math.isfinite(_floor(bench))]
    return tuple(found)


def objection(bench: Bench, found: tuple[Control, ...], model: str = "candidate") -> str:
    """Why the controls forbid both pass and fail of ``model``: ``no power: …``, ``confounded: …``; '' where they do not."""
    confounded = _below_chance(bench) or _known_holdout(bench) or _same_model(bench, model)
    if confounded:
        return confounded
    return next((_objection(control, bench) for control in found if not control.held), "")


def _asked(bench: Bench) -> list[str]:
    """Controls that are not compared with themselves."""
    leak, relative = bench.rule.leak, bench.rule.statistic.relative_to_reference
    asked = []
    for name in ("original", "reference"):
        against_itself = any(end.model == name and (end.scale == 1 or not (leak and name == "original")) for end in bench.ends)
        if name in bench.samples and not against_itself and not (relative and name == "reference"):
            asked.append(name)
    return asked


def _control(bench: Bench, name: str, expected: str) -> Control:
    try:
        assessed = bench.assess(name)
    except UnpairedError as error:
        return Control(name, expected, Result.ERROR, False, Estimate(None, None, None, 0, 0, "subject", "none", str(error)))
    unusable = bench.unusable(name)
    result = Result.INCONCLUSIVE if unusable else assessed.result
    measured = assessed.difference or assessed.estimate
    held = (
        result is Result.FAIL
        if expected == MUST_FAIL
        else result is not Result.FAIL and not unusable and measured.value is not None
    )
    return Control(name, expected, result, held, measured)


def _above_chance(bench: Bench, name: str) -> Control:
    """The model shows the ability at all: its lower bound lies above what guessing reaches, in every component."""
    estimates = [bench.shown(name, component) for component in bench.components]
    floor = _floor(bench)
    above = all(estimate.lower is not None and estimate.lower > floor for estimate in estimates)
    below = any(estimate.upper is not None and estimate.upper <= floor for estimate in estimates)
    result = Result.PASS if above else Result.FAIL if below else Result.INCONCLUSIVE
    weakest = min(estimates, key=lambda estimate: -math.inf if estimate.lower is None else estimate.lower)
    return Control(name, ABOVE_CHANCE, result, above, weakest)


def _floor(bench: Bench) -> float:
    metric = bench.rule.metric
    return metric.low if metric.chance is None else metric.chance


def _below_chance(bench: Bench) -> str:
    """A leak check whose fixed bound a model that knows nothing would miss."""
    chance = bench.rule.metric.chance
    if chance is None or not bench.rule.leak or bench.rule.metric.better == "higher":
        return ""
    for end in bench.ends:
        if end.model is None and ((chance > end.threshold) if end.upper else (chance < end.threshold)):
            return (
                f"confounded: a model that only guesses reaches {words.number(chance)}, so the bound {end.text} asks for less "
                "than knowing nothing."
            )
    return ""


def _known_holdout(bench: Bench) -> str:
    """Non-members that the reference was trained on: an AUC below chance hides as much of a leak."""
    chance = bench.rule.metric.chance
    if bench.rule.statistic.kind != "auc" or not bench.rule.leak or chance is None or "reference" not in bench.samples:
        return ""
    for component in bench.components:
        found = bench.shown("reference", component)
        if found.upper is not None and found.upper < chance - _SHIFT:
            return (
                f"confounded: on the reference, which saw neither side, the non-members look trained on (AUC "
                f"{words.number(found.value)}, upper bound {words.number(found.upper)}, {words.counted(found)}): either it was "
                "trained on them, or the two sides are not of one kind."
            )
    return ""


def _same_model(bench: Bench, model: str) -> str:
    """A model compared with, whose values are those of ``model``, and too many different ones to be alike by chance."""
    named = [end.model for end in bench.ends if end.model is not None]
    named += ["reference"] if bench.rule.statistic.relative_to_reference else []
    for name in dict.fromkeys(named) if bench.rule.leak else ():
        pairs = [(bench.sample(model, part).values, bench.sample(name, part).values) for part in bench.components]
        mine, others = (np.concatenate(side) for side in zip(*pairs, strict=True))
        if _different(mine) >= bench.rule.min_subjects and mine.shape == others.shape and np.allclose(mine, others, _NOISE, 0):
            return f"confounded: {name} gives the values of {model}, row by row: it is compared with itself."
    return ""


def _different(values: NDArray[np.float64]) -> int:
    """How many different numbers there are."""
    ordered = np.sort(values)
    return 1 + int((np.diff(ordered) > _NOISE * np.abs(ordered[1:])).sum())


def _objection(control: Control, bench: Bench) -> str:
    estimate = control.estimate
    measured = (
        f"measured {words.number(estimate.value)}, bounds {words.number(estimate.lower)} and {words.number(estimate.upper)}, "
        f"{words.counted(estimate)}"
    )
    if estimate.value is None or bench.samples[control.model].inconclusive:
        why = bench.samples[control.model].inconclusive or estimate.note
        return f"no power: the control on {control.model} could not be measured: {why.rstrip('.')}."
    if control.expected == MUST_FAIL:
        return (
            f"no power: {control.model}, which was taught what had to be forgotten, does not fail this requirement itself "
            f"({measured}), so a pass would show nothing and a failure would have another cause."
        )
    if control.expected == ABOVE_CHANCE:
        return (
            f"no power: {control.model} itself is not shown to lie above {words.number(_floor(bench))}, what guessing reaches "
            f"({measured}), so there is no ability whose loss could be seen."
        )
    return (
        f"confounded: {control.model}, which {_why_innocent(control.model)}, fails this requirement too ({measured}), so a "
        "failure does not show what it is taken for."
    )


def _why_innocent(model: str) -> str:
    return "never saw what had to be forgotten" if model == "reference" else "was not made to forget anything"
