"""An audit from its spec to its results.

::

    Audit ─► models on disk, fingerprinted ─► requests of every check ─► plan ─► measurements
          ─► values per model ─► conclude ─► Outcome, which bundle.write_bundle writes
"""

from __future__ import annotations

import datetime as dt
import platform
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from auditkit import __version__
from auditkit.errors import AuditkitError
from auditkit.evidence import describe
from auditkit.evidence.bundle import Outcome, claim, default_run_dir
from auditkit.evidence.conclude import Conclusion, Item, conclude, identity_requirement
from auditkit.evidence.environment import environment, portable
from auditkit.evidence.excerpts import excerpts
from auditkit.evidence.prepare import Audit, Job, asked_models
from auditkit.evidence.results import Results, RunDoc, WorkDoc
from auditkit.evidence.secrets import audit_key
from auditkit.evidence.subjects import Subjects, fingerprinted, made_models, open_model, planned
from auditkit.evidence.values import ValuesDoc
from auditkit.files import digest
from auditkit.measurement.forecast import Forecast, forecast
from auditkit.measurement.measured import Measurements
from auditkit.measurement.plan import Plan
from auditkit.measurement.runner import measure
from auditkit.measurement.store import MEASUREMENT_VERSION, Store

if TYPE_CHECKING:
    from auditkit.checks._base import Values
    from auditkit.measurement.progress import Progress

Samples = Mapping[str, Mapping[str, "Values"]]
"""Slug → model → values."""


@dataclass(frozen=True)
class Measured:
    """Everything that was learned from the models."""

    subjects: Subjects
    plan: Plan
    measurements: Measurements
    samples: Samples
    errors: Mapping[str, str]
    """Slug → how its check broke."""


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
    measured = _measured(audit, subjects, progress)
    concluded = _concluded(audit, measured, started.date())
    key = None if show_text else audit_key(audit.digest)
    results = Results(
        verdict=concluded.verdict.value,
        summary=concluded.summary,
        title=audit.spec.title,
        intent=audit.spec.intent,
        report_id=report_id,
        tainted=describe.taints(audit),
        confidence=audit.spec.decide.confidence,
        seed=audit.spec.seed,
        requirements=concluded.requirements,
        targets=describe.targets(audit),
        models=describe.models(audit, subjects),
        corpora=describe.corpora(audit),
        waivers=concluded.waivers,
        limitations=describe.limitations(audit, subjects),
        info={name: words for name, words in audit.spec.report.model_dump().items() if words},
        spec_sha256=audit.digest,
        overrides=list(audit.loaded.overrides),
        work=_work(measured),
        measurement_version=MEASUREMENT_VERSION,
        tool_version=__version__,
        redaction="full" if show_text else "redacted",
        examples=excerpts(audit, measured.samples, measured.measurements, concluded.requirements, key=key),
        run=RunDoc(
            id=f"{started:%Y%m%dT%H%M%SZ}-{report_id}",
            started=started.isoformat(timespec="seconds"),
            finished=dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
            seconds=round(time.perf_counter() - clock, 1),
            seconds_by_model={name: round(seconds, 1) for name, seconds in measured.measurements.seconds.items()},
            made=made_models(audit, subjects),
            cached_requests=measured.measurements.cached,
            host=platform.machine(),
            command=portable(command),
            waivers_as_of=started.date().isoformat(),
        ),
    )
    return Outcome(
        folder,
        results,
        {slug: ValuesDoc.of(slug, models, key=key) for slug, models in measured.samples.items()},
        documents={
            "environment.json": environment(),
            "checkpoints.json": dict(subjects.manifests),
            "spec.resolved.json": audit.spec.model_dump(mode="json", by_alias=True),
        },
        files={"spec.yaml": audit.loaded.text, **measured.measurements.export(key=key)},
    )


def plan_of(audit: Audit) -> list[Forecast]:
    """What a run would ask, and what of it is recorded already. Loads tokenizers, no weights, and makes no model."""
    from auditkit.models.text import TextCosts

    subjects = planned(audit)
    plan = Plan.build(subjects.subjects, _needs(audit, subjects))

    def costs(name: str) -> TextCosts:
        return TextCosts(subjects.sources[name], system=audit.spec.models[name].system)

    return forecast(plan, Store.default(), costs)


def _report_id(audit: Audit, subjects: Subjects) -> str:
    """Short digest of everything that the results depend on: spec, options, data and weights."""
    data = {name: corpus.digest for name, corpus in audit.corpora.items()}
    weights = {name: subject.key for name, subject in subjects.subjects.items()}
    return digest([audit.digest, data, weights])[:12]


def _needs(audit: Audit, subjects: Subjects) -> dict[str, list[tuple[str, list[Any]]]]:
    """Every selected requirement's requests, for each model that it is measured on."""
    needs: dict[str, list[tuple[str, list[Any]]]] = {name: [] for name in subjects.subjects}
    for job in audit.jobs:
        if job.selected:
            requests = list(job.check.requests(job.context))
            for name in asked_models(job.requirement) & set(needs):
                needs[name].append((job.name, requests))
    return needs


def _measured(audit: Audit, subjects: Subjects, progress: Progress) -> Measured:
    plan = Plan.build(subjects.subjects, _needs(audit, subjects))
    found = measure(plan, lambda name: open_model(audit, subjects, name), Store.default(), progress=progress)
    subjects.refuse_change()
    samples: dict[str, dict[str, Values]] = {}
    errors: dict[str, str] = {}
    for job in (job for job in audit.jobs if job.selected):
        try:
            samples[job.slug] = _values(job, found)
        except AuditkitError:
            raise
        except Exception as error:  # a check that broke is a result, not the end of the audit; its message may quote data
            errors[job.slug] = f"The check broke: {type(error).__name__} in {_where(error)}."
    return Measured(subjects, plan, found, samples, errors)


def _values(job: Job, found: Measurements) -> dict[str, Values]:
    reference = found.of("reference") if "reference" in found.plan.work else None
    asked = asked_models(job.requirement)
    return {name: job.check.values(job.context, found.of(name), reference) for name in found.plan.work if name in asked}


def _where(error: BaseException) -> str:
    """File and line of the innermost frame: enough to find the fault, without the data in its message."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return "an unknown place" if trace is None else f"{Path(trace.tb_frame.f_code.co_filename).name}, line {trace.tb_lineno}"


def _concluded(audit: Audit, measured: Measured, today: dt.date) -> Conclusion:
    return conclude(
        [_item(job, measured) for job in audit.jobs],
        audit.spec,
        standing=identity_requirement(audit.spec, same=measured.subjects.same_weights("candidate", "original")),
        tainted=audit.options.limit is not None,
        as_of=today,
    )


def _item(job: Job, measured: Measured) -> Item:
    return Item(
        requirement=job.requirement,
        slug=job.slug,
        check=job.check,
        corpus=job.context.corpus.name,
        line=job.line,
        samples=measured.samples.get(job.slug, {}),
        point=job.point,
        parameters=job.context.params.model_dump(mode="json"),
        not_checked="" if job.selected else "Left out of this run by --only or --skip.",
        error=measured.errors.get(job.slug, ""),
    )


def _work(measured: Measured) -> WorkDoc:
    return WorkDoc(
        requests_asked_for=measured.plan.asked,
        requests_run=measured.plan.merged,
        tokens=measured.measurements.tokens,
    )
