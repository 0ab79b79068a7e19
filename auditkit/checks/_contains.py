"""Does a passage state the answer? Copying from a context is not remembering, so the two are never mixed."""

from __future__ import annotations

from collections.abc import Iterable

from auditkit.text import normalised

TOKEN_RECALL = 0.8
"""Share of the answer's words in a passage from which it counts as stated."""
_LONG_ENOUGH = 5


def states_answer(passage: str, answers: Iterable[str]) -> bool:
    """Whether any answer stands in the passage: as whole words, as a part of at least five characters (scripts without
    spaces), or with at least 0.8 of its words in any order."""
    text = normalised(passage)
    words = set(text.split())
    return any(_stated(text, words, normalised(answer)) or _as_written(passage, answer) for answer in answers)


def _as_written(passage: str, answer: str) -> bool:
    """An answer without letters and digits is looked for as it stands."""
    return bool(answer.strip()) and not normalised(answer) and answer.strip() in passage


def _stated(text: str, words: set[str], answer: str) -> bool:
    if not answer or not text:
        return False
    if f" {answer} " in f" {text} " or (len(answer) >= _LONG_ENOUGH and answer in text):
        return True
    wanted = set(answer.split())
    return len(wanted & words) / len(wanted) >= TOKEN_RECALL


def same_answer(given: str, answers: Iterable[str]) -> bool:
    """Exact match after normalisation."""
    return normalised(given) in {normalised(answer) for answer in answers}
