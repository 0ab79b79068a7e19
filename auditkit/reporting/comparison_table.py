"""The table that ``compare`` ends with: at most 100 columns; the candidates first, then every requirement on each."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from auditkit.reporting import _costs
from auditkit.reporting._numbers import interval, observed, signed
from auditkit.reporting._printable import printable
from auditkit.reporting._vocabulary import WORDS
from auditkit.reporting.terminal import STYLES, VERDICTS, WIDTH

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table

    from auditkit.evidence.comparison import CellDoc, Comparison

_COLUMNS = (19, 13, 22, 23, 9, 4)
"""Widths in letters; five gaps of two lie between them."""
_SHOWN = {"no difference shown": "not shown"}


def render_comparison_table(comparison: Comparison, *, colour: bool = False) -> str:
    """The tables as text; with ``colour``, with ANSI styles. Data cannot bring styles of its own."""
    from rich.console import Console

    stream = io.StringIO()
    console = Console(
        file=stream,
        width=WIDTH,
        force_terminal=colour,
        color_system="standard" if colour else None,
        legacy_windows=False,
    )
    shown = printable(comparison)
    for part in (_candidates(shown), "", _heading(shown), *_requirements(shown), *_notes(shown)):
        console.print(part)
    return "\n".join(line.rstrip() for line in stream.getvalue().rstrip().splitlines())


def _table(titles: Sequence[str], widths: Sequence[int]) -> Table:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD if any(titles) else None, pad_edge=False, show_edge=False, show_header=any(titles))
    for title, width in zip(titles, widths, strict=True):
        table.add_column(Text(title), width=width, overflow="fold")
    return table


def _candidates(comparison: Comparison) -> RenderableType:
    from rich.text import Text

    table = _table(("Candidate", "Verdict", "Cost of making it"), (32, 20, 44))
    for candidate in comparison.candidates:
        baseline = " (baseline)" if candidate.name == comparison.baseline else ""
        verdict = Text(candidate.verdict, style=VERDICTS[candidate.verdict])
        cost = ", ".join(filter(None, (_costs.cost(candidate.cost), _costs.ratio(candidate))))
        table.add_row(Text(candidate.name + baseline), verdict, Text(cost))
    if comparison.reference_cost is not None:
        table.add_row(Text("reference"), Text(""), Text(_costs.cost(comparison.reference_cost)))
    return table


def _heading(comparison: Comparison) -> RenderableType:
    return _table(("Model", "Result", "Value", f"Minus {comparison.baseline}", "Shown", "n"), _COLUMNS)


def _requirements(comparison: Comparison) -> Iterator[RenderableType]:
    from rich.text import Text

    for doc in comparison.requirements:
        better = "neither end is good" if doc.metric.better == "target" else f"{doc.metric.better} is better"
        units = {cell.estimate.unit for cell in doc.cells}
        yield Text(f"{doc.name} ({better}; n: {', '.join(f'{unit}s' for unit in sorted(units))})", style="bold")
        table = _table(("",) * len(_COLUMNS), _COLUMNS)
        for cell in doc.cells:
            table.add_row(*_cells(cell, doc.metric.unit))
        for name in doc.missing:
            table.add_row(Text(name), Text("not required"))
        for role, estimate in doc.models.items():
            table.add_row(Text(role), "", Text(observed(estimate, doc.metric.unit)), "", "", str(estimate.n))
        yield table
        yield ""


def _cells(cell: CellDoc, unit: str) -> tuple[RenderableType, ...]:
    from rich.text import Text

    difference = cell.difference
    apart = "" if difference is None else f"{signed(difference.value, unit)} {interval(difference, unit)}"
    word = WORDS[cell.result] + ("\n(waived)" if cell.waived else "")
    return (
        Text(cell.candidate),
        Text(word, style=STYLES.get(cell.result, "")),
        Text(observed(cell.estimate, unit)),
        Text(apart),
        Text(_SHOWN.get(cell.shown or "", cell.shown or "")),
        Text(str(cell.estimate.n)),
    )


def _notes(comparison: Comparison) -> list[RenderableType]:
    from rich.text import Text

    return [Text(note, style="yellow") for note in comparison.notes]
