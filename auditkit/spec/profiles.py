"""Ready-made lists of requirements, and the full list that a spec asks for.

A profile is ``profiles/NAME.yaml``: a title, a source and requirements as a spec writes them. Its ``corpus`` names a role, so
that a profile fits whatever the auditor calls the corpora.
"""

from __future__ import annotations

from collections.abc import Container, Iterable
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

from pydantic import Field

from auditkit.errors import Problem, SpecError, did_you_mean
from auditkit.spec._document import FieldPath, parse_document
from auditkit.spec._explain import Finding
from auditkit.spec._positions import dotted
from auditkit.spec.model import Part, Requirement, Spec
from auditkit.spec.steps import STEP, Point, Template, at_each_step

_FOLDER = Path(__file__).parent / "profiles"


class Profile(Part):
    """A profile's file."""

    title: str = Field(min_length=1, description="What the profile is for.")
    source: str = Field(min_length=1, description="Where its bounds come from.")
    require: list[Requirement] = Field(min_length=1, description="Its requirements; `corpus` names a role.")
    at_each_size: list[Requirement] = Field(default_factory=list, description="Added to the spec's scale, if it has one.")
    at_each_request: list[Requirement] = Field(default_factory=list, description="Added to the spec's sequence, if it has one.")


@dataclass(frozen=True)
class Entry:
    """One requirement of the audit and where it comes from."""

    requirement: Requirement
    """With its name filled in."""
    path: FieldPath
    """``("require", i)``, or the field that names the profile, or that of a scale or sequence."""
    point: Point | None = None
    """Its place on a curve of a scale or sequence."""


def profile_names() -> tuple[str, ...]:
    """Every profile there is, sorted."""
    return tuple(sorted(file.stem for file in _FOLDER.glob("*.yaml")))


@cache
def load_profile(name: str) -> Profile:
    """The profile of that name; raises SpecError for an unknown one."""
    if name not in profile_names():
        raise SpecError(f"unknown profile {name!r}; {did_you_mean(name[:64], profile_names())}")
    document = parse_document((_FOLDER / f"{name}.yaml").read_text(encoding="utf-8"))
    if document.faults:
        raise ValueError(f"profile {name}: {document.faults[0]}")
    return Profile.model_validate(document.value)


def expand(spec: Spec) -> tuple[Requirement, ...]:
    """Every requirement of the audit, each with a name of its own: the profiles', then the spec's.

    A requirement of the spec with the name of a profile's one (``muse: privacy leakage``) stands in its place. Raises
    SpecError for an unknown profile, and for a profile that needs a corpus or model which the spec does not have.
    """
    return tuple(entry.requirement for entry in expand_entries(spec))


def expand_entries(spec: Spec) -> tuple[Entry, ...]:
    """Like ``expand``, with the place in the spec that each requirement comes from."""
    entries, findings = expansion(spec)
    if findings:
        raise SpecError([Problem(found.message, dotted(found.path), hint=found.hint) for found in findings])
    return entries


def expansion(spec: Spec) -> tuple[tuple[Entry, ...], list[Finding]]:
    """The entries, and what is wrong with the profiles asked for."""
    own = {item.name: Entry(item, ("require", i)) for i, item in enumerate(spec.require) if item.name is not None}
    ready, findings = _ready_made(spec)
    replaced = {entry.requirement.name for entry in ready} & set(own)
    entries = [own.get(str(entry.requirement.name), entry) for entry in ready]
    entries += [Entry(item, ("require", i)) for i, item in enumerate(spec.require) if item.name not in replaced]
    entries += [Entry(item, path, point) for item, path, point in at_each_step(spec, *_for_steps(spec))]
    findings += [found for entry in entries if entry.path[0] == "profile" for found in _missing(entry, spec)]
    return tuple(_named(entries)), findings


def _ready_made(spec: Spec) -> tuple[list[Entry], list[Finding]]:
    """The profiles' requirements under their full names, for the spec's own corpora."""
    entries: list[Entry] = []
    findings: list[Finding] = []
    seen: set[str] = set()
    for path, name in _profile_paths(spec):
        if name in seen:
            findings.append(Finding(path, f"must name each profile once; got {name!r} again"))
        elif name not in profile_names():
            findings.append(Finding(path, f"unknown profile {name[:64]!r}", did_you_mean(name[:64], profile_names())))
        else:
            for item in load_profile(name).require:
                full = item.model_copy(update={"name": f"{name}: {item.name}", "corpus": _corpus_of(spec, item.corpus)})
                entries.append(Entry(full, path))
        seen.add(name)
    return entries, findings


def _for_steps(spec: Spec) -> tuple[list[Template], list[Template]]:
    """What the profiles ask at each size and at each request."""
    found: tuple[list[Template], list[Template]] = [], []
    for path, name in _profile_paths(spec):
        if name in profile_names():
            profile = load_profile(name)
            for templates, kept in zip((profile.at_each_size, profile.at_each_request), found, strict=True):
                for item in templates:
                    corpus = item.corpus if item.corpus == STEP else _corpus_of(spec, item.corpus)
                    kept.append((item.model_copy(update={"name": f"{name}: {item.name}", "corpus": corpus}), path))
    return found


def _profile_paths(spec: Spec) -> list[tuple[FieldPath, str]]:
    if isinstance(spec.profile, list):
        return [(("profile", index), name) for index, name in enumerate(spec.profile)]
    return [] if spec.profile is None else [(("profile",), spec.profile)]


def _corpus_of(spec: Spec, role: str | None) -> str | None:
    """The first corpus with that role; the role itself where there is none, which ``_missing`` reports."""
    if role is None:
        return None
    return next((name for name, source in spec.corpora.items() if (source.role or name) == role), role)


def _missing(entry: Entry, spec: Spec) -> Iterable[Finding]:
    item = entry.requirement
    name, under = item.name, "require"
    if entry.point is not None:
        name, under = entry.point.curve, "scale.require" if entry.point.kind == "size" else "sequence.require"
    replace = f"or put a requirement named {name!r} under {under}"
    if item.corpus is not None and item.corpus not in spec.corpora:
        message = f"{name!r} needs a corpus with the role {item.corpus}; got none"
        yield Finding(entry.path, message, f"add one under corpora, {replace}")
    for model in sorted({bound.model for bound in item.bounds if bound and bound.model} - set(spec.models)):
        yield Finding(entry.path, f"{name!r} needs a model named {model}; got none", f"add it under models, {replace}")


def _named(entries: Iterable[Entry]) -> Iterable[Entry]:
    """Each requirement with a name of its own; the names given in the spec are kept as they are."""
    listed = list(entries)
    taken = {entry.requirement.name for entry in listed if entry.requirement.name is not None}
    for entry in listed:
        if entry.requirement.name is not None:
            yield entry
            continue
        name = _free_name(_default_name(entry.requirement), taken)
        taken.add(name)
        yield replace(entry, requirement=entry.requirement.model_copy(update={"name": name}))


def _default_name(item: Requirement) -> str:
    corpus = f" on {item.corpus}" if item.corpus else ""
    under = f" under {', '.join(step.name for step in item.under)}" if item.under else ""
    return f"{item.check.replace('_', ' ')}{corpus}{under}"


def _free_name(wanted: str, taken: Container[str]) -> str:
    name, number = wanted, 1
    while name in taken:
        number += 1
        name = f"{wanted} ({number})"
    return name
