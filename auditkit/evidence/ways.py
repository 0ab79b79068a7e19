"""Every way in which every requirement is measured on every model: the models that attacks make, and what each is asked.

::

    job × model × treatment ─► Way: a subject of the plan (the model itself, or one that an attack makes) and its questions

Two requirements under the same attack share the model that it makes: a subject is known by what is done to it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from auditkit.attacks import Target
from auditkit.errors import AuditkitError, IntegrityError
from auditkit.evidence.prepare import Audit, Job, asked_models
from auditkit.evidence.variants import Treatment, attacked, context_of, idle, treatments
from auditkit.measurement.plan import Subject
from auditkit.models.checkpoint import fingerprint
from auditkit.models.protocol import Fingerprint
from auditkit.unlearning import Manner

if TYPE_CHECKING:
    from auditkit.checks._base import Context
    from auditkit.evidence.subjects import Subjects
    from auditkit.models.protocol import Request
    from auditkit.models.text import TextModel


@dataclass(frozen=True)
class Way:
    """One treatment of one model."""

    treatment: Treatment
    subject: str
    """Name in the plan."""
    context: Context[Any]
    """The rows as they are worded."""

    def requests(self, job: Job) -> list[Request]:
        """What is asked."""
        return [self.treatment.wording.request(request) for request in job.check.requests(self.context)]


@dataclass
class Ways:
    """Of all requirements."""

    by_job: dict[str, dict[str, list[Way]]] = field(default_factory=dict)
    """Slug → model → ways."""
    targets: dict[str, Target] = field(default_factory=dict)
    """The attacked models, by their name in the plan."""
    subjects: dict[str, Subject] = field(default_factory=dict)
    """Likewise."""
    errors: dict[str, str] = field(default_factory=dict)
    """Slug → why an attack cannot be carried out."""
    idle: dict[str, str] = field(default_factory=dict)
    """Slug → why its attack has nothing to act on."""


def bases_of(audit: Audit, subjects: Subjects) -> dict[str, Target]:
    """The measured models, with nothing done to them."""
    return {name: Target(name, source, Manner.of(audit.spec.models[name])) for name, source in subjects.sources.items()}


def ways_of(jobs: Iterable[Job], bases: Mapping[str, Target], subjects: Subjects) -> Ways:
    """Every way. An attack that cannot be carried out on one model breaks its requirement and no other."""
    found = Ways()
    prints = {name: subject.fingerprint for name, subject in subjects.subjects.items()}
    for job in jobs:
        reason = idle(job, bases[job.requirement.of])
        if reason:
            found.idle[job.slug] = reason
            continue
        try:
            found.by_job[job.slug] = {
                name: list(_ways(job, bases[name], prints[name], found))
                for name in bases
                if name in asked_models(job.requirement)
            }
        except IntegrityError:
            raise
        except Exception as error:  # an attack that broke is a result of its requirement, not the end of the audit
            found.errors[job.slug] = broken("The attack", error)
    return found


def staged(job: Job, bases: Mapping[str, Target], note: Callable[[str], None] = lambda _: None) -> Job:
    """The job with the models of the spec within its attacks' reach; ``note`` is told what takes long."""

    def there(name: str) -> Callable[[], Target]:
        return lambda: bases[name]

    return replace(job, scene=replace(job.scene, models={name: there(name) for name in bases}, note=note))


def _ways(job: Job, base: Target, own: Fingerprint, found: Ways) -> Iterator[Way]:
    for treatment in treatments(job):
        target = attacked(job, base, treatment)
        yield Way(treatment, _subject(target, base, own, treatment, found), context_of(job, treatment))


def _subject(target: Target, base: Target, own: Fingerprint, treatment: Treatment, found: Ways) -> str:
    """The name in the plan; an attacked model is entered there."""
    if (target.steps, target.source, target.manner) == (base.steps, base.source, base.manner):
        return base.name
    known = own if target.source == base.source else fingerprint(target.source)
    subject = Subject.of(
        known,
        dtype=target.manner.dtype,
        device=target.manner.device,
        system=target.manner.system,
        interventions=target.interventions,
    )
    words = re.sub(r"[^a-z0-9]+", "-", treatment.setting.label.lower()).strip("-")[:40]
    name = f"{base.name}+{words or 'attacked'}-{subject.key[:8]}"
    found.targets[name], found.subjects[name] = target, subject
    return name


def open_attacked(target: Target, subject: Subject) -> TextModel:
    """Load an attacked model: its source, and what is done to it."""
    from auditkit.models.device import resolve_device, resolve_dtype
    from auditkit.models.text import TextModel

    device = resolve_device(target.manner.device)
    return TextModel(
        target.load(),
        fingerprint=subject.fingerprint,
        device=device,
        dtype=resolve_dtype(target.manner.dtype, device=device),
        system=target.manner.system,
    )


def broken(what: str, error: BaseException) -> str:
    """How something broke, in a sentence: our own errors in their words, others by place alone, for they may quote data."""
    if isinstance(error, AuditkitError):
        return f"{what} cannot be carried out: {'; '.join(str(error).splitlines())}."
    return f"{what} broke: {type(error).__name__} in {where(error)}."


def where(error: BaseException) -> str:
    """File and line of the innermost frame: enough to find the fault, without the data in its message."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return "an unknown place" if trace is None else f"{Path(trace.tb_frame.f_code.co_filename).name}, line {trace.tb_lineno}"
