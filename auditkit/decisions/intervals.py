"""One-sided bounds on proportions and means of independent subjects.

Every function takes ``alpha``, the error rate of *each* of the two bounds, and returns both: the pair is a two-sided interval
at ``1 - 2 alpha``. The upper bound lies below the truth, and the lower bound above it, with probability at most ``alpha``.

The bound on a mean (``mean``) is the wider of two, always:

* **t**: linearised, clustered by subject, K - 1 degrees of freedom; with equal sizes it is t on subject means.
* **free**: Gaffke's distribution-free bound (``freebound``), which allows for a subject unlike all those drawn.

No rule that looks at the sample may switch the second off: a sample that misses the one subject in twenty who is remembered
word for word, or of whom all is lost, is exactly the sample that looks harmless (simulated: t passes such a model 20 to 30
times in 100 at a nominal 5, K = 20).

Where the range is open there is no second bound. t then stands alone on a side where K >= 20, the subjects' skewness towards
that side is at most 0.5, they are not all equal, and none has more than three times the average number of rows; otherwise
there is no bound.

``tests/decisions/test_coverage_mean.py`` simulates the rule at the threshold.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import betaincinv, stdtrit

from auditkit.decisions.freebound import lower_mean_bound, upper_mean_bound

if TYPE_CHECKING:
    from numpy.typing import NDArray

T_FROM_SUBJECTS = 20
"""Fewer subjects than this: t never stands alone."""
T_ALONE = "t, clustered by subject"
T_AND_FREE = "t, clustered by subject, widened to Gaffke's distribution-free bound"
T_ASSUMES = "t assumes that no subject differs much from all those measured."
_MOST_SKEW = 0.5
_MOST_UNEQUAL = 3.0
_LEAST_SPREAD = 1e-9


@dataclass(frozen=True, slots=True)
class Interval:
    """A value with a one-sided bound on each side; None where there is no valid bound."""

    value: float
    lower: float | None
    upper: float | None
    method: str
    note: str = ""


def proportion(hits: int, n: int, *, alpha: float) -> Interval:
    """Clopper-Pearson: exact for n >= 1 independent subjects, ``hits`` of them positive."""
    lower = 0.0 if hits == 0 else float(betaincinv(hits, n - hits + 1, alpha))
    upper = 1.0 if hits == n else float(betaincinv(hits + 1, n - hits, 1 - alpha))
    return Interval(hits / n, lower, upper, "Clopper-Pearson on subjects")


def zero_event_share(n: int, *, alpha: float) -> float:
    """Upper bound on the share of a kind of subject of which none was met among n: ``1 - alpha ** (1 / n)``."""
    return -math.expm1(math.log(alpha) / n)


def free_mean(
    totals: NDArray[np.float64], sizes: NDArray[np.float64], *, low: float, high: float, alpha: float, method: str
) -> Interval:
    """The mean over rows with distribution-free bounds only; valid for any number of subjects."""
    return Interval(
        float(totals.sum() / sizes.sum()),
        max(low, lower_mean_bound(totals, sizes, low=low, alpha=alpha)),
        min(high, upper_mean_bound(totals, sizes, high=high, alpha=alpha)),
        method,
    )


def mean(totals: NDArray[np.float64], sizes: NDArray[np.float64], *, low: float, high: float, alpha: float) -> Interval:
    """The mean over rows of K >= 2 subjects, every row in ``[low, high]`` (either may be infinite)."""
    upper, mirrored = _upper(totals, sizes, high=high, alpha=alpha), _upper(-totals, sizes, high=-low, alpha=alpha)
    by_t = [end for end in (low, high) if math.isinf(end)]
    return Interval(
        float(totals.sum() / sizes.sum()),
        None if mirrored is None else -mirrored,
        upper,
        T_ALONE if len(by_t) == 2 else T_AND_FREE,
        " ".join(
            sentence
            for sentence, said in (
                ("No bound: the range is open and the subjects are few, skewed or all equal.", None in (upper, mirrored)),
                (T_ASSUMES, bool(by_t)),
            )
            if said
        ),
    )


def t_half_width(variance: float, freedom: float, *, alpha: float) -> float:
    """Distance from an estimate to its one-sided t bound."""
    return float(stdtrit(freedom, 1 - alpha)) * math.sqrt(variance)


def _upper(totals: NDArray[np.float64], sizes: NDArray[np.float64], *, high: float, alpha: float) -> float | None:
    """None where there is no valid bound."""
    subjects = len(totals)
    value = float(totals.sum() / sizes.sum())
    influence = (totals - value * sizes) / sizes.mean()
    variance = float((influence**2).sum()) / (subjects - 1) / subjects
    by_t = value + t_half_width(variance, subjects - 1, alpha=alpha)
    if math.isfinite(high):
        return min(high, max(by_t, upper_mean_bound(totals, sizes, high=high, alpha=alpha)))
    return by_t if sizes.max() <= _MOST_UNEQUAL * sizes.mean() and _is_calm(value, influence) else None


def _is_calm(value: float, influence: NDArray[np.float64]) -> bool:
    """Neither few, all equal nor skewed upwards: the rule of the module docstring."""
    subjects = len(influence)
    spread = float(np.sqrt((influence**2).mean()))
    if subjects < T_FROM_SUBJECTS or spread <= _LEAST_SPREAD * max(1.0, abs(value)):
        return False
    skewness = float((influence**3).mean()) / spread**3 * math.sqrt(subjects * (subjects - 1)) / (subjects - 2)
    return skewness <= _MOST_SKEW
