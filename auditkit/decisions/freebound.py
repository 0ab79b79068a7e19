"""A bound on a mean that assumes nothing but the range of the values: Gaffke's.

With K independent subjects in ``[.., high]`` the upper bound is the ``1 - alpha`` quantile of ``sum w_i x_i + w_0 high`` where
``(w_0, .., w_K)`` is uniform on the simplex: a Bayesian bootstrap with one imagined subject at the worst possible value, which
stands for all that were not drawn. For values 0 and 1 it is Clopper-Pearson. It is never narrower because the sample
happens to look harmless, which is what makes t and bootstrap intervals unsafe when a few subjects are fully remembered.

Source: Gaffke (2005), Three test statistics for a nonparametric one-sided hypothesis on the mean of a nonnegative variable;
Learned-Miller and Thomas, arXiv 1905.06208. Exact for two-valued data; for all other distributions its level was found by
simulation only (theirs, and ``tests/decisions``).

Subjects of unequal size: the quantity is the mean over rows, ``E[total] / E[size]``; the same weights are put on totals and
sizes and the imagined subject is as large as the largest one seen. With equal sizes that is the formula above.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import ndtri

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

_FAR = 16.0
"""Standard deviations of a sum of exponentials from 0 beyond which its sign is taken as certain."""
_BEND = math.pi / 24
_STEP = 0.0625
_POSITIONS = np.arange(0.0, 14.0, _STEP)
_CURVE = math.sin(_BEND) * (np.cosh(_POSITIONS) - 1) + 1j * math.cos(_BEND) * np.sinh(_POSITIONS)
_SLOPE = (math.sin(_BEND) * np.sinh(_POSITIONS) + 1j * math.cos(_BEND) * np.cosh(_POSITIONS)) * _STEP / (2j * math.pi)
_SLOPE[1:] *= 2  # the other half of the curve is the mirror image
_LARGEST_ALPHA = 0.36
"""Below 1/e: a sum of exponentials with a mean of at least 0 is positive with at least that probability (log-concavity)."""
_MOST_DISTINCT = 1000
_BLOCK = 32
"""Factors multiplied before one division: fast, and far from overflow (each is below 1e6)."""
_CERTAIN = 7.0
"""The normal quantile that stands for a probability of 1."""
_CLOSE = 1e-6
"""Normal quantiles between the level reached and the one asked for."""
_ROUNDS = 100


def upper_mean_bound(totals: NDArray[np.float64], sizes: NDArray[np.float64], *, high: float, alpha: float) -> float:
    """One-sided upper bound at confidence ``1 - alpha`` on the mean over rows; every row is at most ``high``.

    ``totals`` and ``sizes``: sum of values and number of rows of each of K >= 1 subjects. ``alpha`` above 0.36 counts as 0.36.
    """
    shortfall, sizes, counts = _distinct(np.maximum(high * sizes - totals, 0.0), sizes)
    largest = float(sizes.max())
    most = float(counts @ shortfall) / (float(counts @ sizes) + largest)
    target = float(ndtri(1 - min(alpha, _LARGEST_ALPHA)))

    def excess(gap: float) -> float:
        if gap == 0:
            return _CERTAIN - target
        terms = np.append(gap * sizes - shortfall, gap * largest)
        reached = float(probability_not_positive(terms, np.append(counts, 1.0)))
        return min(max(float(ndtri(reached)), -_CERTAIN), _CERTAIN) - target

    return high - _largest_gap(excess, most) if most > 0 else high


def lower_mean_bound(totals: NDArray[np.float64], sizes: NDArray[np.float64], *, low: float, alpha: float) -> float:
    """The mirror image: every row is at least ``low``."""
    return -upper_mean_bound(-totals, sizes, high=-low, alpha=alpha)


def probability_not_positive(terms: NDArray[np.float64], counts: NDArray[np.float64] | None = None) -> NDArray[np.float64]:
    """P(sum of a_i E_i <= 0) for independent exponential E_i, along the last axis; ``counts`` repeats each term.

    Contour inversion of the moment generating function by the trapezoidal rule, on a hyperbola through a point near the
    saddle that bends around the poles of the longer tail. The error is below 1e-6 (tested against the beta distribution).
    """
    counts = np.ones(terms.shape[-1]) if counts is None else counts
    scale = np.sqrt((counts * terms**2).sum(-1, keepdims=True))
    terms = terms / np.where(scale > 0, scale, 1.0)
    turned = np.where((counts * terms**3).sum(-1) < 0, -1.0, 1.0)
    terms = terms * turned[..., None]
    mean, largest = (counts * terms).sum(-1), terms.max(-1)
    saddle = np.minimum((np.sqrt(mean**2 + 4) - mean) / 2, 0.6 / np.where(largest > 0, largest, 1.0))
    path = saddle[..., None] + _CURVE
    above = (_generating(terms, counts, path) / path * _SLOPE).real.sum(-1)
    above = np.where(np.abs(mean) > _FAR, mean > 0, np.clip(above, 0.0, 1.0))
    probability: NDArray[np.float64] = np.where(turned > 0, 1 - above, above)
    return probability


def _generating(
    terms: NDArray[np.float64], counts: NDArray[np.float64], path: NDArray[np.complex128]
) -> NDArray[np.complex128]:
    """The product of ``(1 - a t) ** -count`` over the terms, for each t of the path."""
    if (counts == 1).all():
        result = np.ones_like(path)
        for start in range(0, terms.shape[-1], _BLOCK):
            result /= (1 - terms[..., start : start + _BLOCK, None] * path[..., None, :]).prod(-2)
        return result
    exponent = np.zeros_like(path)
    for start in range(0, terms.shape[-1], _BLOCK):
        block = slice(start, start + _BLOCK)
        exponent -= (counts[block, None] * np.log(1 - terms[..., block, None] * path[..., None, :])).sum(-2)
    return np.exp(exponent)


def _distinct(
    shortfall: NDArray[np.float64], sizes: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Equal subjects counted once; where too many differ they are first rounded towards ``high``, which only widens."""
    pairs, counts = np.unique(np.stack([shortfall, sizes], axis=1), axis=0, return_counts=True)
    if len(pairs) > _MOST_DISTINCT and shortfall.max() > 0:
        grid = float(shortfall.max()) / _MOST_DISTINCT
        rounded = np.stack([np.floor(shortfall / grid) * grid, sizes], axis=1)
        pairs, counts = np.unique(rounded, axis=0, return_counts=True)
    return pairs[:, 0], pairs[:, 1], counts.astype(np.float64)


def _largest_gap(excess: Callable[[float], float], most: float) -> float:
    """The largest gap below ``high`` with excess >= 0, which falls from 0 to ``most``: Illinois method, ended from inside."""
    inside, outside = 0.0, most
    at_inside, at_outside = excess(inside), excess(outside)
    if at_outside >= 0:
        return outside
    moved = 0
    for _ in range(_ROUNDS):
        middle = inside + (outside - inside) * at_inside / (at_inside - at_outside)
        at_middle = excess(middle)
        if 0 <= at_middle < _CLOSE:
            return middle
        if at_middle > 0:
            inside, at_inside, at_outside = middle, at_middle, at_outside / (2 if moved == 1 else 1)
        else:
            outside, at_outside, at_inside = middle, at_middle, at_inside / (2 if moved == -1 else 1)
        moved = 1 if at_middle > 0 else -1
    return inside
