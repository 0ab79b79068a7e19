"""Recovery by hand, against Fieller's closed form, at its edges; and how often its upper bound misses the truth."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import t as student

from auditkit.checks._base import Metric, Statistic, Values
from auditkit.decisions import recovery as module
from auditkit.decisions.freebound import probability_not_positive
from auditkit.decisions.intervals import Interval, mean
from auditkit.decisions.recovery import recovery
from auditkit.decisions.types import Estimate
from auditkit.spec.model import Decide

MEAN = Statistic("mean")
BITS = Statistic("leaking_subjects", at=0.5)
ALPHA = 0.05
Rows = Sequence[Sequence[float]]


@pytest.fixture
def recovered(values_of: Callable[..., Values], score: Metric) -> Callable[..., Estimate]:
    def make(candidate: Rows, original: Rows, reference: Rows, **more: object) -> Estimate:
        samples = {
            name: values_of(rows) for name, rows in (("candidate", candidate), ("original", original), ("reference", reference))
        }
        given = {"metric": score, "statistic": MEAN, "decide": Decide(), "rng_seed": 0, "component": ("",)}
        return recovery(samples, **given | more)

    return make


def constant(value: float, subjects: int = 60, rows: int = 1) -> Rows:
    return [[value] * rows] * subjects


def noisy(centre: float, rng: np.random.Generator, subjects: int = 60, rows: int = 3) -> Rows:
    return np.clip(rng.normal(centre, 0.05, (subjects, 1)) + rng.normal(0, 0.02, (subjects, rows)), 0, 1).tolist()


def test_by_hand(recovered: Callable[..., Estimate]) -> None:
    """Means .3, .9 and .1: (.3 - .1) / (.9 - .1) = .25."""
    found = recovered([[0.2, 0.4]] * 40, [[0.8, 1.0]] * 40, [[0.0, 0.2]] * 40)
    assert found.value == pytest.approx(0.25)
    assert found.lower is not None and found.upper is not None and found.lower < 0.25 < found.upper
    assert (found.n, found.rows, found.unit) == (40, 80, "subject")
    assert found.method.startswith("test inversion of t, clustered by subject")


def test_no_recovery_at_all_by_hand(recovered: Callable[..., Estimate]) -> None:
    """60 subjects, every gap 1: the bound solves -rho + a (1 + rho) = 0 with a = 1 - .05 ** (1 / 60), so rho = a / (1 - a)."""
    found = recovered(constant(0.0), constant(1.0), constant(0.0))
    allowance = 1 - ALPHA ** (1 / 60)
    assert found.value == 0
    assert found.upper == pytest.approx(allowance / (1 - allowance), abs=1e-4)
    assert found.upper < 0.10


def test_full_recovery(recovered: Callable[..., Estimate]) -> None:
    found = recovered(constant(1.0), constant(1.0), constant(0.0))
    assert found.value == 1 and found.lower is not None and 0.85 < found.lower < 1


def test_shares_of_subjects(recovered: Callable[..., Estimate]) -> None:
    """20, 60 and 0 of 60 subjects leak: a third is back."""
    candidate = [[1.0, 0.0]] * 20 + [[0.2, 0.3]] * 40
    found = recovered(candidate, [[0.9, 0.6]] * 60, [[0.4, 0.0]] * 60, statistic=BITS)
    assert found.value == pytest.approx(1 / 3)
    assert found.lower is not None and found.upper is not None and 0.2 < found.lower < 1 / 3 < found.upper < 0.5
    assert "Gaffke" in found.method


def test_the_bounds_are_where_the_test_begins_to_refute(recovered: Callable[..., Estimate]) -> None:
    rng = np.random.default_rng(0)
    c, o, r = (np.array(noisy(centre, rng)) for centre in (0.3, 0.8, 0.2))
    found = recovered(c.tolist(), o.tolist(), r.tolist())
    for rho, side in ((found.lower, "lower"), (found.upper, "upper")):
        assert rho is not None
        apart = (c - r) - rho * (o - r)
        ends = {"low": -1.0, "high": 1.0}
        interval = mean(apart.sum(1), np.full(60, 3.0), **ends, alpha=ALPHA)
        assert getattr(interval, side) == pytest.approx(0, abs=1e-5)


def test_with_t_alone_it_is_fiellers_interval(recovered: Callable[..., Estimate], monkeypatch: pytest.MonkeyPatch) -> None:
    """The closed form: roots of (m_c - rho m_g)^2 = t^2 (v_c - 2 rho cov + rho^2 v_g)."""

    def by_t(totals: np.ndarray, sizes: np.ndarray, **_: object) -> object:
        means = totals / sizes
        half = student.ppf(1 - ALPHA, len(means) - 1) * means.std(ddof=1) / math.sqrt(len(means))
        return Interval(means.mean(), means.mean() - half, means.mean() + half, "t")

    monkeypatch.setattr(module.intervals, "mean", by_t)
    rng = np.random.default_rng(3)
    c, o, r = (np.array(noisy(centre, rng)) for centre in (0.3, 0.8, 0.2))
    found = recovered(c.tolist(), o.tolist(), r.tolist())
    upper, lower = (c - r).mean(1), (o - r).mean(1)
    cov = np.cov(upper, lower) / 60
    square = student.ppf(1 - ALPHA, 59) ** 2
    a, b, d = (
        lower.mean() ** 2 - square * cov[1, 1],
        -2 * (upper.mean() * lower.mean() - square * cov[0, 1]),
        upper.mean() ** 2 - square * cov[0, 0],
    )
    roots = sorted(np.roots([a, b, d]).real)
    assert [found.lower, found.upper] == pytest.approx(roots, abs=1e-5)


def test_higher_is_better_turns_both_differences_round(recovered: Callable[..., Estimate], score: Metric) -> None:
    rng = np.random.default_rng(1)
    rows = [noisy(centre, rng) for centre in (0.3, 0.8, 0.2)]
    plain = recovered(*rows)
    turned = recovered(*[(1 - np.array(one)).tolist() for one in rows], metric=replace(score, better="higher"))
    assert [turned.value, turned.lower, turned.upper] == pytest.approx([plain.value, plain.lower, plain.upper], abs=1e-5)
    assert recovered(*rows, metric=replace(score, better="higher")).note.startswith(
        "undefined: the lower bound of reference - original is not above zero"
    )


def test_order_of_rows_and_names_change_nothing(recovered: Callable[..., Estimate]) -> None:
    rng = np.random.default_rng(1)
    c, o, r = (noisy(centre, rng) for centre in (0.3, 0.8, 0.2))
    assert recovered(c[::-1], o[::-1], r[::-1]) == recovered(c, o, r)


def test_only_the_named_groups_count(joined: Callable[..., Values], values_of: Callable[..., Values], score: Metric) -> None:
    def both(first: float, second: float) -> Values:
        return joined(values_of(constant(first), group="4 bit"), values_of(constant(second), group="8 bit"))

    samples = {"candidate": both(0.6, 0.1), "original": both(0.9, 0.9), "reference": both(0.1, 0.1)}
    given = {"metric": score, "statistic": MEAN, "decide": Decide(), "rng_seed": 0}
    worst = recovery(samples, **given, component=("4 bit",))
    assert worst.value == pytest.approx(0.5 / 0.8) and worst.rows == 60
    assert recovery(samples, **given, component=("4 bit", "8 bit")).value == pytest.approx(0.25 / 0.8)


# Where there is none


def test_no_gap_no_share(recovered: Callable[..., Estimate]) -> None:
    for original in (constant(0.2), constant(0.22), constant(0.1)):
        found = recovered(constant(0.2), original, constant(0.2))
        assert (found.value, found.lower, found.upper) == (None, None, None)
        assert found.note.startswith("undefined: the lower bound of original - reference is not above zero (")


@pytest.mark.parametrize("kind", ["auc", "function"])
def test_not_defined_for_other_quantities(recovered: Callable[..., Estimate], kind: str) -> None:
    found = recovered(constant(0.1), constant(0.9), constant(0.1), statistic=Statistic(kind))  # type: ignore[arg-type]
    assert found.value is None
    assert found.note == "recovery is not defined for this quantity, only for means and for shares of subjects"


@pytest.mark.parametrize("broken", range(3))
@pytest.mark.parametrize("statistic", [MEAN, BITS])
def test_a_value_that_is_no_number(recovered: Callable[..., Estimate], broken: int, statistic: Statistic) -> None:
    rows = [constant(0.1), constant(0.9), constant(0.1)]
    rows[broken] = [[math.nan], *rows[broken][1:]]
    found = recovered(*rows, statistic=statistic)
    assert (found.value, found.lower, found.upper) == (None, None, None)
    assert "not finite numbers" in found.note


def test_too_few_subjects_and_none(recovered: Callable[..., Estimate]) -> None:
    few = recovered(constant(0.1, 9), constant(0.9, 9), constant(0.1, 9))
    assert few.value is None and "at least 10 are needed" in few.note
    assert recovered([], [], []).note == "no values were measured"
    one = recovered(constant(0.0, 1), constant(1.0, 1), constant(0.0, 1), statistic=BITS)
    assert one.value is None and one.note.startswith("undefined: the lower bound")


def test_unpaired_and_missing_models(values_of: Callable[..., Values], score: Metric) -> None:
    given = {"metric": score, "statistic": MEAN, "decide": Decide(), "rng_seed": 0, "component": ("",)}
    samples = {"candidate": values_of(constant(0.1)), "original": values_of(constant(0.9))}
    assert recovery(samples, **given).note == "not measured: reference"
    samples["reference"] = values_of(constant(0.1, 59))
    found = recovery(samples, **given)
    assert found.value is None and "1 rows were measured on one of the two models only" in found.note


def test_a_bound_beyond_the_bracket_is_left_open(recovered: Callable[..., Estimate]) -> None:
    rng = np.random.default_rng(0)
    original = np.clip(rng.normal(0.15, 0.05, (60, 1)), 0, 1).tolist()
    found = recovered(constant(0.9), original, constant(0.05))
    assert found.value is not None and found.value > 5
    assert found.upper is None and found.lower is not None and 2 < found.lower <= 5


def test_an_open_range_has_no_bound_for_few_equal_subjects(recovered: Callable[..., Estimate], score: Metric) -> None:
    found = recovered(constant(0.0), constant(1.0), constant(0.0), metric=replace(score, high=math.inf))
    assert found.value is None and "no interval" in found.note


# Coverage: a candidate of which exactly a tenth is back

RUNS = 2000
ALLOWED = ALPHA + 3 * math.sqrt(ALPHA * (1 - ALPHA) / RUNS)
Models = tuple[np.ndarray, np.ndarray, np.ndarray]


def skewed(shape: float, rows: int) -> Callable[[np.random.Generator, int, int], Models]:
    """Shares of the gap ~ Beta(shape) with mean .10: a few subjects are remembered; the reference guesses at .1."""

    def draw(rng: np.random.Generator, runs: int, subjects: int) -> Models:
        share = rng.beta(shape, shape * 9, (runs, subjects))
        c, o, r = (rng.binomial(rows, rates, (runs, subjects)) / rows for rates in (0.1 + share * 0.8, 0.9, 0.1))
        return c, o, r

    return draw


def of_bits(rng: np.random.Generator, runs: int, subjects: int) -> Models:
    original = (rng.random((runs, subjects)) < 0.95).astype(float)
    return original * (rng.random((runs, subjects)) < 0.1), original, np.zeros_like(original)


CASES = {"Beta(0.1), 8 rows": skewed(0.1, 8), "Beta(0.3), 20 rows": skewed(0.3, 20), "Beta(5), 20 rows": skewed(5.0, 20)}


def refuted(models: Models, rho: float, *, bits: bool = False) -> np.ndarray:
    """The dual form: the upper bound lies below rho exactly where the mean of d(rho) is shown to be negative."""
    c, o, r = models
    apart = (c - r) - rho * (o - r)
    terms = np.concatenate([apart, np.ones((len(apart), 1))], axis=1)
    free = np.concatenate(
        [probability_not_positive(part) >= 1 - ALPHA for part in np.array_split(terms, 1 + len(terms) // 100)]
    )
    subjects = apart.shape[1]
    half = student.ppf(1 - ALPHA, subjects - 1) * apart.std(1, ddof=1) / math.sqrt(subjects)
    return free & (bits | (apart.mean(1) + half < 0))


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("subjects", [20, 60])
def test_the_upper_bound_misses_the_truth_no_more_than_five_times_in_a_hundred(name: str, subjects: int) -> None:
    assert refuted(CASES[name](np.random.default_rng(subjects), RUNS, subjects), 0.1).mean() <= ALLOWED


@pytest.mark.parametrize("subjects", [20, 60])
def test_the_upper_bound_on_shares_of_subjects(subjects: int) -> None:
    assert refuted(of_bits(np.random.default_rng(subjects), RUNS, subjects), 0.1, bits=True).mean() <= ALLOWED


@pytest.mark.parametrize("draw", [*CASES.values(), of_bits], ids=[*CASES, "bits"])
def test_the_dual_form_is_the_shipped_bound(recovered: Callable[..., Estimate], draw: Callable[..., Models]) -> None:
    bits = draw is of_bits
    models = draw(np.random.default_rng(0), 8, 40)
    below = {rho: refuted(models, rho, bits=bits) for rho in (0.1, 0.2, 0.3)}
    for run in range(8):
        found = recovered(*(one[run][:, None].tolist() for one in models), statistic=BITS if bits else MEAN)
        assert found.upper is not None
        assert [found.upper < rho for rho in below] == [one[run] for one in below.values()]
    assert len({bool(one) for ones in below.values() for one in ones}) == 2
