"""What verify and report print at the end, and the code they leave with."""

from __future__ import annotations

import sys
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


def print_results(results: Results, folder: Path) -> None:
    """The table, the verdict and where the report lies."""
    from auditkit.reporting.terminal import render_terminal

    click.echo(render_terminal(results, colour=sys.stdout.isatty()))
    click.echo(f"report: {folder / 'report.html'}")
