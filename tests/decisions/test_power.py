from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from scipy.stats import binom

from auditkit.checks._base import Metric, Statistic, Values
from auditkit.decisions.judge import judge
from auditkit.decisions.power import POWER, Detectable, detectable
from auditkit.decisions.types import Result
from auditkit.spec.bounds import parse_bound
from auditkit.spec.model import Decide

BITS = Statistic("leaking_subjects", at=0.5)
MEAN = Statistic("mean")
AREA = Statistic("auc")
LEAK = Metric("score", "fraction", 0.0, 1.0, "lower")
GUESSED = Metric("probe accuracy", "fraction", 0.0, 1.0, "lower", 0.5)
KEPT = Metric("accuracy", "fraction", 0.0, 1.0, "higher", 0.25)
TRUTH = Metric("truth ratio", "fraction", 0.0, 1.0, "higher")
RANK = Metric("AUC", "AUC", 0.0, 1.0, "lower", 0.5)

Ends = tuple[str, str]
"""Lower and upper bound, '' where open."""


def bounds_of(ends: Ends) -> tuple[object, object]:
    return tuple(parse_bound(text) if text else None for text in ends)  # type: ignore[return-value]


def planned(metric: Metric, statistic: Statistic, ends: Ends, subjects: int, **more: object) -> Detectable:
    given = {"decide": Decide()} | more
    return detectable(metric=metric, statistic=statistic, bounds=bounds_of(ends), subjects=subjects, **given)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("metric", "statistic", "ends", "leak", "good", "bad", "model"),
    [
        (LEAK, BITS, ("", "0.2"), True, 0.0, 1.0, None),
        (LEAK, BITS, ("", "reference + 0.2"), True, 0.0, 1.0, 0.0),
        (LEAK, BITS, ("", "0.8 * original"), True, 0.0, 1.0, 1.0),
        (LEAK, MEAN, ("", "0.2"), True, 0.0, 1.0, None),
        (LEAK, MEAN, ("", "reference + 0.2"), True, 0.0, 1.0, 0.0),
        (LEAK, MEAN, ("", "original - 0.4"), True, 0.0, 1.0, 1.0),
        (GUESSED, MEAN, ("", "reference + 0.2"), True, 0.5, 1.0, 0.5),
        (GUESSED, MEAN, ("0.3", "0.7"), True, 0.5, 1.0, None),
        (TRUTH, MEAN, ("0.6", ""), True, 1.0, 0.0, None),
        (KEPT, MEAN, ("0.7", ""), False, 1.0, 0.25, None),
        (KEPT, MEAN, ("0.8 * original", ""), False, 1.0, 0.25, 1.0),
        (LEAK, MEAN, ("", "0.3"), False, 0.0, 1.0, None),
    ],
)
def test_every_number_of_affected_subjects_judged_gives_the_same_doses(
    values_of: Callable[..., Values],
    metric: Metric,
    statistic: Statistic,
    ends: Ends,
    leak: bool,
    good: float,
    bad: float,
    model: float | None,
) -> None:
    """The sum over all numbers, each judged as an audit would be: exactly POWER at both doses."""
    subjects = 24

    def result(affected: int) -> Result:
        samples = {"candidate": values_of([[bad] * 2] * affected + [[good] * 2] * (subjects - affected))}
        name = next((bound.model for bound in bounds_of(ends) if bound is not None), None)  # type: ignore[attr-defined]
        if name is not None:
            samples[name] = values_of([[model] * 2] * subjects)
        return judge(
            metric=metric,
            statistic=statistic,
            bounds=bounds_of(ends),  # type: ignore[arg-type]
            samples=samples,
            decide=Decide(),
            rng_seed=0,
            leak=leak,
        ).result

    numbers = np.arange(subjects + 1)
    results = [result(affected) for affected in numbers]
    found = planned(metric, statistic, ends, subjects, leak=leak)
    assert found.failing is not None and found.passing is not None
    weights = binom.pmf(numbers[:, None], subjects, [found.failing, found.passing])
    assert [one is Result.FAIL for one in results] @ weights[:, 0] == pytest.approx(POWER, abs=1e-6)
    assert [one is Result.PASS for one in results] @ weights[:, 1] == pytest.approx(POWER, abs=1e-6)
    assert found.passing < found.failing


def area_samples(
    values_of: Callable[..., Values],
    joined: Callable[..., Values],
    rng: np.random.Generator,
    sizes: tuple[int, int],
    dose: float,
) -> dict[str, Values]:
    """Candidate and reference rank alike but for the members that are known; the original knows all of them."""
    members, others = (rng.normal(size=(size, 1)) for size in sizes)
    known = np.where(rng.random((sizes[0], 1)) < dose, 100 + members, members)
    rows = {"candidate": known, "reference": members - 1e-9, "original": 100 + members}
    return {name: joined(values_of(mine, label=1), values_of(others, label=0, corpus="holdout")) for name, mine in rows.items()}


@pytest.mark.parametrize("sizes", [(40, 40), (120, 60)])
@pytest.mark.parametrize("ends", [("", "0.65"), ("", "reference + 0.15"), ("", "original - 0.35"), ("0.35", "0.65")])
def test_the_doses_of_an_auc_agree_with_simulated_audits(
    values_of: Callable[..., Values], joined: Callable[..., Values], sizes: tuple[int, int], ends: Ends
) -> None:
    rng = np.random.default_rng(0)
    found = planned(RANK, AREA, ends, sizes[0], others=sizes[1])

    def share(dose: float, word: Result) -> float:
        named = {"candidate", *(bound.model for bound in bounds_of(ends) if bound is not None)}  # type: ignore[attr-defined]
        results = []
        for _ in range(200):
            drawn = area_samples(values_of, joined, rng, sizes, dose)
            samples = {name: values for name, values in drawn.items() if name in named}
            results.append(
                judge(
                    metric=RANK,
                    statistic=AREA,
                    bounds=bounds_of(ends),
                    samples=samples,
                    decide=Decide(),
                    rng_seed=0,  # type: ignore[arg-type]
                ).result
            )
        return float(np.mean([one is word for one in results]))

    assert found.failing is not None
    assert 0.85 <= share(found.failing, Result.FAIL) <= 0.97
    assert share(found.failing - 0.12, Result.FAIL) < 0.85
    if found.passing is not None:
        assert 0.83 <= share(found.passing, Result.PASS) <= 0.97


def test_more_subjects_see_less_and_pass_more() -> None:
    for statistic, metric in ((BITS, LEAK), (MEAN, LEAK), (AREA, RANK)):
        ends = ("", "0.65" if statistic is AREA else "0.1")
        found = [planned(metric, statistic, ends, subjects) for subjects in (80, 200, 1000)]
        assert found[0].failing > found[1].failing > found[2].failing > (0.3 if statistic is AREA else 0.1)  # type: ignore[operator]
        assert found[0].passing < found[1].passing < found[2].passing < (0.3 if statistic is AREA else 0.1)  # type: ignore[operator]


def test_the_sentences() -> None:
    assert planned(LEAK, BITS, ("", "0.1"), 64).sentence == (
        "A failure is found with 90 % probability where at least 24.8 % of the subjects are still known in full; a pass is "
        "likely (90 %) up to 1.7 %."
    )
    assert planned(KEPT, MEAN, ("0.85 * original", ""), 20).sentence == (
        "A failure is found with 90 % probability where at least 61.6 % of the subjects are lost in full; a pass is likely "
        "(90 %) up to 0.52 %."
    )


def test_what_can_never_be_found_is_said() -> None:
    never = planned(LEAK, BITS, ("", "0.95"), 20)
    assert never.failing is None
    assert never.sentence.startswith("No failure is found with 90 % probability, whatever share of the subjects is still known")
    strict = planned(LEAK, BITS, ("", "0.05"), 20)
    assert strict.passing is None and strict.sentence.endswith("; a pass is not likely (90 %) even where none is.")


def test_a_bound_beyond_the_range_passes_at_any_dose() -> None:
    assert planned(LEAK, BITS, ("", "1.5"), 20).passing == 1.0


def test_a_bound_on_the_other_side_finds_no_dose() -> None:
    found = planned(LEAK, MEAN, ("0.2", ""), 20)
    assert (found.failing, found.passing) == (None, None), "the subjects that should be passed are those that miss it"


def test_a_quantity_that_proves_nothing_is_never_passed() -> None:
    found = planned(LEAK, Statistic("mean", evidence_of_absence=False), ("", "0.2"), 60)
    assert found.passing is None and found.failing is not None


@pytest.mark.parametrize(
    ("metric", "statistic", "ends", "subjects", "more", "why"),
    [
        (LEAK, Statistic("function"), ("", "0.1"), 60, {}, "a bootstrap of values that are not measured yet"),
        (RANK, AREA, ("0.6", ""), 60, {"leak": False}, "how an AUC falls when subjects are lost is not known"),
        (Metric("loss", "nats", 0.0, np.inf, "lower"), MEAN, ("", "0.1"), 60, {}, "no largest or no smallest one"),
        (LEAK, MEAN, ("", "0.1"), 9, {}, "With 9 subjects there is no interval, so nothing is found."),
        (RANK, AREA, ("", "0.7"), 60, {"others": 4}, "With 4 subjects there is no interval"),
        (LEAK, BITS, ("", "0.1"), 0, {}, "With 0 subjects there is no interval"),
        (LEAK, MEAN, ("", ""), 60, {}, "No bound is set, so nothing fails."),
    ],
)
def test_where_there_is_no_number_the_reason_is_said(
    metric: Metric, statistic: Statistic, ends: Ends, subjects: int, more: dict[str, object], why: str
) -> None:
    found = planned(metric, statistic, ends, subjects, **more)
    assert (found.failing, found.passing) == (None, None)
    assert why in found.sentence
