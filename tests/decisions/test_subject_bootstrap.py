from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import pytest
from scipy.stats import bootstrap as scipy_bootstrap

from auditkit.checks._base import Values
from auditkit.decisions.bootstrap import Replicates, bootstrap_interval, replicates, value_of
from auditkit.decisions.samples import Sample, sample_of

ByGroup = Mapping[str, np.ndarray]


def plain_mean(values: ByGroup, _: ByGroup | None) -> float:
    return float(np.concatenate(list(values.values())).mean())


@pytest.fixture
def sample(values_of: Callable[..., Values], joined: Callable[..., Values]) -> Sample:
    """Twelve people with two rows in ``a`` and one in ``b``; eight others, in another corpus, in ``c``."""
    rng = np.random.default_rng(0)
    people, facts = rng.random(12), rng.random(8)
    return sample_of(
        joined(
            values_of([[p, p] for p in people], corpus="retain", group="a"),
            values_of([[10 + p] for p in people], corpus="retain", group="b"),
            values_of([[20 + f] for f in facts], corpus="world", group="c"),
        )
    )


def test_a_subject_brings_all_its_rows_in_all_groups(sample: Sample) -> None:
    seen: list[float] = []

    def check(values: ByGroup, _: ByGroup | None) -> float:
        assert {group: len(rows) for group, rows in values.items()} == {"a": 24, "b": 12, "c": 8}
        seen.append(values["c"].sum())
        assert np.allclose(np.sort(values["a"][::2]), np.sort(values["b"] - 10))
        assert set(values["c"]) <= set(sample.values[sample.values >= 20])
        return 0.0

    # Fewer draws than subjects: no row is left out, every call is a draw.
    replicates(check, sample, None, resamples=19, rng=np.random.default_rng(1))
    assert len(set(seen)) > 10


def test_the_reference_is_resampled_with_the_model(sample: Sample) -> None:
    double = sample.with_values(sample.values * 2)

    def check(values: ByGroup, reference: ByGroup | None) -> float:
        assert reference is not None
        assert all(np.array_equal(reference[group], 2 * values[group]) for group in values)
        return 0.0

    replicates(check, sample, double, resamples=20, rng=np.random.default_rng(1))


def test_equal_seeds_give_equal_draws_on_two_models(sample: Sample) -> None:
    shifted = sample.with_values(sample.values + 1)
    one, two = (replicates(plain_mean, s, None, resamples=40, rng=np.random.default_rng(5)) for s in (sample, shifted))
    apart = two.minus(one, 1.0)
    assert np.allclose(apart.draws, 1.0) and np.allclose(apart.left_out, 1.0) and np.ptp(one.draws) > 0


def test_chunks_change_nothing(sample: Sample, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = replicates(plain_mean, sample, None, resamples=30, rng=np.random.default_rng(5))
    monkeypatch.setattr("auditkit.decisions.bootstrap._VALUES_AT_ONCE", 100)
    chunked = replicates(plain_mean, sample, None, resamples=30, rng=np.random.default_rng(5))
    assert np.array_equal(whole.draws, chunked.draws) and np.array_equal(whole.left_out, chunked.left_out)


def test_of_single_rows_it_is_scipys_bootstrap_but_for_the_corrections(values_of: Callable[..., Values]) -> None:
    numbers = np.random.default_rng(3).exponential(size=200)
    sample = sample_of(values_of([[n] for n in numbers]))
    found = replicates(plain_mean, sample, None, resamples=4000, rng=np.random.default_rng(0))
    bounds = bootstrap_interval(float(numbers.mean()), found, alpha=0.05)
    theirs = scipy_bootstrap(
        (numbers,), np.mean, n_resamples=4000, method="percentile", confidence_level=0.9, rng=1
    ).confidence_interval
    assert (bounds.lower, bounds.upper) == (pytest.approx(theirs.low, abs=0.012), pytest.approx(theirs.high, abs=0.012))


def test_the_jackknife_of_a_mean_is_its_standard_error(values_of: Callable[..., Values]) -> None:
    numbers = np.random.default_rng(3).exponential(size=12)
    found = replicates(
        plain_mean, sample_of(values_of([[n] for n in numbers])), None, resamples=12, rng=np.random.default_rng(0)
    )
    still = Replicates(np.r_[found.draws * 0, 1e-6], found.left_out, found.layers)
    upper = bootstrap_interval(float(numbers.mean()), still, alpha=0.05).upper
    assert upper == pytest.approx(numbers.mean() + 1.7959 * numbers.std(ddof=1) / np.sqrt(12), abs=1e-4)


def test_more_subjects_than_draws_have_no_jackknife(sample: Sample) -> None:
    assert replicates(plain_mean, sample, None, resamples=19, rng=np.random.default_rng(0)).left_out.size == 0
    assert replicates(plain_mean, sample, None, resamples=20, rng=np.random.default_rng(0)).left_out.size == 20


def of(draws: np.ndarray, subjects: int = 1000) -> Replicates:
    return Replicates(draws, np.empty(0), (np.arange(subjects),))


def test_fewer_subjects_reach_further_out() -> None:
    draws = np.random.default_rng(0).normal(size=5000)
    uppers = [bootstrap_interval(0.0, of(draws, n), alpha=0.05).upper for n in (10, 20, 1000)]
    assert uppers == sorted(uppers, reverse=True)
    assert uppers[0] == pytest.approx(1.833 * np.sqrt(10 / 9), abs=0.08)


def test_agreeing_resamples_give_no_interval() -> None:
    found = bootstrap_interval(0.3, of(np.full(500, 0.3)), alpha=0.05)
    assert (found.lower, found.upper) == (None, None) and "no interval" in found.note


def test_replicates_without_a_value_count_against_both_bounds() -> None:
    draws = np.r_[np.linspace(0, 1, 970), np.full(30, np.nan)]
    some, whole = bootstrap_interval(0.5, of(draws), alpha=0.05), bootstrap_interval(0.5, of(draws[:970]), alpha=0.05)
    assert some.lower < whole.lower and some.upper > whole.upper
    many = bootstrap_interval(0.5, of(np.r_[np.linspace(0, 1, 900), np.full(100, np.nan)]), alpha=0.05)
    assert (many.lower, many.upper) == (None, None)
    lost = Replicates(draws[:970], np.r_[np.zeros(999), np.nan], (np.arange(1000),))
    assert bootstrap_interval(0.5, lost, alpha=0.05).upper is None


def test_the_interval_holds_the_estimate() -> None:
    assert bootstrap_interval(0.9, of(np.linspace(0.0, 0.5, 500)), alpha=0.05).upper == 0.9


def test_the_value_is_the_function_of_all_rows(sample: Sample) -> None:
    assert value_of(plain_mean, sample, None) == pytest.approx(float(sample.values.mean()))
