"""``--set path=value``: which field it means, and its value."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from auditkit.errors import Problem, SpecError, did_you_mean
from auditkit.spec._document import MAX_DEPTH, FieldPath, parse_document
from auditkit.spec._positions import dotted
from auditkit.spec._scalars import shown
from auditkit.spec._shape import allows_new, fields, models_at
from auditkit.spec.model import Spec

_LONGEST_WORD = 64


@dataclass(frozen=True)
class Override:
    """One assignment, as the command gave it."""

    label: str
    """For messages: ``--set require.0.at_most``, ``--seed``."""
    path: str
    """Dotted, as typed."""
    text: str
    """The value, as typed."""

    @property
    def assignment(self) -> str:
        """The same as an argument of ``--set``."""
        return f"{self.path}={self.text}"


def read_assignment(argument: str) -> Override:
    """``path=value`` → Override. Raises SpecError where there is no path."""
    path, equals, text = argument.partition("=")
    path = path.strip()
    segments = path.split(".")
    if not equals or not all(segments):
        raise SpecError(Problem(f"must be path=value; got {shown(argument)!r}", file="--set"))
    if len(segments) > MAX_DEPTH:
        raise SpecError(Problem(f"must name a field at most {MAX_DEPTH} deep; got more", file=f"--set {shown(path)}"))
    return Override(f"--set {shown(path)}", path, text)


def read_value(override: Override) -> Any:
    """The value by the rules of the spec's own text. Raises SpecError for block collections and for unsafe YAML."""
    try:
        override.text.encode()
    except UnicodeEncodeError:
        raise SpecError(Problem("must be valid UTF-8; got other bytes", file=override.label)) from None
    document = parse_document(override.text)
    problems = [
        Problem(fault.message, where=dotted(fault.path), file=override.label, hint=fault.hint) for fault in document.faults
    ]
    if document.block:
        hint = "put text in quotes (twice in a shell), and write lists as [a, b] and mappings as {a: b}"
        problems.append(Problem("must be one value; got several lines or an unquoted ': '", file=override.label, hint=hint))
    if problems:
        raise SpecError(problems)
    return document.value


def apply_override(data: Any, override: Override) -> FieldPath:
    """Set the value in the spec's data, in place; returns the field that was meant. Raises SpecError for an unknown one."""
    value = read_value(override)
    path: FieldPath = ()
    node, rest = data, override.path.split(".")
    while True:
        key, rest = _next_key(node, rest, path, override)
        path = (*path, key)
        if not rest:
            node[key] = value
            return path
        if isinstance(node, dict) and node.get(key) is None:
            node[key] = {}
        node = node[key]


def _next_key(node: Any, rest: Sequence[str], path: FieldPath, override: Override) -> tuple[str | int, list[str]]:
    """The key that the next segments name, and what follows it. Names may hold dots: the longest that fits is taken."""
    if isinstance(node, dict):
        known: dict[str, str | int] = {key: key for key in node}
    elif isinstance(node, list):
        known = _entry_names(node)
    else:
        raise _unknown(override, path, f"{dotted(path) or 'the spec'} has no fields")
    for length in range(len(rest), 0, -1):
        if (name := ".".join(rest[:length])) in known:
            return known[name], list(rest[length:])
    if isinstance(node, dict) and allows_new(Spec, (*path, rest[0])):
        return rest[0], list(rest[1:])
    options = {*known, *(name for part in models_at(Spec, path) for name in fields(part))}
    raise _unknown(override, path, did_you_mean(rest[0][:_LONGEST_WORD], options))


def _entry_names(entries: Sequence[Any]) -> dict[str, str | int]:
    """Numbers, and the names of entries that have one (else their check's name, where no other entry has the same)."""
    names = [entry.get("name") or entry.get("check") if isinstance(entry, dict) else None for entry in entries]
    words = {str(index): index for index in range(len(entries))}
    return {**{name: i for i, name in enumerate(names) if isinstance(name, str) and names.count(name) == 1}, **words}


def _unknown(override: Override, path: FieldPath, hint: str) -> SpecError:
    inside = f" in {dotted(path)}" if path else ""
    return SpecError(Problem(f"must name a field of the spec; got an unknown one{inside}", file=override.label, hint=hint))
