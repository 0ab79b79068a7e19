"""Stop early where a leak is gross: bounds on a share of subjects that hold after every subject at once.

After S leaks in n subjects, in random order, the beta-binomial mixture of likelihood ratios against a share p ::

    log M_n(p) = betaln(1/2 + S, 1/2 + n - S) - betaln(1/2, 1/2) - S log p - (n - S) log(1 - p)

exceeds ``log(1 / alpha)`` at some n with probability at most alpha if p is true (Ville), so all p with ``M_n(p) < 1 / alpha``
make an interval that may be looked at as often as one likes. Looking at bounds for a fixed n after every few subjects is wrong
one time in five.

Only failures are shown this way. A pass is decided once, on all subjects: to stop early for a failure can only make it rarer.

Sources: Ville 1939; Robbins 1970; Howard et al., arXiv 1810.08240.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from scipy.special import betaln

_PRIOR = 0.5
"""Both parameters of the beta distribution that mixes."""
_EDGE = 1e-15
"""Closest to 0 and 1 that a root is looked for."""
_PRECISE = 1e-10
_RUNS = 200


def bounds(leaks: int, n: int, alpha: float) -> tuple[float, float]:
    """(lower, upper) bounds on the share of leaking subjects, valid at every n together; (0, 1) where n is 0.

    ``alpha``: the probability that any of them, at any n, on either side, misses the truth.
    """
    if not 0 <= leaks <= n:
        raise ValueError(f"leaks must be 0 to n; got {leaks} of {n}")
    if not 0 < alpha < 1:
        raise ValueError(f"alpha must lie between 0 and 1; got {alpha}")
    if n == 0:
        return 0.0, 1.0
    return _root(leaks, n, alpha, upper=False), _root(leaks, n, alpha, upper=True)


def shown_above(bits: Sequence[float], threshold: float, alpha: float) -> int | None:
    """The number of subjects after which their share of leaks is shown to be above the threshold; None: never.

    ``bits``: 1 for a subject that leaks, in the random order in which they were asked.
    """
    leaks = 0
    for n, bit in enumerate(bits, 1):
        leaks += bool(bit)
        if bit and _above(leaks, n, threshold, alpha):
            return n
    return None


def shown_above_other(
    bits: Sequence[float], others: Sequence[float], margin: float, alpha: float, *, scale: float = 1.0
) -> int | None:
    """As ``shown_above``, for a bound ``scale * model + margin``: both models' subjects in the same order.

    The candidate's lower bound and the other model's upper bound at ``alpha / 2`` each are compared: no pairing is used.
    Raises ValueError where the two differ in length.
    """
    if len(bits) != len(others):
        raise ValueError(f"both models must have been asked about the same subjects; got {len(bits)} and {len(others)}")
    leaks = known = 0
    for n, (bit, other) in enumerate(zip(bits, others, strict=True), 1):
        leaks, known = leaks + bool(bit), known + bool(other)
        if bit and leaks / n - scale * known / n > margin:
            lower, upper = bounds(leaks, n, alpha / 2)[0], bounds(known, n, alpha / 2)[1]
            if lower - scale * upper > margin:
                return n
    return None


def expected_subjects(rate: float, threshold: float, alpha: float, planned: int, seed: int) -> float:
    """How many subjects are asked on average if a share ``rate`` of them leaks: at most ``planned``, all where nothing leaks.

    By simulation of 200 audits.
    """
    draws = np.random.default_rng(seed).random((_RUNS, planned)) < rate
    asked = [shown_above(row.tolist(), threshold, alpha) or planned for row in draws]
    return float(np.mean(asked)) if planned else 0.0


def _above(leaks: int, n: int, threshold: float, alpha: float) -> bool:
    """The lower bound lies above the threshold: no root is needed to see it. Any leak refutes a share of 0."""
    if threshold <= 0:
        return True
    return leaks / n > threshold and _evidence(leaks, n, threshold) >= -math.log(alpha)


def _evidence(leaks: int, n: int, p: float) -> float:
    """log M_n(p)."""
    mixed = float(betaln(_PRIOR + leaks, _PRIOR + n - leaks) - betaln(_PRIOR, _PRIOR))
    return mixed - leaks * math.log(p) - (n - leaks) * math.log1p(-p)


def _root(leaks: int, n: int, alpha: float, *, upper: bool) -> float:
    """Where the evidence reaches ``1 / alpha`` on one side of the measured share, from which it grows."""
    from scipy.optimize import brentq

    end = 1.0 if upper else 0.0
    if leaks == n * end:
        return end
    needed = -math.log(alpha)
    inside = min(max(leaks / n, _EDGE), 1 - _EDGE)
    outside = 1 - _EDGE if upper else _EDGE
    return float(brentq(lambda p: _evidence(leaks, n, p) - needed, inside, outside, xtol=_PRECISE))
