"""Which rows are kept: ``where``, ``sample``, ``--limit``, in this order."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

from auditkit.corpora.example import Example
from auditkit.spec.model import Sample, Scalar


def matches(cells: Mapping[str, Any], where: Mapping[str, Scalar | list[Scalar]]) -> bool:
    """Whether a row has, in every column named, the value or one of the values."""
    return all(
        any(_same(cells.get(column), value) for value in (wanted if isinstance(wanted, list) else [wanted]))
        for column, wanted in where.items()
    )


def _same(cell: Any, wanted: Scalar) -> bool:
    """Equal, or equal as text where one of the two is text: a csv file has nothing else. True is never 1."""
    if wanted is None or cell is None:
        return cell is None and wanted is None
    if isinstance(cell, str) != isinstance(wanted, str):
        return _as_text(cell) == _as_text(wanted)
    return isinstance(cell, bool) == isinstance(wanted, bool) and bool(cell == wanted)


def _as_text(value: Any) -> str:
    text = str(value)
    return text.lower() if isinstance(value, bool) or text.lower() in ("true", "false") else text


def draw(examples: Sequence[Example], sample: Sample) -> list[Example]:
    """A seeded part: subjects are drawn one after another, each with all of its rows, until there are ``n`` rows or more.

    So there can be more than ``n`` rows, by less than the rows of one subject. The draw orders subjects by the sha256 of seed
    and subject, so it does not depend on the order of the rows; the rows kept stay in the file's order.
    """
    counts: dict[str, int] = {}
    for example in examples:
        counts[example.subject] = counts.get(example.subject, 0) + 1
    drawn: set[str] = set()
    rows = 0
    for subject in sorted(counts, key=lambda name: (_lot(sample.seed, name), name)):
        if rows >= sample.n:
            break
        drawn.add(subject)
        rows += counts[subject]
    return [example for example in examples if example.subject in drawn]


def _lot(seed: int, subject: str) -> bytes:
    return hashlib.sha256(f"{seed}\x1f{subject}".encode()).digest()
