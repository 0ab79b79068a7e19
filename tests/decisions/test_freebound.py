from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import beta, binomtest

from auditkit.decisions.freebound import lower_mean_bound, probability_not_positive, upper_mean_bound


@pytest.mark.parametrize(("hits", "n"), [(0, 1), (0, 20), (0, 59), (3, 200), (5, 20), (19, 20), (300, 2000)])
@pytest.mark.parametrize("alpha", [0.05, 0.01, 1e-4])
def test_on_zeros_and_ones_it_is_clopper_pearson(hits: int, n: int, alpha: float) -> None:
    totals, sizes = np.r_[np.ones(hits), np.zeros(n - hits)], np.ones(n)
    test = binomtest(hits, n)
    upper = test.proportion_ci(1 - 2 * alpha).high
    lower = test.proportion_ci(1 - 2 * alpha).low
    assert upper_mean_bound(totals, sizes, high=1.0, alpha=alpha) == pytest.approx(upper, abs=1e-6)
    assert lower_mean_bound(totals, sizes, low=0.0, alpha=alpha) == pytest.approx(lower, abs=1e-6)


def test_a_value_at_the_end_of_the_range_leaves_nothing_to_bound() -> None:
    assert upper_mean_bound(np.ones(20), np.ones(20), high=1.0, alpha=0.05) == 1.0
    assert lower_mean_bound(np.zeros(20), np.ones(20), low=0.0, alpha=0.05) == 0.0


def test_one_subject_by_hand() -> None:
    """One subject at x: w x + (1 - w) with w uniform, whose 95 % quantile is x + .95 (1 - x)."""
    assert upper_mean_bound(np.array([0.2]), np.ones(1), high=1.0, alpha=0.05) == pytest.approx(0.2 + 0.95 * 0.8, abs=1e-6)


@pytest.mark.parametrize("n", [5, 60, 700])
def test_it_is_the_quantile_of_dirichlet_weighted_means(n: int) -> None:
    rng = np.random.default_rng(n)
    values = rng.beta(0.5, 2, n)
    weights = rng.exponential(size=(20_000, n + 1))
    means = weights @ np.r_[values, 1.0] / weights.sum(1)
    bound = upper_mean_bound(values, np.ones(n), high=1.0, alpha=0.05)
    assert np.mean(means <= bound) == pytest.approx(0.95, abs=0.006)


@pytest.mark.parametrize(
    "values",
    [
        np.r_[1.0, 1.0, np.linspace(0, 0.01, 400)],
        np.r_[0.0, np.full(1900, 0.9999)],
        np.r_[0.0, 0.0, np.linspace(0.99, 1.0, 400)],
        np.r_[0.2, 0.9, np.linspace(0.3, 0.31, 40)],
    ],
)
def test_lopsided_samples_at_both_ends(values: np.ndarray) -> None:
    weights = np.random.default_rng(0).exponential(size=(8_000, len(values) + 1))
    ones, total = np.ones(len(values)), weights.sum(1)
    upper = upper_mean_bound(values, ones, high=1.0, alpha=0.05)
    lower = lower_mean_bound(values, ones, low=0.0, alpha=0.05)
    assert np.mean(weights @ np.r_[values, 1.0] / total <= upper) == pytest.approx(0.95, abs=0.009)
    assert np.mean(weights @ np.r_[values, 0.0] / total >= lower) == pytest.approx(0.95, abs=0.009)


def test_subjects_of_unequal_size_by_simulated_weights() -> None:
    rng = np.random.default_rng(7)
    sizes = rng.integers(1, 9, 30).astype(float)
    totals = rng.binomial(sizes.astype(int), 0.3).astype(float)
    weights = rng.exponential(size=(40_000, 31))
    ratios = weights @ np.r_[totals, sizes.max()] / (weights @ np.r_[sizes, sizes.max()])
    bound = upper_mean_bound(totals, sizes, high=1.0, alpha=0.05)
    assert np.mean(ratios <= bound) == pytest.approx(0.95, abs=0.005)


def test_order_does_not_matter_and_scale_and_shift_carry_over() -> None:
    rng = np.random.default_rng(1)
    values, ones = rng.random(40), np.ones(40)
    bound = upper_mean_bound(values, ones, high=1.0, alpha=0.05)
    assert upper_mean_bound(rng.permutation(values), ones, high=1.0, alpha=0.05) == pytest.approx(bound, abs=1e-12)
    assert upper_mean_bound(10 * values - 3, ones, high=7.0, alpha=0.05) == pytest.approx(10 * bound - 3, abs=1e-6)
    assert lower_mean_bound(-values, ones, low=-1.0, alpha=0.05) == pytest.approx(-bound, abs=1e-12)


def test_more_confidence_is_a_wider_bound_and_a_larger_value_a_larger_one() -> None:
    values, ones = np.linspace(0, 0.5, 25), np.ones(25)
    bounds = [upper_mean_bound(values, ones, high=1.0, alpha=alpha) for alpha in (0.2, 0.1, 0.05, 0.01, 0.001)]
    assert bounds == sorted(bounds)
    assert upper_mean_bound(values + 0.1, ones, high=1.0, alpha=0.05) > bounds[2]


def test_very_many_distinct_values_are_rounded_to_the_safe_side() -> None:
    values = np.random.default_rng(3).beta(2, 3, 5000)
    exact_normal = values.mean() + 1.645 * values.std() / np.sqrt(5000)
    assert exact_normal < upper_mean_bound(values, np.ones(5000), high=1.0, alpha=0.05) < exact_normal + 0.002


def test_the_probability_against_a_beta_distribution() -> None:
    """P(B > t) for B ~ Beta(a, b) is P((1 - t) sum of a exponentials - t sum of b exponentials > 0)."""
    for a, b, t in [(1, 20, 0.1), (4, 197, 0.02), (30, 30, 0.55), (2, 3, 0.5)]:
        terms = np.r_[np.full(a, 1 - t), np.full(b, -t)]
        assert probability_not_positive(terms) == pytest.approx(beta.cdf(t, a, b), abs=1e-7)
    assert probability_not_positive(np.array([1 - 0.1, -0.1]), np.array([2.0, 9.0])) == pytest.approx(
        beta.cdf(0.1, 2, 9), abs=1e-7
    )


def test_far_from_the_mean_the_probability_is_certain_not_noise() -> None:
    assert probability_not_positive(np.full(1000, 1.0)) == 0.0
    assert probability_not_positive(np.full(1000, -1.0)) == 1.0
    ramp = [
        float(probability_not_positive(np.r_[np.full(500, 1.0), np.full(500, -1.0 - shift)]))
        for shift in np.linspace(-1, 1, 81)
    ]
    assert np.all(np.diff(ramp) > -1e-6)
