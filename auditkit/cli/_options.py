"""Options that several commands share, gathered into one value that is passed on."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from auditkit.evidence.prepare import Options

F = TypeVar("F", bound=Callable[..., Any])

SPEC = click.argument("spec", type=click.Path(path_type=Path))

_SHARED = (
    click.option("--limit", type=click.IntRange(min=1), help="Rows per corpus. Taints the run: nothing can pass."),
    click.option("--only", multiple=True, metavar="PATTERN", help="Requirements to check, by name (repeatable, * allowed)."),
    click.option("--skip", multiple=True, metavar="PATTERN", help="Requirements to leave unchecked (repeatable)."),
    click.option("--set", "overrides", multiple=True, metavar="PATH=VALUE", help="Change a value of the spec (repeatable)."),
    click.option("--root", "roots", multiple=True, type=click.Path(path_type=Path), help="Another folder the spec may read."),
    click.option("--offline", is_flag=True, help="Never use the network, even for models named by hub id."),
    click.option("--seed", type=click.IntRange(min=0), help="Seed of every random draw; default: the spec's."),
    click.option("--device", help="auto, cpu, cuda, mps or another torch device, for every model."),
)


def spec_options(function: F) -> F:
    """``SPEC`` and the options that change what is selected from it."""
    for option in reversed(_SHARED):
        function = option(function)
    return SPEC(function)


def options(**given: Any) -> Options:
    """The shared options as one value."""
    from auditkit.evidence.prepare import Options

    keys = ("limit", "only", "skip", "overrides", "roots", "offline", "seed", "device")
    return Options(**{key: given[key] for key in keys})
