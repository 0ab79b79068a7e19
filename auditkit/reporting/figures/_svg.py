"""A Vega-Lite specification → a tree of allowed SVG elements, coloured by the page's own variables.

vl-convert draws the chart (no browser, no script, the same bytes on every run). Each role is drawn in a sentinel colour that
is replaced by a CSS variable here, so that one drawing serves the light and the dark scheme. What the page emits is this
tree, through its own escaping: nothing that a drawing contains can become markup.

Specifications are plain dictionaries: building them with altair takes four times as long as drawing them. The tests hold them
against altair's schema.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any
from xml.etree import ElementTree

from auditkit.text import visible

INK, MUTED, GRID, BOUND, REGION = "#010201", "#010202", "#010203", "#010204", "#010205"
CANDIDATE, ORIGINAL, REFERENCE, OTHER = "#010206", "#010207", "#010208", "#010209"
HEAT = ("#01020a", "#01020b", "#01020c", "#01020d", "#01020e")
"""From little to much; text in INK is readable on each."""
_VARIABLES = {
    INK: "var(--ink)",
    MUTED: "var(--muted)",
    GRID: "var(--grid)",
    BOUND: "var(--bound)",
    REGION: "var(--region)",
    CANDIDATE: "var(--candidate)",
    ORIGINAL: "var(--original)",
    REFERENCE: "var(--reference)",
    OTHER: "var(--other)",
    **{sentinel: f"var(--heat-{step})" for step, sentinel in enumerate(HEAT, start=1)},
}
_ELEMENTS = frozenset({"svg", "g", "path", "line", "text", "rect", "circle"})
_ATTRIBUTES = frozenset(
    {"d", "x", "y", "x1", "x2", "y1", "y2", "r", "cx", "cy", "width", "height", "viewBox", "transform", "fill", "fill-opacity",
     "stroke", "stroke-width", "stroke-opacity", "stroke-dasharray", "stroke-linecap", "stroke-linejoin", "stroke-miterlimit",
     "opacity", "text-anchor", "font-size", "font-weight"}
)  # fmt: skip
_LONG_NUMBER = re.compile(r"-?\d+\.\d{3,}(?:e-?\d+)?")
SCHEMA = "https://vega.github.io/schema/vega-lite/v6.json"
CONFIG: dict[str, Any] = {
    "aria": False,
    "background": "transparent",
    "font": "sans-serif",
    "view": {"stroke": None},
    "axis": {
        "labelColor": INK,
        "titleColor": INK,
        "gridColor": GRID,
        "domainColor": MUTED,
        "tickColor": MUTED,
        "labelFontSize": 13,
        "titleFontSize": 13,
        "titleFontWeight": "normal",
        "titlePadding": 10,
        "labelPadding": 6,
        "labelLimit": 0,
        "titleLimit": 0,
        "tickCount": 5,
        "labelOverlap": False,
        "labelBound": False,
        "labelFlush": False,
    },
}


@dataclass(frozen=True)
class Node:
    """One element: allowed names only; attributes and text are plain strings, to be escaped by the page."""

    tag: str
    attributes: tuple[tuple[str, str], ...]
    text: str
    children: tuple[Node, ...]


def drawn(specification: dict[str, Any]) -> Node:
    """A Vega-Lite specification as a tree.

    Its strings are made printable first: vl-convert ends the process on a control character.
    """
    import vl_convert

    svg = vl_convert.vegalite_to_svg({"$schema": SCHEMA, "config": CONFIG, **_printable(specification)})
    root = _node(ElementTree.fromstring(svg))  # noqa: S314 - the drawing library's own output, which has no DTD
    if root is None:  # pragma: no cover - vl-convert's root is always an svg element
        raise ValueError("vl-convert returned something that is not a drawing")
    return root


def _printable(part: Any) -> Any:
    if isinstance(part, str):
        return visible(part)
    if isinstance(part, dict):
        return {key: _printable(item) for key, item in part.items()}
    return [_printable(item) for item in part] if isinstance(part, list | tuple) else part


def _node(element: ElementTree.Element) -> Node | None:
    """The element without what is invisible or not allowed; None where nothing is left."""
    tag = element.tag.rpartition("}")[2]
    if tag not in _ELEMENTS or element.get("display") == "none" or (tag == "path" and not element.get("d")):
        return None
    children = tuple(child for child in map(_node, element) if child is not None)
    if tag == "g" and not children:
        return None
    if tag == "path" and element.get("fill") is None and element.get("stroke") is None:
        return None  # a group's background: inherits fill none
    attributes = tuple((name, _value(value)) for name, value in element.attrib.items() if name in _ATTRIBUTES)
    return Node(tag, attributes, element.text or "" if tag == "text" else "", children)


def _value(value: str) -> str:
    """Sentinels become variables; numbers keep two decimals."""
    return _VARIABLES.get(value.lower()) or _LONG_NUMBER.sub(lambda match: f"{round(float(match[0]), 2):g}", value)
