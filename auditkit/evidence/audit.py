"""An audit from its spec to its results.

::

    Audit ─► models on disk, fingerprinted ─► requests of every check ─► plan ─► measurements
          ─► values per model ─► conclude ─► Outcome, which bundle.write_bundle writes
"""

from __future__ import annotations

import datetime as dt
import platform
import time
from pathlib import Path
from typing import TYPE_CHECKING

from auditkit import __version__
from auditkit.evidence import describe
from auditkit.evidence.bundle import Outcome, claim, default_run_dir
from auditkit.evidence.conclude import Conclusion, Item, conclude, identity_requirement
from auditkit.evidence.environment import environment, portable
from auditkit.evidence.excerpts import excerpts
from auditkit.evidence.measuring import Measured, measured, planned_work
from auditkit.evidence.prepare import Audit, Job
from auditkit.evidence.results import Results, RunDoc, WorkDoc
from auditkit.evidence.secrets import audit_key
from auditkit.evidence.subjects import Subjects, fingerprinted, made_models, planned
from auditkit.evidence.values import ValuesDoc
from auditkit.files import digest
from auditkit.measurement.forecast import Forecast, forecast
from auditkit.measurement.store import MEASUREMENT_VERSION, Store

if TYPE_CHECKING:
    from auditkit.measurement.progress import Progress


def run(
    audit: Audit, *, progress: Progress, run_dir: Path | None = None, show_text: bool = False, command: str = ""
) -> Outcome:
    """Carry the audit out. Finished batches are kept in the store, so a killed run goes on where it stopped.

    Raises ModelError or DataError (exit 2) before anything is measured, IntegrityError (exit 4) where weights changed during
    the run. A check that breaks makes its requirement ``error``; the others go on.
    """
    started, clock = dt.datetime.now(dt.UTC), time.perf_counter()
    subjects = fingerprinted(audit, progress.note)
    report_id = _report_id(audit, subjects)
    folder = run_dir or default_run_dir(audit.loaded.path, report_id)
    claim(folder, report_id)
    found = measured(audit, subjects, progress)
    concluded = _concluded(audit, found, started.date())
    key = None if show_text else audit_key(audit.digest)
    results = Results(
        verdict=concluded.verdict.value,
        summary=concluded.summary,
        title=audit.spec.title,
        intent=audit.spec.intent,
        access=list(audit.spec.access),
        outcome=concluded.outcome,
        report_id=report_id,
        tainted=describe.taints(audit),
        confidence=audit.spec.decide.confidence,
        seed=audit.spec.seed,
        requirements=concluded.requirements,
        targets=describe.targets(audit),
        models=describe.models(audit, subjects),
        attacked={name: subject.key for name, subject in sorted(found.ways.subjects.items())},
        corpora=describe.corpora(audit),
        waivers=concluded.waivers,
        limitations=describe.limitations(audit, subjects),
        info={name: words for name, words in audit.spec.report.model_dump().items() if words},
        spec_sha256=audit.digest,
        overrides=list(audit.loaded.overrides),
        work=_work(found),
        measurement_version=MEASUREMENT_VERSION,
        tool_version=__version__,
        redaction="full" if show_text else "redacted",
        examples=excerpts(found, concluded.requirements, key=key),
        run=RunDoc(
            id=f"{started:%Y%m%dT%H%M%SZ}-{report_id}",
            started=started.isoformat(timespec="seconds"),
            finished=dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
            seconds=round(time.perf_counter() - clock, 1),
            seconds_by_model={name: round(seconds, 1) for name, seconds in found.measurements.seconds.items()},
            made=made_models(audit, subjects),
            cached_requests=found.measurements.cached,
            host=platform.machine(),
            command=portable(command),
            waivers_as_of=started.date().isoformat(),
        ),
    )
    return Outcome(
        folder,
        results,
        {
            slug: ValuesDoc.of(slug, models, before=found.before.get(slug, {}), key=key)
            for slug, models in found.samples.items()
        },
        documents={
            "environment.json": environment(),
            "checkpoints.json": dict(subjects.manifests),
            "spec.resolved.json": audit.spec.model_dump(mode="json", by_alias=True),
        },
        files={"spec.yaml": audit.loaded.text, **found.measurements.export(key=key)},
    )


def plan_of(audit: Audit) -> list[Forecast]:
    """What a run would ask, and what of it is recorded already. Loads tokenizers, no weights, and makes no model."""
    from auditkit.models.text import TextCosts

    subjects = planned(audit)
    plan, ways = planned_work(audit, subjects)

    def costs(name: str) -> TextCosts:
        if name in ways.targets:
            return TextCosts(ways.targets[name].source, system=ways.targets[name].manner.system)
        return TextCosts(subjects.sources[name], system=audit.spec.models[name].system)

    return forecast(plan, Store.default(), costs)


def _report_id(audit: Audit, subjects: Subjects) -> str:
    """Short digest of everything that the results depend on: spec, options, data and weights."""
    data = {name: corpus.digest for name, corpus in audit.corpora.items()}
    weights = {name: subject.key for name, subject in subjects.subjects.items()}
    return digest([audit.digest, data, weights])[:12]


def _concluded(audit: Audit, found: Measured, today: dt.date) -> Conclusion:
    return conclude(
        [_item(job, found) for job in found.jobs],
        audit.spec,
        standing=identity_requirement(
            audit.spec,
            same=found.subjects.same_weights("candidate", "original"),
            adapter_alone=found.subjects.adapter_alone("candidate", "original"),
        ),
        tainted=audit.options.limit is not None,
        as_of=today,
    )


def _item(job: Job, found: Measured) -> Item:
    return Item(
        requirement=job.requirement,
        slug=job.slug,
        check=job.check,
        corpus=job.context.corpus.name,
        line=job.line,
        samples=found.samples.get(job.slug, {}),
        before=found.before.get(job.slug, {}),
        attacks=[one.document(job.scene) for one in job.attacks],
        point=job.point,
        parameters=job.context.params.model_dump(mode="json"),
        not_checked="" if job.selected else "Left out of this run by --only or --skip.",
        not_applicable=found.idle.get(job.slug, ""),
        error=found.errors.get(job.slug, ""),
        stopped=found.stopped.get(job.slug),
    )


def _work(found: Measured) -> WorkDoc:
    plan = found.measurements.plan
    return WorkDoc(requests_asked_for=plan.asked, requests_run=plan.merged, tokens=found.measurements.tokens)
