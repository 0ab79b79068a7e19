from __future__ import annotations

import math

import numpy as np
import pytest

from auditkit.checks._base import Metric, Statistic
from auditkit.decisions.intervals import mean, proportion
from auditkit.decisions.plan import Decidable, decidable, false_pass_statement, hanley_mcneil
from auditkit.spec.bounds import Bound
from auditkit.spec.model import Decide

BITS = Statistic("leaking_subjects", at=0.5)
MEAN = Statistic("mean")
AREA = Statistic("auc")


def planned(
    metric: Metric,
    statistic: Statistic,
    subjects: int,
    *,
    at_most: Bound | None = None,
    at_least: Bound | None = None,
    **more: object,
) -> Decidable:
    given = {"decide": Decide()} | more
    return decidable(metric=metric, statistic=statistic, bounds=(at_least, at_most), subjects=subjects, **given)  # type: ignore[arg-type]


@pytest.mark.parametrize(("tau", "needed"), [(0.1, 29), (0.05, 59), (0.02, 149), (0.01, 299)])
def test_no_leak_at_all_needs_so_many_subjects(share: Metric, tau: float, needed: int) -> None:
    """0.02 and 0.01: the reference's table searched in steps of 5 and says 150 and 300."""
    assert planned(share, BITS, needed, at_most=Bound(tau)).possible
    short = planned(share, BITS, needed - 1, at_most=Bound(tau))
    assert (short.possible, short.needed) == (False, needed)
    assert proportion(0, needed, alpha=0.05).upper < tau <= proportion(0, needed - 1, alpha=0.05).upper


def test_the_sentence(share: Metric) -> None:
    assert planned(share, BITS, 20, at_most=Bound(0.05)).sentence == (
        "With 20 subjects at most 0.05 cannot be passed: even at the best possible value the one-sided 95 % bound lies 0.139 "
        "from the measured value, and less than 0.05 is allowed; 59 subjects would do."
    )
    assert planned(share, BITS, 64, at_most=Bound(0.05)).sentence == "A pass is possible with 64 subjects."


def test_a_bound_that_no_number_of_subjects_can_show(share: Metric, area: Metric) -> None:
    for found in (
        planned(share, BITS, 10**6, at_most=Bound(0.0)),
        planned(area, AREA, 10**6, others=10**6, at_most=Bound(0.5)),
    ):
        assert (found.possible, found.needed) == (False, None) and "No number" in found.sentence


def test_a_bound_beyond_the_range_needs_one_subject(share: Metric) -> None:
    assert planned(share, BITS, 1, at_most=Bound(1.0)).possible


def test_confidence_counts(share: Metric) -> None:
    assert planned(share, BITS, 64, at_most=Bound(0.05), decide=Decide(confidence=0.99)).needed == 90


def test_a_mean_that_leaks_needs_as_many_as_a_share(score: Metric) -> None:
    assert planned(score, MEAN, 40, at_most=Bound(0.05)).needed == 59
    best = mean(np.zeros(59), np.ones(59), low=0.0, high=1.0, alpha=0.05)
    assert best.upper < 0.05


def test_relative_bounds_suppose_a_candidate_like_the_model(score: Metric, share: Metric) -> None:
    assert planned(share, BITS, 20, at_most=Bound(0.05, "reference")).needed == 59
    found = planned(score, MEAN, 20, at_most=Bound(0.1, "reference"))
    assert found.needed == 29 and "exactly like reference" in found.sentence
    assert planned(score, MEAN, 20, at_most=Bound(-0.3, "original")).possible, "less than the original leaks"
    assert planned(score, MEAN, 20, at_most=Bound(0.0, "original", 0.5)).possible


def test_utility_needs_subjects_enough_to_have_met_one_of_whom_all_is_lost(kept: Metric) -> None:
    short = planned(kept, MEAN, 20, at_least=Bound(0.0, "original", 0.95))
    assert (short.possible, short.needed) == (False, 59)
    assert planned(kept, MEAN, 59, at_least=Bound(0.0, "original", 0.95)).possible
    assert planned(kept, MEAN, 30, at_least=Bound(1.0)).needed is None


def test_between_needs_both_ends(score: Metric) -> None:
    metric = Metric("gap", "points", -1.0, 1.0, "target")
    assert planned(metric, MEAN, 64, at_least=Bound(-0.05, "reference"), at_most=Bound(0.05, "reference")).needed == 119
    assert planned(metric, MEAN, 119, at_least=Bound(-0.05, "reference"), at_most=Bound(0.05, "reference")).possible


@pytest.mark.parametrize(
    ("n", "error", "half"), [(50, 0.058, 0.095), (100, 0.041, 0.067), (200, 0.029, 0.048), (1000, 0.013, 0.021)]
)
def test_hanley_mcneil_of_the_table(n: int, error: float, half: float) -> None:
    assert hanley_mcneil(0.5, n, n) == pytest.approx(error, abs=6e-4)
    assert 1.6449 * hanley_mcneil(0.5, n, n) == pytest.approx(half, abs=6e-4)


def test_an_area_of_at_most_55_is_never_provable_with_forty(area: Metric) -> None:
    found = planned(area, AREA, 40, others=40, at_most=Bound(0.55))
    assert not found.possible and found.needed is not None and 170 < found.needed < 200
    assert "per class" in found.sentence
    assert planned(area, AREA, found.needed, others=found.needed, at_most=Bound(0.55)).possible
    assert not planned(area, AREA, found.needed, others=40, at_most=Bound(0.55)).possible


def test_areas_against_the_reference(area: Metric) -> None:
    assert planned(area, AREA, 40, others=40, at_most=Bound(0.05, "reference")).needed == 59
    assert planned(area, AREA, 40, others=40, at_most=Bound(0.1, "reference")).possible
    assert planned(area, AREA, 40, others=40, at_most=Bound(-0.2, "original")).possible


def test_min_subjects(area: Metric, score: Metric, share: Metric) -> None:
    assert planned(area, AREA, 40, others=9, at_most=Bound(0.95)).needed == 10
    assert planned(score, MEAN, 9, at_most=Bound(0.9)).needed == 10
    assert planned(share, BITS, 9, at_most=Bound(0.9)).possible


def test_functions_cannot_be_foretold(score: Metric) -> None:
    function = Statistic("function", function=lambda values, reference: 0.0)
    assert planned(score, function, 30, at_most=Bound(0.1)).possible
    assert planned(score, function, 5, at_most=Bound(0.1)) == (
        False,
        10,
        "With 5 subjects there is no interval; at least 10 are needed.",
    )


def test_what_proves_nothing_and_what_has_no_bound(score: Metric) -> None:
    weak = Statistic("function", function=lambda values, reference: 0.0, evidence_of_absence=False)
    assert planned(score, weak, 100, at_least=Bound(0.05))[:2] == (False, None)
    assert planned(score, MEAN, 1)[:2] == (True, None)


def test_no_subject_at_all(share: Metric, area: Metric) -> None:
    assert planned(share, BITS, 0, at_most=Bound(0.05)).needed == 59
    assert not planned(area, AREA, 0, others=0, at_most=Bound(0.9)).possible
    assert hanley_mcneil(0.5, 0, 10) == math.inf


def test_the_rate_of_false_passes_does_not_grow_with_the_requirements() -> None:
    assert "at most 5 %" in false_pass_statement(8, 0.95) and "Each of the 8 requirements" in false_pass_statement(8, 0.95)
    assert "at most 1 %" in false_pass_statement(1, 0.99) and "The one requirement" in false_pass_statement(1, 0.99)
    assert false_pass_statement(0, 0.95) == "Nothing was required, so nothing could pass."
