"""``auditkit report``: render or decide again from a run folder, with no model."""

from __future__ import annotations

from pathlib import Path

import click

from auditkit.errors import ExitCode


@click.command(
    short_help="Render or decide again from a run folder.",
    help="Render a run folder again, or decide again under changed bounds. Loads no model.",
)
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--spec", "spec", type=click.Path(path_type=Path), help="A spec whose bounds, reasons or waivers differ.")
@click.option("--set", "overrides", multiple=True, metavar="PATH=VALUE", help="Change a value of the spec (repeatable).")
@click.option(
    "--out", type=click.Path(path_type=Path), help="Folder for the result; default: the run folder, if nothing changed."
)
@click.option("--exit-zero", is_flag=True, help="Exit 0 whatever the verdict (errors keep their code).")
@click.option("--no-waivers", is_flag=True, help="Exit 1 for PASS WITH EXCEPTIONS.")
def command(
    *, run: Path, spec: Path | None, overrides: tuple[str, ...], out: Path | None, exit_zero: bool, no_waivers: bool
) -> int:
    """The bundle's manifest is checked first: a changed byte ends with exit 4."""
    from auditkit.cli._output import exit_code, print_results
    from auditkit.evidence.replay import replay
    from auditkit.reporting import render_all

    replayed = replay(run, spec=spec, overrides=overrides)
    folder = replayed.write(out, render_all(replayed.results, replayed.values))
    print_results(replayed.results, folder)
    return int(ExitCode.PASS if exit_zero else exit_code(replayed.results, no_waivers=no_waivers))
