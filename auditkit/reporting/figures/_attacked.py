"""Before and under an attack: one small panel for each requirement, one line for each model, and the bound."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from auditkit.reporting import _probing
from auditkit.reporting._numbers import NOT_MEASURED, bound_here, in_cell, observed, sample
from auditkit.reporting.figures._parts import (
    PANEL,
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
from auditkit.reporting.figures._svg import BOUND, INK, REGION, drawn
from auditkit.text import one_line

if TYPE_CHECKING:
    from auditkit.evidence.results import EstimateDoc, RequirementDoc

_SIZE = (PANEL - 65, 180)
_SIDES = (-0.45, 1.45)
"""Both ends of the horizontal axis: 0 is before, 1 under the attack."""
_HALF_WAY = 0.5
"""The bound holds for what is measured under the attack."""
_APART = 0.08
_TITLE_LETTERS = 150


def attacked_figure(title: str, docs: Sequence[RequirementDoc]) -> Figure | None:
    """Every requirement of a family of attacks; None where none was measured both before and under it."""
    drawable = [doc for doc in docs if marked(_estimates(doc, "before")) and marked(_estimates(doc, "under"))]
    if not drawable:
        return None
    named = f"{title if len(drawable) > 1 else _names(drawable)[0]}: before and under attack"
    models = ordered({name for doc in drawable for name in (*doc.before, *doc.models)})
    return Figure(
        "attacked",
        named,
        _caption(drawable),
        tuple(_panel(name, doc, models) for name, doc in zip(_names(drawable), drawable, strict=True)),
        _table(named, drawable),
        legend(models, mark=True, line=True),
    )


def _estimates(doc: RequirementDoc, side: str) -> Iterator[EstimateDoc]:
    yield from (doc.before if side == "before" else doc.models).values()


def _panel(name: str, doc: RequirementDoc, models: Sequence[str]) -> Panel:
    return Panel(name, _described(doc), drawn(_chart(doc, models)))


def _names(docs: Sequence[RequirementDoc]) -> list[str]:
    """Attack and check; with what was tried where these are the same twice."""
    plain = [one_line(f"{_probing.attack_title(doc)}, {doc.title}", _TITLE_LETTERS) for doc in docs]
    tried = [one_line(_probing.settings(doc), _TITLE_LETTERS) for doc in docs]
    return [f"{name} ({more})" if plain.count(name) > 1 and more else name for name, more in zip(plain, tried, strict=True)]


def _chart(doc: RequirementDoc, models: Sequence[str]) -> Specification:
    bound, metric = doc.bound, doc.metric
    limits = [end for end in (bound.lower_value, bound.upper_value, metric.chance) if end is not None]
    frame = edges([*marked(_estimates(doc, "before")), *marked(_estimates(doc, "under")), *limits], metric)
    rows = [row for place, name in enumerate(models) for row in _rows(doc, name, place, len(models), frame)]
    x = {
        "field": "x",
        "type": "quantitative",
        "title": None,
        "scale": {"domain": list(_SIDES), "nice": False, "zero": False},
        "axis": {"values": [0, 1], "labelExpr": "['before', 'under attack'][datum.value]", "grid": False, "ticks": False},
    }
    y = {
        "field": "value",
        "type": "quantitative",
        "title": axis_title(metric),
        "scale": {"domain": list(frame), "nice": False, "zero": False},
    }
    bars = [row for row in rows if row["from"] is not None]
    place = {"x": x, "y": y}
    return {
        "width": _SIZE[0],
        "height": _SIZE[1],
        "layer": [
            *_bound(doc, frame, x, y),
            layer({"type": "line", "strokeWidth": 2, "opacity": 1}, rows, {**place, **looks(models, "color", "strokeDash")}),
            layer(
                {"type": "rule", "strokeWidth": 1.5, "opacity": 1},
                bars,
                {"x": x, "y": {**y, "field": "from"}, "y2": {"field": "to"}, **looks(models, "color")},
            ),
            layer(
                {"type": "point", "filled": True, "size": 80, "opacity": 1}, rows, {**place, **looks(models, "color", "shape")}
            ),
        ],
    }


def _rows(doc: RequirementDoc, model: str, place: int, models: int, frame: tuple[float, float]) -> Iterator[dict[str, Any]]:
    """One model's marks; what was not measured has none."""
    for side, found in enumerate((doc.before, doc.models)):
        estimate = found.get(model)
        if estimate is not None and estimate.value is not None:
            low, high = reach(estimate, frame)
            x = side + _APART * (place - (models - 1) / 2)
            yield {"model": model, "x": x, "value": estimate.value, "from": low, "to": high}


def _bound(doc: RequirementDoc, frame: tuple[float, float], x: Specification, y: Specification) -> list[Specification]:
    """What meets the bound and the bound itself, beside what was measured under the attack; the chance level."""
    lower, upper = doc.bound.lower_value, doc.bound.upper_value
    across = {"x": _HALF_WAY, "to": _SIDES[1]}
    wide = {"x": x, "x2": {"field": "to"}, "y": y}
    layers = []
    if lower is not None or upper is not None:
        region = {**across, "value": frame[0] if lower is None else lower, "high": frame[1] if upper is None else upper}
        layers.append(layer({"type": "rect", "color": REGION, "opacity": 1}, [region], {**wide, "y2": {"field": "high"}}))
        ends = [{**across, "value": end} for end in (lower, upper) if end is not None]
        layers.append(layer(_dashed(BOUND, [7, 4]), ends, wide))
    if doc.metric.chance is not None:
        layers.append(layer(_dashed(INK, [1, 4]), [{"value": doc.metric.chance}], {"y": y}))
    return layers


def _dashed(colour: str, dash: list[int]) -> Specification:
    return {"type": "rule", "color": colour, "strokeDash": dash, "strokeWidth": 2, "opacity": 1}


def _caption(docs: Sequence[RequirementDoc]) -> str:
    parts = ["Bars span the two one-sided bounds."]
    if any(doc.bound.lower_value is not None or doc.bound.upper_value is not None for doc in docs):
        parts.append("Dashed line: the bound, which holds under the attack. Shaded: what meets it.")
    if any(doc.metric.chance is not None for doc in docs):
        parts.append("Dotted line: chance level.")
    return " ".join(parts)


def _described(doc: RequirementDoc) -> str:
    unit = doc.metric.unit
    parts = [
        f"{name}: before {_seen(doc.before, name, unit)}, under the attack {_seen(doc.models, name, unit)}"
        for name in _models(doc)
    ]
    here = bound_here(doc.bound, unit)
    return f"Bound: {doc.bound.text or 'none'}{f' ({here})' if here else ''}; {_probing.word(doc)}. {'; '.join(parts)}."


def _models(doc: RequirementDoc) -> list[str]:
    return ordered({*doc.before, *doc.models})


def _seen(found: dict[str, EstimateDoc], model: str, unit: str) -> str:
    return observed(found[model], unit) if model in found else NOT_MEASURED


def _table(title: str, docs: Sequence[RequirementDoc]) -> Table:
    rows = tuple(
        (
            _probing.attack_title(doc),
            doc.title,
            name,
            in_cell(doc.before.get(name), doc.metric.unit),
            in_cell(doc.models.get(name), doc.metric.unit),
            sample(doc.models[name]) if name in doc.models else "",
        )
        for doc in docs
        for name in _models(doc)
    )
    return Table(f"{title}, numbers", ("Attack", "Check", "Model", "Before", "Under the attack", "Sample"), rows)
