"""``auditkit validate``: everything that can be known without loading a model."""

from __future__ import annotations

from typing import Any

import click

from auditkit.cli._options import options, spec_options


@click.command(
    short_help="Check a spec; loads no model.",
    help="Check a spec: fields, cross-references, data files and checkpoint folders. Loads no model.",
)
@spec_options
def command(**given: Any) -> None:
    """Prints what was checked, and nothing else."""
    from auditkit.evidence.sweep import audits

    audited = audits(given["spec"], options(**given))
    audit = next(iter(audited.values()))
    candidates = f" for each of {len(audited)} candidates" if len(audited) > 1 else ""
    required = sum(job.requirement.level == "required" for job in audit.jobs)
    rows = sum(len(corpus.examples) for corpus in audit.corpora.values())
    click.echo(
        f"{given['spec']}: valid\n"
        f"  {len(audit.jobs)} requirements ({required} required), {len(audit.sources)} models to measure{candidates}, "
        f"{len(audit.corpora)} corpora with {rows} rows\n"
        "  checked: fields, names, bounds, parameters, data files, checkpoint folders\n"
        "  not checked: whether the weights load, what they contain (no model was loaded)"
    )
