"""Requirements → values of every model: what is asked, in what order, and what becomes of what cannot be measured.

The models of the spec come first, each attacked model after them: one that cannot be made or measured breaks the requirements
that need it, and the audit goes on.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from auditkit.errors import AuditkitError, IntegrityError, SpecError
from auditkit.evidence.alike import unlike, unvaried
from auditkit.evidence.early import shortened
from auditkit.evidence.fitting import unfit
from auditkit.evidence.prepare import Audit, Job
from auditkit.evidence.subjects import Subjects, open_model
from auditkit.evidence.variants import Part, accounts, combine, decides, unworded
from auditkit.evidence.ways import Way, Ways, bases_of, broken, open_attacked, staged, ways_of, where
from auditkit.measurement.measured import Measurements
from auditkit.measurement.plan import Plan, Work
from auditkit.measurement.runner import measure
from auditkit.measurement.store import Store

if TYPE_CHECKING:
    from auditkit.attacks import Target
    from auditkit.checks._base import Answers, Values
    from auditkit.measurement.progress import Progress
    from auditkit.models.text import TextModel

ByModel = dict[str, "Values"]


@dataclass(frozen=True)
class Measured:
    """Everything that was learned from the models."""

    subjects: Subjects
    jobs: tuple[Job, ...]
    """The audit's jobs as they were measured."""
    measurements: Measurements
    samples: Mapping[str, ByModel]
    """Slug → model → values."""
    before: Mapping[str, ByModel]
    """The same rows without the attack, for requirements under attack."""
    errors: Mapping[str, str]
    """Slug → how its check or its attack broke."""
    idle: Mapping[str, str]
    """Slug → why its attack has nothing to act on."""
    ways: Ways
    stopped: Mapping[str, int] = field(default_factory=dict)
    """Slug → number of subjects after which a sequential requirement was decided."""


def planned_work(audit: Audit, subjects: Subjects) -> tuple[Plan, Ways]:
    """What a run would ask of every model, those that attacks make included."""
    bases = bases_of(audit, subjects)
    jobs = [staged(job, bases) for job in audit.jobs if job.selected]
    ways = ways_of(jobs, bases, subjects)
    return _plan(jobs, ways, subjects), ways


def measured(audit: Audit, subjects: Subjects, progress: Progress) -> Measured:
    """Ask every model. Raises as ``run`` does; what breaks under an attack, or in a check, is a result."""
    ruled_out = unfit(audit.loaded, audit.jobs, subjects.sources)
    if ruled_out:
        raise SpecError(ruled_out)
    bases = bases_of(audit, subjects)
    jobs = tuple(staged(job, bases, progress.note) for job in audit.jobs)
    jobs, stopped = _shortened(audit, subjects, jobs, bases, progress)
    asked = [job for job in jobs if job.selected]
    ways = ways_of(asked, bases, subjects)
    session = Session(audit, subjects, ways, progress)
    session.measure(_plan(asked, ways, subjects))
    subjects.refuse_change()
    out = Measured(subjects, jobs, session.measurements(), {}, {}, ways.errors, ways.idle, ways, stopped)
    samples: dict[str, ByModel] = {}
    before: dict[str, ByModel] = {}
    for job in (job for job in asked if job.slug in ways.by_job):
        try:
            values = session.values(job, bases)
            earlier = session.before(job) if values and job.attacks else {}
            samples |= {job.slug: values} if values else {}
            before |= {job.slug: earlier} if earlier else {}
        except AuditkitError as error:
            if isinstance(error, IntegrityError) or not job.attacks:
                raise
            ways.errors[job.slug] = broken("The attack", error)
        except Exception as error:  # a check that broke is a result, not the end of the audit; its message may quote data
            ways.errors[job.slug] = f"The check broke: {type(error).__name__} in {where(error)}."
    return replace(out, samples=samples, before=before)


def _shortened(
    audit: Audit, subjects: Subjects, jobs: tuple[Job, ...], bases: Mapping[str, Target], progress: Progress
) -> tuple[tuple[Job, ...], dict[str, int]]:
    """Sequential requirements on the subjects that were enough, and their numbers by slug."""

    def ask(job: Job, models: Sequence[str]) -> ByModel:
        ways = ways_of([job], bases, subjects)
        if job.slug not in ways.by_job:
            return {}
        ways.by_job[job.slug] = {name: ways.by_job[job.slug][name] for name in dict.fromkeys(models)}
        session = Session(audit, subjects, ways, progress)
        session.measure(_plan([job], ways, subjects, before=False))
        try:
            return session.values(job, bases)
        except IntegrityError:
            raise
        except Exception:  # it breaks again, and is told, where the requirement is measured as a whole
            return {}

    stopped: dict[str, int] = {}
    out = []
    for job in jobs:
        early = job.selected and job.requirement.sequential
        part, n = shortened(job, ask, audit.spec.decide) if early else (job, None)
        if n is not None:
            stopped[job.slug] = n
            progress.note(f"{job.name}: a gross leak is shown after {n} subjects")
        out.append(part)
    return tuple(out), stopped


def _plan(jobs: Iterable[Job], ways: Ways, subjects: Subjects, *, before: bool = True) -> Plan:
    """Every requirement's requests, for each subject that it is measured on."""
    needs: dict[str, list[tuple[str, list[Any]]]] = {name: [] for name in (*subjects.subjects, *ways.subjects)}
    for job in jobs:
        worded: dict[int, list[Any]] = {}
        for name, found in ways.by_job.get(job.slug, {}).items():
            for number, way in enumerate(found):
                if number not in worded:
                    worded[number] = way.requests(job)
                needs[way.subject].append((job.name, worded[number]))
            if job.attacks and before:
                needs[name].append((job.name, list(job.check.requests(job.context))))
    # Before a look not every attacked model is asked.
    return Plan.build({**subjects.subjects, **ways.subjects}, {name: asked for name, asked in needs.items() if asked or before})


@dataclass
class Session:
    """Models being measured, and what came of it."""

    audit: Audit
    subjects: Subjects
    ways: Ways
    progress: Progress
    _parts: list[Measurements] = field(default_factory=list)
    _failed: dict[str, str] = field(default_factory=dict)
    """Subject → why it could not be measured."""

    def measure(self, plan: Plan) -> None:
        """The models of the spec, then one attacked model after another."""
        own = {name: work for name, work in plan.work.items() if name not in self.ways.targets}
        self._parts.append(measure(Plan(own), self._open, Store.default(), progress=self.progress))
        for name in self.ways.targets:
            if name in plan.work:
                self._attacked(name, plan.work[name])

    def _attacked(self, name: str, work: Work) -> None:
        try:
            self._parts.append(measure(Plan({name: work}), self._open, Store.default(), progress=self.progress))
        except IntegrityError:
            raise
        except Exception as error:  # see ``ways_of``
            self._failed[name] = broken(f"The attack on {name.partition('+')[0]}", error)
            self.progress.note(f"{name}: {self._failed[name]}")

    def _open(self, name: str) -> TextModel:
        if name in self.ways.targets:
            return open_attacked(self.ways.targets[name], self.ways.subjects[name])
        return open_model(self.audit, self.subjects, name)

    def measurements(self) -> Measurements:
        """Of all subjects that could be measured."""
        return Measurements(
            Plan({name: work for part in self._parts for name, work in part.plan.work.items()}),
            {name: shelf for part in self._parts for name, shelf in part.shelves.items()},
            {name: seconds for part in self._parts for name, seconds in part.seconds.items()},
            sum(part.cached for part in self._parts),
        )

    def values(self, job: Job, bases: Mapping[str, Target]) -> ByModel:
        """The requirement's values on every model: each treatment settled over all models, then joined."""
        ways = self.ways.by_job[job.slug]
        failed = next(
            (self._failed[way.subject] for found in ways.values() for way in found if way.subject in self._failed), ""
        )
        if failed:
            self.ways.errors[job.slug] = failed
            return {}
        parts: dict[str, list[Part]] = {name: [] for name in ways}
        for number in range(len(next(iter(ways.values())))):
            for name, values in self._treated(job, {name: found[number] for name, found in ways.items()}).items():
                treatment = ways[name][number].treatment
                parts[name].append(Part(treatment, values, decides(job, bases[name], treatment)))
        joined = {name: self._accounted(job, bases[name], combine(found, job), found) for name, found in parts.items()}
        joined = {name: replace(one, notes=(*one.notes, *self._remarks(ways[name]))) for name, one in joined.items()}
        of = job.requirement.of
        doubt = joined[of].inconclusive or unlike(job, ways, self._part) or unvaried(job, ways, self._of)
        return {**joined, of: replace(joined[of], inconclusive=doubt)}

    def _remarks(self, ways: Iterable[Way]) -> list[str]:
        """What attacks found before anything ran."""
        there = [self.ways.targets[way.subject] for way in ways if way.subject in self.ways.targets]
        return list(dict.fromkeys(remark for target in there for remark in target.remarks))

    def _accounted(self, job: Job, target: Target, values: Values, parts: Sequence[Part]) -> Values:
        account = accounts(job, target, parts[0].treatment) if job.attacks else {}
        details = {**values.details, "attacks": account} if account else values.details
        return replace(values, details=details, notes=(*values.notes, *unworded(job, values)))

    def _treated(self, job: Job, ways: Mapping[str, Way]) -> ByModel:
        reference = self._answers(ways["reference"]) if "reference" in ways else None
        found = {name: job.check.values(way.context, self._answers(way), reference) for name, way in ways.items()}
        return dict(job.check.settle(job.context.params, found))

    def _answers(self, way: Way) -> Answers:
        recorded = self._of(way.subject)
        return lambda request: recorded(way.treatment.wording.request(request))

    def before(self, job: Job) -> ByModel:
        """The same rows asked of every model as it is."""
        names = list(self.ways.by_job[job.slug])
        reference = self._of("reference") if "reference" in names else None
        found = {name: job.check.values(job.context, self._of(name), reference) for name in names}
        return dict(job.check.settle(job.context.params, found))

    def _of(self, subject: str) -> Answers:
        return self._part(subject).of(subject)

    def _part(self, subject: str) -> Measurements:
        """The measurements that hold a subject's answers."""
        return next(part for part in self._parts if subject in part.plan.work)
