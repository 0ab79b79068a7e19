"""The models of an audit: made where the spec makes them, fingerprinted, and opened one at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from auditkit.errors import IntegrityError, ModelError, Problem
from auditkit.evidence.results import MadeDoc
from auditkit.measurement.plan import Subject
from auditkit.models.checkpoint import Manifest, changed, fingerprint, inspect, manifest
from auditkit.models.protocol import Fingerprint
from auditkit.models.source import Source
from auditkit.unlearning import chosen_method, find, read_note

if TYPE_CHECKING:
    from auditkit.evidence.prepare import Audit
    from auditkit.models.text import TextModel
    from auditkit.spec.model import Spec


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

    def adapter_alone(self, one: str, other: str) -> bool:
        """``one`` is ``other`` with an adapter on it that comes off again."""
        if one not in self.subjects or other not in self.subjects:
            return False
        a, b = self.subjects[one].fingerprint, self.subjects[other].fingerprint
        return a.weights == b.weights and bool(a.adapter) and not b.adapter

    def refuse_change(self) -> None:
        """Read every byte again; raise IntegrityError where a file is not what it was when it was fingerprinted."""
        problems = [
            Problem(f"{name}: {file} changed during the run", hint="its results cannot be relied on; run again")
            for name, source in self.sources.items()
            for file in changed(source, self.manifests[name])
        ]
        if problems:
            raise IntegrityError(problems)


def fingerprinted(audit: Audit, note: Callable[[str], None] = lambda _: None) -> Subjects:
    """Bring every model to disk, make those that the spec makes, and fingerprint them.

    Raises ModelError for a checkpoint that cannot be used, for a reference that is the candidate itself, and for a bound that
    compares a model with itself.
    """
    sources = {name: on_disk(audit, name, note) for name in audit.sources}
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
    problems = list(_against_itself(audit, found_subjects))
    if problems:
        raise ModelError(problems)
    return found_subjects


def _against_itself(audit: Audit, subjects: Subjects) -> Iterator[Problem]:
    """Limits on a leak that are met because both models are the same one: its value plus something is always more."""
    for job in audit.jobs:
        requirement, limit = job.requirement, job.requirement.bounds[1]
        if limit is None or limit.model is None or limit.scale != 1 or limit.offset < 0 or requirement.level != "required":
            continue
        if requirement.of != limit.model and subjects.same_weights(requirement.of, limit.model):
            message = f"must compare with another model than {requirement.of}; got {limit.model}, with identical weights"
            yield audit.loaded.problem(job.path, message)


def planned(audit: Audit) -> Subjects:
    """The models as far as they are there. One that is still to be made has an empty fingerprint, and the source of the model
    at the beginning of its line, whose tokenizer it will have."""
    sources, subjects = {}, {}
    for name in audit.sources:
        model = audit.spec.models[name]
        there = find(name, audit.spec.models, audit.corpora, base=audit.base, roots=audit.options.roots)
        sources[name] = there or on_disk(audit, _beginning(audit.spec, name))
        found = fingerprint(there) if there else Fingerprint("", "", "", "")
        subjects[name] = Subject.of(found, dtype=model.dtype, device=model.device, system=model.system)
    return Subjects(sources, {}, subjects)


def to_be_made(audit: Audit) -> Iterator[str]:
    """One line for each model that the spec makes, those before the measured ones included."""
    for name, model in audit.spec.models.items():
        if model.from_ is None:
            continue
        if model.finetune is not None:
            how, used = "fine-tuning", list(model.finetune.corpora)
        else:
            method, params = chosen_method(name, model)
            how, used = method.title, method.corpora(params)
        rows = sum(len(audit.corpora[corpus].examples) for corpus in used)
        there = find(name, audit.spec.models, audit.corpora, base=audit.base, roots=audit.options.roots)
        state = "there already" if there else "to be made"
        yield f"{name}: {how} of {model.from_} on {', '.join(used)} ({rows:,} rows); {state}"


def _beginning(spec: Spec, name: str) -> str:
    """The model at the beginning of a line of made models."""
    model = spec.models[name]
    parent = model.from_ or (model.checkpoint if model.checkpoint in spec.models else None)
    return name if parent is None else _beginning(spec, parent)


def on_disk(audit: Audit, name: str, note: Callable[[str], None] = lambda _: None) -> Source:
    """A model of the spec where it can be loaded from, made if need be; ``note`` is told what is being made."""
    from auditkit.evidence.examine import StopRule
    from auditkit.unlearning import materialise

    return materialise(
        name,
        audit.spec.models,
        audit.corpora,
        base=audit.base,
        roots=audit.options.roots,
        offline=audit.options.offline,
        examiner=StopRule(audit.spec, audit.corpora, lambda other: on_disk(audit, other, note), note),
        note=note,
    )


def made_models(audit: Audit, subjects: Subjects) -> dict[str, MadeDoc]:
    """What each model that the spec makes did cost, by its note. A note from elsewhere is not read."""
    made = [name for name in subjects.sources if audit.spec.models[name].from_ is not None]
    found = {name: read_note(subjects.sources[name]) for name in made}
    return {name: _made(note) for name, note in found.items() if note is not None and note.get("run")}


def _made(note: Mapping[str, Any]) -> MadeDoc:
    run = note["run"]
    return MadeDoc(
        method=note["method"],
        parameters=note["parameters"],
        steps=run["steps"],
        tokens=run["tokens"],
        seconds=run["seconds"],
        peak_memory_bytes=run.get("peak_memory_bytes"),
        device=note["device"],
    )


def open_model(audit: Audit, subjects: Subjects, name: str) -> TextModel:
    """Load one model's weights."""
    from auditkit.models.text import TextModel

    model = audit.spec.models[name]
    return TextModel.load(subjects.sources[name], dtype=model.dtype, device=model.device, chat=model.chat, system=model.system)
