from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np
import pytest

from auditkit.checks._base import Metric, Statistic, Values
from auditkit.decisions.judge import judge
from auditkit.decisions.types import Judgement, Result
from auditkit.spec.bounds import Bound
from auditkit.spec.model import Decide

BITS = Statistic("leaking_subjects", at=0.5)
MEAN = Statistic("mean")
K = 64


def decided(
    samples: Mapping[str, Values],
    metric: Metric,
    *,
    at_most: Bound | None = None,
    at_least: Bound | None = None,
    statistic: Statistic = BITS,
    leak: bool | None = None,
) -> Judgement:
    return judge(
        metric=metric,
        statistic=statistic,
        bounds=(at_least, at_most),
        samples=samples,
        decide=Decide(resamples=200),
        rng_seed=0,
        leak=leak,
    )


def outcomes(judgement: Judgement) -> dict[tuple[str, str], tuple[str, bool]]:
    return {(control.model, control.expected): (control.result.value, control.held) for control in judgement.controls}


@pytest.fixture
def leaks(values_of: Callable[..., Values]) -> Callable[[int], Values]:
    return lambda count: values_of([[1.0]] * count + [[0.0]] * (K - count))


@pytest.fixture
def ability(values_of: Callable[..., Values]) -> Callable[[float], Values]:
    return lambda mean: values_of(np.random.default_rng(round(100 * mean)).normal(mean, 0.03, (K, 2)).clip(0, 1))


def test_controls_that_hold(leaks: Callable[[int], Values], share: Metric) -> None:
    found = decided({"candidate": leaks(0), "original": leaks(60), "reference": leaks(0)}, share, at_most=Bound(0.05))
    assert found.result is Result.PASS
    assert outcomes(found) == {("original", "fail"): ("fail", True), ("reference", "not fail"): ("pass", True)}


@pytest.mark.parametrize("candidate", [0, 1, 60])
def test_an_original_that_is_not_caught_leaves_neither_pass_nor_failure(
    leaks: Callable[[int], Values], share: Metric, candidate: int
) -> None:
    for original in (0, 2):
        found = decided({"candidate": leaks(candidate), "original": leaks(original)}, share, at_most=Bound(0.05))
        assert found.result is Result.INCONCLUSIVE
        assert found.reason.startswith("no power: original, which was taught what had to be forgotten, does not fail")
        assert outcomes(found)[("original", "fail")][1] is False


def test_a_reference_that_fails_is_confounded(leaks: Callable[[int], Values], share: Metric) -> None:
    samples = {"candidate": leaks(60), "original": leaks(60), "reference": leaks(30)}
    found = decided(samples, share, at_most=Bound(0.05))
    assert found.result is Result.INCONCLUSIVE and found.reason.startswith("confounded: reference, which never saw")
    assert outcomes(found)[("reference", "not fail")] == ("fail", False)


def test_an_undecided_reference_is_no_objection(leaks: Callable[[int], Values], share: Metric) -> None:
    found = decided({"candidate": leaks(0), "original": leaks(60), "reference": leaks(1)}, share, at_most=Bound(0.05))
    assert found.result is Result.PASS and outcomes(found)[("reference", "not fail")] == ("inconclusive", True)


def test_the_model_of_the_bound_is_not_its_own_control(leaks: Callable[[int], Values], share: Metric) -> None:
    samples = {"candidate": leaks(0), "original": leaks(60), "reference": leaks(0)}
    assert set(outcomes(decided(samples, share, at_most=Bound(0.05, "reference")))) == {("original", "fail")}
    assert set(outcomes(decided(samples, share, at_most=Bound(-0.3, "original")))) == {("reference", "not fail")}
    half = decided(samples, share, at_most=Bound(0.0, "original", 0.5))
    assert outcomes(half)[("original", "fail")] == ("fail", True), "with a scale the comparison says whether it knew anything"
    ignorant = decided(samples | {"original": leaks(0)}, share, at_most=Bound(0.1, "original", 0.5))
    assert ignorant.reason.startswith("no power")


def test_a_relative_bound_needs_an_original_that_exceeds_it(leaks: Callable[[int], Values], share: Metric) -> None:
    samples = {"candidate": leaks(0), "original": leaks(1), "reference": leaks(0)}
    assert decided(samples, share, at_most=Bound(0.05, "reference")).reason.startswith("no power")


def test_an_unmeasurable_control_is_no_control(leaks: Callable[[int], Values], share: Metric) -> None:
    for name in ("original", "reference"):
        samples = {"candidate": leaks(0), "original": leaks(60), "reference": leaks(0)}
        samples[name] = replace(samples[name], inconclusive="its context was cut")
        found = decided(samples, share, at_most=Bound(0.05))
        assert found.result is Result.INCONCLUSIVE
        assert found.reason == f"no power: the control on {name} could not be measured: its context was cut."
        samples[name] = replace(samples[name], inconclusive="", values=(float("nan"), *samples[name].values[1:]))
        assert "could not be measured: 1 of 64 values" in decided(samples, share, at_most=Bound(0.05)).reason


def test_a_control_on_other_rows_is_an_error_of_that_control(
    leaks: Callable[[int], Values], values_of: Callable[..., Values], share: Metric
) -> None:
    samples = {"candidate": leaks(0), "reference": leaks(0), "original": values_of([[1.0]] * (K - 1))}
    found = decided(samples, share, at_most=Bound(0.05, "reference"))
    assert found.result is Result.INCONCLUSIVE and outcomes(found)[("original", "fail")] == ("error", False)
    assert "on one of the two models only" in found.reason


def test_what_blocks_the_candidate_is_said_first(leaks: Callable[[int], Values], share: Metric) -> None:
    found = decided({"candidate": replace(leaks(0), inconclusive="no rows"), "original": leaks(0)}, share, at_most=Bound(0.05))
    assert found.reason == "Nothing can be decided: candidate: no rows."


def test_a_bound_below_guessing_is_confounded(ability: Callable[[float], Values]) -> None:
    metric = Metric("accuracy on forgotten facts", "fraction", 0.0, 1.0, "lower", 0.25)
    found = decided({"candidate": ability(0.6), "original": ability(0.9)}, metric, at_most=Bound(0.2), statistic=MEAN)
    assert found.result is Result.INCONCLUSIVE
    assert found.reason == (
        "confounded: a model that only guesses reaches 0.25, so the bound at most 0.2 asks for less than knowing nothing."
    )
    above = decided({"candidate": ability(0.6), "original": ability(0.9)}, metric, at_most=Bound(0.4), statistic=MEAN)
    assert above.result is Result.FAIL


def test_a_band_that_leaves_out_guessing_is_confounded(values_of: Callable[..., Values]) -> None:
    gap = Metric("gap", "points", -1.0, 1.0, "target", 0.0)
    values = values_of(np.random.default_rng(0).normal(0.3, 0.05, (K, 1)))
    assert decided({"candidate": values}, gap, at_least=Bound(0.1), at_most=Bound(0.6), statistic=MEAN).reason.startswith(
        "confounded"
    )
    assert decided({"candidate": values}, gap, at_least=Bound(-0.6), at_most=Bound(0.6), statistic=MEAN).result is Result.PASS


def test_utility_controls(ability: Callable[[float], Values], kept: Metric) -> None:
    samples = {"candidate": ability(0.8), "original": ability(0.82), "reference": ability(0.81)}
    found = decided(samples, kept, at_least=Bound(0.0, "original", 0.9), statistic=MEAN)
    assert found.result is Result.PASS
    assert outcomes(found) == {("reference", "not fail"): ("pass", True), ("original", "above chance"): ("pass", True)}


def test_utility_at_chance_has_no_power(
    ability: Callable[[float], Values], leaks: Callable[[int], Values], kept: Metric
) -> None:
    samples = {"candidate": ability(0.25), "original": ability(0.25)}
    found = decided(samples, kept, at_least=Bound(0.0, "original", 0.8), statistic=MEAN)
    assert found.result is Result.INCONCLUSIVE and found.reason.startswith(
        "no power: original itself is not shown to lie above 0.25"
    )
    nothing = decided(
        {"candidate": leaks(0), "original": leaks(0)}, replace(kept, chance=None), at_least=Bound(-0.1), statistic=MEAN
    )
    assert nothing.reason.startswith("no power: original itself is not shown to lie above 0")


def test_utility_that_even_the_retrained_model_misses_is_confounded(ability: Callable[[float], Values], kept: Metric) -> None:
    samples = {"candidate": ability(0.5), "original": ability(0.9), "reference": ability(0.5)}
    found = decided(samples, kept, at_least=Bound(0.0, "original", 0.9), statistic=MEAN)
    assert found.result is Result.INCONCLUSIVE and found.reason.startswith("confounded: reference")
    absolute = decided({"candidate": ability(0.5), "original": ability(0.5)}, kept, at_least=Bound(0.9), statistic=MEAN)
    assert absolute.reason.startswith("confounded: original, which was not made to forget anything")


def test_the_other_model_of_a_utility_bound_must_show_the_ability_too(ability: Callable[[float], Values], kept: Metric) -> None:
    samples = {"candidate": ability(0.3), "earlier": ability(0.25)}
    assert decided(samples, kept, at_least=Bound(0.0, "earlier", 0.5), statistic=MEAN).reason.startswith("no power: earlier")


def test_a_leak_whose_metric_is_better_higher_needs_an_original_that_fails(ability: Callable[[float], Values]) -> None:
    similarity = Metric("similarity to the reference", "fraction", 0.0, 1.0, "higher")
    samples = {"candidate": ability(0.9), "original": ability(0.9)}
    assert decided(samples, similarity, at_least=Bound(0.5), statistic=MEAN, leak=True).reason.startswith("no power")
    caught = decided(samples | {"original": ability(0.1)}, similarity, at_least=Bound(0.5), statistic=MEAN, leak=True)
    assert caught.result is Result.PASS and outcomes(caught) == {("original", "fail"): ("fail", True)}


def test_a_function_relative_to_the_reference_has_no_control_in_it(ability: Callable[[float], Values], score: Metric) -> None:
    gap = Statistic("function", function=lambda v, r: float(abs(v[""].mean() - r[""].mean())), relative_to_reference=True)  # type: ignore[index]
    samples = {"candidate": ability(0.3), "original": ability(0.9), "reference": ability(0.31)}
    found = decided(samples, score, at_most=Bound(0.1), statistic=gap)
    assert found.result is Result.PASS and set(outcomes(found)) == {("original", "fail")}
    assert found.models["reference"].upper is None


# -- what makes a comparison void ---------------------------------------------------------------------------------------------

AUC = Statistic("auc", worst_group=True)
AREA = Metric("AUC", "AUC", 0.0, 1.0, "lower", 0.5)


def _ranked(shift: float, *, subjects: int = K, seed: int = 0) -> Values:
    """Scores of members, higher by ``shift`` standard deviations, and of as many non-members."""
    rng = np.random.default_rng(seed)
    names = [f"{side}/{number}" for side in ("members", "others") for number in range(subjects)]
    scores = [*(rng.normal(size=subjects) + shift), *rng.normal(size=subjects)]
    labels = (1,) * subjects + (0,) * subjects
    return Values(tuple(names), tuple(names), tuple(scores), labels=labels)


@pytest.mark.parametrize(("shift", "held"), [(-3.0, False), (-1.0, False), (-0.3, True), (0.0, True)])
@pytest.mark.parametrize("candidate", [-3.0, 0.0, 3.0])
def test_non_members_that_the_reference_knows_are_none(shift: float, held: bool, candidate: float) -> None:
    """An AUC below chance hides as much of a leak; one that may be chance does not."""
    samples = {"candidate": _ranked(candidate), "original": _ranked(3.0, seed=1), "reference": _ranked(shift, seed=2)}
    found = decided(samples, AREA, at_most=Bound(0.75), statistic=AUC)
    said = "the non-members look trained on" in found.reason
    assert said is not held and (found.result is not Result.INCONCLUSIVE) is held


def test_few_subjects_do_not_show_it() -> None:
    samples = {name: _ranked(shift, subjects=5) for name, shift in (("candidate", 0.0), ("reference", -3.0))}
    assert "look trained on" not in decided(samples, AREA, at_most=Bound(0.75), statistic=AUC).reason


def test_a_model_with_the_values_of_the_candidate_is_the_candidate(values_of: Callable[..., Values]) -> None:
    score = Metric("score", "fraction", 0.0, 1.0, "lower")
    drawn = np.random.default_rng(0).uniform(0.2, 0.4, (K, 2))
    mine, anew = values_of(drawn), values_of(drawn * (1 + 1e-6))
    found = decided({"candidate": mine, "reference": anew}, score, at_most=Bound(0.3, "reference"), statistic=MEAN)
    assert found.result is Result.INCONCLUSIVE and "compared with itself" in found.reason
    near = values_of(drawn * np.random.default_rng(1).uniform(0.99, 1.01, drawn.shape))
    assert (
        decided({"candidate": mine, "reference": near}, score, at_most=Bound(0.3, "reference"), statistic=MEAN).result == "pass"
    )


@pytest.mark.parametrize("value", [0.0, 1 / 3])
def test_two_models_that_know_nothing_may_well_be_alike(values_of: Callable[..., Values], value: float) -> None:
    score = Metric("score", "fraction", 0.0, 1.0, "lower")
    samples = {name: values_of([[value]] * K) for name in ("candidate", "reference")}
    assert decided(samples, score, at_most=Bound(0.3, "reference"), statistic=MEAN).result == "pass"


def test_what_is_kept_may_be_just_as_it_was(values_of: Callable[..., Values]) -> None:
    drawn = np.random.default_rng(0).uniform(0.6, 0.9, (K, 2))
    kept = Metric("accuracy", "fraction", 0.0, 1.0, "higher")
    samples = {name: values_of(drawn) for name in ("candidate", "original")}
    assert decided(samples, kept, at_least=Bound(0.0, "original", 0.9), statistic=MEAN).result == "pass"
