"""``auditkit plan``: what a run would do."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from auditkit.cli._options import options, spec_options

if TYPE_CHECKING:
    from auditkit.evidence.prepare import Audit, Job
    from auditkit.measurement.forecast import Forecast

_GROSS = 0.5
"""Share of leaking subjects for which the saving of a sequential requirement is quoted."""


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
        for line in (*_requirements(audit), "", *_left_out(audit), *_made(audit), *_cost(plan_of(audit))):
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
        yield from (f"    under {one.attack.name}: {one.attack.budget(one.params)}" for one in job.attacks)
        if job.requirement.with_:
            yield f"    with: {', '.join(f'{key}: {value!r}' for key, value in job.requirement.with_.items())}"
        yield from (f"    {line}" for line in _decidable(audit, job))
        if job.requirement.sequential:
            yield f"    {_sequential(audit, job)}"


def _left_out(audit: Audit) -> Iterator[str]:
    """What the intent asks for and the spec leaves out, each with who accepted it."""
    import datetime as dt

    from auditkit.spec.intent import omitted
    from auditkit.text import one_line

    lines = omitted(audit.spec, [job.requirement for job in audit.jobs], as_of=dt.datetime.now(dt.UTC).date())
    yield from (f"Left out: {one_line(line)}" for line in lines)
    if lines:
        yield ""


def _sequential(audit: Audit, job: Job) -> str:
    """What stopping early is expected to save."""
    from auditkit.decisions.sequential import expected_subjects

    subjects, bound = len(job.context.corpus.subjects()), job.requirement.at_most
    if bound is None or bound.model is not None:
        return f"sequential: stops early where a gross leak is shown; else all {subjects} subjects are asked"
    alpha = 1 - audit.spec.decide.confidence
    few = expected_subjects(_GROSS, bound.offset, alpha, subjects, audit.spec.seed)
    return f"sequential: about {few:.0f} of {subjects} subjects where half of them leak, all where none does"


def _decidable(audit: Audit, job: Job) -> Iterator[str]:
    """Whether a pass is possible, and from what dose on a failure would be found."""
    from auditkit.decisions.plan import decidable
    from auditkit.decisions.power import detectable
    from auditkit.evidence.variants import is_kept, under_attack

    others = [job.context.role(role) for role in job.check.other_roles]
    planned: dict[str, Any] = {
        "metric": job.check.metric_for(job.context.params),
        "statistic": under_attack(job.check, job.context.params, attacks=bool(job.attacks)),
        "bounds": job.requirement.bounds,
        "subjects": len(job.context.corpus.subjects()),
        "decide": audit.spec.decide,
        "others": len(others[0].subjects()) if others and others[0] is not None else None,
    }
    found = decidable(**planned)
    yield found.sentence if found.possible else f"CANNOT BE PASSED: {found.sentence}"
    if any(job.requirement.bounds):
        yield detectable(**planned, leak=not is_kept(job.requirement, job.check)).sentence


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
