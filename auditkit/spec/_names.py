"""Every name that a spec uses must be a name that it gives: models, corpora, requirements.

Checks, attacks and methods are names of other rooms, and are looked up there.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from auditkit.errors import did_you_mean
from auditkit.spec._document import FieldPath
from auditkit.spec._explain import Finding
from auditkit.spec._positions import dotted
from auditkit.spec.bounds import Bound
from auditkit.spec.model import Model, Requirement, Spec
from auditkit.spec.profiles import Entry

_LONGEST_WORD = 64


def unresolved(spec: Spec, entries: Sequence[Entry]) -> Iterator[Finding]:
    """Every name without an owner, and every origin of a model that leads nowhere."""
    yield from _models(spec)
    for index, target in enumerate(spec.targets):
        yield from _corpus(spec, target.corpus, ("targets", index, "corpus"))
    yield from _steps(spec)
    asked: list[tuple[Requirement, FieldPath]] = [(item, ("require", index)) for index, item in enumerate(spec.require)]
    asked += [(_known_step(spec, entry.requirement), entry.path) for entry in entries if _of_own_template(entry)]
    for item, where in asked:
        yield from _requirement(spec, item, where)
    yield from _repeated_names(entries)
    known = [entry.requirement.name or "" for entry in entries]
    for index, waiver in enumerate(spec.waivers):
        yield from _known(waiver.requirement, known, "requirement", ("waivers", index, "requirement"))


def _steps(spec: Spec) -> Iterator[Finding]:
    parts = (
        ("scale", "sizes", spec.scale and spec.scale.sizes),
        ("sequence", "requests", spec.sequence and spec.sequence.requests),
    )
    for part, field, steps in parts:
        for index, step in enumerate(steps or ()):
            for name in (*step.forget, *([step.ask] if step.ask else [])):
                yield from _corpus(spec, name, (part, field, index))


def _of_own_template(entry: Entry) -> bool:
    """A profile's are looked at where profiles are expanded."""
    return entry.point is not None and entry.path[0] != "profile"


def _known_step(spec: Spec, item: Requirement) -> Requirement:
    """The requirement without a corpus that its step brought and that ``_steps`` reports."""
    steps = [*(spec.scale.sizes if spec.scale else ()), *(spec.sequence.requests if spec.sequence else ())]
    return item.model_copy(update={"corpus": None}) if item.corpus in {step.asked for step in steps} else item


def _known(name: str, known: Iterable[str], kind: str, path: FieldPath) -> Iterator[Finding]:
    options = list(known)
    if name not in options:
        yield Finding(path, f"unknown {kind} {name[:_LONGEST_WORD]!r}", did_you_mean(name[:_LONGEST_WORD], options))


def _corpus(spec: Spec, name: str, path: FieldPath) -> Iterator[Finding]:
    return _known(name, spec.corpora, "corpus", path)


def _requirement(spec: Spec, item: Requirement, path: FieldPath) -> Iterator[Finding]:
    if item.corpus is not None:
        yield from _corpus(spec, item.corpus, (*path, "corpus"))
    yield from _known(item.of, spec.models, "model", (*path, "of"))
    for field in ("at_most", "at_least"):
        yield from _bound(spec, item.of, getattr(item, field), (*path, field))
    for index, bound in enumerate(item.between or ()):
        yield from _bound(spec, item.of, bound, (*path, "between", index))


def _bound(spec: Spec, of: str, bound: Bound | None, path: FieldPath) -> Iterator[Finding]:
    if bound is not None and bound.model == of:
        yield Finding(path, f"must compare the {of} with another model; got {of}", "name original or reference")
    elif bound is not None and bound.model is not None:
        yield from _known(bound.model, spec.models, "model", path)


def _repeated_names(entries: Sequence[Entry]) -> Iterator[Finding]:
    """Every result is known by its name: in waivers, in the bundle, and when it is decided again."""
    first: dict[str | None, FieldPath] = {}
    for entry in sorted(entries, key=lambda entry: entry.point is not None):
        there = first.setdefault(entry.requirement.name, entry.path)
        if there == entry.path:
            continue
        path, message = entry.path, f"must be a name of its own; got that of {dotted(there)}"
        if entry.point is not None:
            message = f"{entry.point.curve!r} {message}"
        yield Finding((*path, "name") if path[0] != "profile" else path, message)


def _models(spec: Spec) -> Iterator[Finding]:
    for name, model in spec.models.items():
        path: FieldPath = ("models", name)
        if model.finetune is not None:
            for index, corpus in enumerate(model.finetune.corpora):
                yield from _corpus(spec, corpus, (*path, "finetune", "corpora", index))
        if model.from_ is not None:
            yield from _known(model.from_, spec.models, "model", (*path, "from"))
        elif model.checkpoint is not None:
            yield from _checkpoint(spec, name, model)
        if (circle := _circle(spec, name)) and min(circle) == name:
            yield Finding(path, f"must not be made from itself; got {' → '.join((*circle, name))}")


def _parent(spec: Spec, name: str) -> str | None:
    """The model of the spec that this one starts from."""
    model = spec.models[name]
    parent = model.from_ or model.checkpoint
    return parent if parent in spec.models else None


def _circle(spec: Spec, name: str) -> list[str]:
    """The models on the way from ``name`` back to itself; [] where there is no such way."""
    way: list[str] = []
    step: str | None = name
    while step is not None and step not in way:
        way.append(step)
        step = _parent(spec, step)
    return way if step == name else []


def _checkpoint(spec: Spec, name: str, model: Model) -> Iterator[Finding]:
    """A checkpoint's spelling says what it is; no file is looked at here."""
    path: FieldPath = ("models", name, "checkpoint")
    text = model.checkpoint or ""
    local = text in (".", "..") or text.startswith(("./", "../", "/"))
    hub = not local and text.count("/") == 1 and all(text.split("/"))
    if hub and model.revision is None:
        hint = f"write ./{text} for a folder beside the spec"
        yield Finding(path, "a hub id must have a revision (the commit of the repository); got none", hint)
    if model.revision is not None and not hub:
        yield Finding(("models", name, "revision"), "must stand beside a hub id (owner/name); got another kind of checkpoint")
    if not (hub or local or text.startswith("builtin:") or text in spec.models):
        hint = did_you_mean(text[:_LONGEST_WORD], set(spec.models) - {name})
        wanted = "./folder, ./file.gguf, owner/name with revision, builtin:NAME or a model of this spec"
        yield Finding(path, f"must be {wanted}; got {text[:_LONGEST_WORD]!r}", hint if hint.startswith("did") else "")
