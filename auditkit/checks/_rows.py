"""Rows in, columns out: the row that lacks a field, the corpus without rows, the columns of ``Values``."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from auditkit.checks._base import Context, Values
from auditkit.errors import DataError, Problem

if TYPE_CHECKING:
    from auditkit.corpora.example import Corpus, Example

_PROBLEMS_SHOWN = 5


def lacking(corpus: Corpus, *fields: str) -> list[Problem]:
    """One problem per row and missing field; ``a|b`` is satisfied by either."""
    return [
        _problem(corpus, example, f"must have {wanted.replace('|', ' or ')}; got {_names(example)}")
        for example in corpus.examples
        for wanted in fields
        if not _has(example, wanted)
    ]


def unpaired(corpus: Corpus, first: str, second: str, *, unless: str = "") -> list[Problem]:
    """Rows that have the first field and not the second one that belongs to it, nor the field that makes both needless."""
    return [
        _problem(corpus, example, f"must have {second}, because it has {first}; got {_names(example)}")
        for example in corpus.examples
        if _has(example, first) and not _has(example, second) and not _has(example, unless)
    ]


def require(context: Context[Any], problems: Iterable[Problem]) -> None:
    """Raise DataError with every problem, each naming the requirement."""
    found = [
        Problem(problem.message, f"{context.requirement}: {problem.where}", problem.file, hint=problem.hint)
        for problem in problems
    ]
    if found:
        raise DataError(found)


def in_words(problems: Iterable[Problem]) -> list[str]:
    """The first problems as sentences, and how many more there are."""
    words = [str(problem) for problem in problems]
    shown = words[:_PROBLEMS_SHOWN]
    return shown if len(words) <= _PROBLEMS_SHOWN else [*shown, f"{len(words) - _PROBLEMS_SHOWN} more rows are like these"]


def _has(example: Example, wanted: str) -> bool:
    return any(example.fields.get(name) for name in wanted.split("|"))


def _problem(corpus: Corpus, example: Example, message: str) -> Problem:
    return Problem(message, where=f"row {example.number}", file=corpus.source)


def _names(example: Example) -> str:
    return ", ".join(sorted(name for name, value in example.fields.items() if value)) or "no field"


@dataclass
class Columns:
    """``Values`` under construction."""

    ids: list[str] = field(default_factory=list)
    subjects: list[str] = field(default_factory=list)
    numbers: list[float] = field(default_factory=list)
    groups: list[str] = field(default_factory=list)
    labels: list[int] = field(default_factory=list)

    def add(self, corpus: Corpus, example: Example, value: float, *, group: str = "", label: int | None = None) -> None:
        """Append the value of one row. Anything not finite becomes NaN."""
        self.put(f"{corpus.name}/{example.id}", f"{corpus.name}/{example.subject}", value, group=group, label=label)

    def put(self, identity: str, subject: str, value: float, *, group: str = "", label: int | None = None) -> None:
        """Append a value that belongs to no row of a corpus."""
        self.ids.append(identity)
        self.subjects.append(subject)
        self.numbers.append(value if math.isfinite(value) else math.nan)
        if group:
            self.groups.append(group)
        if label is not None:
            self.labels.append(label)

    def values(
        self,
        *,
        details: Mapping[str, Any] | None = None,
        notes: Iterable[str] = (),
        inconclusive: str = "",
        shown_only: Iterable[str] = (),
    ) -> Values:
        """The finished columns; without any value they decide nothing, and say why."""
        return Values(
            ids=tuple(self.ids),
            subjects=tuple(self.subjects),
            values=tuple(self.numbers),
            groups=tuple(self.groups),
            labels=tuple(self.labels),
            shown_only=tuple(shown_only),
            details=details or {},
            notes=tuple(note for note in notes if note),
            inconclusive=inconclusive or ("" if self.ids else "no row was measured: the corpus is empty"),
        )

    def of_group(self, group: str) -> list[float]:
        """The values of one group, in order."""
        return [value for value, name in zip(self.numbers, self.groups, strict=True) if name == group]


def mean(numbers: Iterable[float]) -> float | None:
    """The mean of the finite numbers, independent of their order; None where there are none."""
    finite = [number for number in numbers if math.isfinite(number)]
    return math.fsum(finite) / len(finite) if finite else None


def unmeasured(numbers: Iterable[float], why: str) -> str:
    """A note that counts the NaN among the numbers, or ''."""
    missing = sum(1 for number in numbers if math.isnan(number))
    return f"{_count(missing, 'value')} could not be computed: {why}." if missing else ""


def _count(n: int, noun: str) -> str:
    return f"{n} {noun}{'' if n == 1 else 's'}"
