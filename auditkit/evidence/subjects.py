"""The models of an audit: made where the spec makes them, fingerprinted, and opened one at a time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from auditkit.errors import IntegrityError, ModelError, Problem
from auditkit.measurement.plan import Subject
from auditkit.models.checkpoint import Manifest, changed, fingerprint, inspect, manifest
from auditkit.models.protocol import Fingerprint
from auditkit.models.source import Source, localise

if TYPE_CHECKING:
    from auditkit.evidence.prepare import Audit
    from auditkit.models.text import TextModel


@dataclass(frozen=True)
class Subjects:
    """The models that are measured, on disk and fingerprinted."""

    sources: Mapping[str, Source]
    manifests: Mapping[str, Manifest]
    subjects: Mapping[str, Subject]

    @property
    def prints(self) -> dict[str, Fingerprint]:
        """Fingerprint by model."""
        return {name: subject.fingerprint for name, subject in self.subjects.items()}

    def same_weights(self, one: str, other: str) -> bool:
        """Both are there, and made of the same weights and adapters."""
        if one not in self.subjects or other not in self.subjects:
            return False
        a, b = self.subjects[one].fingerprint, self.subjects[other].fingerprint
        return (a.weights, a.adapter) == (b.weights, b.adapter)

    def refuse_change(self) -> None:
        """Read every byte again; raise IntegrityError where a file is not what it was when it was fingerprinted."""
        problems = [
            Problem(f"{name}: {file} changed during the run", hint="its results cannot be relied on; run again")
            for name, source in self.sources.items()
            for file in changed(source, self.manifests[name])
        ]
        if problems:
            raise IntegrityError(problems)


def fingerprinted(audit: Audit) -> Subjects:
    """Bring every model to disk, make those that the spec makes, and fingerprint them.

    Raises ModelError for a checkpoint that cannot be used and for a reference that is the candidate itself.
    """
    sources = {name: _on_disk(audit, name, source) for name, source in audit.sources.items()}
    problems = [
        audit.loaded.problem(("models", name), str(problem)) for name, source in sources.items() for problem in inspect(source)
    ]
    if problems:
        raise ModelError(problems)
    manifests = {name: manifest(source) for name, source in sources.items()}
    subjects = {}
    for name, source in sources.items():
        model = audit.spec.models[name]
        found = fingerprint(source, files=manifests[name])
        subjects[name] = Subject.of(found, dtype=model.dtype, device=model.device, system=model.system)
    found_subjects = Subjects(sources, manifests, subjects)
    if found_subjects.same_weights("candidate", "reference"):
        problem = audit.loaded.problem(
            ("models", "reference"),
            "must be another model than the candidate; got identical weights",
            "the reference is retrained without the forget data: a comparison with itself proves nothing",
        )
        raise ModelError(problem)
    return found_subjects


def _on_disk(audit: Audit, name: str, source: Source) -> Source:
    if source.kind != "made":
        return localise(source, offline=audit.options.offline)
    from auditkit.unlearning import materialise

    return materialise(
        name, audit.spec.models, audit.corpora, base=audit.base, roots=audit.options.roots, offline=audit.options.offline
    )


def open_model(audit: Audit, subjects: Subjects, name: str) -> TextModel:
    """Load one model's weights."""
    from auditkit.models.text import TextModel

    model = audit.spec.models[name]
    return TextModel.load(subjects.sources[name], dtype=model.dtype, device=model.device, chat=model.chat, system=model.system)
