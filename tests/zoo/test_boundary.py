"""Audits simulated from scores: the level at the bound for every kind, and the power against the dose."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import binom

from auditkit.checks._base import Values
from auditkit.evidence.values import ModelValues
from auditkit.spec.bounds import parse_bound
from auditkit.zoo import boundary as zoo
from auditkit.zoo.boundary import (
    Requirement,
    Scores,
    boundary,
    from_values,
    full_table,
    power,
    requirements,
    simulate,
    synthetic,
)

SEED = 11
SCORES = synthetic(SEED)
BY_NAME = {f"{one.kind}, {one.subjects}": one for one in requirements()}


def too_often(count: int, audits: int, alpha: float) -> bool:
    """One-sided binomial test at .001: more of them than a true rate of alpha explains."""
    return bool(binom.sf(count - 1, audits, alpha) < 0.001)


@pytest.mark.parametrize("name", BY_NAME)
def test_a_candidate_exactly_on_the_bound_neither_passes_nor_fails_too_often(name: str) -> None:
    row = boundary(SCORES, BY_NAME[name], audits=500, seed=SEED)
    found = row.outcomes
    assert found.audits == 500 and row.alpha == pytest.approx(0.05)
    assert not too_often(found.passed.count, 500, row.alpha)
    assert not too_often(found.failed.count, 500, row.alpha)


@pytest.mark.parametrize("subjects", [40, 160])
def test_a_bound_that_leaves_room_for_three_lost_subjects_in_a_hundred_is_not_passed_by_luck(subjects: int) -> None:
    """t alone passed 106 of 500 such candidates with 40 subjects: a third of the samples meet no lost one."""
    one = replace(BY_NAME["mean to keep, rarely lost, 40"], bounds=(parse_bound("0.97 * original"), None), subjects=subjects)
    found = boundary(SCORES, one, audits=500, seed=SEED).outcomes
    assert not too_often(found.passed.count, 500, 0.05)
    assert not too_often(found.failed.count, 500, 0.05)
    if subjects == 40:
        assert found.passed.count == 0, "and plan says that 40 subjects cannot pass it"


@pytest.mark.parametrize("name", BY_NAME)
def test_a_pass_and_a_failure_are_within_reach_so_that_the_level_means_something(name: str) -> None:
    none = simulate(SCORES, BY_NAME[name], 0.0, audits=12, seed=SEED)
    every = simulate(SCORES, BY_NAME[name], 1.0, audits=12, seed=SEED)
    assert none.passed.value > 0.2 and none.failed.count == 0
    assert every.passed.count == 0
    if name == "AUC difference, between, 20":
        assert every.failed.count == 0, "20 subjects that are told apart perfectly do not show a difference beyond 0.3"
    else:
        assert every.failed.value > 0.2


@pytest.mark.parametrize("name", BY_NAME)
def test_the_truth_on_the_bound_is_the_mean_of_what_is_measured(name: str) -> None:
    """Against many drawn subjects at once: the computed dose puts the candidate where it should be."""
    many = replace(BY_NAME[name], subjects=20_000)
    end, dose = zoo._on_bound(SCORES, many)
    drawn = zoo._drawn(SCORES, many, dose, np.random.default_rng(SEED))
    assert measured(many, drawn, end.scale if end.model else 0.0) == pytest.approx(
        end.threshold, abs=1.5 if many.kind == "PrivLeak" else 0.012
    )


def measured(requirement: Requirement, drawn: dict[str, Values], scale: float) -> float:
    def quantity(values: Values) -> float:
        numbers = np.array(values.values)
        if requirement.statistic.function is not None:
            groups = np.array(values.groups)
            theirs = np.array(drawn["reference"].values)
            split = [{name: part[groups == name] for name in ("member", "non_member")} for part in (numbers, theirs)]
            return requirement.statistic.function(*split)
        if requirement.statistic.kind == "auc":
            order = numbers.argsort().argsort() + 1
            members = np.array(values.labels) == 1
            inside = members.sum()
            return float((order[members].sum() - inside * (inside + 1) / 2) / inside / (~members).sum())
        if requirement.statistic.at is not None:
            subjects = {}
            for subject, value in zip(values.subjects, values.values, strict=True):
                subjects[subject] = max(value, subjects.get(subject, 0.0))
            return float(np.mean([value >= requirement.statistic.at for value in subjects.values()]))
        return float(numbers.mean())

    return quantity(drawn["candidate"]) - (scale * quantity(drawn[requirement.model]) if scale else 0.0)


@pytest.mark.parametrize("name", ["mean, 40", "leaking subjects, relative, 40", "AUC, relative, 40", "mean to keep, 40"])
def test_with_the_dose_failures_rise_and_passes_fall(name: str) -> None:
    curve = power(SCORES, BY_NAME[name], doses=(0.0, 0.1, 0.3, 0.6, 1.0), audits=50, seed=SEED)
    for before, after in zip(curve.points, curve.points[1:], strict=False):
        assert after.failed.upper >= before.failed.lower and after.passed.lower <= before.passed.upper
    assert 0.0 < curve.dose_on_bound < 1.0
    assert curve.detectable.failing is not None and curve.detectable.failing > curve.dose_on_bound


IDEAL = Scores(tuple(np.ones((200, 2))), synthetic(3, rows=2).innocent, synthetic(4, rows=2).others, agreement=1.0)
"""Known in full, to the end of the range; others exactly like the reference: what ``detectable`` supposes."""


@pytest.mark.parametrize("name", ["leaking subjects", "leaking subjects, relative", "mean, relative", "AUC", "AUC, relative"])
def test_the_least_detectable_dose_is_that_of_simulated_audits(name: str) -> None:
    requirement = BY_NAME[f"{name}, 40"]
    dose = power(IDEAL, requirement, doses=(), audits=0).detectable.failing
    assert dose is not None
    assert 0.85 <= simulate(IDEAL, requirement, dose, audits=150, seed=SEED).failed.value <= 0.99
    assert simulate(IDEAL, requirement, dose - 0.1, audits=150, seed=SEED).failed.upper < 0.9


def test_equal_seeds_give_equal_tables_and_rows_are_json() -> None:
    first, again = full_table(SEED, audits=2), full_table(SEED, audits=2)
    assert first == again and len(first) == len(BY_NAME)
    assert {(row.kind, row.skewed) for row in first} == {(one.kind, one.spread is not None) for one in requirements()}
    document = json.loads(json.dumps(first[0].as_document(), allow_nan=False))
    assert document["outcomes"]["passed"].keys() == {"count", "value", "lower", "upper"}
    curve = power(SCORES, BY_NAME["AUC, 40"], doses=(0.5,), audits=2).as_document()
    assert json.loads(json.dumps(curve, allow_nan=False))["points"][0]["dose"] == 0.5


def test_a_bound_that_no_dose_crosses_is_refused() -> None:
    wide = replace(BY_NAME["mean, 40"], bounds=zoo._bounds(("", "0.99")))
    with pytest.raises(ValueError, match=r"must be crossed by some dose.*at most 0\.99"):
        boundary(SCORES, wide, audits=1)


def test_an_audit_that_is_not_decided_is_an_error_not_a_result() -> None:
    unmeasured = replace(BY_NAME["mean, relative, 40"], bounds=zoo._bounds(("", "then + 0.1")))
    with pytest.raises(KeyError):
        simulate(SCORES, unmeasured, 0.1, audits=1, seed=SEED)


def recorded(numbers: dict[str, float], **more: object) -> ModelValues:
    values = Values(
        ids=tuple(numbers),
        subjects=tuple(name.rpartition(".")[0] for name in numbers),
        values=tuple(numbers.values()),
        **more,  # type: ignore[arg-type]
    )
    return ModelValues.of(values, key=b"k")


def test_recorded_values_are_paired_by_row_whatever_their_order() -> None:
    original = recorded({"forget/a.0": 0.9, "forget/a.1": 0.8, "forget/b.0": 0.7})
    reference = recorded({"forget/b.0": 0.1, "forget/a.1": 0.2, "forget/a.0": 0.3})
    found = from_values(original, reference)
    pairs = {
        tuple(zip(*(map(float, rows) for rows in both), strict=True))
        for both in zip(found.knowing, found.innocent, strict=True)
    }
    assert {frozenset(one) for one in pairs} == {frozenset({(0.9, 0.3), (0.8, 0.2)}), frozenset({(0.7, 0.1)})}
    assert found.others == ()


def test_recorded_members_and_non_members_are_told_apart() -> None:
    numbers = {"forget/a.0": 0.9, "holdout/b.0": 0.4}
    for more in ({"labels": (1, 0)}, {"groups": ("member", "non_member")}, {"labels": (1, 0), "groups": ("loss", "loss")}):
        found = from_values(recorded(numbers, **more), recorded(numbers, **more))
        assert [float(rows[0]) for rows in (*found.knowing, *found.others)] == [0.9, 0.4]


def test_recorded_values_simulate_audits() -> None:
    rng = np.random.default_rng(0)
    names = [f"forget/{subject}.{row}" for subject in range(30) for row in range(1 + subject % 3)]
    original = recorded(dict(zip(names, rng.beta(8, 1, len(names)), strict=True)))
    reference = recorded(dict(zip(names, rng.beta(0.3, 20, len(names)), strict=True)))
    row = boundary(from_values(original, reference), BY_NAME["mean, relative, 40"], audits=100, seed=SEED)
    assert not too_often(row.outcomes.passed.count, 100, row.alpha)


@pytest.mark.parametrize(
    ("original", "reference", "message"),
    [
        (recorded({"forget/a.0": 0.9}), recorded({"forget/a.1": 0.9}), "must hold the same rows on both models"),
        (recorded({}), recorded({}), "must hold rows to simulate from"),
        (recorded({"forget/a.0": float("nan")}), recorded({"forget/a.0": 0.9}), "must hold finite numbers only"),
        (
            recorded({"forget/a.0": 0.9, "forget/b.0": 0.9}, groups=("loss", "zlib")),
            recorded({"forget/a.0": 0.9, "forget/b.0": 0.9}, groups=("loss", "zlib")),
            "must name one group of loss, zlib; got none",
        ),
    ],
)
def test_recorded_values_that_give_no_tables_are_refused(original: ModelValues, reference: ModelValues, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        from_values(original, reference)
