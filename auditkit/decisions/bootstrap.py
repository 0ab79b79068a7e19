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
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import ndtr, stdtrit

from auditkit.decisions.intervals import Interval
from auditkit.decisions.samples import Sample, strata

if TYPE_CHECKING:
    from numpy.typing import NDArray

    ByGroup = Mapping[str, NDArray[np.float64]]
    Function = Callable[[ByGroup, ByGroup | None], float]
    """(values by group, the reference's values by group) → the quantity; NaN where there is none."""


def value_of(function: Function, sample: Sample, reference: Sample | None) -> float:
    """The function on all rows."""
    rows = np.arange(len(sample.values))
    return _applied(function, sample, reference, rows, _groups(sample))


def replicates(
    function: Function, sample: Sample, reference: Sample | None, *, resamples: int, rng: np.random.Generator
) -> NDArray[np.float64]:
    """The function on each of ``resamples`` draws of subjects; NaN where it has no value there.

    ``reference`` holds the same rows as ``sample`` on the reference model, or is None.
    """
    groups = _groups(sample)
    layers = strata(sample)
    first = np.searchsorted(sample.codes, np.arange(len(sample.subjects)))
    sizes = sample.sizes().astype(np.int64)
    out = np.empty(resamples)
    for position in range(resamples):
        drawn = np.concatenate([layer[rng.integers(len(layer), size=len(layer))] for layer in layers])
        out[position] = _applied(function, sample, reference, _rows_of(drawn, first, sizes), groups)
    return out


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


def _groups(sample: Sample) -> dict[str, NDArray[np.bool_]]:
    names = np.array([key[1] for key in sample.keys], dtype=object)
    return {name: names == name for name in dict.fromkeys(key[1] for key in sorted(sample.keys, key=lambda key: key[1]))}


def _applied(
    function: Function, sample: Sample, reference: Sample | None, rows: NDArray[np.int64], groups: dict[str, NDArray[np.bool_]]
) -> float:
    chosen = {name: rows[member[rows]] for name, member in groups.items()}
    mine = {name: sample.values[part] for name, part in chosen.items()}
    theirs = None if reference is None else {name: reference.values[part] for name, part in chosen.items()}
    return float(function(mine, theirs))


def _rows_of(drawn: NDArray[np.int64], first: NDArray[np.int64], sizes: NDArray[np.int64]) -> NDArray[np.int64]:
    """Row numbers of the drawn subjects, subject after subject."""
    lengths = sizes[drawn]
    ends = np.cumsum(lengths)
    inside = np.arange(int(ends[-1])) - np.repeat(ends - lengths, lengths)
    rows: NDArray[np.int64] = np.repeat(first[drawn], lengths) + inside
    return rows
