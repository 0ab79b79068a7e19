"""``auditkit show``: one check, attack, unlearning method or profile in full."""

from __future__ import annotations

import inspect
import textwrap
from typing import Any

import click

from auditkit.errors import UserError, did_you_mean


@click.command(
    short_help="Show one check, attack, method or profile in full.",
    help=(
        "Show one check (what it measures, parameters, source, limits), one attack (what is done, what it takes, parameters, "
        "source, limits), one unlearning method (what it does, parameters, source, limits) or one profile (its requirements)."
    ),
)
@click.argument("name")
def command(name: str) -> None:
    """Raises UserError for an unknown name."""
    from auditkit.attacks import ATTACKS
    from auditkit.checks import CHECKS
    from auditkit.spec.profiles import load_profile, profile_names
    from auditkit.unlearning import METHODS

    if name in CHECKS.names():
        click.echo(_check(CHECKS.get(name)))
    elif name in ATTACKS.names():
        click.echo(_attack(ATTACKS.get(name)))
    elif name in METHODS.names():
        click.echo(_method(METHODS.get(name)))
    elif name in profile_names():
        click.echo(_profile(name, load_profile(name)))
    else:
        known = (*CHECKS.names(), *ATTACKS.names(), *METHODS.names(), *profile_names())
        raise UserError(f"no check, attack, method or profile is called {name!r}; {did_you_mean(name, known)}")


def _check(check: Any) -> str:
    metric = check.metric
    chance = "measured on the reference" if metric.chance is None else f"{metric.chance:g}"
    better = {"lower": "lower is better", "higher": "higher is better", "target": "both sides are bad"}[metric.better]
    lines = [
        f"{check.name}: {check.title}",
        "",
        *_wrap(check.summary),
        "",
        f"  metric     {metric.name} in {metric.unit}, {metric.low:g} to {metric.high:g}, {better}; chance level {chance}",
        f"  corpus     role {check.role}" + (f"; also needs {', '.join(check.other_roles)}" if check.other_roles else ""),
        f"  fields     {', '.join(check.fields) or 'any'}",
        f"  reference  {'needed' if check.needs_reference else 'used as control where the spec has one'}",
        "",
        "  parameters (under `with:`)",
    ]
    lines += _parameters(check.params)
    lines += ["", "  source", *_wrap(check.source, "    "), "", "  what it cannot show", *_wrap(check.limits, "    ")]
    return "\n".join(lines)


def _attack(attack: Any) -> str:
    from auditkit.attacks import FAMILIES

    lines = [
        f"{attack.name}: {attack.title}",
        "",
        *_wrap(attack.summary),
        *_wrap(inspect.getdoc(type(attack)) or ""),
        "",
        f"  family     {attack.family}: {FAMILIES[attack.family]}",
        f"  needs      {'a model named ' + ', '.join(attack.needs) if attack.needs else 'nothing beside the models measured'}",
        f"  a failure  {'is indicative: never the only reason for FAIL' if attack.indicative else 'counts like any other'}",
        "",
        "  parameters (under `under:`)",
        *_parameters(attack.params),
        "",
        "  what somebody needs to do it",
        *_wrap(attack.attacker, "    "),
    ]
    lines += ["", "  source", *_wrap(attack.source, "    "), "", "  what it cannot show", *_wrap(attack.limits, "    ")]
    return "\n".join(lines)


def _method(method: Any) -> str:
    lines = [
        f"{method.name}: {method.title}",
        "",
        *_wrap(method.summary),
        *_wrap(inspect.getdoc(type(method)) or ""),
        "",
        f"  meant as   {method.intent} (as its authors mean it; an audit says what it came to)",
        f"  acts on    {method.level}",
        "",
        "  parameters (under `unlearn:`)",
        *_parameters(method.params),
    ]
    lines += ["", "  source", *_wrap(method.source, "    "), "", "  what is known to go wrong", *_wrap(method.limits, "    ")]
    return "\n".join(lines)


def _parameters(params: Any) -> list[str]:
    lines: list[str] = []
    for key, field in params.model_fields.items():
        default = "required" if field.is_required() else repr(field.get_default(call_default_factory=True))
        lines.append(f"    {field.alias or key}: {default if len(default) < 80 else default[:77] + '...'}")
        lines.extend(_wrap(field.description or "", "      "))
    return lines


def _profile(name: str, profile: Any) -> str:
    from auditkit.evidence.conclude import bound_text

    lines = [f"{name}: {profile.title}", "", "  source", *_wrap(profile.source, "    "), "", "  requirements"]
    for item in profile.require:
        bound = bound_text(item) or "reported, no bound"
        lines.append(f"    {item.name} ({item.check} on {item.corpus or 'its usual corpus'}): {bound} [{item.level}]")
        lines.extend(_wrap(item.because or "", "      "))
    return "\n".join(lines)


def _wrap(text: str, indent: str = "  ") -> list[str]:
    return textwrap.wrap(text, 96, initial_indent=indent, subsequent_indent=indent)
