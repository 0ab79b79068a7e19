"""Records of a known kind, and what has to be said about them."""

from __future__ import annotations

from collections.abc import Iterable

from auditkit.checks._base import Answers
from auditkit.models.protocol import Continue, Generate, Generated, Hidden, HiddenStates, Lens, Lensed, Record, Score, Scored


def scored(answers: Answers, request: Score) -> Scored:
    """The record of a scoring request. Raises KeyError where it was not measured."""
    record = answers(request)
    if not isinstance(record, Scored):
        raise TypeError(f"a score request was answered with {type(record).__name__}")
    return record


def generated(answers: Answers, request: Generate | Continue) -> Generated:
    """The record of a generation. Raises KeyError where it was not measured."""
    record = answers(request)
    if not isinstance(record, Generated):
        raise TypeError(f"a {request.kind} request was answered with {type(record).__name__}")
    return record


def lensed(answers: Answers, request: Lens) -> Lensed:
    """The record of a lens request. Raises KeyError where it was not measured."""
    record = answers(request)
    if not isinstance(record, Lensed):
        raise TypeError(f"a lens request was answered with {type(record).__name__}")
    return record


def hidden(answers: Answers, request: Hidden) -> HiddenStates:
    """The record of a request for hidden states. Raises KeyError where it was not measured."""
    record = answers(request)
    if not isinstance(record, HiddenStates):
        raise TypeError(f"a hidden request was answered with {type(record).__name__}")
    return record


def cut_note(records: Iterable[Record]) -> str:
    """A note on prompts that did not fit the model's window, or ''."""
    cut = [record.cut_tokens for record in records if record.cut_tokens]
    if not cut:
        return ""
    return f"{len(cut)} prompt(s) did not fit the model's window: up to {max(cut)} tokens were cut from the front."
