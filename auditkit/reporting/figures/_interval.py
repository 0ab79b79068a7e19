"""Interval against bound: one row per model; and the paired difference, where the bound refers to another model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from auditkit.reporting._numbers import NOT_MEASURED, bound_here, interval, number, observed, sample, signed
from auditkit.reporting.figures._parts import (
    WIDTH,
    Figure,
    Panel,
    Specification,
    Table,
    axis_title,
    layer,
    looks,
    named_rows,
    ordered,
    short,
)
from auditkit.reporting.figures._svg import BOUND, INK, REGION, drawn

if TYPE_CHECKING:
    from auditkit.evidence.results import EstimateDoc, RequirementDoc

_ROW_PIXELS = 34
_EDGE_PIXELS = 24
_MARGIN = 0.06
"""Share of the axis kept free beyond the outermost mark."""


@dataclass(frozen=True)
class Axis:
    """What a drawing shows besides its rows."""

    title: str
    lower: float | None
    upper: float | None
    chance: float | None
    low: float
    """Left end of the axis."""
    high: float
    smallest: float
    """The leftmost mark."""


def interval_figure(requirement: RequirementDoc) -> Figure | None:
    """The estimate of every model against the bound, on the metric's own scale; None where nothing was measured."""
    if all(estimate.value is None for estimate in (requirement.estimate, *requirement.models.values())):
        return None
    metric, bound = requirement.metric, requirement.bound
    models = ordered(requirement.models) or ["candidate"]
    estimates = [requirement.models.get(name, requirement.estimate) for name in models]
    axis = axis_for(axis_title(metric), estimates, (bound.lower_value, bound.upper_value), metric.chance)
    if (metric.low, metric.high) == (0.0, 1.0):
        axis = _unit_scale(axis)
    title = f"{requirement.title}: interval against bound"
    panel = Panel(title, _described(models, estimates, requirement), drawn(chart(models, estimates, axis)))
    kind = "interval" if bound.model is None else "interval_relative"
    return Figure(kind, title, _caption(requirement), (panel,), _table(models, estimates, requirement))


def difference_figure(requirement: RequirementDoc) -> Figure | None:
    """The paired difference to the bound's model; None for a bound that is a plain number."""
    difference, bound, unit = requirement.difference, requirement.bound, requirement.metric.unit
    if difference is None or bound.model is None:
        return None
    other = bound.model if bound.scale == 1 else f"{bound.scale:g} × {bound.model}"
    label = f"candidate − {other}"
    axis = axis_for(f"difference of {axis_title(requirement.metric)}", [difference], (bound.lower, bound.upper), 0.0)
    title = f"{requirement.title}: difference to {other}"
    required = _required(bound.lower, bound.upper, unit)
    text = f"{label}: {signed(difference.value, unit)} {interval(difference, unit)}; required: {required}."
    table = Table(
        f"{title}, numbers",
        ("Quantity", "Value", "Interval", "Bound", "Sample", "Method"),
        (
            (
                label,
                signed(difference.value, unit),
                interval(difference, unit),
                required,
                sample(difference),
                difference.method,
            ),
        ),
    )
    caption = "Dashed line: the bound. Shaded: what meets it. Dotted line: no difference."
    return Figure("difference", title, caption, (Panel(title, text, drawn(chart([label], [difference], axis))),), table)


def axis_for(
    title: str, estimates: Sequence[EstimateDoc], bound: tuple[float | None, float | None], chance: float | None
) -> Axis:
    """An axis that holds every mark, the bound and the chance level."""
    marks = [v for e in estimates for v in (e.value, e.lower, e.upper) if v is not None]
    marks += [v for v in (*bound, chance) if v is not None]
    low, high = min(marks, default=0.0), max(marks, default=1.0)
    margin = _MARGIN * ((high - low) or abs(high) or 1.0)
    return Axis(title, *bound, chance, low - margin, high + margin, low)


def _unit_scale(axis: Axis) -> Axis:
    """A scale from 0 to 1 starts at 0, and is shown whole where the marks need more than half of it."""
    return replace(axis, low=min(0.0, axis.smallest), high=1.0 if 0.5 < axis.high < 1 + _MARGIN else axis.high)


def chart(labels: Sequence[str], estimates: Sequence[EstimateDoc], axis: Axis) -> Specification:
    """One named row for each estimate: its mark and its interval, before what the axis shows besides."""
    names = short(labels).values()
    labels = [
        name if estimate.value is not None else f"{name} ({NOT_MEASURED})"
        for name, estimate in zip(names, estimates, strict=True)
    ]
    rows = [_row(label, estimate, axis) for label, estimate in zip(labels, estimates, strict=True)]
    scale = {"domain": [axis.low, axis.high], "nice": False, "zero": False}
    x = {"field": "value", "type": "quantitative", "title": axis.title, "scale": scale}
    axis_of_names, width = named_rows(labels)
    y = {
        "field": "model",
        "type": "nominal",
        "title": None,
        "sort": list(labels),
        "axis": axis_of_names,
        "scale": {"domain": list(labels)},
    }
    place = {"x": x, "y": y, **looks(labels, "color")}
    caps = [{"model": r["model"], "value": r[end]} for r in rows for end in ("lower", "upper") if r[end] is not None]
    layers = [
        *_backdrop(axis, x),
        layer(
            {"type": "rule", "strokeWidth": 2},
            [row for row in rows if row["from"] is not None],
            {**place, "x": {**x, "field": "from"}, "x2": {"field": "to"}},
        ),
        layer({"type": "tick", "thickness": 2, "size": 14, "opacity": 1}, caps, place),
        layer(
            {"type": "point", "filled": True, "size": 130, "opacity": 1},
            [row for row in rows if row["value"] is not None],
            {**place, **looks(labels, "shape")},
        ),
    ]
    return {"width": WIDTH - width - _EDGE_PIXELS, "height": {"step": _ROW_PIXELS}, "layer": layers}


def _row(label: str, estimate: EstimateDoc, axis: Axis) -> dict[str, Any]:
    """One model's marks; an open end of the interval runs to the edge of the axis."""
    lower, upper = estimate.lower, estimate.upper
    bounded = lower is not None or upper is not None
    return {
        "model": label,
        "value": estimate.value,
        "lower": lower,
        "upper": upper,
        "from": (axis.low if lower is None else lower) if bounded else None,
        "to": (axis.high if upper is None else upper) if bounded else None,
    }


def _backdrop(axis: Axis, x: Specification) -> list[Specification]:
    """The region that meets the bound, the bound's lines and the chance level."""
    layers = []
    ends = [end for end in (axis.lower, axis.upper) if end is not None]
    if ends:
        region = {
            "value": axis.low if axis.lower is None else axis.lower,
            "to": axis.high if axis.upper is None else axis.upper,
        }
        layers.append(layer({"type": "rect", "color": REGION, "opacity": 1}, [region], {"x": x, "x2": {"field": "to"}}))
        layers.append(layer(_line(BOUND, [7, 4]), [{"value": end} for end in ends], {"x": x}))
    if axis.chance is not None:
        layers.append(layer(_line(INK, [1, 4]), [{"value": axis.chance}], {"x": x}))
    return layers


def _line(colour: str, dash: list[int]) -> Specification:
    return {"type": "rule", "color": colour, "strokeDash": dash, "strokeWidth": 2, "opacity": 1}


def _required(lower: float | None, upper: float | None, unit: str) -> str:
    if lower is not None and upper is not None:
        return f"between {signed(lower, unit)} and {signed(upper, unit)}"
    if upper is not None:
        return f"at most {signed(upper, unit)}"
    return f"at least {signed(lower, unit)}" if lower is not None else "no bound"


def _described(models: Sequence[str], estimates: Sequence[EstimateDoc], requirement: RequirementDoc) -> str:
    unit = requirement.metric.unit
    parts = [f"{name}: {observed(estimate, unit)}" for name, estimate in zip(models, estimates, strict=True)]
    bound = requirement.bound.text or "none"
    here = bound_here(requirement.bound, unit)
    return f"Bound: {bound}{f' ({here})' if here else ''}. {'; '.join(parts)}."


def _caption(requirement: RequirementDoc) -> str:
    parts = []
    bound, metric = requirement.bound, requirement.metric
    if bound.lower_value is not None or bound.upper_value is not None:
        here = bound_here(bound, metric.unit)
        parts.append(f"Dashed line: the bound, {bound.text}{f' ({here})' if here else ''}. Shaded: what meets it.")
    if metric.chance is not None:
        parts.append(f"Dotted line: chance level, {number(metric.chance, metric.unit)}.")
    return " ".join(parts)


def _table(models: Sequence[str], estimates: Sequence[EstimateDoc], requirement: RequirementDoc) -> Table:
    unit = requirement.metric.unit
    noted = any(estimate.note for estimate in estimates)
    columns = ("Model", "Value", "Interval", "Sample", "Interval method", *(["Note"] if noted else []))
    rows = tuple(
        (name, number(e.value, unit), interval(e, unit) or "none", sample(e), e.method or "none", *([e.note] if noted else []))
        for name, e in zip(models, estimates, strict=True)
    )
    return Table(
        f"{requirement.title}: estimate on every model",
        columns,
        rows,
    )
