"""Before anything is measured: how much must be left (or lost) for an audit of this size to fail, and how little for a pass.

The dose is the share p of subjects that are affected in full, each independently of the others: of a leak, still known (a bit
of 1, the worst value of the range, a member above every non-member); of what is to be kept, lost. All others are exactly as
they should be: of a leak like the reference, which knows nothing; of what is to be kept like the model of the bound.

* Shares of subjects, means: given how many of n subjects are affected, the decision is certain. It is taken by the functions
  that decide an audit, and the binomial chances of that number are summed: exact under these assumptions.
* AUC: given that number, the AUC is taken as normal about its mean, with the variance that DeLong's interval expects there.
  ``tests/decisions/test_power.py`` holds the result against simulated audits.

It is the clearest dose that there can be. Subjects known in part, other subjects whose values differ, or a failure that the
worst of m groups has to show at alpha / m: each takes more. Controls are supposed to hold.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from scipy.special import expit, gammaln, logit, ndtr, stdtrit, xlog1py, xlogy

from auditkit.decisions.ends import End, ends_of
from auditkit.decisions.estimate import Rule, difference, estimate
from auditkit.decisions.intervals import zero_event_share
from auditkit.decisions.samples import Sample
from auditkit.decisions.words import percent

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from auditkit.checks._base import Metric, Statistic
    from auditkit.decisions.types import Estimate
    from auditkit.spec.bounds import Bound
    from auditkit.spec.model import Decide

    Chances = NDArray[np.float64]
    """By the number of affected subjects, 0 to n."""

POWER = 0.9
_HALVINGS = 40
_NO_SPREAD = 1e-12


@dataclass(frozen=True)
class Detectable:
    """What an audit of this size can tell apart."""

    failing: float | None
    """Smallest share of affected subjects at which it fails with a probability of POWER; None: not even at 1, or unknown."""
    passing: float | None
    """Largest share up to which it passes with that probability; None: not even at 0, or unknown."""
    sentence: str


class _Decided(NamedTuple):
    """One end: the chance that it is shown to hold, and to be missed."""

    holds: Chances
    missed: Chances


@dataclass(frozen=True)
class _Plan:
    """What is to be measured, and the two values that a subject may have."""

    rule: Rule
    alpha: float
    subjects: int
    others: int
    """Non-members of an AUC."""
    good: float
    bad: float

    def worsens(self, end: End) -> bool:
        """A growing dose moves the quantity towards this end, not away from it."""
        return end.upper is (self.bad > self.good)


def detectable(
    *,
    metric: Metric,
    statistic: Statistic,
    bounds: tuple[Bound | None, Bound | None],
    subjects: int,
    decide: Decide,
    leak: bool | None = None,
    others: int | None = None,
) -> Detectable:
    """The smallest dose that fails, and the largest that passes, with a probability of POWER (module docstring).

    ``subjects``: of an AUC its members, and ``others`` its non-members (None: as many).
    """
    leaks = metric.better != "higher" if leak is None else leak
    rule = Rule(metric, statistic, decide.min_subjects, decide.resamples, 0, leaks)
    other = subjects if others is None else others
    plan = _Plan(rule, 1 - decide.confidence, subjects, other, *_values(metric, statistic.kind, leak=leaks))
    ends = ends_of(bounds)
    unknown = _unknown(plan, ends)
    if unknown:
        return Detectable(None, None, unknown)
    decided = [(_of_auc if statistic.kind == "auc" else _of_two_values)(plan, end) for end in ends]
    missed = next((one.missed for one, end in zip(decided, ends, strict=True) if plan.worsens(end)), None)
    # Bonferroni, and exact where at most one of the two ends can be open.
    held = np.maximum(0.0, np.sum([one.holds for one in decided], axis=0) - (len(ends) - 1))
    failing = None if missed is None else _dose(lambda dose: _chance(missed, dose) >= POWER)
    passing = None
    if statistic.evidence_of_absence and _chance(held, 0.0) >= POWER:
        ended = _dose(lambda dose: _chance(held, dose) < POWER)
        passing = 1.0 if ended is None else ended
    return Detectable(failing, passing, _sentence(failing, passing, leak=leaks))


def _values(metric: Metric, kind: str, *, leak: bool) -> tuple[float, float]:
    """(of a subject that is as it should be, of one that is affected)."""
    low, high = (0.0, 1.0) if kind in ("leaking_subjects", "auc") else (metric.low, metric.high)
    known = low if (metric.better == "higher") is leak else high
    nothing = low + high - known if metric.chance is None else metric.chance
    return (nothing, known) if leak else (known, nothing)


def _unknown(plan: _Plan, ends: tuple[End, ...]) -> str:
    """Why there is no such number, in words; '' where there is."""
    kind, unsaid = plan.rule.statistic.kind, "From what dose on a failure would be found cannot be said beforehand"
    if not ends:
        return "No bound is set, so nothing fails."
    if kind == "function":
        return f"{unsaid}: the interval is a bootstrap of values that are not measured yet."
    if kind == "auc" and not plan.rule.leak:
        return f"{unsaid}: how an AUC falls when subjects are lost is not known."
    if not math.isfinite(plan.good - plan.bad):
        return f"{unsaid}: the values have no largest or no smallest one."
    least = 1 if kind == "leaking_subjects" else plan.rule.min_subjects
    fewer = min(plan.subjects, plan.others) if kind == "auc" else plan.subjects
    return "" if fewer >= least else f"With {fewer} subjects there is no interval, so nothing is found."


def _of_two_values(plan: _Plan, end: End) -> _Decided:
    """Certain for each number of affected subjects."""

    def decided(ask: Callable[[Estimate], bool]) -> Chances:
        return _steps(plan.subjects, lambda affected: ask(_estimate(plan, end, affected)))

    return _Decided(decided(end.holds), decided(end.missed))


def _estimate(plan: _Plan, end: End, affected: int) -> Estimate:
    """As an audit would make it, on one row per subject."""
    mine = _sample(np.where(np.arange(plan.subjects) < affected, plan.bad, plan.good))
    if end.model is None:
        return estimate(mine, plan.rule, alpha=plan.alpha)
    theirs = mine.with_values(np.full(plan.subjects, plan.bad if _knows(end, plan) else plan.good))
    return difference(mine, theirs, end.scale, plan.rule, alpha=plan.alpha)


def _knows(end: End, plan: _Plan) -> bool:
    """The model of the bound is the one that was taught what had to be forgotten."""
    return plan.rule.leak and end.model == "original"


def _sample(values: NDArray[np.float64]) -> Sample:
    names = tuple(str(number) for number in range(len(values)))
    keys = tuple((name, "", name) for name in names)
    return Sample(keys, values, np.array([], dtype=np.int64), np.arange(len(values)), names, "subject")


def _steps(subjects: int, ask: Callable[[int], bool]) -> Chances:
    """A yes or no that changes at most once from 0 to ``subjects``, as 1 and 0, found by bisection."""
    first = ask(0)
    if ask(subjects) is first:
        return np.full(subjects + 1, float(first))
    same, changed = 0, subjects
    while changed - same > 1:
        middle = (same + changed) // 2
        same, changed = (middle, changed) if ask(middle) is first else (same, middle)
    return np.where(np.arange(subjects + 1) <= same, float(first), 1.0 - first)


def _of_auc(plan: _Plan, end: End) -> _Decided:
    """Members: affected ones lie above all others; the rest, and the non-members, are ranked alike on both models.

    U, uniform on 0 to 1, is the share of non-members below an unaffected member. A member's influence on
    AUC - scale * AUC of the model is then 1 - scale U or (1 - scale) U, a non-member's (share affected - 1 + scale) U; of an
    absolute bound, or against a model that ranks every member on top, scale is 0 and a constant is taken off.
    """
    members, others = plan.subjects, plan.others
    affected = np.arange(members + 1) / members
    against = 0.0 if end.model is None else end.scale
    scale, shift = (0.0, against) if _knows(end, plan) else (against, 0.0)
    value = affected * (1 - scale / 2) + (1 - affected) * (1 - scale) / 2 - shift
    within = (affected * scale**2 + (1 - affected) * (1 - scale) ** 2) / 12
    between = affected * (1 - affected) / 4 * members / (members - 1)
    by_others = (1 - affected - scale) ** 2 / 12 / others
    freedom = _freedom((within + between) / members, members - 1, by_others, others - 1)
    half = stdtrit(freedom, 1 - plan.alpha) * np.sqrt((within + between) / members + by_others)
    error = np.maximum(np.sqrt(within / members + by_others), _NO_SPREAD)
    share = zero_event_share(min(members, others), alpha=plan.alpha)
    low, high = _open_between(end, value, half, share, against)
    below, above = ndtr((low - value) / error), ndtr((value - high) / error)
    return _Decided(below, above) if end.upper else _Decided(above, below)


def _open_between(
    end: End, value: Chances, half: Chances, share: float, against: float
) -> tuple[Chances | float, Chances | float]:
    """Measured values below the first clear the threshold downwards, above the second upwards (``auc`` has the intervals)."""
    least, most = (end.threshold + share * against) / (1 - share), (end.threshold - share) / (1 - share)
    if end.model is not None:
        return np.minimum(end.threshold - half, most), np.maximum(end.threshold + half, least)
    if not 0 < end.threshold < 1:
        return most, least
    inside = np.clip(value, _NO_SPREAD, 1 - _NO_SPREAD)
    half = half / (inside * (1 - inside))
    centre = float(logit(end.threshold))
    return np.minimum(expit(centre - half), most), np.maximum(expit(centre + half), least)


def _freedom(first: Chances, of_first: int, second: Chances, of_second: int) -> Chances:
    """Satterthwaite's, at least that of the smaller class."""
    spread = first**2 / of_first + second**2 / of_second
    found = np.divide((first + second) ** 2, spread, out=np.zeros_like(spread), where=spread > 0)
    return np.maximum(found, float(min(of_first, of_second)))


def _chance(decided: Chances, dose: float) -> float:
    """The chances by number of affected subjects, weighted with the binomial probability of each number."""
    n = len(decided) - 1
    number = np.arange(n + 1)
    log = gammaln(n + 1) - gammaln(number + 1) - gammaln(n - number + 1) + xlogy(number, dose) + xlog1py(n - number, -dose)
    return float(np.exp(log) @ decided)


def _dose(reached: Callable[[float], bool]) -> float | None:
    """The smallest dose from which on it is reached, by bisection; None where it is not reached at 1."""
    if not reached(1.0):
        return None
    low, high = 0.0, 1.0
    if reached(low):
        return low
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (low, middle) if reached(middle) else (middle, high)
    return high


def _sentence(failing: float | None, passing: float | None, *, leak: bool) -> str:
    state = "still known in full" if leak else "lost in full"
    found = (
        f"No failure is found with {percent(POWER)} probability, whatever share of the subjects is {state}"
        if failing is None
        else f"A failure is found with {percent(POWER)} probability where at least {_rounded(failing, math.ceil)} of the "
        f"subjects are {state}"
    )
    likely = (
        f"a pass is not likely ({percent(POWER)}) even where none is"
        if passing is None
        else f"a pass is likely ({percent(POWER)}) up to {_rounded(passing, math.floor)}"
    )
    return f"{found}; {likely}."


def _rounded(share: float, to: Callable[[float], int]) -> str:
    """In the direction that promises less: ``12.4 %``, below one percent ``0.17 %``."""
    digits = 10 if share >= 0.01 else 100
    return f"{to(share * 100 * digits) / digits:g} %"
