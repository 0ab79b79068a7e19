"""The section on scale and sequence: curves as figures, what a sequence comes to, and what each step cost."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from auditkit.evidence.sequence import costs, sequence_summary
from auditkit.evidence.series import series
from auditkit.reporting import _costs, _words
from auditkit.reporting._numbers import NOT_MEASURED, duration, interval, number, observed, signed
from auditkit.reporting.figures._curve import curve_figure, limit, outcome
from auditkit.reporting.figures._parts import Figure, Table

if TYPE_CHECKING:
    from auditkit.evidence.results import MadeDoc, Results
    from auditkit.evidence.sequence import Cost, Current, Drift, OneShotGap, OrderEffect, Resurfacing, SequenceSummary

_SPENT = ("Time", "Tokens", "Peak memory", "Optimiser steps")
Line = tuple[str, str, str]
"""(curve, value, what it was found at)."""


@dataclass(frozen=True)
class Quantity:
    """One of the quantities of a sequence, for every curve that has it."""

    title: str
    meaning: str
    rows: list[Line]


@dataclass(frozen=True)
class Section:
    """What the section prints."""

    scale: list[Figure]
    sequence: list[Figure]
    not_drawn: list[str]
    """Curves of which nothing was measured."""
    quantities: list[Quantity]
    costs: Table | None
    """None where no cost was recorded."""


def section(results: Results) -> Section | None:
    """None where no requirement stands on a curve."""
    curves = series(results)
    if not curves:
        return None
    drawn = [(curve, curve_figure(curve)) for curve in curves]
    return Section(
        scale=[figure for curve, figure in drawn if figure is not None and curve.family == "scale"],
        sequence=[figure for curve, figure in drawn if figure is not None and curve.family == "sequence"],
        not_drawn=[curve.name for curve, figure in drawn if figure is None],
        quantities=list(_quantities(sequence_summary(results))),
        costs=_cost_table(costs(results), results.run.made.get("reference")),
    )


def _quantities(summary: SequenceSummary | None) -> Iterator[Quantity]:
    """Those that some curve has."""
    if summary is None:
        return
    words = _words.explanations().quantities
    found = {
        "current": [_current(one) for one in summary.current],
        "resurfacing": [_resurfacing(one) for one in summary.resurfacing],
        "drift": [line for one in summary.drift for line in _drift(one)],
        "order": [_order(one) for one in summary.orders],
        "one_shot": [_gap(one) for one in summary.gaps],
    }
    for key, rows in found.items():
        if rows:
            yield Quantity(words[key].term, words[key].text, rows)


def _current(current: Current) -> Line:
    curve, worst = current.curve, current.worst
    measured = f"{len(curve.measured)} of {curve.steps} requests measured"
    if worst is None:
        return curve.name, NOT_MEASURED, measured
    unit = curve.metric.unit
    where = f"{worst.label}, {worst.corpus}; {limit(worst.bound, unit)}; {outcome(worst)}; {measured}"
    return curve.name, observed(worst.estimate, unit), where


def _resurfacing(found: Resurfacing) -> Line:
    curve, worst = found.curve, found.worst
    measured = f"{found.measured} of {found.pairs} pairs measured against right after the request"
    if worst is None or worst.difference is None or worst.bound is None:
        return curve.name, NOT_MEASURED, measured
    value = f"{signed(worst.difference.value, curve.metric.unit)} {interval(worst.difference, curve.metric.unit)}".rstrip()
    return curve.name, value, f"{worst.label}; {worst.bound.text}; {outcome(worst)}; {measured}"


def _drift(drift: Drift) -> Iterator[Line]:
    curve, end, unit = drift.curve, drift.end, drift.curve.metric.unit
    points = f"{len(curve.measured)} of {curve.steps} points"
    slope = NOT_MEASURED if drift.slope is None else f"{signed(drift.slope, unit)} per request"
    yield curve.name, slope, f"slope over {points}; no interval: every point asks the same subjects"
    if end is None:
        yield curve.name, NOT_MEASURED, f"after request {curve.steps}"
        return
    beside = "" if end.original is None else f"original {number(end.original.value, unit)}; "
    yield (
        curve.name,
        observed(end.estimate, unit),
        f"after request {curve.steps}; {beside}{limit(end.bound, unit)}; {outcome(end)}",
    )


def _order(effect: OrderEffect) -> Line:
    unit = effect.curve.metric.unit
    names = {order: f"order {order}" if order else "the spec's order" for order in effect.values}
    values = ", ".join(f"{names[order]} {number(value, unit)}" for order, value in effect.values.items())
    return _asked(effect), number(effect.spread, unit), values


def _gap(gap: OneShotGap) -> Line:
    unit = gap.curve.metric.unit
    where = f"in sequence {number(gap.sequence, unit)}, all at once {number(gap.one_shot, unit)}"
    return _asked(gap), signed(gap.gap, unit), where


def _asked(found: OrderEffect | OneShotGap) -> str:
    return found.curve.name if found.curve.one_corpus else f"{found.curve.name}, {found.corpus}"


def _cost_table(steps: list[Cost], reference: MadeDoc | None) -> Table | None:
    if all(step.made is None for step in steps):
        return None
    if reference is None:
        caption = (
            "What making the model of each step cost; this run did not make the reference: there is no ratio to retraining"
        )
        return Table(caption, ("Step", *_SPENT), tuple((step.label, *_spent(step.made)) for step in steps))
    rows = [(step.label, *_spent(step.made), _ratio(step.seconds_ratio), _ratio(step.tokens_ratio)) for step in steps]
    rows.append(("retraining", *_spent(reference), "1", "1"))
    columns = ("Step", *_SPENT, "Time ÷ retraining", "Tokens ÷ retraining")
    return Table("What making the model of each step cost, beside retraining: making the reference", columns, tuple(rows))


def _spent(made: MadeDoc | None) -> tuple[str, str, str, str]:
    if made is None:
        return (_costs.NOT_RECORDED,) * 4
    return duration(made.seconds), f"{made.tokens:,}", _costs.memory(made), f"{made.steps:,}"


def _ratio(ratio: float | None) -> str:
    return "not comparable" if ratio is None else f"{ratio:.2g}"
