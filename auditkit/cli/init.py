"""``auditkit init``: a commented starter spec."""

from __future__ import annotations

from pathlib import Path

import click

from auditkit.errors import UserError
from auditkit.files import write_atomically


@click.command(
    short_help="Write a commented starter spec.",
    help="Write a commented starter spec and, beside it, its JSON Schema for editors.",
)
@click.argument("path", type=click.Path(path_type=Path), default=Path("auditspec.yaml"))
def command(path: Path) -> None:
    """Refuses to overwrite."""
    import json

    from auditkit.spec.schema import spec_schema
    from auditkit.spec.starter import starter

    schema = path.with_name("auditspec.schema.json")
    if path.exists():
        raise UserError(f"{path} exists already and is not overwritten; give another path")
    write_atomically(path, starter())
    if not schema.exists():
        write_atomically(schema, json.dumps(spec_schema(), indent=2) + "\n")
    click.echo(f"wrote {path}\nnext: edit it, then run  auditkit validate {path}")
