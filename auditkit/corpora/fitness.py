"""Whether corpora fit their use: rows with the fields that a check needs, and forget rows that are not in the holdout."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Sequence

from auditkit.corpora.example import Corpus, Example
from auditkit.errors import DataError, Problem

_ROWS_NAMED = 5
_ASKED = ("text", "prompt", "continuation", "context", "question", "answer")


def missing_fields(corpus: Corpus, fields: Sequence[str]) -> list[str]:
    """One sentence per field that some rows lack, naming the first five; ``question|text`` means that either will do.

    An empty text or list, and text of blanks, count as lacking.
    """
    sentences = []
    for wanted in fields:
        rows = [example.number for example in corpus.examples if not any(_has(example, name) for name in wanted.split("|"))]
        if rows:
            sentences.append(f"every row of {corpus.source} must have {wanted.replace('|', ' or ')}; got none in {_rows(rows)}")
    return sentences


def require_fields(corpus: Corpus, fields: Sequence[str]) -> None:
    """Raise DataError with everything that ``missing_fields`` finds."""
    sentences = missing_fields(corpus, fields)
    if sentences:
        raise DataError([Problem(sentence, where=f"corpora.{corpus.name}") for sentence in sentences])


def overlap(forget: Corpus, holdout: Corpus) -> list[Problem]:
    """Rows that stand in both: equal text, or equal question and answer, but for case, width and white space.

    Such a row was trained on and is said not to have been, so no membership figure would mean anything.
    """
    known: dict[tuple[str, ...], int] = {}
    for example in holdout.examples:
        for key in _keys(example):
            known.setdefault(key, example.number)
    pairs = [
        (example.number, number)
        for example in forget.examples
        if (number := next((known[key] for key in _keys(example) if key in known), None)) is not None
    ]
    if not pairs:
        return []
    message = f"{forget.name} and {holdout.name} must not overlap; got {_pairs(pairs, holdout)}"
    return [Problem(message, file=forget.source, hint=f"remove these rows from {holdout.source}")]


def copies(corpus: Corpus) -> list[Problem]:
    """Rows that are equal in all that a model is asked, but for case, width and white space, and are said to be about different
    subjects: each would count as further evidence, and is none.
    """
    first: dict[tuple[str, ...], Example] = {}
    pairs = []
    for example in corpus.examples:
        content = tuple(_normal(example.get(name)) for name in _ASKED)
        known = first.setdefault(content, example)
        if any(content) and known.subject != example.subject:
            pairs.append((example.number, known.number))
    if not pairs:
        return []
    message = f"equal rows of {corpus.name} must have one subject; got {_pairs(pairs, corpus)}, under another name"
    hint = "remove them, or name a column that is equal in them with columns: {subject: …}"
    return [Problem(message, file=corpus.source, hint=hint)]


def _pairs(pairs: Sequence[tuple[int, int]], other: Corpus) -> str:
    """The first pairs of (row, row of ``other``), and how many more there are."""
    named = ", ".join(f"row {first} is row {second} of {other.source}" for first, second in pairs[:_ROWS_NAMED])
    return f"{named} and {len(pairs) - _ROWS_NAMED} more" if len(pairs) > _ROWS_NAMED else named


def _has(example: Example, name: str) -> bool:
    value = example.fields.get(name)
    if isinstance(value, str):
        return bool(value.strip())
    return value is not None and value not in ((), [])


def _rows(numbers: Sequence[int]) -> str:
    named = ", ".join(map(str, numbers[:_ROWS_NAMED]))
    more = f" and {len(numbers) - _ROWS_NAMED} more" if len(numbers) > _ROWS_NAMED else ""
    return f"{'row' if len(numbers) == 1 else 'rows'} {named}{more}"


def _keys(example: Example) -> Iterator[tuple[str, ...]]:
    if text := _normal(example.text):
        yield ("text", text)
    if (question := _normal(example.question)) and (answer := _normal(example.answer)):
        yield ("question", question, answer)


def _normal(text: str) -> str:
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())
