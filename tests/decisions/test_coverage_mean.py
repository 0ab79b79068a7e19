"""How often a model exactly at the threshold passes, by simulation with fixed seeds; nominal 5 %.

The shipped rule is evaluated in its dual form, which needs no root finding: the upper bound lies below theta exactly when t's
does and the distribution-free probability at theta reaches 95 %. ``test_the_dual_form_is_the_shipped_interval`` ties the two.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from scipy.special import expit, stdtrit

from auditkit.decisions.freebound import probability_not_positive
from auditkit.decisions.intervals import T_ALONE, mean, proportion

ALPHA = 0.05
AUDITS = 2000
ALLOWED = ALPHA + 3 * np.sqrt(ALPHA * (1 - ALPHA) / AUDITS)

Draw = Callable[[np.random.Generator, int, int], tuple[np.ndarray, float]]
"""(generator, audits, subjects) → subject means on [0, 1] and the true mean."""


def of_beta(shape: float, truth: float, rows: int = 0) -> Draw:
    def draw(rng: np.random.Generator, audits: int, subjects: int) -> tuple[np.ndarray, float]:
        rates = rng.beta(shape, shape * (1 - truth) / truth, (audits, subjects))
        return (rng.binomial(rows, rates) / rows if rows else rates), truth

    return draw


def of_logits(centre: float, spread: float, rows: int) -> Draw:
    def draw(rng: np.random.Generator, audits: int, subjects: int) -> tuple[np.ndarray, float]:
        truth = float(expit(centre + spread * np.random.default_rng(0).normal(size=2_000_000)).mean())
        return rng.binomial(rows, expit(centre + spread * rng.normal(size=(audits, subjects)))) / rows, truth

    return draw


def remembered(share: float) -> Draw:
    """A guessing floor of about 0.3 and a few subjects known word for word."""

    def draw(rng: np.random.Generator, audits: int, subjects: int) -> tuple[np.ndarray, float]:
        floor = np.clip(rng.normal(0.3, 0.05, (audits, subjects)), 0, 1)
        return np.where(rng.random((audits, subjects)) < share, 1.0, floor), 0.3 + 0.7 * share

    return draw


SKEWED = {
    "Beta(0.1), mean .05, 20 rows": of_beta(0.1, 0.05, 20),
    "Beta(0.1), mean .05, 8 rows": of_beta(0.1, 0.05, 8),
    "Beta(0.3), mean .10, 8 rows": of_beta(0.3, 0.10, 8),
    "Beta(1), mean .05, 20 rows": of_beta(1.0, 0.05, 20),
    "Beta(1), mean .05": of_beta(1.0, 0.05),
    "logit SD 1, 20 rows": of_logits(-2.0, 1.0, 20),
    "logit SD 2, 20 rows": of_logits(-3.0, 2.0, 20),
    "1 in 20 remembered": remembered(0.05),
    "1 in 50 remembered": remembered(0.02),
}
MID_RANGE = {
    "Beta(5, 5), 20 rows": of_beta(5.0, 0.5, 20),
    "Beta(2, 3)": of_beta(2.0, 0.4),
    "Beta(4, 16)": of_beta(4.0, 0.2),
    "logit SD 1 about .5": of_logits(0.0, 1.0, 20),
    "U-shaped": of_beta(0.5, 0.5),
}


def passes(values: np.ndarray, truth: float) -> np.ndarray:
    """The shipped rule for equal subjects on [0, 1], for many audits at once."""
    subjects = values.shape[1]
    centre, deviation = values.mean(1), values.std(1)
    by_t = centre + stdtrit(subjects - 1, 1 - ALPHA) * deviation / np.sqrt(subjects - 1) < truth
    terms = np.concatenate([values - truth, np.full((len(values), 1), 1 - truth)], axis=1)
    free = np.concatenate(
        [probability_not_positive(part) >= 1 - ALPHA for part in np.array_split(terms, 1 + len(terms) // 100)]
    )
    return by_t & free


def t_alone_passes(values: np.ndarray, truth: float) -> float:
    subjects = values.shape[1]
    upper = values.mean(1) + stdtrit(subjects - 1, 1 - ALPHA) * values.std(1, ddof=1) / np.sqrt(subjects)
    return float((upper < truth).mean())


@pytest.mark.parametrize("subjects", [19, 20])
@pytest.mark.parametrize("name", ["Beta(1), mean .05, 20 rows", "1 in 20 remembered", "Beta(5, 5), 20 rows", "Beta(4, 16)"])
def test_the_dual_form_is_the_shipped_interval(name: str, subjects: int) -> None:
    values, truth = (SKEWED | MID_RANGE)[name](np.random.default_rng(1), 30, subjects)
    shipped = [mean(row, np.ones(subjects), low=0.0, high=1.0, alpha=ALPHA).upper < truth for row in values]
    assert list(passes(values, truth)) == shipped


@pytest.mark.parametrize("subjects", [20, 60])
@pytest.mark.parametrize("name", SKEWED | MID_RANGE)
def test_a_model_at_the_threshold_passes_no_more_than_five_times_in_a_hundred(name: str, subjects: int) -> None:
    """On both sides: of what leaks, and of what is kept."""
    values, truth = (SKEWED | MID_RANGE)[name](np.random.default_rng(subjects), AUDITS, subjects)
    assert passes(values, truth).mean() <= ALLOWED
    assert passes(1 - values, 1 - truth).mean() <= ALLOWED


def test_why_t_alone_will_not_do() -> None:
    """The reference's .220 of Beta(0.1), and the sample that looks harmless."""
    values, truth = SKEWED["Beta(0.1), mean .05, 20 rows"](np.random.default_rng(0), 4000, 20)
    assert t_alone_passes(values, truth) == pytest.approx(0.22, abs=0.02)
    values, truth = SKEWED["1 in 20 remembered"](np.random.default_rng(0), 4000, 20)
    assert t_alone_passes(values, truth) > 0.3
    assert passes(values, truth).mean() <= ALLOWED


def test_one_bit_per_subject_is_exact_where_pooling_is_not() -> None:
    """Decision table of the reference: 20 x 20 facts, mean rate .05, Beta(0.1): pooled .309, bits .036."""
    rng = np.random.default_rng(0)
    counts = rng.binomial(20, rng.beta(0.1, 1.9, (4000, 20)))
    any_leak = float((rng.binomial(20, rng.beta(0.1, 1.9, 1_000_000)) > 0).mean())
    bits = [proportion(int(k), 20, alpha=ALPHA).upper < any_leak for k in (counts > 0).sum(1)]
    pooled = [proportion(int(k), 400, alpha=ALPHA).upper < 0.05 for k in counts.sum(1)]
    assert np.mean(bits) <= ALLOWED
    assert np.mean(pooled) == pytest.approx(0.309, abs=0.03)


@pytest.mark.parametrize("kind", ["independent sizes", "large ones leak", "one in ten is large"])
def test_unequal_subjects_at_the_threshold(kind: str) -> None:
    rng = np.random.default_rng(5)
    sizes = rng.integers(1, 21, (AUDITS, 30)).astype(float)
    if kind == "independent sizes":
        rates, truth = rng.beta(0.5, 2.0, sizes.shape), 0.2
    elif kind == "large ones leak":
        rates, m = np.where(sizes > 15, 0.8, 0.1), np.arange(1, 21)
        truth = float((m * np.where(m > 15, 0.8, 0.1)).sum() / m.sum())
    else:
        sizes = np.where(rng.random(sizes.shape) < 0.1, 100.0, 2.0)
        rates = np.where(sizes > 50, (rng.random(sizes.shape) < 0.2).astype(float), 0.05)
        truth = (0.1 * 100 * 0.2 + 0.9 * 2 * 0.05) / (0.1 * 100 + 0.9 * 2)
    totals = rng.binomial(sizes.astype(int), rates).astype(float)
    terms = np.concatenate([totals - truth * sizes, sizes.max(1, keepdims=True) * (1 - truth)], axis=1)
    free = np.concatenate([probability_not_positive(part) >= 1 - ALPHA for part in np.array_split(terms, 40)])
    assert free.mean() <= ALLOWED


def test_a_calm_mean_of_many_subjects_is_hardly_widened() -> None:
    """What the guard costs: at K = 200 less than half of t's own width."""
    values = np.random.default_rng(0).normal(0.3, 0.1, 200).clip(0, 1)
    guarded = mean(values, np.ones(200), low=0.0, high=1.0, alpha=ALPHA)
    plain = mean(values, np.ones(200), low=-np.inf, high=np.inf, alpha=ALPHA)
    assert plain.method == T_ALONE
    assert guarded.upper - guarded.value < 1.5 * (plain.upper - plain.value)
