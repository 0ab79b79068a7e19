"""Simulated audits: how often each result is given, against the share of subjects affected; and exactly at the bound."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from auditkit.decisions.matrix import detectable_dose
from auditkit.decisions.power import POWER
from auditkit.reporting._numbers import counted, number
from auditkit.reporting.figures._parts import PANEL, WIDTH, Figure, Key, Panel, Specification, Table, layer, styled
from auditkit.reporting.figures._svg import BOUND, INK, drawn

_PLACES = {"pass": 0, "fail": 1, "inconclusive": 3}
"""Result → which of the six looks."""
_WIDE, _SMALL = (WIDTH - 90, 250), (PANEL - 65, 170)
_Share = Annotated[float, Field(ge=0, le=1)]


class _Read(BaseModel):
    """What is read of plain JSON; what else it holds is nobody's business here."""

    model_config = ConfigDict(extra="ignore", frozen=True)


class Chance(_Read):
    """A share of the simulated audits with its interval."""

    value: _Share
    lower: _Share
    upper: _Share

    def __str__(self) -> str:
        return f"{number(self.value)} [{number(self.lower)}, {number(self.upper)}]"


class Outcomes(_Read):
    """What came of the simulated audits of one share."""

    dose: _Share
    audits: int
    passed: Chance
    failed: Chance
    inconclusive: Chance

    @property
    def by_result(self) -> dict[str, Chance]:
        """In the order of the legend."""
        return dict(zip(_PLACES, (self.passed, self.failed, self.inconclusive), strict=True))


class AtTheBound(_Read):
    """Candidates whose truth is the bound: every pass is a false one."""

    kind: str
    bound: str
    subjects: int
    skewed: bool
    alpha: _Share
    outcomes: Outcomes


class PowerCurve(_Read):
    """One quantity with one number of subjects."""

    kind: str
    bound: str
    subjects: int
    dose_on_bound: _Share
    points: Annotated[list[Outcomes], Field(min_length=1)]

    @property
    def name(self) -> str:
        """``mean, at most 0.1, 60 subjects``."""
        return f"{self.kind}, {self.bound}, {counted(self.subjects, 'subject')}"

    @property
    def detectable(self) -> float | None:
        """The smallest simulated share from which it fails often enough."""
        return detectable_dose({point.dose: point.failed.value for point in self.points})


R = TypeVar("R", bound=_Read)


def read(kind: type[R], rows: Iterable[Mapping[str, Any]]) -> tuple[list[R], list[Mapping[str, Any]]]:
    """(rows of that form, the others), so that nothing is lost where the form has changed."""
    found: list[R] = []
    others = []
    for row in rows:
        try:
            found.append(kind.model_validate(row))
        except ValidationError:
            others.append(row)
    return found, others


def power_figure(curves: Sequence[PowerCurve]) -> Figure | None:
    """A panel for each curve; None where there is none."""
    if not curves:
        return None
    size = _SMALL if len(curves) > 1 else _WIDE
    panels = tuple(Panel(curve.name, _described(curve), drawn(_chart(curve, size))) for curve in curves)
    caption = (
        f"Vertical: share of simulated audits with each result. Dotted: {number(POWER)}, the share of fails that counts as "
        "detected. Dashed upright line: the share of subjects at which the truth is the bound."
    )
    legend = tuple(Key(word, place, mark=True, line=True) for word, place in _PLACES.items())
    return Figure("power", "Result against the share of subjects affected", caption, panels, _table(curves), legend)


def _chart(curve: PowerCurve, size: tuple[int, int]) -> Specification:
    x = {
        "field": "dose",
        "type": "quantitative",
        "title": "share of subjects affected",
        "scale": {"domain": [0, max(*(point.dose for point in curve.points), curve.dose_on_bound) or 1.0], "nice": False},
    }
    y = {"field": "share", "type": "quantitative", "title": "share of audits", "scale": {"domain": [0, 1], "nice": False}}
    rows = [
        {"model": word, "dose": point.dose, "share": chance.value}
        for point in curve.points
        for word, chance in point.by_result.items()
    ]
    labels, places = list(_PLACES), list(_PLACES.values())
    rule = {"type": "rule", "strokeWidth": 2, "opacity": 1}
    return {
        "width": size[0],
        "height": size[1],
        "layer": [
            layer({**rule, "color": INK, "strokeDash": [1, 4]}, [{"share": POWER}], {"y": y}),
            layer({**rule, "color": BOUND, "strokeDash": [7, 4]}, [{"dose": curve.dose_on_bound}], {"x": x}),
            layer(
                {"type": "line", "strokeWidth": 2, "opacity": 1},
                rows,
                {"x": x, "y": y, **styled(labels, places, "color", "strokeDash")},
            ),
            layer(
                {"type": "point", "filled": True, "size": 60, "opacity": 1},
                rows,
                {"x": x, "y": y, **styled(labels, places, "color", "shape")},
            ),
        ],
    }


def _described(curve: PowerCurve) -> str:
    points = [
        f"{number(point.dose)}: " + ", ".join(f"{word} {number(chance.value)}" for word, chance in point.by_result.items())
        for point in curve.points
    ]
    return f"Horizontal: share of subjects affected. {'; '.join(points)}."


def _table(curves: Sequence[PowerCurve]) -> Table:
    rows = tuple(
        (curve.name, number(point.dose), str(point.audits), *map(str, point.by_result.values()))
        for curve in curves
        for point in curve.points
    )
    columns = ("Quantity", "Share affected", "Audits", *(word.capitalize() for word in _PLACES))
    return Table("Result against the share of subjects affected, numbers", columns, rows)
