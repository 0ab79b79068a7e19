"""The table that a run ends with: at most 100 columns, the verdict last."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

from auditkit.reporting._numbers import interval, number, sample
from auditkit.reporting._outcome import facts
from auditkit.reporting._printable import printable
from auditkit.reporting._vocabulary import result_word, urgency

if TYPE_CHECKING:
    from rich.console import RenderableType

    from auditkit.evidence.results import RequirementDoc, Results

WIDTH = 100
STYLES = {"pass": "green", "fail": "bold red", "inconclusive": "yellow", "error": "magenta"}
VERDICTS = {"PASS": "green", "PASS WITH EXCEPTIONS": "yellow", "FAIL": "red", "INCOMPLETE": "yellow"}


def render_terminal(results: Results, *, width: int = WIDTH, colour: bool = False) -> str:
    """The table, the kind of result and the verdict as text; with ``colour``, with ANSI styles. Data brings no styles."""
    from rich.console import Console

    stream = io.StringIO()
    console = Console(
        file=stream,
        width=min(width, WIDTH),
        force_terminal=colour,
        color_system="standard" if colour else None,
        legacy_windows=False,
    )
    shown = printable(results)
    for part in (_table(shown), "", *_taint(shown), *_outcome(shown), _verdict(shown)):
        console.print(part)
    return "\n".join(line.rstrip() for line in stream.getvalue().rstrip().splitlines())


def _table(results: Results) -> RenderableType:
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for title, least, ratio in (
        ("Requirement", 20, 4),
        ("Result", 12, 2),
        ("Value", 11, 3),
        ("Bound", 11, 3),
        ("Sample", 9, 2),
    ):
        table.add_column(title, min_width=least, ratio=ratio, overflow="fold")
    for requirement in sorted(results.requirements, key=urgency):
        table.add_row(*_cells(requirement))
    return table


def _cells(requirement: RequirementDoc) -> tuple[RenderableType, ...]:
    from rich.text import Text

    unit, estimate = requirement.metric.unit, requirement.estimate
    advisory = "\nadvisory" if requirement.level != "required" else ""
    value = f"{number(estimate.value, unit)}\n{interval(estimate, unit)}".rstrip()
    return (
        Text(requirement.name),
        Text(result_word(requirement) + advisory, style=STYLES.get(requirement.result, "")),
        Text(value),
        Text(requirement.bound.text or "none"),
        Text(sample(estimate).replace(", ", ",\n") if estimate.value is not None else "none"),
    )


def _taint(results: Results) -> list[RenderableType]:
    from rich.text import Text

    return [Text(f"limited run: {reason}", style="yellow") for reason in results.tainted]


def _outcome(results: Results) -> list[RenderableType]:
    from rich.text import Text

    return [Text.assemble((heading, "bold"), f": {'; '.join(items)}") for heading, items in facts(results)]


def _verdict(results: Results) -> RenderableType:
    from rich.text import Text

    return Text.assemble((results.verdict, f"bold {VERDICTS[results.verdict]}"), f": {results.summary}")
