"""Figures of a comparison: forgetting against utility, and every candidate's paired difference to the baseline."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from auditkit.reporting._numbers import NOT_MEASURED, interval, number, observed, sample, signed
from auditkit.reporting.figures._interval import axis_for, chart
from auditkit.reporting.figures._parts import (
    WIDTH,
    Figure,
    Key,
    Panel,
    Specification,
    Table,
    axis_title,
    edges,
    layer,
    marked,
    places,
    reach,
    styled,
)
from auditkit.reporting.figures._svg import INK, drawn

if TYPE_CHECKING:
    from auditkit.evidence.comparison import ComparedDoc, Comparison, PointDoc
    from auditkit.evidence.results import EstimateDoc, MetricDoc

_SIZE = (WIDTH - 100, 400)
_LOOKS = {"baseline": "candidate", "candidate": "other", "original": "original", "reference": "reference"}
"""Role in the comparison → the model as which it is drawn."""
_BESIDE = ((13, -11), (13, 13), (-13, -11), (-13, 13), (0, -20), (0, 22), (28, 0), (-28, 0))
"""Places of a label, in pixels from its mark; the first that is free is taken."""
_LETTER, _LINE = 8, 16
Box = tuple[float, float, float, float]
"""Left, top, right, bottom in pixels."""


@dataclass(frozen=True)
class _Plane:
    """The ranges of both axes, which hold every mark."""

    x: tuple[float, float]
    y: tuple[float, float]

    def pixel(self, x: float, y: float) -> tuple[float, float]:
        """Where a point is drawn: from the left, from the top."""
        across, up = ((v - low) / (high - low) for v, (low, high) in ((x, self.x), (y, self.y)))
        return across * _SIZE[0], (1 - up) * _SIZE[1]


def trade_off_figure(comparison: Comparison) -> Figure | None:
    """Forgetting against utility, one mark a model; None without such requirements or without a model measured on both."""
    trade = comparison.trade_off
    points = [] if trade is None else [p for p in trade.points if None not in (p.forgetting.value, p.utility.value)]
    if trade is None or not points:
        return None
    x, y = comparison.compared(trade.forgetting), comparison.compared(trade.utility)
    labels = {point.name: str(place) for place, point in enumerate((p for p in trade.points if not _is_role(p)), start=1)}
    labels |= {point.name: point.name for point in trade.points if _is_role(point)}
    plane = _Plane(edges(marked(p.forgetting for p in points)), edges(marked(p.utility for p in points)))
    title = "Forgetting against utility"
    drawing = drawn(_plane_chart(points, labels, plane, (x.metric, y.metric)))
    caption = f"{_reading(x, 'horizontal')} {_reading(y, 'vertical')} Lines through the marks span the one-sided bounds."
    panel = Panel(title, _described(points, x.metric, y.metric), drawing)
    legend = tuple(_key(point, labels[point.name]) for point in points)
    return Figure("trade_off", title, caption, (panel,), _plane_table(trade.points, labels, x, y), legend)


def paired_figure(compared: ComparedDoc, baseline: str) -> Figure | None:
    """Each candidate minus the baseline, with its interval; None where there is no difference to draw."""
    cells = [(cell, cell.difference) for cell in compared.cells if cell.difference is not None]
    unit = compared.metric.unit
    if all(difference.value is None for _, difference in cells):
        return None
    names, differences = [cell.candidate for cell, _ in cells], [difference for _, difference in cells]
    axis = axis_for(f"difference of {axis_title(compared.metric)}", differences, (None, None), 0.0)
    title = f"{compared.name}: difference to {baseline}"
    parts = (f"{cell.candidate}: {signed(d.value, unit)} {interval(d, unit)}, {cell.shown}" for cell, d in cells)
    grouped = any(cell.difference_group for cell, _ in cells)
    rows = tuple(
        (
            cell.candidate,
            signed(d.value, unit),
            interval(d, unit) or "none",
            cell.shown or "",
            sample(d),
            *([cell.difference_group] if grouped else []),
            d.method or "none",
            d.note,
        )
        for cell, d in cells
    )
    columns = (
        "Candidate",
        "Difference",
        "Interval",
        "Shown",
        "Sample",
        *(["Group"] if grouped else []),
        "Interval method",
        "Note",
    )
    panel = Panel(title, f"{'; '.join(parts)}.", drawn(chart(names, differences, axis)))
    caption = f"{_better(compared.metric)} Dotted line: no difference."
    return Figure("paired", title, caption, (panel,), Table(f"{title}, numbers", columns, rows))


def _is_role(point: PointDoc) -> bool:
    return point.role in ("original", "reference")


def _plane_chart(
    points: Sequence[PointDoc], labels: dict[str, str], plane: _Plane, metrics: tuple[MetricDoc, MetricDoc]
) -> Specification:
    x, y = (
        {"field": field, "type": "quantitative", "title": axis_title(metric), "scale": {"domain": list(domain), "nice": False}}
        for field, metric, domain in zip("xy", metrics, (plane.x, plane.y), strict=True)
    )
    drawn_as = list(_LOOKS)
    chosen = places(list(_LOOKS.values()))
    rows = [_row(point, plane) for point in points]
    texts = [
        {**row, "label": labels[point.name], "dx": dx, "dy": dy}
        for row, point, (dx, dy) in zip(rows, points, _beside(rows, [labels[p.name] for p in points], plane), strict=True)
    ]
    bar = {"type": "rule", "strokeWidth": 1.5, "opacity": 1}
    colour = styled(drawn_as, chosen, "color")
    word = {"type": "text", "color": INK, "fontSize": 13, "dx": {"expr": "datum.dx"}, "dy": {"expr": "datum.dy"}}
    return {
        "width": _SIZE[0],
        "height": _SIZE[1],
        "layer": [
            layer(bar, _bounded(rows, "left"), {"x": {**x, "field": "left"}, "x2": {"field": "right"}, "y": y, **colour}),
            layer(bar, _bounded(rows, "bottom"), {"y": {**y, "field": "bottom"}, "y2": {"field": "top"}, "x": x, **colour}),
            layer(
                {"type": "point", "filled": True, "size": 130, "opacity": 1},
                rows,
                {"x": x, "y": y, **styled(drawn_as, chosen, "color", "shape")},
            ),
            layer(word, texts, {"x": x, "y": y, "text": {"field": "label", "type": "nominal"}}),
        ],
    }


def _row(point: PointDoc, plane: _Plane) -> dict[str, Any]:
    """One model's marks; an open end of an interval runs to the edge of the axis."""
    left, right = reach(point.forgetting, plane.x)
    bottom, top = reach(point.utility, plane.y)
    return {
        "model": point.role,
        "x": point.forgetting.value,
        "y": point.utility.value,
        "left": left,
        "right": right,
        "bottom": bottom,
        "top": top,
    }


def _bounded(rows: Sequence[dict[str, Any]], end: str) -> list[dict[str, Any]]:
    return [row for row in rows if row[end] is not None]


def _beside(rows: Sequence[dict[str, Any]], labels: Sequence[str], plane: _Plane) -> list[tuple[int, int]]:
    """Where each label goes so that it covers neither a mark nor an earlier label, as far as there is room."""
    marks = [plane.pixel(row["x"], row["y"]) for row in rows]
    taken = [(x - 8.0, y - 8.0, x + 8.0, y + 8.0) for x, y in marks]
    taken += [box for row in rows for box in _bars(row, plane)]
    found = []
    for (x, y), label in zip(marks, labels, strict=True):
        half = len(label) * _LETTER / 2
        places_of = [(dx + (half - 4 if dx > 0 else 4 - half if dx < 0 else 0), dy) for dx, dy in _BESIDE]
        boxes = [(x + dx - half, y + dy - _LINE / 2, x + dx + half, y + dy + _LINE / 2) for dx, dy in places_of]
        chosen = min(range(len(boxes)), key=lambda place: (_hidden(boxes[place], taken), place))
        taken.append(boxes[chosen])
        found.append((round(places_of[chosen][0]), places_of[chosen][1]))
    return found


def _bars(row: dict[str, Any], plane: _Plane) -> Iterator[Box]:
    """The lines through a mark, as boxes that a label should leave free."""
    for ends in (("left", "right"), ("bottom", "top")):
        if row[ends[0]] is not None:
            (x, y), (right, up) = (
                plane.pixel(row[end], row["y"]) if ends[0] == "left" else plane.pixel(row["x"], row[end]) for end in ends
            )
            yield min(x, right) - 2, min(y, up) - 2, max(x, right) + 2, max(y, up) + 2


def _hidden(box: Box, taken: Sequence[Box]) -> float:
    """Square pixels that others take of the box, or that lie outside the drawing."""
    inside = (0.0, 0.0, float(_SIZE[0]), float(_SIZE[1]))
    area = (box[2] - box[0]) * (box[3] - box[1])
    return sum(_overlap(box, other) for other in taken) + area - _overlap(box, inside)


def _overlap(one: Box, other: Box) -> float:
    width, height = (min(one[i + 2], other[i + 2]) - max(one[i], other[i]) for i in (0, 1))
    return max(0.0, width) * max(0.0, height)


def _better(metric: MetricDoc) -> str:
    name = axis_title(metric)
    if metric.better == "target":
        return f"{name}: neither high nor low is good."
    return f"{name}: {metric.better} is better."


def _reading(compared: ComparedDoc, axis: str) -> str:
    toward = {
        ("lower", "horizontal"): "further left is better",
        ("higher", "horizontal"): "further right is better",
        ("lower", "vertical"): "further down is better",
        ("higher", "vertical"): "further up is better",
    }.get((compared.metric.better, axis), "neither end is good")
    return f"{axis.capitalize()}: {compared.name} ({axis_title(compared.metric)}); {toward}."


def _described(points: Sequence[PointDoc], x: MetricDoc, y: MetricDoc) -> str:
    parts = (
        f"{point.name}: forgetting {observed(point.forgetting, x.unit)}, utility {observed(point.utility, y.unit)}"
        for point in points
    )
    return f"{'; '.join(parts)}."


def _key(point: PointDoc, label: str) -> Key:
    place = places([_LOOKS[point.role]])[0]
    name = point.name if _is_role(point) else f"{label}: {point.name}{' (baseline)' if point.role == 'baseline' else ''}"
    return Key(name, place, mark=True, line=False)


def _plane_table(points: Sequence[PointDoc], labels: dict[str, str], x: ComparedDoc, y: ComparedDoc) -> Table:
    columns = ("Model", "Mark", x.name, "Interval", "Sample", y.name, "Interval", "Sample")
    rows = tuple(
        (point.name, labels[point.name], *_numbers(point.forgetting, x.metric), *_numbers(point.utility, y.metric))
        for point in points
    )
    return Table("Forgetting against utility, numbers", columns, rows)


def _numbers(estimate: EstimateDoc, metric: MetricDoc) -> tuple[str, str, str]:
    if estimate.value is None:
        return NOT_MEASURED, "none", "none"
    return number(estimate.value, metric.unit), interval(estimate, metric.unit) or "none", sample(estimate)
