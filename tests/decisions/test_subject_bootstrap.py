from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import pytest
from scipy.stats import bootstrap as scipy_bootstrap

from auditkit.checks._base import Values
from auditkit.decisions.bootstrap import percentile_interval, replicates, value_of
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
    def check(values: ByGroup, _: ByGroup | None) -> float:
        assert {group: len(rows) for group, rows in values.items()} == {"a": 24, "b": 12, "c": 8}
        assert np.allclose(np.sort(values["a"][::2]), np.sort(values["b"] - 10))
        assert set(values["c"]) <= set(sample.values[sample.values >= 20])
        return 0.0

    replicates(check, sample, None, resamples=50, rng=np.random.default_rng(1))


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
    assert np.allclose(two - one, 1.0) and np.ptp(one) > 0


def test_chunks_change_nothing(sample: Sample, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = replicates(plain_mean, sample, None, resamples=30, rng=np.random.default_rng(5))
    monkeypatch.setattr("auditkit.decisions.bootstrap._VALUES_AT_ONCE", 100)
    assert np.array_equal(whole, replicates(plain_mean, sample, None, resamples=30, rng=np.random.default_rng(5)))


def test_of_single_rows_it_is_scipys_bootstrap_but_for_the_correction(values_of: Callable[..., Values]) -> None:
    numbers = np.random.default_rng(3).exponential(size=200)
    draws = replicates(
        plain_mean, sample_of(values_of([[n] for n in numbers])), None, resamples=4000, rng=np.random.default_rng(0)
    )
    found = percentile_interval(float(numbers.mean()), draws, subjects=200, alpha=0.05)
    theirs = scipy_bootstrap(
        (numbers,), np.mean, n_resamples=4000, method="percentile", confidence_level=0.9, rng=1
    ).confidence_interval
    assert (found.lower, found.upper) == (pytest.approx(theirs.low, abs=0.012), pytest.approx(theirs.high, abs=0.012))


def test_fewer_subjects_reach_further_out() -> None:
    draws = np.random.default_rng(0).normal(size=5000)
    uppers = [percentile_interval(0.0, draws, subjects=n, alpha=0.05).upper for n in (10, 20, 1000)]
    assert uppers == sorted(uppers, reverse=True)
    assert uppers[0] == pytest.approx(1.833 * np.sqrt(10 / 9), abs=0.08)


def test_agreeing_resamples_give_no_interval() -> None:
    found = percentile_interval(0.3, np.full(500, 0.3), subjects=20, alpha=0.05)
    assert (found.lower, found.upper) == (None, None) and "no interval" in found.note


def test_replicates_without_a_value_count_against_both_bounds() -> None:
    draws = np.r_[np.linspace(0, 1, 970), np.full(30, np.nan)]
    some = percentile_interval(0.5, draws, subjects=1000, alpha=0.05)
    whole = percentile_interval(0.5, draws[:970], subjects=1000, alpha=0.05)
    assert some.lower < whole.lower and some.upper > whole.upper
    many = percentile_interval(0.5, np.r_[np.linspace(0, 1, 900), np.full(100, np.nan)], subjects=1000, alpha=0.05)
    assert (many.lower, many.upper) == (None, None)


def test_the_interval_holds_the_estimate() -> None:
    found = percentile_interval(0.9, np.linspace(0.0, 0.5, 500), subjects=50, alpha=0.05)
    assert found.upper == 0.9


def test_the_value_is_the_function_of_all_rows(sample: Sample) -> None:
    assert value_of(plain_mean, sample, None) == pytest.approx(float(sample.values.mean()))
