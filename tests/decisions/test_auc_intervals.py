from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.special import expit, logit
from scipy.stats import t
from sklearn.metrics import roc_auc_score

from auditkit.decisions.auc import auc, auc_difference, auc_interval, classes, in_both_classes
from auditkit.decisions.samples import Sample


def sample(scores: np.ndarray, labels: np.ndarray, rows: int = 1) -> Sample:
    """``rows`` rows per subject, in order."""
    codes = np.arange(len(scores)) // rows
    subjects = tuple(f"c/{code}" for code in range(codes[-1] + 1))
    keys = tuple((subjects[code], "", f"c/{row}") for row, code in enumerate(codes))
    return Sample(keys, scores.astype(float), labels.astype(np.int64), codes, subjects, "subject")


def delong_variance(members: np.ndarray, others: np.ndarray) -> float:
    """DeLong's variance straight from the kernel of all pairs."""
    kernel = (members[:, None] > others[None, :]) + 0.5 * (members[:, None] == others[None, :])
    return kernel.mean(1).var(ddof=1) / len(members) + kernel.mean(0).var(ddof=1) / len(others)


@pytest.fixture
def drawn() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    labels = np.r_[np.ones(30), np.zeros(45)]
    return np.round(rng.normal(labels, 1.0), 1), labels


def test_the_area_is_sklearns_with_ties(drawn: tuple[np.ndarray, np.ndarray]) -> None:
    scores, labels = drawn
    assert auc(scores, labels) == pytest.approx(roc_auc_score(labels, scores), abs=1e-12)


def test_the_area_by_hand() -> None:
    """Pairs: 3>1, 3>2, 2>1 won, 2=2 tied: 3.5 of 4."""
    assert auc(np.array([3.0, 2, 1, 2]), np.array([1, 1, 0, 0])) == 0.875


def test_the_interval_is_delongs_on_the_logit_scale(drawn: tuple[np.ndarray, np.ndarray]) -> None:
    scores, labels = drawn
    found = auc_interval(sample(scores, labels), alpha=0.05)
    variance = delong_variance(scores[labels == 1], scores[labels == 0])
    kernel = (scores[labels == 1][:, None] > scores[labels == 0]) + 0.5 * (scores[labels == 1][:, None] == scores[labels == 0])
    parts = kernel.mean(1).var(ddof=1) / 30, kernel.mean(0).var(ddof=1) / 45
    freedom = sum(parts) ** 2 / (parts[0] ** 2 / 29 + parts[1] ** 2 / 44)
    half = t.ppf(0.95, freedom) * math.sqrt(variance) / (found.value * (1 - found.value))
    assert found.upper == pytest.approx(expit(logit(found.value) + half))
    assert found.lower == pytest.approx(expit(logit(found.value) - half))
    assert found.method == "DeLong, logit scale" and found.note == "30 members, 45 non-members."


def test_copies_of_a_row_count_as_one_subject(drawn: tuple[np.ndarray, np.ndarray]) -> None:
    scores, labels = drawn
    single = auc_interval(sample(scores, labels), alpha=0.05)
    tripled = auc_interval(sample(np.repeat(scores, 3), np.repeat(labels, 3), rows=3), alpha=0.05)
    assert (tripled.value, tripled.lower, tripled.upper) == pytest.approx((single.value, single.lower, single.upper))
    assert "clustered" in tripled.method


def test_flipping_the_scores_mirrors_area_and_interval(drawn: tuple[np.ndarray, np.ndarray]) -> None:
    scores, labels = drawn
    found, flipped = (auc_interval(sample(sign * scores, labels), alpha=0.05) for sign in (1, -1))
    assert flipped.value == pytest.approx(1 - found.value)
    assert (flipped.lower, flipped.upper) == (pytest.approx(1 - found.upper), pytest.approx(1 - found.lower))


def test_perfect_separation_has_the_exact_bound_of_independent_pairs() -> None:
    labels = np.r_[np.ones(20), np.zeros(50)]
    found = auc_interval(sample(labels, labels), alpha=0.05)
    assert (found.value, found.upper) == (1.0, 1.0)
    assert found.lower == pytest.approx(0.05 ** (1 / 20))
    none = auc_interval(sample(-labels, labels), alpha=0.05)
    assert (none.value, none.lower, none.upper) == (0.0, 0.0, pytest.approx(1 - 0.05 ** (1 / 20)))


def test_constant_scores_are_not_a_certain_half() -> None:
    found = auc_interval(sample(np.zeros(40), np.r_[np.ones(20), np.zeros(20)]), alpha=0.05)
    assert found.value == 0.5 and found.upper > 0.56 and found.lower < 0.44


def test_the_difference_is_delongs_for_correlated_areas(drawn: tuple[np.ndarray, np.ndarray]) -> None:
    scores, labels = drawn
    other = scores + np.random.default_rng(1).normal(0, 3.0, len(scores))
    found = auc_difference(sample(scores, labels), sample(other, labels), 1.0, alpha=0.05)

    def kernel(values: np.ndarray) -> np.ndarray:
        a, b = values[labels == 1][:, None], values[labels == 0][None, :]
        return (a > b) + 0.5 * (a == b)

    apart = kernel(scores) - kernel(other)
    parts = apart.mean(1).var(ddof=1) / 30, apart.mean(0).var(ddof=1) / 45
    freedom = sum(parts) ** 2 / (parts[0] ** 2 / 29 + parts[1] ** 2 / 44)
    half = t.ppf(0.95, freedom) * math.sqrt(sum(parts))
    assert half > (1 - 0.05 ** (1 / 30)) * (1 + abs(found.value))
    assert found.value == pytest.approx(roc_auc_score(labels, scores) - roc_auc_score(labels, other))
    assert (found.lower, found.upper) == (pytest.approx(found.value - half), pytest.approx(found.value + half))


def test_two_equal_models_do_not_have_a_certain_difference(drawn: tuple[np.ndarray, np.ndarray]) -> None:
    one = sample(*drawn)
    found = auc_difference(one, one, 1.0, alpha=0.05)
    assert found.value == 0.0
    assert found.upper == pytest.approx(1 - 0.05 ** (1 / 30)) and found.lower == pytest.approx(-found.upper)


def test_a_scaled_difference(drawn: tuple[np.ndarray, np.ndarray]) -> None:
    one = sample(*drawn)
    found = auc_difference(one, one, 0.9, alpha=0.05)
    assert found.value == pytest.approx(0.1 * auc(*drawn))
    assert -0.9 <= found.lower < found.value < found.upper <= 1.0


def test_subjects_are_counted_by_class() -> None:
    both = sample(np.arange(6.0), np.array([1, 0, 1, 1, 0, 0]), rows=2)
    assert in_both_classes(both) == 1
    assert (classes(both).members, classes(both).others) == (2, 2)
