"""A corpus in two parts by subject: T, which an attacker has, and V, on which the attack is measured.

Split by subject, because facts of one subject can be told from each other. What T's rows say of V's answers in so many words
would be taught and not brought back, so such rows are found here, to be dropped from T.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping, Set
from dataclasses import replace

from auditkit.corpora.example import Corpus, Example
from auditkit.corpora.typed import examples_digest
from auditkit.errors import DataError, Problem
from auditkit.text import normalised, stands_in

_READ = ("text", "prompt", "continuation", "question", "answer", "context")
"""Text fields that training may read."""
_READ_LISTS = ("aliases", "paraphrases", "facts")
_WANTED = ("text", "continuation")
"""What a row of V asks for besides its answers."""


def split(corpus: Corpus, fraction: float, seed: int, *label: object) -> tuple[Corpus, Corpus]:
    """(T, V): of K subjects, ``round(fraction * K)`` with all their rows are T, at least one and at most K - 1.

    The draw orders subjects by the sha256 of seed, label and subject: it is the same for every model and does not depend on
    the order of rows; rows keep the file's order. Raises DataError where there are fewer than two subjects.
    """
    subjects = corpus.subjects()
    if len(subjects) < 2:
        raise DataError(Problem(f"must have at least 2 subjects to be split; got {len(subjects)}", file=corpus.source))
    size = min(max(round(fraction * len(subjects)), 1), len(subjects) - 1)
    words = [str(seed), *map(str, label)]
    known = set(sorted(subjects, key=lambda subject: (_lot(*words, subject), subject))[:size])
    return _part(corpus, known), _part(corpus, set(subjects) - known)


def leaks(train: Corpus, measured: Corpus) -> set[str]:
    """Ids of the rows of T in which an answer of V stands (an alias, or a whole text, too).

    Compared are letters and digits alone, case folded; an answer counts as whole words, from five characters on also as a
    part of a word, and one without letters and digits as it is written. An answer that two or more subjects of T have as well
    is a value of a closed list (a profession, yes): stating it does not say whose it is, so it counts only in a row that also
    names V's subject.
    """
    common = _common(train)
    owners: dict[str, set[str]] = {}
    for row in measured.examples:
        for answer in filter(None, map(_key, _wanted(row))):
            owners.setdefault(answer, set()).add(_key(row.subject))
    unique = owners.keys() - common
    shared = {answer: owners[answer] for answer in owners.keys() & common}
    return {row.id for row in train.examples if _leaks(_read(row), unique, shared)}


def without(corpus: Corpus, ids: set[str]) -> Corpus:
    """The corpus without these rows."""
    return _of(corpus, [row for row in corpus.examples if row.id not in ids])


def _part(corpus: Corpus, subjects: set[str]) -> Corpus:
    return _of(corpus, [row for row in corpus.examples if row.subject in subjects])


def _of(corpus: Corpus, rows: list[Example]) -> Corpus:
    return replace(corpus, examples=tuple(rows), digest=examples_digest(rows))


def _lot(*words: str) -> bytes:
    return hashlib.sha256("\x1f".join(words).encode()).digest()


def _wanted(row: Example) -> Iterator[str]:
    yield from row.answers
    yield from (row.get(name) for name in _WANTED)


def _common(corpus: Corpus) -> set[str]:
    """Answers that two or more subjects have."""
    pairs = {(_key(answer), row.subject) for row in corpus.examples for answer in row.answers}
    counts = Counter(answer for answer, _ in pairs)
    return {answer for answer, count in counts.items() if count > 1}


def _key(answer: str) -> str:
    """What is looked for: normalised, or as it is written where nothing would be left."""
    return normalised(answer) or answer.strip()


def _read(row: Example) -> str:
    return "\n".join([*(row.get(name) for name in _READ), *(text for name in _READ_LISTS for text in row.many(name))])


def _leaks(passage: str, unique: Set[str], shared: Mapping[str, set[str]]) -> bool:
    text = normalised(passage)
    if any(_stated(answer, text, passage) for answer in unique):
        return True
    return any(
        _stated(answer, text, passage) and any(f" {subject} " in f" {text} " for subject in subjects)
        for answer, subjects in shared.items()
    )


def _stated(answer: str, text: str, passage: str) -> bool:
    """The key of an answer in the passage, whose normalised text is given: it is looked for many times."""
    return stands_in(answer, text) if answer[0].isalnum() else answer in passage
