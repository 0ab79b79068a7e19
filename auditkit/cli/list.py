"""``auditkit list``: what there is."""

from __future__ import annotations

import click

KINDS = ("checks", "attacks", "methods", "profiles", "formats", "models", "constructions")


@click.command(
    short_help="List checks, profiles, built-in models, …",
    help="List checks, attacks, unlearning methods, profiles, formats, built-in models or the self-test's constructions.",
)
@click.argument("kind", type=click.Choice(KINDS))
def command(kind: str) -> None:
    """One line each."""
    lines = _LISTS[kind]()
    click.echo("\n".join(lines) if lines else f"no {kind} are installed")


def _checks() -> list[str]:
    from auditkit.checks import CHECKS

    return [f"{name:26}{CHECKS.get(name).summary}" for name in CHECKS.names()]


def _attacks() -> list[str]:
    from auditkit.attacks import ATTACKS

    return [f"{name:26}{ATTACKS.get(name).summary}" for name in ATTACKS.names()]


def _methods() -> list[str]:
    from auditkit.unlearning import METHODS

    return [f"{name:26}{METHODS.get(name).summary}" for name in METHODS.names()]


def _profiles() -> list[str]:
    from auditkit.spec.profiles import load_profile, profile_names

    return [f"{name:26}{load_profile(name).title}" for name in profile_names()]


def _formats() -> list[str]:
    from auditkit.reporting import FORMATS

    return [f"{name:26}{FORMATS.get(name).filename}" for name in FORMATS.names()]


def _models() -> list[str]:
    from auditkit.models.builtin import BUILTINS

    return [f"builtin:{name}" for name in sorted(BUILTINS)]


def _constructions() -> list[str]:
    from auditkit.zoo.constructions import CONSTRUCTIONS

    found = [(name, CONSTRUCTIONS.get(name)) for name in CONSTRUCTIONS.names()]
    return [f"{name:26}{one.label:10}{one.truth.audit:17}{one.recipe}" for name, one in found]


_LISTS = {
    "checks": _checks,
    "attacks": _attacks,
    "methods": _methods,
    "profiles": _profiles,
    "formats": _formats,
    "models": _models,
    "constructions": _constructions,
}
