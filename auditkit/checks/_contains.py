"""Does a passage state the answer? Copying from a context is not remembering, so the two are never mixed."""

from __future__ import annotations

from collections.abc import Iterable

from auditkit.text import normalised, states

TOKEN_RECALL = 0.8
"""Share of the answer's words in a passage from which it counts as stated."""


def states_answer(passage: str, answers: Iterable[str]) -> bool:
    """Whether any answer stands in the passage: as whole words, as a part of at least five characters (scripts without
    spaces), or with at least 0.8 of its words in any order."""
    words = set(normalised(passage).split())
    return any(states(passage, answer) or _recalled(words, set(normalised(answer).split())) for answer in answers)


def _recalled(words: set[str], wanted: set[str]) -> bool:
    return bool(words and wanted) and len(wanted & words) / len(wanted) >= TOKEN_RECALL


def same_answer(given: str, answers: Iterable[str]) -> bool:
    """Exact match after normalisation."""
    return normalised(given) in {normalised(answer) for answer in answers}
