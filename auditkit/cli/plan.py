"""``auditkit plan``: what a run would do."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from auditkit.cli._options import options, spec_options

if TYPE_CHECKING:
    from auditkit.evidence.prepare import Audit, Job
    from auditkit.measurement.forecast import Forecast


@click.command(
    short_help="Show what would be measured, and at what cost.",
    help="Show what would be measured, on which models, at what cost, and which bounds cannot be decided.",
)
@spec_options
def command(**given: Any) -> None:
    """Loads tokenizers, no weights."""
    from auditkit.evidence.audit import plan_of
    from auditkit.evidence.sweep import audits

    audited = audits(given["spec"], options(**given))
    for name, audit in audited.items():
        if name:
            click.echo(f"\ncandidate {name}")
        for line in (*_requirements(audit), "", *_made(audit), *_cost(plan_of(audit))):
            click.echo(line)


def _made(audit: Audit) -> Iterator[str]:
    """Models that the spec makes: how, on how many rows. What they cost is known only when they are made."""
    from auditkit.evidence.subjects import to_be_made

    lines = list(to_be_made(audit))
    if lines:
        yield "Models that the spec makes (once; found again by their recipe):"
        yield from (f"  {line}" for line in lines)
        yield ""


def _requirements(audit: Audit) -> Iterator[str]:
    """Every requirement as it will be decided, profiles expanded."""
    from auditkit.evidence.conclude import sentence
    from auditkit.text import one_line

    yield f"{audit.spec.title}: {len(audit.jobs)} requirements at {audit.spec.decide.confidence:.0%} one-sided confidence"
    for number, job in enumerate(audit.jobs, 1):
        state = "" if job.selected else "  [left out by --only or --skip]"
        yield f"\n{number:2}. {one_line(job.name)} ({job.requirement.level}){state}"
        yield f"    {sentence(job.requirement, job.check, job.context.corpus.name)}"
        if job.requirement.because:
            yield f"    because: {one_line(job.requirement.because)}"
        if job.requirement.with_:
            yield f"    with: {', '.join(f'{key}: {value!r}' for key, value in job.requirement.with_.items())}"
        yield f"    {_decidable(audit, job)}"


def _decidable(audit: Audit, job: Job) -> str:
    from auditkit.decisions.plan import decidable

    statistic = job.check.statistic(job.context.params)
    subjects = len(job.context.corpus.subjects())
    others = [job.context.role(role) for role in job.check.other_roles]
    found = decidable(
        metric=job.check.metric_for(job.context.params),
        statistic=statistic,
        bounds=job.requirement.bounds,
        subjects=subjects,
        decide=audit.spec.decide,
        leak=job.check.dimension != "utility",
        others=len(others[0].subjects()) if others and others[0] is not None else None,
    )
    return found.sentence if found.possible else f"CANNOT BE PASSED: {found.sentence}"


def _cost(forecasts: list[Forecast]) -> Iterator[str]:
    yield "What the models would be asked (equal requests of different checks are asked once):"
    wide = max([14, *(len(one.model) for one in forecasts)]) + 2
    yield f"  {'model':{wide}}{'asked for':>11}{'to ask':>9}{'recorded':>10}{'batches':>9}{'tokens to run':>15}"
    for one in forecasts:
        yield (
            f"  {one.model:{wide}}{one.asked:>11,}{one.merged:>9,}{one.cached:>10,}{one.batches:>9,}{one.tokens_to_run:>15,}"
        )
        if one.too_long:
            yield f"  {one.model}: {one.too_long} requests do not fit into the model's window; verify would refuse to start"
