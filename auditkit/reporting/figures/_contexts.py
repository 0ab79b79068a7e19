"""In-context relearning: score against the number of facts given (dose), and under each kind of context without doses.

Groups are named ``kind@dose``, with `` (answer in context)`` behind it where the context contains the answer: those are drawn
apart and never mixed with the others. ``none@0`` is the score without any context: dose 0 of every curve.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from auditkit.reporting._numbers import interval, number, observed, sample
from auditkit.reporting.figures._parts import (
    PANEL,
    WIDTH,
    Figure,
    Panel,
    Specification,
    Table,
    axis_title,
    layer,
    legend,
    looks,
    named_rows,
    ordered,
    short,
)
from auditkit.reporting.figures._svg import Node, drawn

if TYPE_CHECKING:
    from auditkit.evidence.results import EstimateDoc, GroupDoc, MetricDoc, RequirementDoc

_GROUP = re.compile(r"^(?P<kind>[^@]{1,80})@(?P<dose>\d{1,4})(?P<answer> \(answer in context\))?$")
_PANEL_HEIGHT = 170
_ROW_PIXELS = 54
_POINT = {"type": "point", "filled": True, "size": 75, "opacity": 1}
_SPREAD = 0.13
"""Horizontal distance between the models' marks at one dose."""


@dataclass(frozen=True)
class _Cell:
    """One kind of context at one dose on one model."""

    kind: str
    dose: int
    model: str
    estimate: EstimateDoc
    decisive: bool
    answer: bool
    """The context contains the answer."""


def context_figures(requirement: RequirementDoc) -> list[Figure]:
    """Up to four figures: (dose–response, kinds without doses) × (answer not in the context, answer in it)."""
    found = [cell for group in requirement.groups if is_context(group) and (cell := _cell(group)) is not None]
    baseline = [cell for cell in found if (cell.kind, cell.dose) == ("none", 0)]
    figures = []
    for answer in (False, True):
        cells = [cell for cell in found if cell.answer == answer]
        title = requirement.title + (", contexts that contain the answer" if answer else "")
        doses: dict[str, set[int]] = {}
        for cell in cells:
            doses.setdefault(cell.kind, set()).add(cell.dose)
        curves = [cell for cell in cells if len(doses[cell.kind]) > 1]
        single = [cell for cell in cells if len(doses[cell.kind]) == 1]
        if curves:
            figures.append(_dose_response(f"{title}: score against facts given", curves, baseline, requirement.metric))
        if single:
            figures.append(_by_kind(f"{title}: score by kind of context", single, requirement.metric))
    return figures


def is_context(group: GroupDoc) -> bool:
    """The group is drawn and tabulated by ``context_figures``."""
    cell = _cell(group)
    return cell is not None and cell.estimate.value is not None


def _cell(group: GroupDoc) -> _Cell | None:
    match = _GROUP.match(group.group)
    return (
        _Cell(match["kind"], int(match["dose"]), group.model, group.estimate, group.decisive, bool(match["answer"]))
        if match
        else None
    )


def _dose_response(title: str, cells: Sequence[_Cell], baseline: Sequence[_Cell], metric: MetricDoc) -> Figure:
    kinds = list(dict.fromkeys(cell.kind for cell in cells))
    scale = _scale([*cells, *baseline], metric)
    panels = tuple(_dose_panel(kind, [*baseline, *(c for c in cells if c.kind == kind)], scale, metric) for kind in kinds)
    caption = (
        "Lines through the marks span the one-sided bounds, where they were computed. Doses are evenly spaced, not to scale."
    )
    models = ordered({cell.model for cell in cells})
    return Figure(
        "dose_response",
        title,
        caption,
        panels,
        _table(title, [*baseline, *cells], metric),
        legend(models, mark=True, line=True),
    )


def _scale(cells: Iterable[_Cell], metric: MetricDoc) -> list[float]:
    """One vertical scale for all panels: the metric's own range where it is 0 to 1."""
    ends = [v for cell in cells for v in (cell.estimate.value, cell.estimate.lower, cell.estimate.upper) if v is not None]
    return [min(0.0, *ends), max(1.0, *ends)] if (metric.low, metric.high) == (0.0, 1.0) else [min(ends), max(ends)]


def _dose_panel(kind: str, cells: Sequence[_Cell], scale: list[float], metric: MetricDoc) -> Panel:
    models = ordered({cell.model for cell in cells})
    doses = sorted({cell.dose for cell in cells})
    names = short(models)
    rows = [
        {
            "model": names[cell.model],
            "place": doses.index(cell.dose) + _SPREAD * (models.index(cell.model) - (len(models) - 1) / 2),
            "value": cell.estimate.value,
            "lower": cell.estimate.lower,
            "upper": cell.estimate.upper,
        }
        for cell in sorted(cells, key=lambda cell: (models.index(cell.model), cell.dose))
    ]
    parts = (f"{cell.model} at {cell.dose}: {number(cell.estimate.value, metric.unit)}" for cell in cells)
    return Panel(kind, f"{kind}. {'; '.join(parts)}.", _dose_chart(rows, list(names.values()), doses, scale, metric))


def _dose_chart(
    rows: list[Specification], names: Sequence[str], doses: Sequence[int], scale: list[float], metric: MetricDoc
) -> Node:
    labels = f"{list(doses)}[datum.value]"  # whole numbers only: nothing of the data's text enters an expression
    x = {
        "field": "place",
        "type": "quantitative",
        "title": "facts given",
        "scale": {"domain": [-0.4, len(doses) - 0.6], "nice": False, "zero": False},
        "axis": {"values": list(range(len(doses))), "labelExpr": labels, "grid": False},
    }
    y = {"field": "value", "type": "quantitative", "title": axis_title(metric), "scale": {"domain": scale}}
    place = {"x": x, "y": y}
    spans = [row for row in rows if row["lower"] is not None and row["upper"] is not None]
    return drawn(
        {
            "width": PANEL - 65,
            "height": _PANEL_HEIGHT,
            "layer": [
                layer(
                    {"type": "line", "strokeWidth": 2},
                    rows,
                    {**place, **looks(names, "color", "strokeDash")},
                ),
                layer(
                    {"type": "rule", "strokeWidth": 1.5},
                    spans,
                    {"x": x, "y": {**y, "field": "lower"}, "y2": {"field": "upper"}, **looks(names, "color")},
                ),
                layer(_POINT, rows, {**place, **looks(names, "color", "shape")}),
            ],
        }
    )


def _by_kind(title: str, cells: Sequence[_Cell], metric: MetricDoc) -> Figure:
    models = ordered({cell.model for cell in cells})
    kinds, names = short(cell.kind for cell in cells), short(models)
    rows = [
        {
            "kind": kinds[cell.kind],
            "model": names[cell.model],
            "value": cell.estimate.value,
            "lower": cell.estimate.lower,
            "upper": cell.estimate.upper,
        }
        for cell in cells
    ]
    axis, width = named_rows(list(kinds.values()))
    x = {
        "field": "value",
        "type": "quantitative",
        "title": metric.name,
        "scale": {"domain": _scale(cells, metric), "zero": False},
    }
    labels, gaps = list(kinds.values()), {"paddingInner": 0.45}
    y = {"field": "kind", "type": "nominal", "title": None, "sort": labels, "axis": axis, "scale": gaps}
    drawn_models = list(names.values())
    offset = {"field": "model", "type": "nominal", "sort": drawn_models}
    spans = [row for row in rows if row["lower"] is not None and row["upper"] is not None]
    place = {"x": x, "y": y, "yOffset": offset}
    ends = {**place, "x": {**x, "field": "lower"}, "x2": {"field": "upper"}}
    layers = [
        layer({"type": "rule", "strokeWidth": 1.5}, spans, {**ends, **looks(drawn_models, "color")}),
        layer(_POINT, rows, {**place, **looks(drawn_models, "color", "shape")}),
    ]
    chart = drawn({"width": WIDTH - width - 24, "height": {"step": _ROW_PIXELS, "for": "position"}, "layer": layers})
    parts = (f"{cell.kind}, {cell.model}: {observed(cell.estimate, metric.unit)}" for cell in cells)
    panel = Panel(title, f"{'; '.join(parts)}.", chart)
    return Figure("contexts", title, "", (panel,), _table(title, cells, metric), legend(models, mark=True))


def _table(title: str, cells: Sequence[_Cell], metric: MetricDoc) -> Table:
    rows = tuple(
        (
            cell.kind,
            str(cell.dose),
            cell.model,
            number(cell.estimate.value, metric.unit),
            interval(cell.estimate, metric.unit) or "none",
            sample(cell.estimate),
            "yes" if cell.decisive else "shown only",
        )
        for cell in sorted(cells, key=lambda cell: (cell.kind, cell.dose, ordered({c.model for c in cells}).index(cell.model)))
    )
    return Table(f"{title}, numbers", ("Context", "Facts", "Model", "Value", "Interval", "Sample", "Decides"), rows)
