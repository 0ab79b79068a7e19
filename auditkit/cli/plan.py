"""``auditkit plan``: what a run would do."""

from __future__ import annotations

from typing import Any

import click

from auditkit.cli._options import options, spec_options


@click.command(help="Show what would be measured, on which models, at what cost, and which bounds cannot be decided.")
@spec_options
def command(**given: Any) -> None:
    """Loads tokenizers, no weights."""
    from auditkit.evidence.audit import forecast
    from auditkit.evidence.prepare import prepare
    from auditkit.reporting.terminal import render_plan

    click.echo(render_plan(forecast(prepare(given["spec"], options(**given)))))
