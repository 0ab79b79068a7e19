"""A spec's file → a validated Spec, with the position of every field for whoever finds a fault later.

::

    bytes ──► text ──► values + positions ──► --set, --seed, --device ──► Spec ──► names
             UTF-8     _document               _overrides             pydantic   _names

Every fault of a stage is reported at once, in the order of the text.
"""

from __future__ import annotations

from collections.abc import Container, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from auditkit.errors import Problem, SpecError
from auditkit.spec._document import MAX_BYTES, Document, FieldPath, parse_document
from auditkit.spec._explain import Finding, explain
from auditkit.spec._names import unresolved
from auditkit.spec._overrides import Override, apply_override, read_assignment
from auditkit.spec._positions import Positions, dotted
from auditkit.spec.model import Spec
from auditkit.spec.profiles import Entry, expansion
from auditkit.spec.steps import with_step_models

VERSIONS = (1,)
"""Versions of the format that this auditkit reads."""
MAX_PROBLEMS = 50
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


@dataclass(frozen=True)
class Loaded:
    """A spec and what is needed to talk about it."""

    spec: Spec
    path: Path
    text: bytes
    """The file's bytes, exactly."""
    overrides: tuple[str, ...]
    """Every ``path=value``, those of --seed and --device too: loading ``text`` with them gives the same spec."""
    entries: tuple[Entry, ...]
    """Every requirement, profiles expanded, with the field it comes from."""
    positions: Positions = field(repr=False)

    def problem(self, field_path: FieldPath, message: str, hint: str = "", *, at_key: bool = False) -> Problem:
        """A Problem at ``spec.yaml:line:column`` of a field (of its key where ``at_key``), or at the option that set it."""
        return self.positions.problem(field_path, message, hint, at_key=at_key)

    def explain(self, error: ValidationError, *, model: type[BaseModel], value: Any, at: FieldPath) -> list[Problem]:
        """A ValidationError of ``value``, the part of the spec at ``at``, in the house's words: parameters of a check."""
        found = explain(error, model=model, value=value)
        return [self._at(at, item) for item in found]

    def _at(self, prefix: FieldPath, item: Finding) -> Problem:
        return self.positions.problem((*prefix, *item.path), item.message, item.hint, at_key=item.at_key)


def load_spec(path: Path, *, overrides: Sequence[str] = (), seed: int | None = None, device: str | None = None) -> Loaded:
    """Read, check and resolve a spec.

    ``overrides`` are ``path=value``: ``require.0.at_most=reference + 0.1``; entries of ``require`` also go by their name, or
    by their check where no other has the same. ``seed`` sets the spec's seed, ``device`` that of every model.
    Raises SpecError with every fault, and nothing else whatever the file holds.
    """
    content = _read(path)
    document = parse_document(_decode(content, path))
    positions = Positions(str(path), document.places)
    _refuse_unreadable(document, positions)
    chosen = _overrides(document.value, overrides, seed, device)
    positions = _apply(document.value, chosen, positions)
    _refuse_version(document.value, positions)
    spec = _validate(document, positions)
    spec, findings = with_step_models(spec)
    entries, more = expansion(spec)
    findings += [*more, *unresolved(spec, entries)]
    _raise_all([positions.problem(item.path, item.message, item.hint) for item in findings])
    return Loaded(spec, path, content, tuple(item.assignment for item in chosen), entries, positions)


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as stream:
            content = stream.read(MAX_BYTES + 1)
    except FileNotFoundError:
        hint = "`auditkit init` writes a spec to start from"
        raise SpecError(Problem("must be a file; got nothing there", file=str(path), hint=hint)) from None
    except IsADirectoryError:
        raise SpecError(Problem("must be a file; got a folder", file=str(path))) from None
    except OSError as error:
        raise SpecError(Problem(f"must be readable; {error.strerror or error}", file=str(path))) from None
    except ValueError:
        raise SpecError(Problem("must be a path; got one with a NUL character")) from None
    if len(content) > MAX_BYTES:
        raise SpecError(Problem(f"must be at most {MAX_BYTES:,} bytes; got more", file=str(path)))
    return content


def _decode(content: bytes, path: Path) -> str:
    content = content.removeprefix(_BYTE_ORDER_MARK)
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        column = len(content[content.rfind(b"\n", 0, error.start) + 1 : error.start].decode()) + 1
        message = f"must be UTF-8; got the byte 0x{content[error.start]:02x}"
        raise SpecError(Problem(message, "", str(path), line, column, "save the file as UTF-8")) from None


def _refuse_unreadable(document: Document, positions: Positions) -> None:
    if not document.readable:
        _raise_all(_text_problems(document, positions.file))
    if document.value is None:
        hint = "`auditkit init` writes a spec to start from"
        raise SpecError(Problem("must hold a spec; got an empty file", file=positions.file, hint=hint))
    if not isinstance(document.value, dict):
        got = "a list" if isinstance(document.value, list) else "one value"
        raise SpecError(positions.problem((), f"must be a mapping of fields (key: value); got {got}"))


def _text_problems(document: Document, file: str) -> list[Problem]:
    return [Problem(fault.message, dotted(fault.path), file, fault.line, fault.column, fault.hint) for fault in document.faults]


def _overrides(data: Any, assignments: Sequence[str], seed: int | None, device: str | None) -> list[Override]:
    chosen = [read_assignment(text) for text in assignments]
    if seed is not None:
        chosen.append(Override("--seed", "seed", str(seed)))
    models = data.get("models")
    if device is not None and isinstance(models, dict):
        named = [name for name, model in models.items() if isinstance(model, dict)]
        chosen += [Override("--device", f"models.{name}.device", device) for name in named]
    return chosen


def _apply(data: Any, chosen: Sequence[Override], positions: Positions) -> Positions:
    problems: list[Problem] = []
    for override in chosen:
        try:
            positions = positions.override(apply_override(data, override), override.label)
        except SpecError as error:
            problems += error.problems
    _raise_all(problems)
    return positions


def _refuse_version(data: Any, positions: Positions) -> None:
    """First of all: a spec of another version may be wrong in every line, and none of that would help."""
    version = data.get("auditkit", VERSIONS[0])
    if isinstance(version, int) and not isinstance(version, bool) and version not in VERSIONS:
        supported = ", ".join(map(str, VERSIONS))
        message = f"must be a version of the format that this auditkit reads ({supported}); got {version}"
        raise SpecError(positions.problem(("auditkit",), message, "use the auditkit that the spec was written for"))


def _validate(document: Document, positions: Positions) -> Spec:
    """The Spec, or all faults of the text and of the fields together."""
    standing = [fault for fault in document.faults if not _inside(fault.path, positions.overridden)]
    problems = _text_problems(Document(faults=tuple(standing)), positions.file)
    try:
        spec = Spec.model_validate(document.value, by_alias=True, by_name=False)
    except ValidationError as error:
        told = {(fault.path, of_key) for fault in standing for of_key in {fault.at_key, False}}
        findings = explain(error, model=Spec, value=document.value)
        findings = [item for item in findings if (item.path, item.at_key) not in told]
        problems += [positions.problem(item.path, item.message, item.hint, at_key=item.at_key) for item in findings]
        _raise_all(problems)
        raise AssertionError("a ValidationError without errors") from error
    _raise_all(problems)
    return spec


def _inside(path: FieldPath, roots: Container[FieldPath]) -> bool:
    """Whether the field stands at or under one of ``roots``."""
    return any(path[:length] in roots for length in range(len(path) + 1))


def _raise_all(problems: Sequence[Problem]) -> None:
    if not problems:
        return
    ordered = sorted(dict.fromkeys(problems), key=lambda problem: (problem.line, problem.column))
    kept = ordered[:MAX_PROBLEMS]
    if len(ordered) > len(kept):
        kept.append(Problem(f"and {len(ordered) - len(kept)} more faults"))
    raise SpecError(kept)
