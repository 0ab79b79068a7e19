"""``auditkit selftest``: how often is this tool wrong? It audits models whose truth is known."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from auditkit.errors import ExitCode

if TYPE_CHECKING:
    from auditkit.decisions.matrix import Score
    from auditkit.evidence.selftest import SelftestDoc

_OUT = Path("auditkit-runs/selftest")
_SUMMARY = "summary.json"
"""What every report says of it, once it lies at auditkit/reporting/data/selftest.json."""


@click.command(
    short_help="Audit models with planted truth; print how often the verdict is wrong.",
    help=(
        "Build small models whose truth is known, audit each with the shipped profiles erasure and removal, and print truth "
        "against verdict with exact upper bounds. --quick: the seven constructions that matter most, in minutes. --full: all "
        "of them in three worlds, an hour or two; a run that was stopped goes on where it was. Exit 1 where a verdict was "
        "wrong (an abstention is not), 3 where an audit broke or a model is not what it promises, else 0."
    ),
)
@click.option("--quick/--full", "is_quick", default=True, help="Which of the zoo; default: quick.")
@click.option("--seed", "seeds", type=click.IntRange(min=0), multiple=True, help="World, may be repeated; locked from 100 on.")
@click.option("--only", "names", metavar="NAME", multiple=True, help="A construction by its file's name; may be repeated.")
@click.option("--out", type=click.Path(path_type=Path), default=_OUT, help="Folder of cases and pages.")
@click.option("--collect", is_flag=True, help="Run nothing: show what earlier runs left in the folder.")
@click.option("--quiet", is_flag=True, help="The matrix only.")
def command(*, is_quick: bool, seeds: tuple[int, ...], names: tuple[str, ...], out: Path, collect: bool, quiet: bool) -> int:
    """The pages are written before the exit code is decided."""
    from auditkit.decisions.matrix import score
    from auditkit.evidence.selftest import SELFTEST
    from auditkit.files import write_atomically
    from auditkit.measurement.progress import Silent
    from auditkit.reporting.selftest import PAGE, render_selftest, summary_of
    from auditkit.zoo.constructions import CONSTRUCTIONS
    from auditkit.zoo.selftest import full, quick, selftest

    for name in names:
        CONSTRUCTIONS.get(name)
    asked = (quick if is_quick else full)(out, seeds=seeds, names=names, collect=collect)
    doc = selftest(asked, progress=Silent(), note=(lambda _: None) if quiet else (lambda line: click.echo(line, err=True)))
    write_atomically(out / SELFTEST, doc.model_dump_json(indent=1))
    write_atomically(out / PAGE, render_selftest(doc))
    write_atomically(out / _SUMMARY, json.dumps(summary_of(doc), indent=1))
    found = score(doc.cases)
    for line in _matrix(doc, found):
        click.echo(line)
    click.echo(f"\n{out / PAGE}\n{out / SELFTEST}")
    return int(_code(doc, found))


def _matrix(doc: SelftestDoc, found: Score) -> list[str]:
    """Truth against verdict, and what it comes to."""
    from auditkit.decisions.matrix import TRUTHS, VERDICTS
    from auditkit.reporting._reliability import headline
    from auditkit.reporting.selftest import summary

    lines = [f"{doc.mode} self-test, {len(doc.cases)} models, worlds {', '.join(map(str, doc.seeds))}", ""]
    lines.append(f"  {'':16}{''.join(f'{word:>12}' for word in VERDICTS)}")
    lines += [
        f"  {truth:16}{''.join(f'{found.counts[truth][word]:>12}' for word in VERDICTS)}"
        for truth in TRUTHS
        if sum(found.counts[truth].values())
    ]
    lines += ["", *headline(summary(doc))]
    lines += [
        f"  deviates: {case.label} {case.construction}, world {case.seed}: {text}"
        for case in doc.cases
        for text in case.deviations
    ]
    return [*lines, *(f"  not audited: {one.label} {one.construction}: {one.why}" for one in doc.not_built)]


def _code(doc: SelftestDoc, found: Score) -> ExitCode:
    """FAIL where an audit was wrong; INCOMPLETE where one broke, or a model that was asked for is not what it promises."""
    from auditkit.zoo.selftest import NOT_BUILT

    if any(rates.models.hits for rates in (found.misses, found.false_alarms, found.undetected)):
        return ExitCode.FAIL
    whole = doc.cases and all(one in NOT_BUILT for one in doc.not_built)
    return ExitCode.PASS if whole and all(case.verdict != "ERROR" for case in doc.cases) else ExitCode.INCOMPLETE
