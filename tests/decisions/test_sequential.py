"""Bounds that hold at every n together: the golden table, and what peeking at every subject costs."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.special import beta, xlog1py, xlogy

from auditkit.decisions.intervals import proportion
from auditkit.decisions.sequential import bounds, expected_subjects, shown_above, shown_above_other

ALPHA = 0.05
RUNS = 2000
ALLOWED = ALPHA + 3 * math.sqrt(ALPHA * (1 - ALPHA) / RUNS)


@pytest.mark.parametrize(
    ("n", "none", "one"), [(59, 0.0907, 0.1343), (100, 0.0570, 0.0840), (200, 0.0306, 0.0447), (400, 0.0163, 0.0235)]
)
def test_the_golden_table(n: int, none: float, one: float) -> None:
    assert bounds(0, n, ALPHA) == (0.0, pytest.approx(none, abs=5e-5))
    assert bounds(1, n, ALPHA)[1] == pytest.approx(one, abs=5e-5)


def test_one_subject_by_hand() -> None:
    """After one leak M(p) = B(3/2, 1/2) / B(1/2, 1/2) / p = 1 / (2 p): refuted are p <= alpha / 2."""
    assert bounds(1, 1, ALPHA) == (pytest.approx(ALPHA / 2), 1.0)
    assert bounds(0, 1, ALPHA) == (0.0, pytest.approx(1 - ALPHA / 2))


@pytest.mark.parametrize(("leaks", "n"), [(0, 30), (1, 30), (7, 30), (29, 30), (30, 30), (3, 100_000)])
def test_outside_the_bounds_the_mixture_is_large_and_inside_it_is_not(leaks: int, n: int) -> None:
    lower, upper = bounds(leaks, n, ALPHA)
    assert 0 <= lower <= leaks / n <= upper <= 1
    if n <= 100:
        p = np.linspace(0.001, 0.999, 997)
        mixture = beta(0.5 + leaks, 0.5 + n - leaks) / math.pi / np.exp(xlogy(leaks, p) + xlog1py(n - leaks, -p))
        assert ((mixture < 1 / ALPHA) == ((p > lower) & (p < upper))).all()


def test_the_bounds_are_wider_than_those_for_a_fixed_number() -> None:
    for leaks in range(41):
        lower, upper = bounds(leaks, 40, ALPHA)
        fixed = proportion(leaks, 40, alpha=ALPHA)
        assert lower <= (fixed.lower or 0.0) and upper >= (fixed.upper or 1.0)
        mirrored = bounds(40 - leaks, 40, ALPHA)
        assert (1 - mirrored[1], 1 - mirrored[0]) == pytest.approx((lower, upper), abs=1e-9)


def test_before_the_first_subject_nothing_is_known() -> None:
    assert bounds(0, 0, ALPHA) == (0.0, 1.0)
    assert shown_above([], 0.05, ALPHA) is None


@pytest.mark.parametrize(("leaks", "n", "alpha"), [(2, 1, 0.05), (-1, 1, 0.05), (0, 1, 0.0), (0, 1, 1.0), (0, 1, math.nan)])
def test_what_makes_no_sense_is_refused(leaks: int, n: int, alpha: float) -> None:
    with pytest.raises(ValueError, match=r"must (be 0 to n|lie between 0 and 1); got"):
        bounds(leaks, n, alpha)


# Stopping


def test_the_first_subject_at_which_the_lower_bound_is_above_the_threshold() -> None:
    for threshold in (0.02, 0.05, 0.3):
        rng = np.random.default_rng(1)
        for _ in range(20):
            bits = (rng.random(60) < 0.4).astype(float).tolist()
            first = next((n for n in range(1, 61) if bounds(int(sum(bits[:n])), n, ALPHA)[0] > threshold), None)
            assert shown_above(bits, threshold, ALPHA) == first


def test_gross_leaks_are_seen_at_once_and_none_is_never_seen() -> None:
    assert shown_above([1.0] * 40, 0.05, ALPHA) == 2
    assert shown_above([0.0] * 1000, 0.05, ALPHA) is None
    assert shown_above([0.0, 0.0, 1.0], 0.0, ALPHA) == 3
    assert shown_above([1.0] * 1000, 1.0, ALPHA) is None


def test_against_another_model() -> None:
    leaking, clean = [1.0] * 40, [0.0] * 40
    stopped = shown_above_other(leaking, clean, 0.1, ALPHA)
    assert stopped == next(n for n in range(1, 41) if bounds(n, n, ALPHA / 2)[0] - bounds(0, n, ALPHA / 2)[1] > 0.1)
    assert stopped is not None and stopped < 15
    assert shown_above_other(leaking, leaking, 0.1, ALPHA) is None
    assert shown_above_other(clean, leaking, 0.1, ALPHA) is None
    assert shown_above_other(leaking, leaking, 0.1, ALPHA, scale=0.5) is not None
    with pytest.raises(ValueError, match="same subjects; got 40 and 39"):
        shown_above_other(leaking, clean[:-1], 0.1, ALPHA)


# What peeking costs


def crossings(p: float, threshold: float, alpha: float, subjects: int, seed: int) -> np.ndarray:
    """For many audits at once: whether the lower bound was above the threshold after any of the subjects."""
    from scipy.special import betaln

    n = np.arange(1, subjects + 1)
    leaks = (np.random.default_rng(seed).random((RUNS, subjects)) < p).cumsum(1)
    evidence = betaln(0.5 + leaks, 0.5 + n - leaks) - betaln(0.5, 0.5) - leaks * np.log(threshold)
    evidence -= (n - leaks) * np.log1p(-threshold)
    return ((evidence >= -np.log(alpha)) & (leaks > threshold * n)).any(1)


@pytest.mark.parametrize("threshold", [0.02, 0.05, 0.10, 0.5])
def test_looking_after_every_subject_a_model_at_the_threshold_seldom_fails(threshold: float) -> None:
    assert crossings(threshold, threshold, ALPHA, 500, seed=1).mean() <= ALPHA


def test_the_simulation_is_the_shipped_rule() -> None:
    shipped = [
        shown_above(row.tolist(), 0.05, ALPHA) is not None for row in (np.random.default_rng(2).random((RUNS, 60)) < 0.08)
    ]
    assert shipped == crossings(0.08, 0.05, ALPHA, 60, seed=2).tolist()


def test_why_bounds_for_a_fixed_number_will_not_do() -> None:
    """The reference page's 21.5 %, of the other side: false passes at p = .05, looking every 5 subjects up to 1000."""
    rng = np.random.default_rng(0)
    upper = np.array([[proportion(k, n, alpha=ALPHA).upper for k in range(120)] for n in range(5, 1001, 5)])
    leaks = (rng.random((1000, 1000)) < 0.05).cumsum(1)[:, 4::5]
    assert leaks.max() < 120
    below = upper[np.arange(200), leaks] < 0.05
    assert below.any(1).mean() == pytest.approx(0.215, abs=0.04)


def test_against_another_model_at_the_margin() -> None:
    rng = np.random.default_rng(3)
    stopped = 0
    for _ in range(400):
        bits, others = rng.random(80) < 0.3, rng.random(80) < 0.2
        stopped += shown_above_other(bits.tolist(), others.tolist(), 0.1, ALPHA) is not None
    assert stopped / 400 <= ALPHA


# What a plan quotes


def test_expected_subjects() -> None:
    assert expected_subjects(0.0, 0.05, ALPHA, 400, 0) == 400
    assert expected_subjects(1.0, 0.05, ALPHA, 400, 0) == 2
    half = expected_subjects(0.5, 0.05, ALPHA, 400, 0)
    assert 4 < half < 10
    assert half < expected_subjects(0.2, 0.05, ALPHA, 400, 0) < expected_subjects(0.1, 0.05, ALPHA, 400, 0) < 400
    assert expected_subjects(0.5, 0.05, ALPHA, 400, 0) == half
    assert expected_subjects(0.5, 0.05, ALPHA, 3, 0) <= 3
    assert expected_subjects(0.5, 0.05, ALPHA, 0, 0) == 0
