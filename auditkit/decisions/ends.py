"""One end of a bound against one estimate: does it hold, is it missed, and how many subjects would tell."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from auditkit.decisions.types import Estimate, Result

if TYPE_CHECKING:
    from auditkit.spec.bounds import Bound

_MOST_NEEDED = 10_000_000
_ROUNDING = 1e-6


@dataclass(frozen=True, slots=True)
class End:
    """``at_most`` or ``at_least``: a threshold for the quantity, or for its difference to ``scale`` times a model's."""

    upper: bool
    """at_most."""
    threshold: float
    model: str | None
    scale: float
    text: str
    """``at most reference + 0.05``."""

    @property
    def compared(self) -> tuple[str | None, float]:
        """With which model, and at which scale."""
        return self.model, self.scale

    def holds(self, estimate: Estimate) -> bool:
        """The unfavourable bound clears the threshold."""
        if self.upper:
            return estimate.upper is not None and estimate.upper < self.threshold
        return estimate.lower is not None and estimate.lower > self.threshold

    def missed(self, estimate: Estimate) -> bool:
        """Even the favourable bound lies on the wrong side."""
        if self.upper:
            return estimate.lower is not None and estimate.lower > self.threshold
        return estimate.upper is not None and estimate.upper < self.threshold

    def excess(self, estimate: Estimate) -> float:
        """How far the point estimate lies on the wrong side; infinite where there is none."""
        if estimate.value is None:
            return math.inf
        return (estimate.value - self.threshold) * (1 if self.upper else -1)


def ends_of(bounds: tuple[Bound | None, Bound | None]) -> tuple[End, ...]:
    """(lower, upper) bounds of a requirement → its ends; none for a requirement without a bound."""
    found = ((False, bounds[0], "at least"), (True, bounds[1], "at most"))
    return tuple(
        End(upper, bound.offset, bound.model, bound.scale if bound.model else 1.0, f"{words} {bound}")
        for upper, bound, words in found
        if bound is not None
    )


def result_of(holds: list[bool], missed: list[bool]) -> Result:
    """Every end of every component holds: pass. Any is missed: fail. Else inconclusive, also where there are none."""
    if any(missed):
        return Result.FAIL
    return Result.PASS if holds and all(holds) else Result.INCONCLUSIVE


def subjects_needed(end: End, estimate: Estimate, *, alpha: float, reach: float) -> int | None:
    """About how many subjects would decide this end if the estimate stayed as it is; None where no number would.

    The interval's half-width is taken as ``a / sqrt(n) + b / n``: spread, and the allowance for subjects of a kind not met,
    whose ``reach`` is the distance from the estimate to the end of the range (0: no such allowance, or none that is known).
    """
    value = estimate.value
    favourable = end.excess(estimate) < 0
    bound = estimate.upper if end.upper == favourable else estimate.lower
    if value is None or bound is None or estimate.n == 0:
        return None
    margin, half = abs(end.threshold - value), abs(bound - value)
    if margin == 0:
        return None
    unmet = reach * -math.expm1(math.log(alpha) / estimate.n)
    if unmet > half * (1 + _ROUNDING):
        reach, unmet = 0.0, 0.0
    spread, allowance = max(0.0, half - unmet) * math.sqrt(estimate.n), -math.log(alpha) * reach
    if spread <= _ROUNDING * half and margin < reach:
        needed = math.floor(math.log(alpha) / math.log1p(-margin / reach)) + 1
    else:
        needed = math.ceil(((spread + math.sqrt(spread**2 + 4 * allowance * margin)) / (2 * margin)) ** 2)
    return max(needed, estimate.n + 1) if needed <= _MOST_NEEDED else None
