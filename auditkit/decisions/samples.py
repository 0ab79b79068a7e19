"""Values as arrays: in an order of their own, split by component, paired across models by id and never by position."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from auditkit.checks._base import Values

Key = tuple[str, str, str]
"""(subject, group, id) of a row."""
_NAMED_AT_MOST = 3


class UnpairedError(ValueError):
    """Two models were not measured on the same rows, so their difference does not exist."""


@dataclass(frozen=True)
class Sample:
    """Rows of one model, subject after subject."""

    keys: tuple[Key, ...]
    values: NDArray[np.float64]
    labels: NDArray[np.int64]
    """1 member, 0 non-member; empty where the statistic needs none."""
    codes: NDArray[np.int64]
    """Index into ``subjects`` of each row, ascending."""
    subjects: tuple[str, ...]
    """The distinct subjects."""
    unit: str
    """``subject``, or ``row`` where every row is its own subject."""

    @property
    def broken(self) -> int:
        """How many values are not finite numbers."""
        return int((~np.isfinite(self.values)).sum())

    def totals(self) -> NDArray[np.float64]:
        """Sum of the values of each subject."""
        return np.bincount(self.codes, weights=self.values, minlength=len(self.subjects)).astype(np.float64)

    def sizes(self) -> NDArray[np.float64]:
        """Rows of each subject."""
        return np.bincount(self.codes, minlength=len(self.subjects)).astype(np.float64)

    def bits(self, at: float) -> NDArray[np.float64]:
        """1.0 for each subject with a value of at least ``at``, else 0.0."""
        hits = np.bincount(self.codes, weights=self.values >= at, minlength=len(self.subjects))
        return (hits > 0).astype(np.float64)

    def with_values(self, values: NDArray[np.float64]) -> Sample:
        """The same rows with other values."""
        return replace(self, values=values)


def sample_of(values: Values, groups: Collection[str] | None = None, order: Mapping[Key, int] | None = None) -> Sample:
    """The rows of the named groups (None: all), sorted by ``order`` (None: by key).

    Raises ValueError where the columns differ in length.
    """
    labels = values.labels or (0,) * len(values.ids)
    rows = [
        (key, value, label)
        for key, value, label in zip(_keys(values), values.values, labels, strict=True)
        if groups is None or key[1] in groups
    ]
    rows.sort(key=lambda row: row[0] if order is None else order[row[0]])
    subjects = tuple(dict.fromkeys(key[0] for key, _, _ in rows))
    index = {subject: code for code, subject in enumerate(subjects)}
    return Sample(
        keys=tuple(key for key, _, _ in rows),
        values=np.array([value for _, value, _ in rows], dtype=np.float64),
        labels=np.array([label for _, _, label in rows] if values.labels else [], dtype=np.int64),
        codes=np.array([index[key[0]] for key, _, _ in rows], dtype=np.int64),
        subjects=subjects,
        unit="row" if rows and all(key[0] == key[2] for key, _, _ in rows) else "subject",
    )


def content_order(samples: Mapping[str, Values]) -> dict[Key, int]:
    """Ranks of all rows by what was measured, subject by subject, never by name or position.

    So neither the order of the rows nor redacted names change what a seeded bootstrap draws.
    """
    measured: dict[Key, list[tuple[str, bool, float]]] = defaultdict(list)
    for model in sorted(samples):
        for key, value in zip(_keys(samples[model]), samples[model].values, strict=True):
            measured[key].append((model, math.isnan(value), 0.0 if math.isnan(value) else value))
    by_subject: dict[str, list[tuple[str, str, list[tuple[str, bool, float]], Key]]] = defaultdict(list)
    for key, contents in measured.items():
        by_subject[key[0]].append((_corpus(key[0]), key[1], contents, key))
    ranked = sorted(
        (sorted(rows, key=lambda row: row[:3]) for rows in by_subject.values()), key=lambda rows: [row[:3] for row in rows]
    )
    return {row[3]: rank for rank, row in enumerate(row for rows in ranked for row in rows)}


def strata(sample: Sample) -> list[NDArray[np.int64]]:
    """Indices of the subjects of each corpus: corpora were drawn separately, and are resampled separately."""
    corpora = [_corpus(subject) for subject in sample.subjects]
    return [np.flatnonzero([corpus == name for corpus in corpora]) for name in sorted(set(corpora))]


def decisive_groups(values: Values) -> tuple[str, ...]:
    """Groups that are decided, in the order of their first row; ('',) where there is one component."""
    if not values.groups:
        return ("",)
    return tuple(group for group in dict.fromkeys(values.groups) if group not in values.shown_only)


def require_paired(first: Sample, second: Sample) -> None:
    """Raise UnpairedError unless both hold exactly the same rows, each once."""
    if first.keys != second.keys:
        only = sorted(set(first.keys) ^ set(second.keys))
        named = ", ".join(" ".join(part for part in key[1:] if part) for key in only[:_NAMED_AT_MOST])
        raise UnpairedError(f"{len(only)} rows were measured on one of the two models only: {named}")
    if len(set(first.keys)) != len(first.keys):
        raise UnpairedError("rows cannot be paired: an id occurs twice within a group")


def _keys(values: Values) -> list[Key]:
    groups = values.groups or ("",) * len(values.ids)
    return list(zip(values.subjects, groups, values.ids, strict=True))


def _corpus(name: str) -> str:
    """``forget`` of ``forget/Jane Doe``."""
    return name.partition("/")[0]
