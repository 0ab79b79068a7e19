from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np
import pytest

from auditkit.checks._base import Metric, Statistic, Values
from auditkit.decisions.judge import judge
from auditkit.decisions.types import Judgement, Result
from auditkit.files import digest
from auditkit.spec.bounds import Bound
from auditkit.spec.model import Decide

BITS = Statistic("leaking_subjects", at=0.5)
MEAN = Statistic("mean")
AREA = Statistic("auc")
Make = Callable[..., Values]
K = 64


def at_most(offset: float, model: str | None = None, scale: float = 1.0) -> tuple[Bound | None, Bound | None]:
    return None, Bound(offset, model, scale)


def at_least(offset: float, model: str | None = None, scale: float = 1.0) -> tuple[Bound | None, Bound | None]:
    return Bound(offset, model, scale), None


def decided(
    samples: Mapping[str, Values],
    bounds: tuple[Bound | None, Bound | None],
    metric: Metric,
    statistic: Statistic = BITS,
    **more: object,
) -> Judgement:
    given = {"decide": Decide(), "rng_seed": 0} | more
    return judge(metric=metric, statistic=statistic, bounds=bounds, samples=samples, **given)  # type: ignore[arg-type]


@pytest.fixture
def leaks(values_of: Make) -> Callable[[int], Values]:
    """64 subjects of whom so many leak."""
    return lambda count: values_of([[0.9, 0.0]] * count + [[0.1, 0.2]] * (K - count))


@pytest.fixture
def noise(values_of: Make) -> Callable[..., Values]:
    """Scores about a mean, two rows a subject."""

    def make(mean: float, sd: float = 0.05, subjects: int = K, seed: int = 0, **more: object) -> Values:
        rows = np.random.default_rng(seed).normal(mean, sd, (subjects, 2)).clip(0, 1)
        return values_of(rows, **more)

    return make


# -- the rule -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("count", "tau", "result"),
    [
        (0, 0.05, "pass"),
        (0, 0.0457, "inconclusive"),
        (1, 0.05, "inconclusive"),
        (32, 0.3, "fail"),
        (64, 0.9, "fail"),
        (3, 0.3, "pass"),
    ],
)
def test_pass_only_where_the_unfavourable_bound_clears(
    leaks: Callable[[int], Values], share: Metric, count: int, tau: float, result: str
) -> None:
    found = decided({"candidate": leaks(count)}, at_most(tau), share)
    assert found.result == result
    assert found.estimate.value == count / K and found.estimate.n == K and found.estimate.rows == 2 * K


def test_the_reason_of_a_pass(leaks: Callable[[int], Values], share: Metric) -> None:
    assert decided({"candidate": leaks(0)}, at_most(0.05), share).reason == (
        "At most 0.05 holds: the upper 95 % bound of the value is 0.0457, allowed is at most 0.05 (measured 0, 64 subjects)."
    )


def test_the_reason_of_a_failure(leaks: Callable[[int], Values], share: Metric) -> None:
    found = decided({"candidate": leaks(32)}, at_most(0.05), share)
    assert found.missed == "upper"
    assert found.reason == (
        "At most 0.05 is missed: even the lower 95 % bound of the value is 0.391, allowed is at most 0.05 "
        "(measured 0.5, 64 subjects)."
    )


def test_an_inconclusive_one_says_how_many_subjects_would_do(leaks: Callable[[int], Values], share: Metric) -> None:
    found = decided({"candidate": leaks(0)}, at_most(0.02), share)
    assert found.needed == 149
    assert found.reason.endswith("About 149 subjects would decide if the measured value stayed as it is.")
    assert decided({"candidate": leaks(0)}, at_most(0.05), share).needed is None


def test_the_result_is_monotone_in_the_threshold(
    leaks: Callable[[int], Values], noise: Callable[..., Values], share: Metric, score: Metric
) -> None:
    rank = {Result.FAIL: 0, Result.INCONCLUSIVE: 1, Result.PASS: 2}
    for samples, metric, statistic in (({"candidate": leaks(5)}, share, BITS), ({"candidate": noise(0.3)}, score, MEAN)):
        ranks = [rank[decided(samples, at_most(float(tau)), metric, statistic).result] for tau in np.linspace(0, 1, 41)]
        assert ranks == sorted(ranks) and set(ranks) == {0, 1, 2}


def test_confidence_widens(leaks: Callable[[int], Values], share: Metric) -> None:
    assert decided({"candidate": leaks(0)}, at_most(0.05), share, decide=Decide(confidence=0.99)).result == "inconclusive"


def test_between_is_two_one_sided_tests(noise: Callable[..., Values]) -> None:
    metric = Metric("gap", "points", 0.0, 1.0, "target")
    inside = decided({"candidate": noise(0.5)}, (Bound(0.4), Bound(0.6)), metric, MEAN)
    assert inside.result == "pass" and "At least 0.4 holds" in inside.reason and "At most 0.6 holds" in inside.reason
    below = decided({"candidate": noise(0.2)}, (Bound(0.4), Bound(0.6)), metric, MEAN)
    assert below.result == "fail" and below.missed == "lower" and "At least 0.4 is missed" in below.reason
    assert "At most" not in below.reason
    near = decided({"candidate": noise(0.41)}, (Bound(0.4), Bound(0.6)), metric, MEAN)
    assert near.result == "inconclusive" and near.needed is not None and near.needed > K


def test_no_bound_is_informational(leaks: Callable[[int], Values], share: Metric) -> None:
    found = decided({"candidate": leaks(3), "original": leaks(60)}, (None, None), share)
    assert found.result is Result.INFORMATIONAL and found.controls == () and found.estimate.value == 3 / K
    assert found.models["original"].value == 60 / K


# -- relative bounds ----------------------------------------------------------------------------------------------------------


def test_a_difference_is_paired_by_id_not_by_position(noise: Callable[..., Values], score: Metric) -> None:
    wide = noise(0.5, sd=0.3)
    order = np.random.default_rng(1).permutation(len(wide.ids))
    other = [0.999 * value for value in wide.values]  # the very same values would be those of the same model
    moved = Values(*(tuple(column[i] for i in order) for column in (wide.ids, wide.subjects, other)))
    found = decided({"candidate": wide, "reference": moved}, at_most(0.05, "reference"), score, MEAN)
    assert found.result == "pass" and found.difference is not None
    assert found.difference.value == pytest.approx(0.001 * np.mean(wide.values))
    assert found.difference.upper == pytest.approx(1 - 0.05 ** (1 / K), abs=1e-3)
    assert "candidate minus reference" in found.reason
    assert found.estimate.value == pytest.approx(np.mean(wide.values)), "the estimate stays on the metric's own scale"


def test_a_scaled_bound(noise: Callable[..., Values], kept: Metric) -> None:
    samples = {"candidate": noise(0.80), "original": noise(0.82, seed=1)}
    found = decided(samples, at_least(0.0, "original", 0.9), kept, MEAN)
    assert found.result == "pass" and "candidate minus 0.9 * original" in found.reason
    assert found.difference is not None and found.difference.value == pytest.approx(0.80 - 0.9 * 0.82, abs=0.02)
    assert decided(samples | {"candidate": noise(0.5)}, at_least(0.0, "original", 0.9), kept, MEAN).result == "fail"


def test_rows_on_one_side_only_are_an_error(noise: Callable[..., Values], score: Metric) -> None:
    less = noise(0.3, subjects=K - 1)
    found = decided({"candidate": noise(0.3), "reference": less}, at_most(0.5, "reference"), score, MEAN)
    assert found.result is Result.ERROR and "measured on one of the two models only" in found.reason


def test_a_bound_on_a_model_that_was_not_measured_is_an_error(leaks: Callable[[int], Values], share: Metric) -> None:
    found = decided({"candidate": leaks(0)}, at_most(0.1, "reference"), share)
    assert found.result is Result.ERROR and found.reason == "Not measured, and needed: reference."
    assert decided({}, at_most(0.1), share).result is Result.ERROR


def test_areas_and_functions_against_the_reference(values_of: Make, joined: Callable[..., Values], area: Metric) -> None:
    def scored(shift: float, seed: int) -> Values:
        rng = np.random.default_rng(0)
        base, extra = rng.normal(size=(2, 200)), np.random.default_rng(seed).normal(size=(2, 200)) * 0.2
        return joined(
            values_of((base[0] + extra[0] + shift)[:, None], label=1, group="m"),
            values_of((base[1] + extra[1])[:, None], label=0, corpus="holdout", group="n"),
        )

    def gap(values: Mapping[str, np.ndarray], reference: Mapping[str, np.ndarray] | None) -> float:
        return float(values["m"].mean() - values["n"].mean())

    samples = {"candidate": scored(0.0, 1), "original": scored(2.0, 2), "reference": scored(0.0, 3)}
    passed = decided(samples, at_most(0.05, "reference"), area, AREA)
    assert passed.result == "pass" and passed.difference is not None and passed.difference.method == "DeLong, paired"
    failed = decided(samples | {"candidate": samples["original"]}, at_most(0.05, "reference"), area, AREA)
    assert failed.result == "fail"
    free = Metric("gap", "points", -math.inf, math.inf, "lower")
    function = Statistic("function", function=gap)
    found = decided(samples, at_most(0.2, "reference"), free, function, decide=Decide(resamples=300))
    assert found.result == "pass" and found.groups == ()
    assert found.difference is not None and found.difference.value == pytest.approx(
        gap(*_split(samples["candidate"])) - gap(*_split(samples["reference"]))
    )


def _split(values: Values) -> tuple[dict[str, np.ndarray], None]:
    rows = np.array(values.values)
    names = np.array(values.groups)
    return {name: rows[names == name] for name in ("m", "n")}, None


# -- what may not decide ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("statistic", [BITS, MEAN, AREA])
def test_nan_never_passes_nor_fails(noise: Callable[..., Values], score: Metric, statistic: Statistic) -> None:
    good = replace(noise(0.1), labels=tuple(i // K for i in range(2 * K))) if statistic is AREA else noise(0.1)
    bad = replace(good, values=(math.nan, *good.values[1:]))
    found = decided({"candidate": bad}, at_most(1.0), score, statistic)
    assert found.result is Result.INCONCLUSIVE and found.estimate.value is None
    assert found.reason == "Nothing can be decided: candidate: 1 of 128 values are not finite numbers."
    against = decided({"candidate": good, "reference": bad}, at_most(1.0, "reference"), score, statistic)
    assert against.result is Result.INCONCLUSIVE and "reference: 1 of 128" in against.reason


def test_nan_in_a_group_that_is_only_shown_does_no_harm(values_of: Make, joined: Callable[..., Values], share: Metric) -> None:
    both = joined(values_of([[0.0]] * K, group="decided"), values_of([[math.nan]] * K, group="shown"))
    found = decided({"candidate": replace(both, shown_only=("shown",))}, at_most(0.05), share)
    assert found.result == "pass"
    assert [(group.group, group.decisive, group.estimate.value) for group in found.groups] == [
        ("decided", True, 0.0),
        ("shown", False, None),
    ]


def test_values_that_may_not_decide(leaks: Callable[[int], Values], share: Metric) -> None:
    stained = replace(leaks(0), inconclusive="the blind baseline tells the texts apart")
    for samples, bound in (
        ({"candidate": stained}, at_most(0.05)),
        ({"candidate": leaks(0), "reference": stained}, at_most(0.05, "reference")),
    ):
        found = decided(samples, bound, share)
        assert found.result is Result.INCONCLUSIVE and "the blind baseline tells the texts apart." in found.reason
        assert found.estimate.value == 0.0 and found.needed is None


def test_no_values_and_no_decisive_values(values_of: Make, share: Metric) -> None:
    assert decided({"candidate": values_of([])}, at_most(0.05), share).result is Result.INCONCLUSIVE
    shown = replace(values_of([[0.0]] * K, group="a"), shown_only=("a",))
    found = decided({"candidate": shown}, at_most(0.05), share)
    assert found.result is Result.INCONCLUSIVE and found.reason == "No decisive value was measured."


def test_too_few_subjects(
    noise: Callable[..., Values], leaks: Callable[[int], Values], score: Metric, share: Metric, values_of: Make
) -> None:
    found = decided({"candidate": noise(0.0, sd=0.0, subjects=9)}, at_most(0.9), score, MEAN)
    assert found.result is Result.INCONCLUSIVE and found.needed == 10 and "only 9 subjects" in found.reason
    assert decided({"candidate": values_of([[0.0]] * 5)}, at_most(0.5), share).result == "pass", "exact for any number"
    assert decided({"candidate": values_of([[0.0]])}, at_most(0.96), share).result == "pass"


def test_a_quantity_that_proves_nothing_can_only_fail(noise: Callable[..., Values]) -> None:
    metric = Metric("p", "p-value", 0.0, 1.0, "higher")
    weak = Statistic("mean", evidence_of_absence=False)
    good = decided({"candidate": noise(0.9)}, at_least(0.05), metric, weak)
    assert good.result is Result.INCONCLUSIVE and "proves nothing" in good.reason
    assert decided({"candidate": noise(0.01, sd=0.001)}, at_least(0.5), metric, weak).result == "fail"


def test_a_function_without_its_reference_is_inconclusive(noise: Callable[..., Values], score: Metric) -> None:
    statistic = Statistic("function", function=lambda values, reference: 0.0, relative_to_reference=True)
    found = decided({"candidate": noise(0.1)}, at_most(0.5), score, statistic)
    assert found.result is Result.INCONCLUSIVE and "there is none" in found.reason


# -- groups -------------------------------------------------------------------------------------------------------------------


@pytest.fixture
def grouped(values_of: Make, joined: Callable[..., Values]) -> Callable[..., Values]:
    """64 subjects, one row in each group; so many of them leak in it."""
    return lambda **counts: joined(
        *(values_of([[1.0]] * count + [[0.0]] * (K - count), group=name) for name, count in counts.items())
    )


WORST = Statistic("leaking_subjects", at=0.5, worst_group=True)


def test_every_group_must_pass(grouped: Callable[..., Values], share: Metric) -> None:
    assert decided({"candidate": grouped(a=0, b=0, c=0)}, at_most(0.05), share, WORST).result == "pass"
    found = decided({"candidate": grouped(a=0, b=2, c=1)}, at_most(0.05), share, WORST)
    assert found.result is Result.INCONCLUSIVE and found.worst_group == "b"
    assert found.reason.startswith("Worst of 3 groups (b): ")


def test_one_group_that_fails_under_holm_is_enough(grouped: Callable[..., Values], share: Metric) -> None:
    found = decided({"candidate": grouped(a=0, b=9, c=0)}, at_most(0.05), share, WORST)
    assert found.result is Result.FAIL and found.worst_group == "b" and found.missed == "upper"
    assert f"{100 * (1 - 0.05 / 3):.4g} %" in found.reason


def test_the_failing_bound_is_corrected_for_the_number_of_groups(grouped: Callable[..., Values], share: Metric) -> None:
    """8 of 64: the lower bound is 0.0631 at 95 % and 0.0484 at 1 - .05 / 10."""
    alone = decided({"candidate": grouped(a=8)}, at_most(0.06), share, WORST)
    among_ten = decided({"candidate": grouped(a=8, **{f"g{i}": 0 for i in range(9)})}, at_most(0.06), share, WORST)
    assert (alone.result, among_ten.result) == (Result.FAIL, Result.INCONCLUSIVE)


def test_the_interval_of_the_worst_group_decides_as_the_groups_did(grouped: Callable[..., Values], share: Metric) -> None:
    for counts in ({"a": 0, "b": 1}, {"a": 9, "b": 20}, {"a": 3, "b": 3}):
        for tau in (0.03, 0.1, 0.2, 0.4):
            found = decided({"candidate": grouped(**counts)}, at_most(tau), share, WORST)
            assert (found.result is Result.PASS) == (found.estimate.upper < tau)
            assert (found.result is Result.FAIL) == (found.estimate.lower > tau)


def test_at_least_takes_the_lowest_group(values_of: Make, joined: Callable[..., Values], kept: Metric) -> None:
    rng = np.random.default_rng(0)
    both = joined(values_of(rng.normal(0.9, 0.02, (K, 1)), group="a"), values_of(rng.normal(0.5, 0.02, (K, 1)), group="b"))
    found = decided({"candidate": both}, at_least(0.45), kept, Statistic("mean", worst_group=True))
    assert found.result == "pass" and found.worst_group == "b" and found.estimate.value == pytest.approx(0.5, abs=0.01)
    assert decided({"candidate": both}, at_least(0.8), kept, Statistic("mean", worst_group=True)).missed == "lower"


def test_groups_are_pooled_where_the_worst_does_not_decide(grouped: Callable[..., Values], share: Metric) -> None:
    found = decided({"candidate": grouped(a=2, b=0)}, at_most(0.2), share)
    assert found.estimate.value == 2 / K and found.worst_group == "" and found.estimate.rows == 2 * K
    assert {group.group: group.estimate.value for group in found.groups} == {"a": 2 / K, "b": 0.0}


def test_a_group_that_the_candidate_lacks_is_an_error_not_a_pass(grouped: Callable[..., Values], share: Metric) -> None:
    samples = {"candidate": grouped(a=0), "reference": grouped(a=0, b=0)}
    assert decided(samples, at_most(0.1, "reference"), share, WORST).result is Result.ERROR


def test_relative_bounds_are_compared_group_by_group(grouped: Callable[..., Values], share: Metric) -> None:
    samples = {"candidate": grouped(a=40, b=20), "reference": grouped(a=40, b=0)}
    found = decided(samples, at_most(0.1, "reference"), share, WORST)
    assert found.result is Result.FAIL and found.worst_group == "b"
    assert found.estimate.value == 20 / K and found.models["reference"].value == 0.0
    assert found.difference is not None and found.difference.method.endswith("worst of 2 groups")


# -- the same bits again ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["mean", "auc", "function"])
def test_order_and_names_change_nothing(kind: str, values_of: Make, joined: Callable[..., Values]) -> None:
    def build(seed: int) -> Values:
        rng = np.random.default_rng(seed)
        return joined(
            values_of(rng.random((24, 2)), label=1, group="m"),
            values_of(rng.random((24, 1)), label=0, group="n", corpus="holdout"),
        )

    def hidden(values: Values) -> Values:
        order = np.random.default_rng(9).permutation(len(values.ids))

        def name(text: str) -> str:
            return f"{text.partition('/')[0]}/{digest(text)[:16]}"

        columns = ([*map(name, values.ids)], [*map(name, values.subjects)], values.values, values.groups, values.labels)
        return Values(*(tuple(column[i] for i in order) for column in columns))

    function = lambda values, reference: float(values["m"].std() / values["n"].mean())  # noqa: E731
    statistic = Statistic(kind, function=function if kind == "function" else None)  # type: ignore[arg-type]
    samples = {"candidate": build(0), "reference": build(1), "original": build(2)}
    metric = Metric("m", "u", 0.0, 1.0, "lower")
    first = decided(samples, at_most(0.1, "reference"), metric, statistic, decide=Decide(resamples=200))
    again = decided(
        {name: hidden(samples[name]) for name in ("original", "reference", "candidate")},
        at_most(0.1, "reference"),
        metric,
        statistic,
        decide=Decide(resamples=200),
    )
    assert replace(first, models={}, groups=(), controls=()) == replace(again, models={}, groups=(), controls=())
    assert first.models == again.models


def test_flipping_the_scores_of_an_attack_mirrors_the_area(
    values_of: Make, joined: Callable[..., Values], area: Metric
) -> None:
    def build(sign: float) -> Values:
        rng = np.random.default_rng(0)
        return joined(
            values_of(sign * rng.normal(2, 1, (40, 1)), label=1),
            values_of(sign * rng.normal(0, 1, (40, 1)), label=0, corpus="h"),
        )

    right, flipped = (
        decided({"candidate": build(sign), "original": build(sign)}, at_most(0.6), area, AREA) for sign in (1, -1)
    )
    assert flipped.estimate.value == pytest.approx(1 - right.estimate.value)
    assert right.result is Result.FAIL
    assert flipped.result is Result.INCONCLUSIVE and flipped.reason.startswith("no power: original")
