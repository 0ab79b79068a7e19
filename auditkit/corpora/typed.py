"""Rows → examples: columns renamed, the known fields given their types, ids and subjects filled in."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from auditkit.corpora.example import LIST_FIELDS, TEXT_FIELDS, Example
from auditkit.corpora.rows import BadCellError, Row, clean
from auditkit.files import canonical_json
from auditkit.text import one_line

_LONGEST_NAME = 40  # characters of a column's name in a message


@dataclass
class Typed:
    """The examples, and the faults of rows: (row number, field, message)."""

    examples: list[Example] = field(default_factory=list)
    faults: list[tuple[int, str, str]] = field(default_factory=list)
    has_subjects: bool = False


def to_examples(rows: Iterable[Row], columns: Mapping[str, str]) -> Typed:
    """Every row as an Example, in order."""
    typed = Typed()
    for row in rows:
        fields = _fields(row, columns, typed)
        number = row.number
        own_id, subject = fields.get("id"), fields.get("subject")
        typed.has_subjects = typed.has_subjects or bool(subject)
        identity = own_id if isinstance(own_id, str) and own_id else str(number)
        typed.examples.append(Example(identity, subject or identity, number, fields))
    typed.faults += _repeated_ids(typed.examples)
    typed.faults += _borrowed_subjects(typed.examples)
    return typed


def rename(cells: Mapping[str, Any], columns: Mapping[str, str]) -> dict[str, Any]:
    """Cells under the names of fields: ``columns`` says which column each field comes from."""
    taken = set(columns.values())
    kept = {name: value for name, value in cells.items() if name not in taken}
    return {**kept, **{name: cells[column] for name, column in columns.items() if column in cells}}


def _fields(row: Row, columns: Mapping[str, str], typed: Typed) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    for column, cell in rename(row.cells, columns).items():
        try:
            name = str(clean(column))
            value = _typed_value(name, clean(cell))
        except BadCellError as error:
            typed.faults.append((row.number, one_line(column, _LONGEST_NAME), str(error)))
            continue
        if value is not None:
            fields[name] = value
    return fields


def _typed_value(name: str, value: Any) -> Any:
    if value is None:
        return None
    if name in TEXT_FIELDS:
        return _text(value)
    if name in LIST_FIELDS:
        return _texts(value)
    return value


def _text(value: Any) -> str:
    """Text; a number counts as its digits (an answer of 1987 is text to an auditor)."""
    if isinstance(value, str):
        return value
    if isinstance(value, int | float) and not isinstance(value, bool):
        return str(value)
    raise BadCellError(f"must be text; got {_kind(value)}")


def _texts(value: Any) -> tuple[str, ...]:
    """A list of texts; one text stands for a list of one, or for the JSON array that it holds (a csv cell)."""
    if isinstance(value, str) and value.lstrip().startswith("["):
        value = _json_array(value)
    if isinstance(value, str):
        return (value,)
    if not isinstance(value, list):
        raise BadCellError(f"must be a list of texts; got {_kind(value)}")
    return tuple(_text(item) for item in value if item is not None)


def _json_array(text: str) -> Any:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return text
    return clean(found)


def _kind(value: Any) -> str:
    return {bool: "true or false", list: "a list", dict: "a mapping", bytes: "bytes"}.get(type(value), "a number")


def _repeated_ids(examples: Sequence[Example]) -> list[tuple[int, str, str]]:
    first: dict[str, int] = {}
    faults = []
    for example in examples:
        if example.id in first:
            faults.append((example.number, "id", f"must be unique; got the id of row {first[example.id]} again"))
        first.setdefault(example.id, example.number)
    return faults


def _borrowed_subjects(examples: Sequence[Example]) -> list[tuple[int, str, str]]:
    """Rows without a subject count as their own; that name must not be another's."""
    named = {example.subject for example in examples if example.get("subject")}
    message = "must be given, because another row's subject is this row's id"
    return [
        (example.number, "subject", message) for example in examples if not example.get("subject") and example.subject in named
    ]


def examples_digest(examples: Iterable[Example]) -> str:
    """Hex sha256 over the examples in order: id, subject, fields with sorted keys; bytes count by their own digest."""
    hasher = hashlib.sha256()
    for example in examples:
        line = canonical_json([example.id, example.subject, _canonical(example.fields)])
        hasher.update(line.encode() + b"\n")
    return hasher.hexdigest()


def _canonical(value: Any) -> Any:
    if isinstance(value, bytes):
        return {"sha256": hashlib.sha256(value).hexdigest()}
    if isinstance(value, Mapping):
        return {key: _canonical(item) for key, item in value.items()}
    return [_canonical(item) for item in value] if isinstance(value, list | tuple) else value
