"""``auditkit verify``: measure, decide, report, exit."""

from __future__ import annotations

import os
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from auditkit.cli._options import options, spec_options
from auditkit.cli._output import print_comparison
from auditkit.errors import ExitCode

if TYPE_CHECKING:
    from auditkit.evidence.bundle import Outcome


@click.command(
    short_help="Run the audit; exit with its verdict.",
    help=(
        "Run the audit: make and measure the models, decide every requirement, write the report, exit with the verdict. "
        "A spec with several candidates (methods, grid) leaves one run folder for each and their comparison; the exit code is "
        "then that of the worst."
    ),
)
@spec_options
@click.option("--run-dir", type=click.Path(path_type=Path), help="Folder of the run; default: auditkit-runs/SPEC-ID.")
@click.option("--show-text", is_flag=True, help="Write forget text and generations into the report (default: redacted).")
@click.option("--exit-zero", is_flag=True, help="Exit 0 whatever the verdict (errors keep their code).")
@click.option("--no-waivers", is_flag=True, help="Exit 1 for PASS WITH EXCEPTIONS.")
@click.option("--quiet", is_flag=True, help="No progress; the table and the verdict only.")
def command(run_dir: Path | None, show_text: bool, exit_zero: bool, no_waivers: bool, quiet: bool, **given: Any) -> int:
    """Every report is written before the exit code is decided."""
    from auditkit.cli._output import exit_code, print_results, worst
    from auditkit.evidence.bundle import write_bundle
    from auditkit.evidence.sweep import audits, default_sweep_dir, outcomes
    from auditkit.measurement.progress import progress_for

    audited = audits(given["spec"], options(**given))
    command_line = shlex.join(["auditkit", *sys.argv[1:]])
    if len(audited) > 1:
        run_dir = run_dir or default_sweep_dir(given["spec"], audited)
    codes: list[ExitCode] = []
    with progress_for(quiet=quiet) as progress:
        for outcome in outcomes(audited, run_dir, progress=progress, show_text=show_text, command=command_line):
            folder = write_bundle(outcome, _reports(outcome, given["spec"]))
            codes.append(exit_code(outcome.results, no_waivers=no_waivers))
    if len(audited) > 1 and run_dir is not None:
        print_comparison(run_dir, runs=[run_dir / name for name in audited])
    else:
        print_results(outcome.results, folder)
    return int(ExitCode.PASS if exit_zero else worst(codes))


def _reports(outcome: Outcome, spec: Path) -> dict[str, str]:
    """Every registered format, and the CI's own summary and annotations where it asks for them."""
    from auditkit.reporting import FORMATS, github_annotations, render_all

    reports = render_all(outcome.results, outcome.values)
    summary = os.environ.get("GITHUB_STEP_SUMMARY")
    if summary:
        with Path(summary).open("a", encoding="utf-8") as stream:
            stream.write(reports[FORMATS.get("summary").filename])
    if os.environ.get("GITHUB_ACTIONS"):
        click.echo(github_annotations(outcome.results, str(spec)))
    return reports
