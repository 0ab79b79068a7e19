"""Paired shares of subjects: exact false-PASS rates by enumeration of every table, K = 20 and 60.

Of K pairs, b leak on the candidate only and c on the model only; the truth is p10 - p01 = tau. Shipped: Gaffke's bound on the
differences -1, 0, 1. Tango's score interval and Newcombe's method 10, the usual choices, exceed the level where the model
hardly leaks, which is where a good reference is; they are implemented here to show it.
"""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import gammaln, ndtri

from auditkit.decisions.freebound import probability_not_positive
from auditkit.decisions.intervals import free_mean

ALPHA = 0.05
Z = float(ndtri(1 - ALPHA))
NUISANCE = (1e-12, 0.002, 0.005, 0.01, 0.02, 0.03, 0.05, 0.1, 0.2, 0.3)


def tables(pairs: int) -> tuple[np.ndarray, np.ndarray]:
    b, c = np.meshgrid(np.arange(pairs + 1), np.arange(pairs + 1), indexing="ij")
    return b[b + c <= pairs], c[b + c <= pairs]


def probability(b: np.ndarray, c: np.ndarray, pairs: int, p10: float, p01: float) -> np.ndarray:
    rest = pairs - b - c
    log = gammaln(pairs + 1) - gammaln(b + 1) - gammaln(c + 1) - gammaln(rest + 1)
    return np.exp(log + b * np.log(p10) + c * np.log(p01) + rest * np.log1p(-p10 - p01))


def free_passes(b: np.ndarray, c: np.ndarray, pairs: int, tau: float) -> np.ndarray:
    differences = np.stack([np.r_[np.ones(i), -np.ones(j), np.zeros(pairs - i - j), 1.0] for i, j in zip(b, c, strict=True)])
    chunks = np.array_split(differences - tau, max(1, len(b) // 200))
    return np.concatenate([probability_not_positive(chunk) >= 1 - ALPHA for chunk in chunks])


def tango_passes(b: np.ndarray, c: np.ndarray, pairs: int, tau: float) -> np.ndarray:
    """Tango 1998: score statistic with the restricted estimate of p01."""
    linear = -b - c + (2 * pairs - b + c) * tau
    q = (np.sqrt(linear**2 + 8 * pairs * c * tau * (1 - tau)) - linear) / (4 * pairs)
    return (b - c - pairs * tau) / np.sqrt(pairs * (2 * q + tau * (1 - tau))) < -Z


def newcombe_passes(b: np.ndarray, c: np.ndarray, pairs: int, tau: float) -> np.ndarray:
    """Newcombe 1998, method 10, with no pair that leaks on both."""

    def wilson(p: np.ndarray, sign: float) -> np.ndarray:
        return (2 * pairs * p + Z**2 + sign * Z * np.sqrt(Z**2 + 4 * pairs * p * (1 - p))) / (2 * (pairs + Z**2))

    first, second, both_not = b / pairs, c / pairs, pairs - b - c
    spread = np.sqrt(b * (c + both_not) * c * (b + both_not))
    phi = np.divide(-b * c, spread, out=np.zeros_like(first), where=spread > 0)
    up, down = wilson(first, 1) - first, second - wilson(second, -1)
    return first - second + np.sqrt(up**2 - 2 * phi * up * down + down**2) < tau


@pytest.mark.parametrize("pairs", [20, 60])
def test_a_candidate_at_the_threshold_never_passes_too_often(pairs: int) -> None:
    b, c = tables(pairs)
    worst = {"free": 0.0, "tango": 0.0, "newcombe": 0.0}
    for tau in np.arange(0.02, 0.5, 0.02 if pairs == 20 else 0.06):
        passing = {
            "free": free_passes(b, c, pairs, tau),
            "tango": tango_passes(b, c, pairs, tau),
            "newcombe": newcombe_passes(b, c, pairs, tau),
        }
        for p01 in NUISANCE:
            if p01 * 2 + tau < 1:
                chance = probability(b, c, pairs, p01 + tau, p01)
                worst = {name: max(worst[name], float(chance[chosen].sum())) for name, chosen in passing.items()}
        assert not (passing["free"] & ~passing["tango"]).any(), "never narrower than Tango's"
    assert worst["free"] <= ALPHA
    assert worst["tango"] > 0.06 and worst["newcombe"] > 0.06


@pytest.mark.parametrize("hits", [(0, 0), (1, 0), (2, 3), (10, 4)])
def test_the_enumeration_is_the_shipped_interval(hits: tuple[int, int]) -> None:
    b, c = hits
    differences = np.r_[np.ones(b), -np.ones(c), np.zeros(20 - b - c)]
    upper = free_mean(differences, np.ones(20), low=-1.0, high=1.0, alpha=ALPHA, method="m").upper
    for tau in (upper - 1e-4, upper + 1e-4):
        assert free_passes(np.array([b]), np.array([c]), 20, tau)[0] == (tau > upper)


@pytest.mark.parametrize("scale", [0.5, 2.0])
def test_scaled_differences_of_correlated_bits(scale: float) -> None:
    rng = np.random.default_rng(3)
    audits, pairs = 2000, 20
    model = rng.random((audits, pairs)) < 0.3
    candidate = np.where(rng.random((audits, pairs)) < 0.6, model, rng.random((audits, pairs)) < 0.3)
    truth = 0.3 - scale * 0.3
    terms = np.concatenate([candidate - scale * model - truth, np.full((audits, 1), 1 - truth)], axis=1)
    free = np.concatenate([probability_not_positive(part) >= 1 - ALPHA for part in np.array_split(terms, 20)])
    assert free.mean() <= ALPHA + 3 * np.sqrt(ALPHA * (1 - ALPHA) / audits)
