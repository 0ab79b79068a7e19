"""A score along the budget of an attack (training steps) or along the layers of a model: one line and one band a model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Any

from auditkit.reporting import _probing
from auditkit.reporting._numbers import in_cell, number
from auditkit.reporting._words import wording
from auditkit.reporting.figures._parts import (
    MARGIN,
    WIDTH,
    Figure,
    Panel,
    Specification,
    Table,
    axis_title,
    edges,
    layer,
    legend,
    looks,
    marked,
    ordered,
    reach,
)
from auditkit.reporting.figures._svg import INK, ORIGINAL, drawn
from auditkit.text import one_line

if TYPE_CHECKING:
    from auditkit.evidence.results import CurveDoc, EstimateDoc, RequirementDoc

STEPS, LAYER = "training steps", "layer"
_KINDS = {STEPS: "relearning", LAYER: "layers"}
_SIZE = (WIDTH - 90, 260)
_MANY = 8
"""Budgets that reach this many times their first step are drawn on a logarithmic axis that holds 0."""
_TICKS = 12
"""More than this many values of x are not all labelled."""


@dataclass(frozen=True)
class _Plan:
    """What a drawing shows besides its lines."""

    axis: str
    x: tuple[float, float]
    y: tuple[float, float]
    ticks: list[float]
    logarithmic: bool
    half: float | None
    """Half of what the original scores unattacked."""


def budget_figures(doc: RequirementDoc) -> list[Figure]:
    """One figure for each axis that the requirement's curves have, those of which something was measured."""
    ranked = sorted(doc.curves, key=lambda curve: curve.axis)
    found = [(axis, list(part)) for axis, part in groupby(ranked, key=lambda curve: curve.axis)]
    return [_figure(doc, axis, _sorted(curves)) for axis, curves in found if any(marked(c.estimates) for c in curves)]


def _sorted(curves: Sequence[CurveDoc]) -> list[CurveDoc]:
    order = ordered({curve.model for curve in curves})
    return sorted(curves, key=lambda curve: order.index(curve.model))


def _figure(doc: RequirementDoc, axis: str, curves: list[CurveDoc]) -> Figure:
    plan = _plan(doc, axis, curves)
    tried = _probing.attack_title(doc) if doc.under else ""
    title = f"{f'{tried}: ' if tried else ''}{doc.title} by {one_line(axis, 40)}"
    panel = Panel(title, _described(doc, curves, plan), drawn(_chart(doc, curves, plan)))
    kind = _KINDS.get(axis, "budget")
    models = list(dict.fromkeys(curve.model for curve in curves))
    return Figure(
        kind, title, _caption(doc, curves, plan), (panel,), _table(title, doc, curves), legend(models, mark=True, line=True)
    )


def _plan(doc: RequirementDoc, axis: str, curves: Sequence[CurveDoc]) -> _Plan:
    ticks = sorted({x for curve in curves for x in curve.x})
    before = doc.before.get("original")
    half = before.value / 2 if axis == STEPS and before is not None and before.value is not None else None
    marks = marked(estimate for curve in curves for estimate in curve.estimates)
    marks += [level for level in (half, doc.metric.chance) if level is not None]
    positive = [tick for tick in ticks if tick > 0]
    logarithmic = axis == STEPS and ticks[0] >= 0 and bool(positive) and ticks[-1] >= _MANY * positive[0]
    margin = MARGIN * ((ticks[-1] - ticks[0]) or 1.0)
    x = (0.0 if logarithmic else ticks[0] - margin / 2, ticks[-1] * 1.25 if logarithmic else ticks[-1] + margin / 2)
    return _Plan(axis, x, edges(marks, doc.metric), ticks, logarithmic, half)


def _chart(doc: RequirementDoc, curves: Sequence[CurveDoc], plan: _Plan) -> Specification:
    models = list(dict.fromkeys(curve.model for curve in curves))
    rows = [row for curve in curves for row in _rows(curve, plan)]
    x, y = _scales(doc, plan)
    place = {"x": x, "y": y}
    marks = [row for row in rows if row["value"] is not None]
    bands = [row for row in rows if row["from"] is not None]
    chosen = [row for row in marks if row["chosen"]]
    return {
        "width": _SIZE[0],
        "height": _SIZE[1],
        "layer": [
            layer(
                {"type": "area", "opacity": 0.16},
                bands,
                {"x": x, "y": {**y, "field": "from"}, "y2": {"field": "to"}, **looks(models, "color")},
            ),
            *_levels(doc, plan, y),
            *_reached(curves, models, plan, x, y),
            layer({"type": "line", "strokeWidth": 2, "opacity": 1}, marks, {**place, **looks(models, "color", "strokeDash")}),
            layer(
                {"type": "point", "filled": True, "size": 70, "opacity": 1}, marks, {**place, **looks(models, "color", "shape")}
            ),
            layer(
                {"type": "point", "shape": "circle", "filled": False, "size": 330, "strokeWidth": 2, "opacity": 1},
                chosen,
                {**place, **looks(models, "color")},
            ),
        ],
    }


def _rows(curve: CurveDoc, plan: _Plan) -> list[dict[str, Any]]:
    found = []
    for x, estimate in zip(curve.x, curve.estimates, strict=True):
        low, high = reach(estimate, plan.y)
        row = {"model": curve.model, "x": x, "value": estimate.value, "from": low, "to": high, "chosen": x == curve.chosen}
        found.append(row)
    return found


def _scales(doc: RequirementDoc, plan: _Plan) -> tuple[Specification, Specification]:
    ticks = plan.ticks[:: 1 + len(plan.ticks) // _TICKS]
    scale: Specification = {"domain": list(plan.x), "nice": False, "zero": False}
    x = {
        "field": "x",
        "type": "quantitative",
        "title": f"{one_line(plan.axis, 40)}{' (logarithmic)' if plan.logarithmic else ''}",
        "scale": {**scale, "type": "symlog"} if plan.logarithmic else scale,
        "axis": {"values": ticks, "tickCount": len(ticks), "grid": False, "format": ".6~g", "labelOverlap": False},
    }
    y = {
        "field": "value",
        "type": "quantitative",
        "title": axis_title(doc.metric),
        "scale": {"domain": list(plan.y), "nice": False, "zero": False},
    }
    return x, y


def _levels(doc: RequirementDoc, plan: _Plan, y: Specification) -> list[Specification]:
    """Half of the original's value, and the chance level."""
    found = []
    if plan.half is not None:
        found.append(layer(_dashed(ORIGINAL, [3, 3]), [{"value": plan.half}], {"y": y}))
    if doc.metric.chance is not None:
        found.append(layer(_dashed(INK, [1, 4]), [{"value": doc.metric.chance}], {"y": y}))
    return found


def _reached(
    curves: Sequence[CurveDoc], models: Sequence[str], plan: _Plan, x: Specification, y: Specification
) -> list[Specification]:
    """From the half-way line down to the axis, where a model that starts below reaches it."""
    if plan.half is None:
        return []
    rows = [
        {"model": curve.model, "x": curve.reached, "value": plan.y[0], "to": plan.half} for curve in curves if curve.reached
    ]
    drop = {"type": "rule", "strokeWidth": 1.5, "strokeDash": [3, 3], "opacity": 1}
    return [layer(drop, rows, {"x": x, "y": y, "y2": {"field": "to"}, **looks(models, "color")})]


def _dashed(colour: str, dash: list[int]) -> Specification:
    return {"type": "rule", "color": colour, "strokeDash": dash, "strokeWidth": 1.5, "opacity": 1}


def _caption(doc: RequirementDoc, curves: Sequence[CurveDoc], plan: _Plan) -> str:
    bounded = any(reach(estimate, plan.y)[0] is not None for curve in curves for estimate in curve.estimates)
    parts = ["Bands span the two one-sided bounds." if bounded else "No interval could be computed."]
    if any(curve.chosen is not None for curve in curves):
        parts.append("A ring marks the point that decides.")
    if plan.half is not None:
        parts.append(f"Dashed line: half of what the original scores unattacked, {number(plan.half, doc.metric.unit)}.")
        parts.append(f"Reached: {_reaching(curves)}.")
    if doc.metric.chance is not None:
        parts.append(f"Dotted line: chance level, {number(doc.metric.chance, doc.metric.unit)}.")
    return " ".join(parts)


def _reaching(curves: Sequence[CurveDoc]) -> str:
    """``candidate after 8 training steps; reference not within 128 training steps``."""
    return "; ".join(f"{curve.model} {_when(curve)}" for curve in curves)


def _when(curve: CurveDoc) -> str:
    if curve.reached is None:
        return wording().attacks.not_reached.format(budget=f"{max(curve.x):g}", axis=curve.axis)
    return f"after {curve.reached:g} {curve.axis}" if curve.reached else "from the start"


def _described(doc: RequirementDoc, curves: Sequence[CurveDoc], plan: _Plan) -> str:
    parts = []
    for curve in curves:
        points = (f"{x:g}: {number(e.value, doc.metric.unit)}" for x, e in zip(curve.x, curve.estimates, strict=True))
        decides = f", decided at {curve.chosen:g}" if curve.chosen is not None else ""
        parts.append(f"{curve.model}: {', '.join(points)}{decides}")
    half = f" Half of the original's value is reached: {_reaching(curves)}." if plan.half is not None else ""
    return f"Horizontal: {plan.axis}. {'. '.join(parts)}.{half}"


def _table(title: str, doc: RequirementDoc, curves: Sequence[CurveDoc]) -> Table:
    xs = sorted({x for curve in curves for x in curve.x})
    found = [dict(zip(curve.x, curve.estimates, strict=True)) for curve in curves]
    rows = tuple(
        (
            f"{x:g}",
            *(
                _cell(by_x.get(x), doc.metric.unit, decides=x == curve.chosen)
                for curve, by_x in zip(curves, found, strict=True)
            ),
        )
        for x in xs
    )
    return Table(f"{title}, numbers", (curves[0].axis.capitalize(), *(curve.model for curve in curves)), rows)


def _cell(estimate: EstimateDoc | None, unit: str, *, decides: bool) -> str:
    return f"{in_cell(estimate, unit)}{' (decides)' if decides else ''}"
