"""Scores of members and non-members: ROC with a logarithmic false-positive axis, and histograms."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from auditkit.reporting._numbers import counted, number
from auditkit.reporting.figures._parts import (
    PANEL,
    WIDTH,
    Figure,
    Key,
    Panel,
    Specification,
    Table,
    layer,
    legend,
    looks,
    ordered,
    short,
    styled,
)
from auditkit.reporting.figures._svg import INK, Node, drawn

if TYPE_CHECKING:
    from auditkit.evidence.results import RequirementDoc
    from auditkit.evidence.values import ModelValues, ValuesDoc

_LEVELS = (0.001, 0.01, 0.05, 0.1, 0.2, 0.5)
_FALSE_POSITIVES_NEEDED = 10
"""A rate is printed where at least this many non-members are expected above the threshold."""
_STEPS = 150
_BINS = 16
_HEIGHT = 250
_PANEL_HEIGHT = 140
_PARTS = (Key("members", 0, mark=False, line=True), Key("non-members", 1, mark=False, line=True))
Point = tuple[float, float]


@dataclass(frozen=True)
class _Scores:
    """One model's finite scores."""

    members: list[float]
    others: list[float]
    dropped: int
    """Values that are not finite and cannot be drawn."""

    def curve(self) -> list[Point]:
        """(false-positive rate, true-positive rate) after each distinct score, from the highest down."""
        marked = sorted([(s, 1) for s in self.members] + [(s, 0) for s in self.others], reverse=True)
        points, hits, alarms = [(0.0, 0.0)], 0, 0
        for place, (score, label) in enumerate(marked):
            hits, alarms = hits + label, alarms + 1 - label
            if place + 1 == len(marked) or marked[place + 1][0] != score:
                points.append((alarms / len(self.others), hits / len(self.members)))
        return points


def score_figures(requirement: RequirementDoc, values: ValuesDoc) -> list[Figure]:
    """ROC and histograms of the deciding attack; nothing where the values carry no member labels."""
    group = _group(requirement, values)
    scores = {name: _scores(model, group) for name, model in values.models.items()}
    scores = {name: found for name, found in scores.items() if found.members and found.others}
    if not scores:
        return []
    what = f"{requirement.title}, {group}" if group else requirement.title
    return [_roc(what, scores), _histograms(what, scores)]


def _group(requirement: RequirementDoc, values: ValuesDoc) -> str:
    """The group that decided; else the first that may decide."""
    groups = [g for model in values.models.values() for g in model.groups]
    shown = {g for model in values.models.values() for g in model.shown_only}
    if requirement.worst_group in groups:
        return requirement.worst_group
    return next((group for group in groups if group not in shown), groups[0] if groups else "")


def _scores(model: ModelValues, group: str) -> _Scores:
    groups = model.groups or [""] * len(model.values)
    rows = [(v, label) for v, label, g in zip(model.values, model.labels, groups, strict=False) if g == group]
    finite = [(v, label) for v, label in rows if math.isfinite(v)]
    return _Scores([v for v, m in finite if m == 1], [v for v, m in finite if m == 0], len(rows) - len(finite))


def _roc(what: str, scores: Mapping[str, _Scores]) -> Figure:
    models = ordered(scores)
    curves = {name: scores[name].curve() for name in models}
    title = f"{what}: members found against false alarms"
    left = 10 ** math.floor(math.log10(1 / max(len(s.others) for s in scores.values())))
    levels = [level for level in _LEVELS if any(_supported(scores[name], level) for name in models)]
    rows = tuple(
        (f"{level:.1%}", *(_cell(curves[name], scores[name], level) for name in models), f"{level:.1%}") for level in levels
    )
    table = Table(f"{title}, numbers", ("False alarms at most", *models, "guessing"), rows)
    panel = Panel(title, _roc_text(curves, scores), drawn(_roc_chart(models, curves, left)))
    return Figure("roc", title, f"{_sizes(scores)} Dotted curve: guessing.", (panel,), table, legend(models, line=True))


def _roc_chart(models: Sequence[str], curves: Mapping[str, list[Point]], left: float) -> Specification:
    labels = short(models)
    rows = [{"model": labels[name], "x": x, "y": y} for name in models for x, y in _steps(curves[name], left)]
    guessing = [{"x": x, "y": x} for x in _logspace(left, 40)]
    x = {
        "field": "x",
        "type": "quantitative",
        "title": "false alarms among non-members (logarithmic)",
        "scale": {"type": "log", "domain": [left, 1], "nice": False},
        "axis": {"values": _decades(left), "format": "~%", "labelFlush": False},
    }
    y = {
        "field": "y",
        "type": "quantitative",
        "title": "members found",
        "scale": {"domain": [0, 1]},
        "axis": {"format": "~%", "values": [0, 0.25, 0.5, 0.75, 1]},
    }
    place = {"x": x, "y": y, "order": {"field": "x"}}
    look = looks(list(labels.values()), "strokeDash", "color")
    return {
        "width": WIDTH - 100,
        "height": _HEIGHT,
        "layer": [
            layer({"type": "line", "color": INK, "strokeDash": [1, 4], "strokeWidth": 2}, guessing, place),
            layer({"type": "line", "interpolate": "step-after", "strokeWidth": 2.5}, rows, {**place, **look}),
        ],
    }


def _steps(curve: Sequence[Point], left: float) -> list[Point]:
    """The curve from the left edge on, thinned to what can be seen on a logarithmic axis."""
    if len(curve) <= _STEPS:
        kept = [(max(x, left), y) for x, y in curve]
    else:
        kept = [(x, _found(curve, x)) for x in _logspace(left, _STEPS)]
    highest = dict(kept)  # of equal rates the last, which is the highest
    return sorted(highest.items())


def _logspace(left: float, n: int) -> list[float]:
    return [left ** (1 - step / (n - 1)) for step in range(n)]


def _decades(left: float) -> list[float]:
    return [10.0**power for power in range(round(math.log10(left)), 1)]


def _found(curve: Sequence[Point], level: float) -> float:
    """Largest true-positive rate with at most that many false alarms."""
    return max(y for x, y in curve if x <= level + 1e-12)


def _supported(scores: _Scores, level: float) -> bool:
    return len(scores.others) * level >= _FALSE_POSITIVES_NEEDED


def _cell(curve: Sequence[Point], scores: _Scores, level: float) -> str:
    return f"{_found(curve, level):.1%}" if _supported(scores, level) else "too few non-members"


def _roc_text(curves: Mapping[str, list[Point]], scores: Mapping[str, _Scores]) -> str:
    level = next((lv for lv in _LEVELS if all(_supported(s, lv) for s in scores.values())), 0.5)
    parts = (f"{name} finds {_found(curve, level):.0%}" for name, curve in curves.items())
    return f"Share of members found at {level:.1%} false alarms: {'; '.join(parts)}. Guessing finds {level:.1%}."


def _sizes(scores: Mapping[str, _Scores]) -> str:
    first = next(iter(scores.values()))
    dropped = sum(s.dropped for s in scores.values())
    lost = f" {counted(dropped, 'score')} not drawn: not finite." if dropped else ""
    return f"{counted(len(first.members), 'member')}, {counted(len(first.others), 'non-member')}.{lost}"


def _histograms(what: str, scores: Mapping[str, _Scores]) -> Figure:
    models = ordered(scores)
    everything = [v for s in scores.values() for v in (*s.members, *s.others)]
    low, high = min(everything), max(everything)
    width = (high - low) / _BINS or 1.0
    edges = [low + width * place for place in range(_BINS + 1)]
    shares = {name: [_shares(part, low, width) for part in (scores[name].members, scores[name].others)] for name in models}
    title = f"{what}: scores of members and non-members"
    top = max(share for pair in shares.values() for part in pair for share in part)
    panels = tuple(Panel(name, _histogram_text(name, scores[name]), _histogram(edges, shares[name], top)) for name in models)
    columns = ("Score", *(f"{name}, {part}" for name in models for part in ("members", "non-members")))
    rows = tuple(
        (f"{_plain(edges[b])} to {_plain(edges[b + 1])}", *(f"{part[b]:.1%}" for name in models for part in shares[name]))
        for b in range(_BINS)
    )
    return Figure("histogram", title, _sizes(scores), panels, Table(f"{title}, shares", columns, rows), _PARTS)


def _shares(part: Sequence[float], low: float, width: float) -> list[float]:
    found = [0] * _BINS
    for value in part:
        found[min(int((value - low) / width), _BINS - 1)] += 1
    return [n / len(part) for n in found]


def _histogram(edges: Sequence[float], shares: Sequence[Sequence[float]], top: float) -> Node:
    names = [key.label for key in _PARTS]
    rows = [
        {"model": name, "x": edge, "y": share}
        for name, part in zip(names, shares, strict=True)
        for edge, share in zip(edges, (*part, part[-1]), strict=True)
    ]
    x = {"field": "x", "type": "quantitative", "title": "score (higher: member)", "scale": {"zero": False, "nice": False}}
    y = {
        "field": "y",
        "type": "quantitative",
        "title": "share",
        "scale": {"domain": [0, top], "nice": True},
        "axis": {"format": "~%"},
    }
    mark = {"type": "line", "interpolate": "step-after", "strokeWidth": 2.5}
    look = styled(names, [key.place for key in _PARTS], "strokeDash", "color")
    return drawn({"width": PANEL - 65, "height": _PANEL_HEIGHT, **layer(mark, rows, {"x": x, "y": y, **look})})


def _histogram_text(name: str, scores: _Scores) -> str:
    middles = [number(sorted(part)[len(part) // 2], "") for part in (scores.members, scores.others)]
    return f"{name}: median score of members {middles[0]}, of non-members {middles[1]}."


def _plain(value: float) -> str:
    return number(value, "")
