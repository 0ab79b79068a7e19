from __future__ import annotations

import math

import numpy as np
import pytest
import statsmodels.api as sm
from scipy.stats import binomtest, t

from auditkit.decisions.intervals import T_ALONE, T_AND_FREE, free_mean, mean, proportion, zero_event_share


@pytest.mark.parametrize(
    ("hits", "n", "upper"),
    [
        (3, 200, 0.0383),
        (0, 32, 0.0894),
        (0, 59, 0.0495),
        (0, 64, 0.0457),
        (0, 128, 0.0231),
        (0, 200, 0.0149),
        (0, 1000, 0.0030),
    ],
)
def test_clopper_pearson_of_the_worked_numbers(hits: int, n: int, upper: float) -> None:
    assert proportion(hits, n, alpha=0.05).upper == pytest.approx(upper, abs=5e-5)


def test_clopper_pearson_is_scipys() -> None:
    for hits, n in [(0, 7), (1, 1), (3, 200), (17, 40), (40, 40)]:
        found = proportion(hits, n, alpha=0.05)
        assert found.upper == pytest.approx(binomtest(hits, n, alternative="less").proportion_ci(0.95).high, abs=1e-12)
        assert found.lower == pytest.approx(binomtest(hits, n, alternative="greater").proportion_ci(0.95).low, abs=1e-12)


def test_no_event_by_hand() -> None:
    assert zero_event_share(20, alpha=0.05) == pytest.approx(1 - 0.05 ** (1 / 20))
    assert proportion(0, 20, alpha=0.05).upper == pytest.approx(0.139, abs=5e-4)


OPEN = {"low": -math.inf, "high": math.inf}


def test_with_equal_sizes_t_is_t_on_subject_means() -> None:
    means = np.random.default_rng(0).normal(0.5, 0.05, 30)
    found = mean(means * 4, np.full(30, 4.0), **OPEN, alpha=0.05)
    half = t.ppf(0.95, 29) * means.std(ddof=1) / math.sqrt(30)
    assert found.method == T_ALONE
    assert (found.lower, found.upper) == (pytest.approx(means.mean() - half), pytest.approx(means.mean() + half))


def test_with_unequal_sizes_t_is_the_clustered_regression_on_a_constant() -> None:
    rng = np.random.default_rng(4)
    sizes = rng.integers(3, 7, 40)
    rows = np.concatenate([rng.normal(rng.normal(0.5, 0.03), 0.03, size) for size in sizes])
    groups = np.repeat(np.arange(40), sizes)
    totals = np.bincount(groups, weights=rows)
    fitted = sm.OLS(rows, np.ones_like(rows)).fit(
        cov_type="cluster", cov_kwds={"groups": groups, "use_correction": False}, use_t=True
    )
    found = mean(totals, sizes.astype(float), **OPEN, alpha=0.05)
    half = t.ppf(0.95, 39) * fitted.bse[0] * math.sqrt(40 / 39)
    assert found.value == pytest.approx(rows.mean())
    assert found.upper == pytest.approx(rows.mean() + half)


@pytest.mark.parametrize("value", [0.0, 0.3, 1.0])
def test_all_equal_never_gives_an_interval_of_no_width(value: float) -> None:
    found = mean(np.full(20, value), np.ones(20), low=0.0, high=1.0, alpha=0.05)
    share = 1 - 0.05 ** (1 / 20)
    assert found.method == T_AND_FREE
    assert found.upper == pytest.approx(value + share * (1 - value), abs=1e-6)
    assert found.lower == pytest.approx(value - share * value, abs=1e-6)


def test_a_bound_always_allows_for_a_subject_not_met() -> None:
    calm = np.random.default_rng(0).normal(0.3, 0.01, 60)
    found, by_t = mean(calm, np.ones(60), low=0.0, high=1.0, alpha=0.05), mean(calm, np.ones(60), **OPEN, alpha=0.05)
    assert found.method == T_AND_FREE and by_t.method == T_ALONE
    assert found.upper - found.value > 10 * (by_t.upper - by_t.value)
    assert found.value - found.lower > 4 * (by_t.value - by_t.lower)
    assert "no subject differs much" in by_t.note and "no subject differs much" not in found.note


def test_a_range_that_is_open_at_one_end_is_bounded_by_both_at_the_other() -> None:
    calm = np.random.default_rng(0).normal(5, 0.1, 40)
    found = mean(calm, np.ones(40), low=0.0, high=math.inf, alpha=0.05)
    assert found.lower == mean(calm, np.ones(40), low=0.0, high=10.0, alpha=0.05).lower
    assert found.upper == mean(calm, np.ones(40), **OPEN, alpha=0.05).upper
    assert found.method == T_AND_FREE and "no subject differs much" in found.note


@pytest.mark.parametrize(
    ("what", "values", "sizes"),
    [
        ("few", np.linspace(0.4, 0.6, 19), 1),
        ("skewed", np.r_[np.full(59, 0.4), 0.9] + np.linspace(0, 0.01, 60), 1),
        ("all equal", np.full(60, 0.4), 1),
        ("very unequal sizes", np.random.default_rng(0).normal(0.5, 0.05, 60), np.r_[np.full(57, 2.0), np.full(3, 100.0)]),
    ],
)
def test_an_open_range_has_no_bound_where_t_cannot_stand_alone(what: str, values: np.ndarray, sizes: np.ndarray | int) -> None:
    found = mean(values * sizes, np.ones(len(values)) * sizes, **OPEN, alpha=0.05)
    assert found.upper is None and "No bound" in found.note


def test_the_bounds_stay_in_the_range() -> None:
    found = mean(np.r_[np.zeros(10), np.ones(10)], np.ones(20), low=0.0, high=1.0, alpha=1e-9)
    assert 0.0 <= found.lower < found.value < found.upper <= 1.0


def test_the_distribution_free_mean_is_valid_for_a_single_subject() -> None:
    found = free_mean(np.zeros(1), np.ones(1), low=-1.0, high=1.0, alpha=0.05, method="m")
    assert (found.lower, found.upper) == (pytest.approx(-0.95, abs=1e-6), pytest.approx(0.95, abs=1e-6))
