"""Before anything is measured: can a bound be decided with this many subjects, and how many would do.

A bound that cannot be passed even in the best case is a fault of the plan, not of the model; nothing is loaded to see it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from scipy.special import ndtri

from auditkit.decisions.ends import End, ends_of
from auditkit.decisions.intervals import T_FROM_SUBJECTS, zero_event_share
from auditkit.decisions.words import number, percent

if TYPE_CHECKING:
    from auditkit.checks._base import Metric, Statistic
    from auditkit.spec.bounds import Bound
    from auditkit.spec.model import Decide

_MOST_NEEDED = 10_000_000


class Decidable(NamedTuple):
    """Whether a pass can be reached at all."""

    possible: bool
    needed: int | None
    """Subjects that would do (per class for an AUC); None where enough are there, or no number would do."""
    sentence: str


@dataclass(frozen=True)
class _Case:
    """One end in its best case."""

    end: End
    half: float
    """Width of the interval on the deciding side."""
    room: float
    """Distance from the best value to the threshold; at or below 0 no sample suffices."""
    needed: int | None
    best: str

    @property
    def possible(self) -> bool:
        return self.half < self.room


def decidable(
    *,
    metric: Metric,
    statistic: Statistic,
    bounds: tuple[Bound | None, Bound | None],
    subjects: int,
    decide: Decide,
    others: int | None = None,
) -> Decidable:
    """Can this bound be passed with ``subjects`` subjects (of an AUC: members, and ``others`` non-members)?

    The best case is a candidate without any leak, or one exactly like the model of the bound; of an AUC, one at chance.
    ``subjects`` of a function: of its smallest corpus.
    """
    if not any(bounds):
        return Decidable(True, None, "No bound is set.")
    if not statistic.evidence_of_absence:
        return Decidable(False, None, "This quantity can show a failure, but never a pass.")
    fewer = subjects if others is None else min(subjects, others)
    least = 1 if statistic.kind == "leaking_subjects" else decide.min_subjects
    if fewer < least and statistic.kind == "function":
        return Decidable(False, least, f"With {fewer} subjects there is no interval; at least {least} are needed.")
    if statistic.kind == "function":
        return Decidable(True, None, "How wide the interval will be is not known before it is measured (bootstrap).")
    alpha = 1 - decide.confidence
    sizes = (subjects, subjects if others is None else others)
    case = _auc_case if statistic.kind == "auc" else _subjects_case
    cases = [case(end, metric, statistic.kind, sizes, alpha) for end in ends_of(bounds)]
    return _summed_up(cases, fewer, least, decide.confidence, per_class=statistic.kind == "auc")


def false_pass_statement(n_required: int, confidence: float) -> str:
    """The rate of wrong verdicts, for the report."""
    if n_required == 0:
        return "Nothing was required, so nothing could pass."
    every = "The one requirement" if n_required == 1 else f"Each of the {n_required} requirements"
    return (
        f"{every} is decided by one-sided bounds at {percent(confidence)} confidence. A candidate that truly misses at least "
        f"one gets the verdict PASS with a probability of at most {percent(1 - confidence)}: all must pass, so deciding "
        "several needs no correction (intersection-union test). This is about the draw of subjects; intervals by t, DeLong "
        "or bootstrap hold it approximately. A candidate that meets every requirement may still not pass: the likelier, "
        "the more requirements there are and the fewer subjects."
    )


def _subjects_case(end: End, metric: Metric, kind: str, sizes: tuple[int, int], alpha: float) -> _Case:
    """Shares of subjects, and means."""
    fewer = min(sizes)
    low, high = (0.0, 1.0) if kind == "leaking_subjects" else (metric.low, metric.high)
    room, reach, best = _room(end, low, high)
    if kind == "mean" and math.isinf(reach):
        # t may stand alone from here on, and in the best case the subjects hardly differ.
        half = 0.0 if fewer >= T_FROM_SUBJECTS else math.inf
        return _Case(end, half, room, T_FROM_SUBJECTS if room > 0 else None, best)
    return _Case(end, reach * _unmet(fewer, alpha), room, _zero_events_needed(room, reach, alpha), best)


def _room(end: End, low: float, high: float) -> tuple[float, float, str]:
    """(distance from the best value to the threshold, distance from it to the far end of the range, the best case in words)."""
    if end.model is None:
        return (end.threshold - low if end.upper else high - end.threshold), high - low, "at the best possible value"
    sign = 1 if end.upper else -1
    if end.scale == 1 and sign * end.threshold > 0:
        return sign * end.threshold, high - low, f"with a candidate exactly like {end.model}"
    if end.upper:
        return (
            end.threshold - (low - end.scale * high),
            (high - low) * (1 + end.scale),
            f"with the largest possible gap to {end.model}",
        )
    if end.scale < 1:
        return (1 - end.scale) * high - end.threshold, high - low, f"with candidate and {end.model} at {number(high)}"
    return (
        (high - end.scale * low) - end.threshold,
        (high - low) * (1 + end.scale),
        f"with the largest possible gap to {end.model}",
    )


def _auc_case(end: End, metric: Metric, kind: str, sizes: tuple[int, int], alpha: float) -> _Case:
    """An AUC, and the difference of two."""
    chance = 0.5 if metric.chance is None else metric.chance
    quantile = float(ndtri(1 - alpha))
    if end.model is not None:
        return _auc_difference_case(end, chance, min(sizes), alpha)
    room = end.threshold - chance if end.upper else chance - end.threshold
    needed = None if room <= 0 else _auc_needed(room, chance, quantile)
    return _Case(end, quantile * hanley_mcneil(chance, *sizes), room, needed, "with a candidate at chance")


def _auc_difference_case(end: End, chance: float, fewer: int, alpha: float) -> _Case:
    sign = 1 if end.upper else -1
    if end.scale == 1 and sign * end.threshold > 0:
        room = sign * end.threshold
        needed = _zero_events_needed(room, 1.0, alpha)
        return _Case(end, _unmet(fewer, alpha), room, needed, f"with a candidate exactly like {end.model}")
    room = end.threshold - (chance - end.scale) if end.upper else 1 - end.scale * chance - end.threshold
    return _Case(end, 0.0, room, None, f"with the largest possible gap to {end.model}")


def hanley_mcneil(auc: float, members: int, others: int) -> float:
    """Standard error of an AUC (Hanley and McNeil 1982); infinite without a member or a non-member."""
    if members < 1 or others < 1:
        return math.inf
    first, second = auc / (2 - auc), 2 * auc**2 / (1 + auc)
    spread = auc * (1 - auc) + (members - 1) * (first - auc**2) + (others - 1) * (second - auc**2)
    return math.sqrt(spread / (members * others))


def _auc_needed(room: float, auc: float, quantile: float) -> int | None:
    low, high = 1, _MOST_NEEDED
    if quantile * hanley_mcneil(auc, high, high) >= room:
        return None
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if quantile * hanley_mcneil(auc, middle, middle) < room else (middle + 1, high)
    return low


def _unmet(n: int, alpha: float) -> float:
    return zero_event_share(n, alpha=alpha) if n else 1.0


def _zero_events_needed(room: float, reach: float, alpha: float) -> int | None:
    """The smallest n with ``reach * (1 - alpha ** (1 / n)) < room``."""
    if room <= 0:
        return None
    if room >= reach:
        return 1
    needed = math.floor(math.log(alpha) / math.log1p(-room / reach)) + 1
    return needed if needed <= _MOST_NEEDED else None


def _summed_up(cases: list[_Case], fewer: int, least: int, confidence: float, *, per_class: bool) -> Decidable:
    unit = "subjects per class" if per_class else "subjects"
    impossible = [case for case in cases if not case.possible]
    if not impossible and fewer >= least:
        return Decidable(True, None, f"A pass is possible with {fewer} {unit}.")
    if fewer < least and not impossible:
        return Decidable(False, least, f"With {fewer} {unit} there is no interval; at least {least} are needed.")
    worst = max(impossible, key=lambda case: math.inf if case.needed is None else case.needed)
    if worst.needed is None:
        return Decidable(False, None, f"No number of {unit} can show {worst.end.text}, even {worst.best}.")
    needed = max(worst.needed, least)
    return Decidable(
        False,
        needed,
        f"With {fewer} {unit} {worst.end.text} cannot be passed: even {worst.best} the one-sided {percent(confidence)} "
        f"bound lies {number(worst.half, worst.room)} from the measured value, and less than {number(worst.room)} is allowed; "
        f"{needed} {unit} would do.",
    )
