"""What verify and report print at the end, and the code they leave with."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from auditkit.decisions.types import Verdict
from auditkit.errors import ExitCode

if TYPE_CHECKING:
    from auditkit.evidence.results import Results


def exit_code(results: Results, *, no_waivers: bool) -> ExitCode:
    """The stored verdict's code; with ``no_waivers``, PASS WITH EXCEPTIONS counts as FAIL."""
    verdict = Verdict(results.verdict)
    return ExitCode.FAIL if no_waivers and verdict is Verdict.PASS_WITH_EXCEPTIONS else verdict.exit_code


def worst(codes: Sequence[ExitCode]) -> ExitCode:
    """Of several candidates: FAIL before INCOMPLETE before PASS."""
    return max(codes, key=lambda code: (code is ExitCode.FAIL, code))


def print_comparison(folder: Path, *, baseline: str | None = None, runs: Sequence[Path] = ()) -> None:
    """Compare the bundles of a sweep's folder, or ``runs``; write the page into the folder and print the table."""
    from auditkit.evidence.compare import compare
    from auditkit.evidence.comparison import write_comparison
    from auditkit.reporting.comparison import PAGE, render_comparison
    from auditkit.reporting.comparison_table import render_comparison_table

    comparison = compare(runs or [folder], baseline=baseline)
    written = write_comparison(folder, comparison, render_comparison(comparison))
    click.echo(render_comparison_table(comparison, colour=sys.stdout.isatty()))
    click.echo(f"comparison: {written / PAGE}")


def print_results(results: Results, folder: Path) -> None:
    """The table, the verdict and where the report lies."""
    from auditkit.reporting.terminal import render_terminal

    click.echo(render_terminal(results, colour=sys.stdout.isatty()))
    click.echo(f"report: {folder / 'report.html'}")
