"""Bootstrap by subject, for quantities that are a function of groups of values (a harmonic mean, PrivLeak, a p-value).

A drawn subject brings all its rows, in all groups, on all models. Corpora are resampled separately, as they were drawn. The
draws depend on the seed and on the rows' order alone, so that two models measured on the same rows get the same draws and
their replicates can be subtracted.

Percentiles are taken further out than ``alpha`` by the factor t / z * sqrt(K / (K - 1)) of Hesterberg (2015, The American
Statistician 69(4)), because plain ones are too narrow with few subjects. There is no distribution-free check: the level is
approximate, and known by simulation for the functions in ``tests/decisions/test_coverage_function.py`` only.
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


def replicates(
    function: Function, sample: Sample, reference: Sample | None, *, resamples: int, rng: np.random.Generator
) -> NDArray[np.float64]:
    """The function on each of ``resamples`` draws of subjects; NaN where it has no value there.

    ``reference`` holds the same rows as ``sample`` on the reference model, or is None.
    """
    layers = strata(sample)
    drawn = np.concatenate([layer[rng.integers(len(layer), size=(resamples, len(layer)))] for layer in layers], axis=1)
    at_once = max(1, _VALUES_AT_ONCE // len(sample.values))
    return np.concatenate(
        [_applied(function, sample, reference, drawn[start : start + at_once]) for start in range(0, resamples, at_once)]
    )


def percentile_interval(value: float, draws: NDArray[np.float64], *, subjects: int, alpha: float) -> Interval:
    """Percentile bounds of ``draws`` around ``value``; ``subjects`` in the smallest corpus.

    A replicate without a value counts against both bounds. Where all replicates agree there is no interval.
    """
    method = f"bootstrap by subject, {len(draws)} resamples, percentile"
    if np.isfinite(draws).all() and float(np.ptp(draws)) <= 1e-12 * max(1.0, abs(value)):
        return Interval(value, None, None, method, "All resamples agree: a bootstrap gives no interval here.")
    tail = float(ndtr(math.sqrt(subjects / (subjects - 1)) * stdtrit(subjects - 1, alpha)))
    low = float(np.quantile(np.where(np.isnan(draws), -np.inf, draws), tail, method="lower"))
    high = float(np.quantile(np.where(np.isnan(draws), np.inf, draws), 1 - tail, method="higher"))
    return Interval(
        value, min(low, value) if math.isfinite(low) else None, max(high, value) if math.isfinite(high) else None, method
    )


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
