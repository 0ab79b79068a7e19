"""``auditkit compare``: two or more run folders beside each other, with no model."""

from __future__ import annotations

from pathlib import Path

import click

from auditkit.cli._output import print_comparison
from auditkit.errors import ExitCode


@click.command(
    short_help="Compare two or more run folders.",
    help=(
        "Compare two or more run folders, or those inside the one folder that a sweep left: every candidate on every "
        "requirement, with its paired difference to the baseline, its cost, and forgetting against utility. Loads no model. "
        "A comparison has no verdict: the exit code is 0 unless something is wrong."
    ),
)
@click.argument("runs", nargs=-1, required=True, metavar="RUN...", type=click.Path(path_type=Path))
@click.option("--baseline", metavar="NAME", help="The candidate that the others are compared with; default: the first.")
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    help="Folder for compare.html and compare.json; default: auditkit-compare, or the folder of the sweep.",
)
def command(*, runs: tuple[Path, ...], baseline: str | None, out: Path | None) -> int:
    """Every bundle's manifest is checked first: a changed byte ends with exit 4."""
    default = runs[0] if len(runs) == 1 else Path("auditkit-compare")
    print_comparison(out or default, baseline=baseline, runs=runs)
    return int(ExitCode.PASS)
