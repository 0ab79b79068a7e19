"""Curves, the quantities of a sequence and costs, against numbers worked out on paper."""

import subprocess
import sys
from typing import Any

import numpy as np
import pytest

from auditkit.evidence.results import EstimateDoc, RequirementDoc
from auditkit.evidence.sequence import SequenceSummary, costs, sequence_summary
from auditkit.evidence.series import Curve, series
from tests.evidence.curves import again, audit, costs_of, kept, left, made, scale_points, sequence_points
from tests.reporting.sample_results import AUC, FRACTION, WAIVER, estimate, requirement


def _curve(name: str, family: str, **changes: Any) -> Curve:
    return next(curve for curve in series(audit(**changes)) if (curve.name, curve.family) == (name, family))


def _summary(rows: list[RequirementDoc]) -> SequenceSummary:
    found = sequence_summary(audit(rows))
    assert found is not None
    return found


def test_an_audit_without_scale_and_sequence_has_no_curves():
    plain = audit([requirement(1)], {})
    assert series(plain) == []
    assert sequence_summary(plain) is None
    assert costs(plain) == []
    assert sequence_summary(audit(scale_points())) is None


def test_curves_stand_in_the_order_of_the_results_and_ordinary_requirements_on_none():
    found = [(curve.family, curve.name, curve.again, len(curve.points), len(curve.ends)) for curve in series(audit())]
    assert found == [
        ("scale", "kept", False, 3, 0),
        ("sequence", "kept", False, 3, 3),
        ("sequence", "left", False, 3, 3),
        ("sequence", "comes back", True, 5, 0),
    ]


def test_a_size_stands_at_the_rows_that_were_forgotten():
    curve = _curve("kept", "scale")
    assert curve.axis == "rows"
    assert [point.x for point in curve.points] == [16, 40, 80]
    assert [point.label for point in curve.points] == ["size 1", "size 2", "size 3"]


@pytest.mark.parametrize(
    "lacking",
    [
        {"costs": {}},
        {"corpora": []},
        {"costs": costs_of() | {"size_2": made(1.0, 1, ["fold_1"])}},
        {"costs": costs_of() | {"size_2": made(1.0, 1, [])}},
        {"costs": costs_of() | {"size_2": made(1.0, 1, ["fold_1", "elsewhere"])}},
    ],
    ids=["nothing made", "no corpora", "two sizes of the same rows", "forgets nothing", "unknown corpus"],
)
def test_a_size_whose_rows_are_not_known_stands_at_its_number(lacking: dict[str, Any]):
    curve = _curve("kept", "scale", **lacking)
    assert curve.axis == "size"
    assert [point.x for point in curve.points] == [1, 2, 3]


def test_one_corpus_may_be_named_without_a_list():
    named = {name: cost.model_copy(update={"parameters": {"forget": "fold_1"}}) for name, cost in costs_of().items()}
    folds = {f"size_{n}": made(1.0, 1, []).model_copy(update={"parameters": {"forget": f"fold_{n}"}}) for n in (1, 2, 3)}
    assert [point.x for point in _curve("kept", "scale", costs=named | folds).points] == [16, 24, 40]


def test_a_point_carries_its_result_its_bound_and_the_models_beside_it():
    point = _curve("left", "sequence").points[1]
    assert (point.model, point.corpus, point.result, point.waived) == ("request_2", "fold_2", "inconclusive", False)
    assert point.bound is not None
    assert point.bound.upper_value == 0.2
    assert point.original is not None
    assert point.reference is not None
    assert (point.estimate.value, point.original.value, point.reference.value) == (0.3, 0.8, 0.1)


def test_a_curve_that_asks_again_starts_right_after_each_request():
    points = _curve("comes back", "sequence").points
    assert [(p.asked, p.x, p.label, p.estimate.value, p.result) for p in points] == [
        (1, 1, "right after request 1", 0.1, None),
        (1, 2, "request 1 after request 2", 0.12, "inconclusive"),
        (1, 3, "request 1 after request 3", 0.22, "inconclusive"),
        (2, 2, "right after request 2", 0.3, None),
        (2, 3, "request 2 after request 3", 0.2, "inconclusive"),
    ]


def test_current_is_the_worst_request_right_after_it():
    (current,) = _summary(sequence_points()).current
    assert current.curve.name == "left"
    assert current.worst is not None
    assert (current.worst.label, current.worst.estimate.value, current.worst.estimate.upper) == ("request 2", 0.3, 0.35)


@pytest.mark.parametrize(
    ("metric", "worst"),
    [
        (FRACTION, "request 2"),
        (FRACTION.model_copy(update={"better": "higher"}), "request 1"),
        (AUC, "request 1"),
        (AUC.model_copy(update={"chance": None}), "request 2"),
    ],
    ids=["lower is better", "higher is better", "furthest from chance", "furthest from the reference"],
)
def test_what_is_worst_follows_the_metric(metric: Any, worst: str):
    rows = [left("request", k, v, f"request_{k}", f"fold_{k}") for k, v in ((1, 0.1), (2, 0.4), (3, 0.3))]
    (current,) = _summary([row.model_copy(update={"metric": metric}) for row in rows]).current
    assert current.worst is not None
    assert current.worst.label == worst


def test_a_two_sided_metric_without_chance_and_reference_has_no_worst():
    metric = AUC.model_copy(update={"chance": None})
    rows = [left("request", k, 0.1 * k, f"request_{k}", f"fold_{k}") for k in (1, 2, 3)]
    (current,) = _summary([row.model_copy(update={"metric": metric, "models": {}}) for row in rows]).current
    assert current.worst is None


def test_resurfacing_is_the_largest_difference_with_the_interval_of_its_pair():
    (found,) = _summary(sequence_points()).resurfacing
    assert (found.measured, found.pairs) == (3, 3)
    assert found.worst is not None
    assert found.worst.difference is not None
    assert found.worst.label == "request 1 after request 3"
    assert found.worst.difference.value == pytest.approx(0.12)
    assert (found.worst.difference.lower, found.worst.difference.upper) == pytest.approx((-0.08, 0.32))


def test_a_difference_to_anything_but_the_model_right_after_the_request_is_no_resurfacing():
    scaled = again(1, 2, 0.1, 0.9)
    scaled = scaled.model_copy(update={"bound": scaled.bound.model_copy(update={"scale": 1.5})})
    other = again(1, 3, 0.1, 0.9)
    other = other.model_copy(update={"bound": other.bound.model_copy(update={"model": "reference"})})
    missing = again(2, 3, 0.3, 0.9, difference=EstimateDoc())
    (found,) = _summary([scaled, other, missing]).resurfacing
    assert (found.worst, found.measured, found.pairs) == (None, 0, 3)


def test_drift_is_the_least_squares_slope_and_the_value_at_the_end():
    (drift,) = _summary(sequence_points()).drift
    assert drift.slope == pytest.approx(-0.2)  # ((1-2)(0.8) + (2-2)(0.7) + (3-2)(0.4)) / 2
    assert drift.end is not None
    assert drift.end.estimate.value == 0.4


def test_drift_agrees_with_numpy():
    values = [0.91, 0.83, 0.86, 0.79, 0.55, 0.61]
    (drift,) = _summary([kept("request", k, v, f"request_{k}") for k, v in enumerate(values, start=1)]).drift
    assert drift.slope == pytest.approx(np.polyfit(range(1, 7), values, 1)[0])


def test_order_effect_spans_the_spec_s_order_and_the_others():
    effects = {(e.curve.name, e.corpus): e for e in _summary(sequence_points()).orders}
    assert effects["kept", "retain"].values == {0: 0.4, 1: 0.55, 2: 0.45}
    assert effects["kept", "retain"].spread == pytest.approx(0.15)
    # fold_1 after the last request in the spec's own order is known only from the curve that asks again: 0.22.
    assert effects["left", "fold_1"].values == {0: 0.22, 1: 0.12}
    assert effects["left", "fold_1"].spread == pytest.approx(0.1)
    assert effects["left", "fold_3"].values == {0: 0.2, 1: 0.26}


def test_one_shot_gap_is_the_sequence_minus_all_at_once():
    gaps = {(g.curve.name, g.corpus): g for g in _summary(sequence_points()).gaps}
    assert gaps["kept", "retain"].gap == pytest.approx(-0.25)
    assert gaps["left", "fold_1"].gap == pytest.approx(0.17)


@pytest.mark.parametrize("changes", [{"worst_group": "chain@4"}, {"parameters": {"prompt": "another"}}])
def test_the_end_is_not_taken_from_another_measurement(changes: dict[str, Any]):
    rows = [again(1, 3, 0.1, 0.22, **changes), left("one_shot", 3, 0.05, "one_shot", "fold_1", asked=1)]
    (gap,) = _summary(rows).gaps
    assert (gap.sequence, gap.one_shot, gap.gap) == (None, 0.05, None)


def test_what_is_missing_stays_missing():
    rows = [
        kept("request", 1, 0.8, "request_1"),
        kept("request", 2, None, "request_2"),
        kept("request", 3, None, "request_3"),
        kept("order", 3, None, "order_1_request_3", 1),
        kept("one_shot", 3, None, "one_shot"),
        *(left("request", k, None, f"request_{k}", f"fold_{k}") for k in (1, 2, 3)),
    ]
    found = _summary(rows)
    assert found.drift[0].slope is None
    assert found.drift[0].end is not None
    assert found.drift[0].end.estimate.value is None
    assert found.current[0].worst is None
    assert (found.orders[0].values, found.orders[0].spread) == ({0: None, 1: None}, None)
    assert (found.gaps[0].sequence, found.gaps[0].gap) == (None, None)
    assert found.resurfacing == []


def test_a_slope_and_a_worst_use_the_points_that_were_measured():
    rows = [
        kept("request", 1, 0.9, "request_1"),
        kept("request", 2, None, "request_2", result="error"),
        kept("request", 3, 0.5, "request_3"),
    ]
    (drift,) = _summary(rows).drift
    assert drift.slope == pytest.approx(-0.2)
    assert len(drift.curve.measured) == 2


def test_a_quality_that_is_asked_of_another_corpus_at_each_point_has_no_drift():
    rows = [kept("request", k, 0.5, f"request_{k}", corpus=f"fold_{k}") for k in (1, 2, 3)]
    assert _summary(rows).drift == []


def test_costs_have_ratios_to_making_the_reference():
    found = {cost.model: cost for cost in costs(audit())}
    assert list(found) == [
        "size_1", "size_2", "size_3", "request_1", "request_2", "request_3",
        "order_1_request_3", "order_2_request_3", "one_shot",
    ]  # fmt: skip
    assert (found["size_3"].seconds_ratio, found["size_3"].tokens_ratio) == (0.15, 0.15)
    assert (found["request_2"].seconds_ratio, found["request_2"].tokens_ratio) == (0.05, 0.05)
    assert found["one_shot"].label == "all at once"


def test_a_ratio_is_missing_where_it_would_compare_unlike_things():
    found = {cost.model: cost for cost in costs(audit())}
    on_cpu, never_made = found["order_1_request_3"], found["order_2_request_3"]
    assert (on_cpu.seconds_ratio, on_cpu.tokens_ratio) == (None, 0.05)
    assert on_cpu.made is not None
    assert on_cpu.made.peak_memory_bytes is None
    assert (never_made.made, never_made.seconds_ratio, never_made.tokens_ratio) == (None, None, None)
    without = {name: cost for name, cost in costs_of().items() if name != "reference"}
    assert {(cost.seconds_ratio, cost.tokens_ratio) for cost in costs(audit(costs=without))} == {(None, None)}
    nothing = costs_of() | {"reference": made(0.0, 0, [])}
    assert {(cost.seconds_ratio, cost.tokens_ratio) for cost in costs(audit(costs=nothing))} == {(None, None)}


def test_a_waived_failure_is_marked():
    rows = [kept("request", k, 0.1, f"request_{k}", result="fail", waiver=WAIVER if k == 2 else None) for k in (1, 2, 3)]
    assert [point.waived for point in series(audit(rows))[0].points] == [False, True, False]


def test_estimates_are_those_of_the_results():
    rows = sequence_points()
    curve = next(curve for curve in series(audit(rows)) if curve.name == "left")
    assert curve.points[0].estimate == estimate(0.1, n=10, rows=40)


def test_no_model_library_is_loaded():
    code = (
        "import sys, auditkit.evidence.sequence; "
        "print([m for m in ('torch', 'numpy', 'scipy', 'transformers') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
