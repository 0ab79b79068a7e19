"""What the results say about the audit's inputs: models, corpora, targets, limitations."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from auditkit.evidence.results import CorpusDoc, ModelDoc, TargetDoc

if TYPE_CHECKING:
    from auditkit.evidence.prepare import Audit
    from auditkit.evidence.subjects import Subjects


def models(audit: Audit, subjects: Subjects) -> list[ModelDoc]:
    """Every measured model with its fingerprint, and which others have the same weights."""
    return [
        ModelDoc(
            name=name,
            source=subjects.sources[name].label,
            fingerprint=found.digest,
            parts=found.parts(),
            dtype=subjects.subjects[name].dtype,
            device=subjects.subjects[name].device,
            chat=audit.spec.models[name].chat,
            identical_to=[other for other in subjects.prints if other != name and subjects.same_weights(name, other)],
        )
        for name, found in subjects.prints.items()
    ]


def corpora(audit: Audit) -> list[CorpusDoc]:
    """Every corpus, described and never quoted."""
    return [
        CorpusDoc(
            name=corpus.name,
            role=corpus.role,
            rows=len(corpus.examples),
            subjects=len(corpus.subjects()),
            has_subjects=corpus.has_subjects,
            source=corpus.source,
            digest=corpus.digest,
        )
        for corpus in audit.corpora.values()
    ]


def targets(audit: Audit) -> list[TargetDoc]:
    """What had to be forgotten, in the spec's own description."""
    return [
        TargetDoc(name=target.name, corpus=target.corpus, ground=target.ground or "", reference=target.reference or "")
        for target in audit.spec.targets
    ]


def taints(audit: Audit) -> list[str]:
    """Why nothing of this run may be better than inconclusive."""
    if audit.options.limit is None:
        return []
    return [f"--limit {audit.options.limit}: only the first rows of each corpus were measured"]


def limitations(audit: Audit, subjects: Subjects) -> list[str]:
    """What this run in particular cannot show; the report adds what no run can."""
    return list(_limitations(audit, subjects))


def _limitations(audit: Audit, subjects: Subjects) -> Iterator[str]:
    yield from taints(audit)
    if "reference" not in subjects.prints:
        yield (
            "No reference model (retrained without the forget data) was measured: bounds are absolute, and what a model that "
            "never saw the data would guess is not known."
        )
    if "original" not in subjects.prints:
        yield "No original model was measured: it is not shown that the checks can see the knowledge at all."
    for corpus in audit.corpora.values():
        if not corpus.has_subjects:
            yield (
                f"Corpus {corpus.name} names no subjects: every row counts as independent, which makes intervals too narrow "
                "where rows are about the same subject."
            )
    for name in subjects.prints:
        if subjects.sources[name].allow_pickle:
            yield f"The weights of {name} were read from pickle files (allow_pickle), with weights_only."
    for name, other in (("candidate", "original"), ("reference", "original")):
        if subjects.same_weights(name, other):
            yield f"The weights of {name} are identical to those of {other}."
    unused = [job.name for job in audit.jobs if not job.selected]
    if unused:
        yield f"Not checked in this run: {', '.join(unused)}."
    devices = sorted({subject.device for subject in subjects.subjects.values()})
    yield f"Measured on {', '.join(devices)}; another device or precision can change the last digits of a score."
