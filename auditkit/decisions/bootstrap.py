"""Bootstrap by subject, for quantities that are a function of groups of values (a harmonic mean, PrivLeak, a p-value).

A drawn subject brings all its rows, in all groups, on all models. Corpora are resampled separately, as they were drawn. The
draws depend on the seed and on the rows' order alone, so that two models measured on the same rows get the same draws and
their replicates can be subtracted.

Percentile bounds are too narrow with few subjects and skewed values (0.06 to 0.09 for a nominal 0.05). So they are taken
further out by the factor t / z * sqrt(K / (K - 1)) of Hesterberg (2015, The American Statistician 69(4)), and widened to the
jackknife's t bounds where those are wider. There is no distribution-free check: the level is approximate, and known by
simulation for the functions in ``tests/decisions/test_coverage_function.py`` only.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import ndtr, stdtrit

from auditkit.decisions.intervals import Interval
from auditkit.decisions.samples import Sample, strata

_VALUES_AT_ONCE = 2_000_000
"""Values gathered before the function is called on them: bounds the memory."""

if TYPE_CHECKING:
    from numpy.typing import NDArray

    ByGroup = Mapping[str, NDArray[np.float64]]
    Function = Callable[[ByGroup, ByGroup | None], float]
    """(values by group, the reference's values by group) → the quantity; NaN where there is none."""


def value_of(function: Function, sample: Sample, reference: Sample | None) -> float:
    """The function on all rows."""
    every = np.arange(len(sample.subjects))[None, :]
    return float(_applied(function, sample, reference, every)[0])


@dataclass(frozen=True)
class Replicates:
    """A function on resampled rows; NaN where it has no value."""

    draws: NDArray[np.float64]
    """On each draw of subjects."""
    left_out: NDArray[np.float64]
    """Without each of the subjects in turn; empty where there are more of them than draws."""
    layers: tuple[NDArray[np.int64], ...]
    """Indices of the subjects of each corpus."""

    def minus(self, other: Replicates, scale: float) -> Replicates:
        """Replicates of the difference to ``scale`` times another model's, measured on the same rows with the same seed."""
        return Replicates(self.draws - scale * other.draws, self.left_out - scale * other.left_out, self.layers)


def replicates(
    function: Function, sample: Sample, reference: Sample | None, *, resamples: int, rng: np.random.Generator
) -> Replicates:
    """The function on ``resamples`` draws of subjects, and without each subject in turn.

    ``reference`` holds the same rows as ``sample`` on the reference model, or is None.
    """
    layers = tuple(strata(sample))
    drawn = np.concatenate([layer[rng.integers(len(layer), size=(resamples, len(layer)))] for layer in layers], axis=1)
    subjects = np.arange(len(sample.subjects))
    others = np.array([np.delete(subjects, one) for one in subjects]) if len(subjects) <= resamples else drawn[:0]
    return Replicates(_in_chunks(function, sample, reference, drawn), _in_chunks(function, sample, reference, others), layers)


def bootstrap_interval(value: float, found: Replicates, *, alpha: float) -> Interval:
    """Percentile bounds around ``value``, widened to the jackknife's t bounds.

    A replicate without a value counts against both bounds. Where all draws agree there is no interval.
    """
    method = f"bootstrap by subject ({len(found.draws)} resamples, percentile), widened to the jackknife's t"
    if np.isfinite(found.draws).all() and float(np.ptp(found.draws)) <= 1e-12 * max(1.0, abs(value)):
        return Interval(value, None, None, method, "All resamples agree: a bootstrap gives no interval here.")
    fewest = min(len(layer) for layer in found.layers)
    half = float(stdtrit(fewest - 1, 1 - alpha)) * _jackknife_error(found) if found.left_out.size else 0.0
    low, high = _percentiles(found.draws, fewest, alpha=alpha)
    lower, upper = min(low, value - half), max(high, value + half)
    return Interval(value, lower if math.isfinite(lower) else None, upper if math.isfinite(upper) else None, method)


def _percentiles(draws: NDArray[np.float64], subjects: int, *, alpha: float) -> tuple[float, float]:
    tail = float(ndtr(math.sqrt(subjects / (subjects - 1)) * stdtrit(subjects - 1, alpha)))
    low = np.quantile(np.where(np.isnan(draws), -np.inf, draws), tail, method="lower")
    high = np.quantile(np.where(np.isnan(draws), np.inf, draws), 1 - tail, method="higher")
    return float(low), float(high)


def _jackknife_error(found: Replicates) -> float:
    """Standard error, corpus by corpus; infinite where leaving one subject out leaves no value."""
    if not np.isfinite(found.left_out).all():
        return math.inf
    parts = [found.left_out[layer] for layer in found.layers]
    return math.sqrt(sum((len(part) - 1) * float(part.var()) for part in parts))


def _in_chunks(function: Function, sample: Sample, reference: Sample | None, drawn: NDArray[np.int64]) -> NDArray[np.float64]:
    at_once = max(1, _VALUES_AT_ONCE // len(sample.values))
    parts = [_applied(function, sample, reference, drawn[start : start + at_once]) for start in range(0, len(drawn), at_once)]
    return np.concatenate(parts) if parts else np.empty(0)


def _applied(function: Function, sample: Sample, reference: Sample | None, drawn: NDArray[np.int64]) -> NDArray[np.float64]:
    """The function on each row of ``drawn``, which holds indices of subjects."""
    parts = {group: _Rows.of(sample, group, drawn) for group in sorted({key[1] for key in sample.keys})}
    mine = {group: (sample.values[rows.index], rows.ends) for group, rows in parts.items()}
    theirs = None if reference is None else {group: (reference.values[rows.index], rows.ends) for group, rows in parts.items()}
    return np.array(
        [function(_slice(mine, turn), None if theirs is None else _slice(theirs, turn)) for turn in range(len(drawn))],
        dtype=np.float64,
    )


def _slice(columns: dict[str, tuple[NDArray[np.float64], NDArray[np.int64]]], turn: int) -> dict[str, NDArray[np.float64]]:
    return {group: values[ends[turn] : ends[turn + 1]] for group, (values, ends) in columns.items()}


@dataclass(frozen=True)
class _Rows:
    """Rows of one group in every draw, one draw after the other."""

    index: NDArray[np.int64]
    ends: NDArray[np.int64]
    """Where each draw begins in ``index``, and where the last one ends."""

    @classmethod
    def of(cls, sample: Sample, group: str, drawn: NDArray[np.int64]) -> _Rows:
        rows = np.flatnonzero([key[1] == group for key in sample.keys])
        sizes = np.bincount(sample.codes[rows], minlength=len(sample.subjects))
        first = np.cumsum(sizes) - sizes
        lengths = sizes[drawn].ravel()
        stops = np.cumsum(lengths)
        inside = np.arange(int(stops[-1])) - np.repeat(stops - lengths, lengths)
        ends = np.concatenate([[0], stops.reshape(drawn.shape)[:, -1]])
        return cls(rows[np.repeat(first[drawn].ravel(), lengths) + inside], ends)
