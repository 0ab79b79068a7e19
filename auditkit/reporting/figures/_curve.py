"""Scale and sequence: the metric against the size of the forget set, or against the number of requests carried out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise
from typing import TYPE_CHECKING, Any

from auditkit.reporting._numbers import NOT_MEASURED, counted, interval, number, observed, sample, signed
from auditkit.reporting._vocabulary import WORDS
from auditkit.reporting.figures._parts import (
    MARGIN,
    PANEL,
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
    reach,
    styled,
)
from auditkit.reporting.figures._svg import BOUND, INK, REGION, drawn

if TYPE_CHECKING:
    from auditkit.evidence.results import BoundDoc, EstimateDoc
    from auditkit.evidence.series import Curve, CurvePoint

_STEP, _ORIGINAL, _REFERENCE, _ORDER, _ONE_SHOT = "step", "original", "reference", "order", "one shot"
_LOOKS = (_STEP, _ORIGINAL, _REFERENCE, _ORDER, _ONE_SHOT)
"""Series by place among the six looks."""
_WIDE, _SMALL = (WIDTH - 90, 250), (PANEL - 65, 170)
_APART = 0.14
"""Distance of marks at the same step, in steps."""
_NO_BREAK = "\u00a0"
_AXES = {"rows": "rows to be forgotten", "size": "size, by number", "request": "requests carried out"}


@dataclass(frozen=True)
class _Frame:
    """The ranges of both axes, which hold every mark."""

    x: tuple[float, float]
    y: tuple[float, float]


def curve_figure(curve: Curve) -> Figure | None:
    """One panel, or one for each request that is asked about again; None where nothing was measured."""
    if not curve.measured:
        return None
    lines = [list(points) for _, points in groupby(curve.points, key=lambda point: point.asked)]
    ends = [] if curve.again else _same_corpus(curve)
    y = _range([*curve.points, *ends], curve)
    size = _SMALL if len(lines) > 1 else _WIDE
    panels = tuple(_panel(line, ends, y, curve, size) for line in lines)
    kind = "resurfacing" if curve.again else curve.family
    return Figure(kind, _title(curve), _caption(curve), panels, _table(curve), _legend(curve, ends))


def limit(bound: BoundDoc | None, unit: str) -> str:
    """``at most 0.321``: a bound on the metric's own scale, as measured; ``none``."""
    ends = [] if bound is None else [("at least", bound.lower, bound.lower_value), ("at most", bound.upper, bound.upper_value)]
    stated = [(word, value) for word, end, value in ends if end is not None]
    if any(value is None for _, value in stated):
        return NOT_MEASURED
    return " and ".join(f"{word} {number(value, unit)}" for word, value in stated) or "none"


def outcome(point: CurvePoint) -> str:
    """``Fail (waived)``; ``none required`` for the value that a line starts from."""
    if point.result is None:
        return "none required"
    return WORDS[point.result] + (" (waived)" if point.waived else "")


def place_name(point: CurvePoint, curve: Curve) -> str:
    """``size 2 (32 rows)``, ``request 2``."""
    return f"{point.label} ({counted(round(point.x), 'row')})" if curve.axis == "rows" else point.label


def _same_corpus(curve: Curve) -> list[CurvePoint]:
    """Other ways to the end that were asked what the last point was asked: only these belong beside it."""
    last = [point.corpus for point in curve.points if point.step == curve.steps]
    return [point for point in curve.ends if point.corpus in last]


def _range(points: Iterable[CurvePoint], curve: Curve) -> tuple[float, float]:
    marks = [] if curve.metric.chance is None else [curve.metric.chance]
    for point in points:
        marks += marked(e for e in (point.estimate, point.original, point.reference) if e is not None)
        marks += [] if point.bound is None else [v for v in (point.bound.lower_value, point.bound.upper_value) if v is not None]
    return edges(marks, curve.metric)


def _panel(
    line: Sequence[CurvePoint], ends: Sequence[CurvePoint], y: tuple[float, float], curve: Curve, size: tuple[int, int]
) -> Panel:
    xs = [point.x for point in line]
    margin = 0.5 if curve.axis != "rows" else MARGIN * ((max(xs) - min(xs)) or 1.0)
    frame = _Frame((min(xs) - margin, max(xs) + margin), y)
    title = f"Request {line[0].asked}" if curve.again else _title(curve)
    return Panel(title, _described(line, ends, curve), drawn(_chart(line, ends, frame, curve, size)))


def _chart(
    line: Sequence[CurvePoint], ends: Sequence[CurvePoint], frame: _Frame, curve: Curve, size: tuple[int, int]
) -> Specification:
    x, y = _scales(line, frame, curve)
    place = {"x": x, "y": y}
    apart = min(_APART, 0.42 / len(ends)) if ends else 0.0
    own = [_row(_STEP, point.x, point.estimate, frame) for point in line]
    own += [
        _row(_ONE_SHOT if end.kind == "one_shot" else _ORDER, end.x + apart * number_, end.estimate, frame)
        for number_, end in enumerate(ends, start=1)
    ]
    others = [_row(_ORIGINAL, p.x, p.original, frame) for p in line if p.original is not None]
    others += [_row(_REFERENCE, p.x, p.reference, frame) for p in line if p.reference is not None]
    colour = styled(_LOOKS, range(len(_LOOKS)), "color")
    dashed = styled(_LOOKS, range(len(_LOOKS)), "color", "strokeDash")
    bars = [row for row in own if row["from"] is not None]
    marks = [row for row in own if row["value"] is not None]
    lines = [*others, *(row for row in own if row["model"] == _STEP)]
    return {
        "width": size[0],
        "height": size[1],
        "layer": [
            *_bound(line, frame, x, y),
            *_chance(curve, y),
            layer({"type": "line", "strokeWidth": 2, "opacity": 1}, lines, {**place, **dashed}),
            layer(
                {"type": "rule", "strokeWidth": 1.5, "opacity": 1},
                bars,
                {"x": x, "y": {**y, "field": "from"}, "y2": {"field": "to"}, **colour},
            ),
            layer(
                {"type": "point", "filled": True, "size": 95, "opacity": 1},
                marks,
                {**place, **styled(_LOOKS, range(len(_LOOKS)), "color", "shape")},
            ),
        ],
    }


def _scales(line: Sequence[CurvePoint], frame: _Frame, curve: Curve) -> tuple[Specification, Specification]:
    ticks = sorted({point.x for point in line})
    x = {
        "field": "x",
        "type": "quantitative",
        "title": _AXES[curve.axis],
        "scale": {"domain": list(frame.x), "nice": False, "zero": False},
        "axis": {"values": ticks, "tickCount": len(ticks), "grid": False, "format": ",.0f", "labelOverlap": "greedy"},
    }
    y = {
        "field": "value",
        "type": "quantitative",
        "title": axis_title(curve.metric),
        "scale": {"domain": list(frame.y), "nice": False, "zero": False},
    }
    return x, y


def _row(model: str, x: float, estimate: EstimateDoc, frame: _Frame) -> dict[str, Any]:
    """One mark; an open end of its interval runs to the edge of the axis."""
    low, high = reach(estimate, frame.y)
    return {"model": model, "x": x, "value": estimate.value, "from": low, "to": high}


def _bound(line: Sequence[CurvePoint], frame: _Frame, x: Specification, y: Specification) -> list[Specification]:
    """What meets the bound, and the bound itself: it may lie elsewhere at every point, and holds half way to the next."""
    xs = [point.x for point in line]
    borders = [frame.x[0], *((a + b) / 2 for a, b in pairwise(xs)), frame.x[1]]
    limits = [_ends(point) for point in line]
    regions, lines = [], []
    for ends, held in groupby(zip(limits, pairwise(borders), strict=True), key=lambda part: part[0]):
        stretch = [stretch for _, stretch in held]
        across = {"x": stretch[0][0], "to": stretch[-1][1]}
        known = [end for end in ends if end is not None]
        if known:
            low, high = (side if end is None else end for side, end in zip(frame.y, ends, strict=True))
            regions.append({**across, "value": low, "high": high})
            lines += [{**across, "value": end} for end in known]
    place = {"x": x, "x2": {"field": "to"}, "y": y}
    dash = {"type": "rule", "color": BOUND, "strokeDash": [7, 4], "strokeWidth": 2, "opacity": 1}
    return [
        layer({"type": "rect", "color": REGION, "opacity": 1}, regions, {**place, "y2": {"field": "high"}}),
        layer(dash, lines, place),
    ]


def _ends(point: CurvePoint) -> tuple[float | None, float | None]:
    """Both ends of the bound, without the noise of summing in another order."""
    ends = (None, None) if point.bound is None else (point.bound.lower_value, point.bound.upper_value)
    lower, upper = (None if end is None else round(end, 9) for end in ends)
    return lower, upper


def _chance(curve: Curve, y: Specification) -> list[Specification]:
    if curve.metric.chance is None:
        return []
    dotted = {"type": "rule", "color": INK, "strokeDash": [1, 4], "strokeWidth": 2, "opacity": 1}
    return [layer(dotted, [{"value": curve.metric.chance}], {"y": y})]


def _title(curve: Curve) -> str:
    against = {"scale": "by size of the forget set", "sequence": "request after request"}[curve.family]
    return f"{curve.name}, {'asked again after later requests' if curve.again else against}"


def _caption(curve: Curve) -> str:
    metric = curve.metric
    better = "neither high nor low is good" if metric.better == "target" else f"{metric.better} is better"
    parts = [f"Vertical: {axis_title(metric)}; {better}. Bars span the two one-sided bounds."]
    bounds = list(dict.fromkeys(p.bound.text for p in curve.points if p.bound is not None and p.bound.text))
    if bounds:
        which = f"the bound, {bounds[0]}" if len(bounds) == 1 else "the bound, which names another model at each point"
        parts.append(f"Dashed line: {which}. Shaded: what meets it.")
    if any(point.difference is not None for point in curve.points):
        parts.append("The difference to the model that the bound names is what decides; it stands in the table.")
    if metric.chance is not None:
        parts.append(f"Dotted line: chance level, {number(metric.chance, metric.unit)}.")
    return " ".join(parts)


def _described(line: Sequence[CurvePoint], ends: Sequence[CurvePoint], curve: Curve) -> str:
    unit = curve.metric.unit
    parts = []
    for point in (*line, *ends):
        beside = [
            f"{name} {number(estimate.value, unit)}"
            for name, estimate in (("original", point.original), ("reference", point.reference))
            if estimate is not None
        ]
        words = [observed(point.estimate, unit), f"bound {limit(point.bound, unit)}", outcome(point), *beside]
        parts.append(f"{place_name(point, curve)}: {', '.join(words)}")
    return f"Horizontal: {_AXES[curve.axis]}. {'; '.join(parts)}."


def _legend(curve: Curve, ends: Sequence[CurvePoint]) -> tuple[Key, ...]:
    own = "after forgetting each size" if curve.family == "scale" else "after each request, in the spec's order"
    shown = [Key(own, 0, mark=True, line=True)]
    if any(point.original is not None for point in curve.points):
        shown.append(Key("original", 1, mark=False, line=True))
    if any(point.reference is not None for point in curve.points):
        shown.append(Key("reference", 2, mark=False, line=True))
    if any(end.kind == "order" for end in ends):
        shown.append(Key("after the last request, in another order", 3, mark=True, line=False))
    if any(end.kind == "one_shot" for end in ends):
        shown.append(Key("all requests at once", 4, mark=True, line=False))
    return tuple(shown)


def _table(curve: Curve) -> Table:
    """A column that would be empty is left out, and a sample that all points share stands in the caption."""
    points, unit = (*curve.points, *curve.ends), curve.metric.unit
    samples = [sample(point.estimate) if point.estimate.value is not None else "" for point in points]
    shared = set(filter(None, samples))
    cells = {
        "Corpus": [point.corpus if not curve.one_corpus else "" for point in points],
        "Value": [_with_interval(number(point.estimate.value, unit), point.estimate, unit) for point in points],
        "Bound as measured": [limit(point.bound, unit) for point in points],
        "Difference": [_difference(point, unit) for point in points],
        "Original": [_beside(point.original, unit) for point in points],
        "Reference": [_beside(point.reference, unit) for point in points],
        "Sample": samples if len(shared) > 1 else [],
        "Result": [outcome(point) for point in points],
    }
    kept = {title: column for title, column in cells.items() if any(column)}
    names = [place_name(point, curve) for point in points]
    caption = f"{_title(curve)}, numbers{f'; each of {shared.pop()}' if len(shared) == 1 else ''}"
    return Table(caption, ("Point", *kept), tuple(zip(names, *kept.values(), strict=True)))


def _with_interval(text: str, estimate: EstimateDoc, unit: str) -> str:
    """A line may break before the bracket and not within it."""
    return f"{text} {interval(estimate, unit).replace(' ', _NO_BREAK)}".rstrip()


def _beside(estimate: EstimateDoc | None, unit: str) -> str:
    return "" if estimate is None else number(estimate.value, unit)


def _difference(point: CurvePoint, unit: str) -> str:
    difference = point.difference
    return "" if difference is None else _with_interval(signed(difference.value, unit), difference, unit)
