"""What all figures share: a figure, its table, and how a model is drawn."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from auditkit.reporting.figures._svg import CANDIDATE, ORIGINAL, OTHER, REFERENCE, Node
from auditkit.text import one_line

if TYPE_CHECKING:
    from auditkit.evidence.results import EstimateDoc, MetricDoc

WIDTH = 620
"""Pixels of a wide figure: the text width of an A4 page."""
PANEL = 275
"""Pixels of a panel: three beside each other on a wide screen, two on A4, one on a telephone."""
ROLES = ("candidate", "original", "reference")
_RANGES = {
    "color": (CANDIDATE, ORIGINAL, REFERENCE, OTHER, OTHER, OTHER),
    "shape": ("circle", "square", "triangle-up", "diamond", "triangle-down", "cross"),
    "strokeDash": ([1, 0], [7, 3], [2, 3], [7, 3, 2, 3], [12, 4], [1, 2]),
}
"""Looks by place: one for each role, then three that further models share. The page's legend draws the same six."""
_LETTER_PIXELS = 7.6
_LABEL_LETTERS = 32
MARGIN = 0.06
"""Share of an axis kept free beyond the outermost mark."""


@dataclass(frozen=True)
class Table:
    """The numbers of a figure; the first cell of each row is its header."""

    caption: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Panel:
    """One drawing with its text alternative."""

    title: str
    description: str
    drawing: Node


@dataclass(frozen=True)
class Key:
    """One entry of a figure's legend. The page draws it: a legend inside the drawing costs more than its curves."""

    label: str
    place: int
    """Which of the six looks."""
    mark: bool
    line: bool
    fill: str = ""
    """The page's variable for a filled square in place of a look; '' for none."""


@dataclass(frozen=True)
class Figure:
    """One or more panels, what they mean, and their numbers."""

    kind: str
    """Key of the plain-language paragraph in ``data/explanations.yaml``."""
    title: str
    caption: str
    panels: tuple[Panel, ...]
    table: Table
    legend: tuple[Key, ...] = ()


def role(model: str) -> str:
    """How the model is drawn: by the first word of its label."""
    first = model.partition(" ")[0]
    return first if first in ROLES else "other"


def ordered(models: Iterable[str]) -> list[str]:
    """Candidate, original, reference, then the others by name."""
    return sorted(models, key=lambda name: (ROLES.index(role(name)) if role(name) in ROLES else len(ROLES), name))


def places(models: Sequence[str]) -> list[int]:
    """Which look each model has: its role's, or one of the three that the others share in turn."""
    found, others = [], 0
    for name in models:
        found.append(ROLES.index(role(name)) if role(name) in ROLES else len(ROLES) + others % 3)
        others += role(name) == "other"
    return found


def legend(models: Sequence[str], *, mark: bool = False, line: bool = False) -> tuple[Key, ...]:
    """The legend of figures that show models."""
    return tuple(Key(name, place, mark, line) for name, place in zip(models, places(models), strict=True))


Specification = dict[str, Any]
"""Vega-Lite, or a part of it."""


def looks(models: Sequence[str], *channels: str) -> Specification:
    """Encodings of the ``model`` field: every model keeps its colour, shape and dash in all figures."""
    return styled(models, places(models), *channels)


def styled(labels: Sequence[str], chosen: Sequence[int], *channels: str) -> Specification:
    """The same for labels that are no models."""
    return {
        channel: {
            "field": "model",
            "type": "nominal",
            "scale": {"domain": list(labels), "range": [_RANGES[channel][place] for place in chosen]},
            "legend": None,
        }
        for channel in channels
    }


def layer(mark: Specification, rows: Sequence[Specification], encoding: Specification) -> Specification:
    """One layer with its own rows."""
    return {"data": {"values": list(rows)}, "mark": mark, "encoding": encoding}


def named_rows(labels: Sequence[str]) -> tuple[Specification, int]:
    """The vertical axis of named rows, and its width in pixels.

    The width is estimated: letting the library fit the drawing around measured labels doubles the time it takes.
    """
    width = round(_LETTER_PIXELS * max(map(len, labels), default=0)) + 10
    axis = {"ticks": False, "domain": False, "grid": False, "labelFontSize": 14, "minExtent": width, "maxExtent": width}
    return axis, width


def short(names: Iterable[str]) -> dict[str, str]:
    """Distinct labels that leave room for the drawing; the whole names stand in the table."""
    labels: dict[str, str] = {}
    for name in dict.fromkeys(names):
        cut = name if len(name) <= _LABEL_LETTERS else f"{name[: _LABEL_LETTERS - 1]}…"
        labels[name] = cut if cut not in labels.values() else f"{len(labels) + 1}: {cut}"
    return labels


def axis_title(metric: MetricDoc) -> str:
    """``ROUGE-L recall``, short enough for an axis."""
    return one_line(metric.name, 40)


def edges(marks: Sequence[float], metric: MetricDoc | None = None) -> tuple[float, float]:
    """Both ends of an axis that holds every mark: the metric's own range where it is 0 to 1."""
    if metric is not None and (metric.low, metric.high) == (0.0, 1.0):
        return min(0.0, *marks), max(1.0, *marks)
    low, high = min(marks), max(marks)
    margin = MARGIN * ((high - low) or abs(high) or 1.0)
    return low - margin, high + margin


def reach(estimate: EstimateDoc, axis: tuple[float, float]) -> tuple[float | None, float | None]:
    """Both ends of the interval's bar: an open one runs to the edge of the axis; (None, None) without an interval."""
    if estimate.lower is None and estimate.upper is None:
        return None, None
    return (axis[0] if estimate.lower is None else estimate.lower, axis[1] if estimate.upper is None else estimate.upper)


def marked(estimates: Iterable[EstimateDoc]) -> list[float]:
    """Every number that is drawn of some estimates."""
    return [v for e in estimates for v in (e.value, e.lower, e.upper) if v is not None]
