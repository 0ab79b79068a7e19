"""``auditkit schema``: the JSON Schemas."""

from __future__ import annotations

import json

import click


@click.command(
    short_help="Print a JSON Schema (spec or results).",
    help="Print a JSON Schema: of the spec (for editors) or of results.json.",
)
@click.argument("document", type=click.Choice(["spec", "results"]))
def command(document: str) -> None:
    """Made from the models; the committed copy is tested equal."""
    if document == "spec":
        from auditkit.spec.schema import spec_schema

        click.echo(json.dumps(spec_schema(), indent=2))
    else:
        from auditkit.evidence.results import Results

        click.echo(json.dumps(Results.model_json_schema(), indent=2))
