from __future__ import annotations

import math
from dataclasses import replace

import pytest

from auditkit.decisions.ends import ends_of, result_of, subjects_needed
from auditkit.decisions.intervals import proportion
from auditkit.decisions.types import Estimate, Result
from auditkit.decisions.words import number
from auditkit.spec.bounds import Bound


def found(value: float | None, lower: float | None, upper: float | None, n: int = 60) -> Estimate:
    return Estimate(value, lower, upper, n, n, "subject", "m")


AT_MOST = ends_of((None, Bound(0.05)))[0]
AT_LEAST = ends_of((Bound(-0.05, "reference"), None))[0]


def test_ends_of_bounds() -> None:
    assert ends_of((None, None)) == ()
    assert (AT_MOST.upper, AT_MOST.threshold, AT_MOST.compared, AT_MOST.text) == (True, 0.05, (None, 1.0), "at most 0.05")
    assert (AT_LEAST.upper, AT_LEAST.compared, AT_LEAST.text) == (False, ("reference", 1.0), "at least reference - 0.05")
    assert [end.upper for end in ends_of((Bound(-5.0), Bound(5.0)))] == [False, True]
    assert ends_of((Bound(0.0, "original", 0.95), None))[0].compared == ("original", 0.95)


@pytest.mark.parametrize(
    ("lower", "upper", "holds", "missed"),
    [
        (0.0, 0.0499, True, False),
        (0.0, 0.05, False, False),  # strict: a bound on the threshold does not clear it
        (0.05, 0.1, False, False),
        (0.0501, 0.1, False, True),
        (None, None, False, False),
        (None, 0.01, True, False),
        (0.2, None, False, True),
    ],
)
def test_at_most(lower: float | None, upper: float | None, holds: bool, missed: bool) -> None:
    assert (AT_MOST.holds(found(0.05, lower, upper)), AT_MOST.missed(found(0.05, lower, upper))) == (holds, missed)


@pytest.mark.parametrize(
    ("lower", "upper", "holds", "missed"), [(-0.04, 0.1, True, False), (-0.05, 0.1, False, False), (-0.3, -0.06, False, True)]
)
def test_at_least(lower: float, upper: float, holds: bool, missed: bool) -> None:
    assert (AT_LEAST.holds(found(0.0, lower, upper)), AT_LEAST.missed(found(0.0, lower, upper))) == (holds, missed)


def test_a_result_needs_something_that_holds() -> None:
    assert result_of([], []) is Result.INCONCLUSIVE
    assert result_of([True, True], [False, False]) is Result.PASS
    assert result_of([True, False], [False, False]) is Result.INCONCLUSIVE
    assert result_of([True, False], [False, True]) is Result.FAIL


def test_excess_grows_to_the_wrong_side() -> None:
    assert AT_MOST.excess(found(0.07, 0, 1)) == pytest.approx(0.02)
    assert AT_LEAST.excess(found(-0.07, -1, 1)) == pytest.approx(0.02)
    assert AT_MOST.excess(found(None, None, None)) == math.inf


@pytest.mark.parametrize(("tau", "needed"), [(0.05, 59), (0.02, 149), (0.1, 29)])
def test_without_an_event_the_number_needed_is_exact(tau: float, needed: int) -> None:
    interval = proportion(0, 20, alpha=0.05)
    end = replace(AT_MOST, threshold=tau)
    assert subjects_needed(end, found(0.0, 0.0, interval.upper, 20), alpha=0.05, reach=1.0) == needed
    assert proportion(0, needed, alpha=0.05).upper < tau <= proportion(0, needed - 1, alpha=0.05).upper


@pytest.mark.parametrize(("hits", "n", "tau"), [(1, 20, 0.1), (3, 40, 0.1), (2, 100, 0.05), (10, 40, 0.2), (30, 40, 0.7)])
def test_the_number_needed_is_about_right_for_proportions(hits: int, n: int, tau: float) -> None:
    interval = proportion(hits, n, alpha=0.05)
    end = replace(AT_MOST, threshold=tau)
    favourable = interval.value < tau
    needed = subjects_needed(
        end,
        found(interval.value, interval.lower, interval.upper, n),
        alpha=0.05,
        reach=1 - interval.value if favourable else interval.value,
    )
    assert needed is not None and needed > n

    def decides(k: int) -> bool:
        larger = proportion(round(interval.value * k), k, alpha=0.05)
        return larger.upper < tau if favourable else larger.lower > tau

    exact = next(k for k in range(n, 20_000) if decides(k))
    assert 0.6 * exact < needed < 1.7 * exact


def test_no_number_helps_on_the_threshold_or_without_a_bound() -> None:
    assert subjects_needed(AT_MOST, found(0.05, 0.0, 0.1), alpha=0.05, reach=1.0) is None
    assert subjects_needed(AT_MOST, found(None, None, None), alpha=0.05, reach=1.0) is None
    assert subjects_needed(AT_MOST, found(0.0499999, 0.0, 0.1), alpha=0.05, reach=1.0) is None


def test_numbers_are_told_apart_from_the_threshold() -> None:
    assert number(0.038298) == "0.0383"
    assert number(0.04999, 0.05) == "0.04999"
    assert number(0.05, 0.05) == "0.05"
    assert number(None) == "unknown"
    assert number(-0.0) == "0"
