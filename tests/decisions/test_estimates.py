from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest

from auditkit.checks._base import Metric, Statistic, Values
from auditkit.decisions.estimate import COVERS, Rule, difference, estimate
from auditkit.decisions.samples import Sample, UnpairedError, sample_of
from auditkit.decisions.types import Estimate

BITS = Statistic("leaking_subjects", at=0.5)
MEAN = Statistic("mean")
AREA = Statistic("auc")


def total(values: dict[str, np.ndarray], reference: dict[str, np.ndarray] | None) -> float:
    less = 0.0 if reference is None else float(sum(rows.sum() for rows in reference.values()))
    return float(sum(rows.sum() for rows in values.values())) - less


def rule(metric: Metric, statistic: Statistic, **more: object) -> Rule:
    given = {"min_subjects": 10, "resamples": 300, "seed": 0, "leak": metric.better != "higher"} | more
    return Rule(metric, statistic, **given)  # type: ignore[arg-type]


@pytest.fixture
def make(values_of: Callable[..., Values]) -> Callable[..., Sample]:
    return lambda rows, **more: sample_of(values_of(rows, **more))


@pytest.fixture
def areas(values_of: Callable[..., Values], joined: Callable[..., Values]) -> Callable[[int, int], Sample]:
    def build(members: int, others: int) -> Sample:
        rng = np.random.default_rng(0)
        return sample_of(
            joined(
                values_of(rng.normal(1, 1, (members, 1)), label=1),
                values_of(rng.normal(0, 1, (others, 1)), label=0, corpus="holdout"),
            )
        )

    return build


def test_one_bit_per_subject_whatever_the_number_of_rows(make: Callable[..., Sample], share: Metric) -> None:
    found = estimate(make([[0.9, 0.9, 0.0], [0.1, 0.2, 0.49], *[[0.0] * 3] * 18]), rule(share, BITS), alpha=0.05)
    assert (found.value, found.n, found.rows, found.unit) == (0.05, 20, 60, "subject")
    assert found.upper == pytest.approx(0.2161, abs=1e-4)
    assert found.method == "Clopper-Pearson on subjects" and COVERS in found.note


def test_a_value_at_the_level_counts_as_leaked(make: Callable[..., Sample], share: Metric) -> None:
    assert estimate(make([[0.5], [0.4999]]), rule(share, BITS), alpha=0.05).value == 0.5


@pytest.mark.parametrize("statistic", [BITS, MEAN, Statistic("function", function=total)])
@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_what_is_not_finite_gives_no_number(
    make: Callable[..., Sample], score: Metric, statistic: Statistic, bad: float
) -> None:
    broken = make([[0.1]] * 20 + [[bad]])
    found = estimate(broken, rule(score, statistic), alpha=0.05)
    assert (found.value, found.lower, found.upper) == (None, None, None)
    assert found.note == "1 of 21 values are not finite numbers"
    apart = difference(broken, broken, 1.0, rule(score, statistic), alpha=0.05)
    assert apart.value is None and "not finite" in apart.note


def test_no_rows(make: Callable[..., Sample], score: Metric) -> None:
    for statistic in (BITS, MEAN, AREA, Statistic("function", function=total)):
        found = estimate(make([]), rule(score, statistic), alpha=0.05)
        assert found.value is None and found.note == "no values were measured" and found.n == 0


def test_a_value_outside_the_range_gives_no_number(make: Callable[..., Sample], score: Metric) -> None:
    assert "outside" in estimate(make([[0.5]] * 19 + [[1.01]]), rule(score, MEAN), alpha=0.05).note
    rounding = estimate(make([[0.5]] * 19 + [[1.0 + 1e-12]]), rule(score, MEAN), alpha=0.05)
    assert rounding.upper is not None and rounding.upper <= 1.0


def test_too_few_subjects_show_a_value_without_interval(make: Callable[..., Sample], score: Metric) -> None:
    found = estimate(make([[0.2, 0.4]] * 9), rule(score, MEAN), alpha=0.05)
    assert found.value == pytest.approx(0.3) and found.lower is None and found.upper is None
    assert found.note == "only 9 subjects; at least 10 are needed"


@pytest.mark.parametrize("subjects", [1, 2, 9])
def test_exact_bounds_hold_for_any_number_of_subjects(make: Callable[..., Sample], share: Metric, subjects: int) -> None:
    sample = make([[0.0]] * subjects)
    for found in (
        estimate(sample, rule(share, BITS), alpha=0.05),
        difference(sample, sample, 1.0, rule(share, BITS), alpha=0.05),
    ):
        assert found.upper == pytest.approx(1 - 0.05 ** (1 / subjects), abs=1e-6)


def test_one_subject_with_many_rows_is_one_subject(make: Callable[..., Sample], score: Metric) -> None:
    assert estimate(make([[0.1] * 50]), rule(score, MEAN), alpha=0.05).note == "only 1 subject; at least 10 are needed"


def test_the_smaller_class_of_an_area_counts(areas: Callable[[int, int], Sample], area: Metric) -> None:
    few = estimate(areas(40, 9), rule(area, AREA), alpha=0.05)
    assert few.value is not None and few.upper is None and "9 subjects in the smaller class" in few.note
    enough = estimate(areas(40, 10), rule(area, AREA), alpha=0.05)
    assert enough.n == 50 and enough.upper is not None
    assert estimate(areas(40, 0), rule(area, AREA), alpha=0.05).value is None


def test_a_subject_in_both_classes_gives_no_area(
    values_of: Callable[..., Values], joined: Callable[..., Values], area: Metric
) -> None:
    both = sample_of(joined(values_of([[1.0]] * 12, label=1), values_of([[0.0]] * 12, label=0)))
    assert "both member and non-member" in estimate(both, rule(area, AREA), alpha=0.05).note


def test_the_paired_mean_is_on_the_range_of_differences(make: Callable[..., Sample], score: Metric) -> None:
    ones, zeros = make([[1.0]] * 20), make([[0.0]] * 20)
    found = difference(ones, zeros, 1.0, rule(score, MEAN), alpha=0.05)
    assert (found.value, found.upper) == (1.0, 1.0)
    assert found.lower == pytest.approx(1 - 2 * (1 - 0.05 ** (1 / 20)), abs=1e-6)
    scaled = difference(zeros, ones, 0.5, rule(score, MEAN), alpha=0.05)
    assert (scaled.value, scaled.lower) == (-0.5, -0.5)


def test_a_scale_of_zero_leaves_the_model_out(make: Callable[..., Sample]) -> None:
    calm = make([[value] for value in np.linspace(4, 6, 30)])
    found = difference(calm, calm, 0.0, rule(Metric("m", "u", 0.0, math.inf, "higher"), MEAN), alpha=0.05)
    assert found.value == pytest.approx(5.0) and found.upper == pytest.approx(5.0 + 1.699 * 0.6151 / math.sqrt(30), abs=1e-2)


def test_paired_bits_with_and_without_a_scale(make: Callable[..., Sample], share: Metric) -> None:
    candidate, model = make([[1.0]] * 2 + [[0.0]] * 18), make([[1.0]] + [[0.0]] * 19)
    found = difference(candidate, model, 1.0, rule(share, BITS), alpha=0.05)
    assert found.value == pytest.approx(0.05)
    alone = estimate(make([[1.0]] + [[0.0]] * 19), rule(share, BITS), alpha=0.05)
    assert found.upper == pytest.approx(alone.upper, abs=1e-6), "one-sided change is Clopper-Pearson"
    scaled = difference(candidate, model, 0.5, rule(share, BITS), alpha=0.05)
    assert scaled.value == pytest.approx(0.1 - 0.5 * 0.05) and scaled.lower >= -0.5


def test_unpaired_rows_are_never_intersected(make: Callable[..., Sample], score: Metric) -> None:
    with pytest.raises(UnpairedError):
        difference(make([[0.1]] * 20), make([[0.1]] * 19), 1.0, rule(score, MEAN), alpha=0.05)


def test_a_function_and_its_difference(make: Callable[..., Sample]) -> None:
    metric = Metric("total", "u", 0.0, 100.0, "higher")
    one, two = make(np.random.default_rng(0).random((20, 2))), make(np.random.default_rng(1).random((20, 2)))
    statistic = Statistic("function", function=total)
    found = difference(one, two, 0.5, rule(metric, statistic), alpha=0.05)
    assert found.value == pytest.approx(float(one.values.sum() - 0.5 * two.values.sum()))
    assert found.lower < found.value < found.upper
    same = difference(one, one, 1.0, rule(metric, statistic), alpha=0.05)
    assert same.value == 0.0 and same.upper is None and "agree" in same.note


def test_a_function_relative_to_the_reference(make: Callable[..., Sample]) -> None:
    metric = Metric("total", "u", -100.0, 100.0, "target")
    relative = rule(metric, Statistic("function", function=total, relative_to_reference=True))
    one, reference = make(np.random.default_rng(0).random((20, 2))), make(np.random.default_rng(1).random((20, 2)))
    assert "none" in estimate(one, relative, alpha=0.05).note
    found = estimate(one, relative, alpha=0.05, reference=reference)
    assert found.value == pytest.approx(float(one.values.sum() - reference.values.sum())) and found.upper is not None
    itself = estimate(reference, relative, alpha=0.05, reference=reference)
    assert itself.value == 0.0 and itself.upper is None and "itself" in itself.note
    broken = make([[math.nan, 0.0]] * 20)
    assert "not finite" in estimate(one, relative, alpha=0.05, reference=broken).note
    with pytest.raises(UnpairedError):
        estimate(one, relative, alpha=0.05, reference=make([[0.0]] * 20))


def test_a_function_without_a_value(make: Callable[..., Sample], score: Metric) -> None:
    nothing = rule(score, Statistic("function", function=lambda values, reference: math.nan))
    found = estimate(make([[0.1]] * 20), nothing, alpha=0.05)
    assert found.value is None and "no finite value" in found.note


def test_a_quantity_that_proves_nothing_is_resampled_less(make: Callable[..., Sample], score: Metric) -> None:
    calls: list[int] = []

    def counted(values: dict[str, np.ndarray], reference: object) -> float:
        calls.append(1)
        return float(values[""].mean())

    weak = Statistic("function", function=counted, evidence_of_absence=False)
    estimate(make(np.random.default_rng(0).random((20, 1))), rule(score, weak, resamples=2000), alpha=0.05)
    assert len(calls) == 1 + 500 + 20


@pytest.mark.parametrize("statistic", [BITS, MEAN])
def test_the_order_of_subjects_does_not_matter(values_of: Callable[..., Values], score: Metric, statistic: Statistic) -> None:
    rows = np.random.default_rng(0).random((25, 2))

    def found(table: np.ndarray) -> Estimate:
        return estimate(sample_of(values_of(table)), rule(score, statistic), alpha=0.05)

    first, second = found(rows), found(rows[::-1])
    assert (first.lower, first.upper) == (pytest.approx(second.lower), pytest.approx(second.upper))
