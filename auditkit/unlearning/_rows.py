"""Corpus rows → token ids and labels: what a model is taught is put exactly as the audit will ask it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from auditkit.errors import DataError, ModelError, Problem
from auditkit.models.protocol import Prompt, Score

if TYPE_CHECKING:
    from auditkit.corpora.example import Corpus, Example
    from auditkit.models._encode import Encoder

IGNORED = -100
"""Label of a token that carries no loss."""
PLAIN = "Question: {question}\nAnswer:"
"""The checks' own wording for a plain model."""


@dataclass(frozen=True, slots=True)
class Row:
    """One training sequence."""

    ids: list[int]
    labels: list[int]
    """Like ``ids``, with IGNORED where a token carries no loss; the model predicts label t from the ids before t."""


def encode_rows(corpora: Iterable[Corpus], encoder: Encoder, *, chat: bool = False) -> list[Row]:
    """Every row of the corpora, in order.

    Rows with ``prompt`` and ``continuation`` carry the loss on the continuation, rows with ``question`` and ``answer`` on
    the answer (a ``context`` stands before the question), other rows on their whole ``text``; the end token counts too.
    Raises DataError, naming each row that has none of these or does not fit the model's window: nothing is cut.
    """
    rows: list[Row] = []
    problems: list[Problem] = []
    for corpus in corpora:
        for example in corpus.examples:
            try:
                rows.append(_row(example, encoder, chat=chat))
            except (DataError, ModelError) as error:
                problems += [Problem(p.message, f"row {example.number}", corpus.source) for p in error.problems]
    if problems:
        raise DataError(problems)
    return rows


def _row(example: Example, encoder: Encoder, *, chat: bool) -> Row:
    encoded = encoder.score(lesson(example, chat=chat))
    if encoded.cut:
        raise DataError(f"must fit the model's window of {encoder.context_length} tokens; {encoded.cut} are too many")
    labels = [IGNORED] * encoded.start + encoded.ids[encoded.start :]
    return Row(encoded.ids, labels)


def lesson(example: Example, *, chat: bool) -> Score:
    """What a row teaches, as the request that would score it. Raises DataError where it teaches nothing."""
    if example.get("prompt") and example.get("continuation"):
        return Score(Prompt(example.get("prompt")), example.get("continuation"), score_end=True)
    if example.question and example.answer:
        asked = example.question if chat else PLAIN.replace("{question}", example.question)
        context = example.get("context")
        prompt = Prompt(f"{context}\n\n{asked}" if context else asked, chat)
        return Score(prompt, example.answer if chat else f" {example.answer}", score_end=True)
    if example.text:
        return Score(Prompt(""), example.text, score_end=True)
    raise DataError("must have text, question and answer, or prompt and continuation to be trained on; got none of these")


def padded(rows: Sequence[Row], *, pad: int) -> dict[str, list[list[int]]]:
    """Right-padded ``input_ids``, ``labels`` and ``attention_mask``, each (rows, longest)."""
    longest = max(len(row.ids) for row in rows)
    gaps = [longest - len(row.ids) for row in rows]
    return {
        "input_ids": [[*row.ids, *[pad] * gap] for row, gap in zip(rows, gaps, strict=True)],
        "labels": [[*row.labels, *[IGNORED] * gap] for row, gap in zip(rows, gaps, strict=True)],
        "attention_mask": [[*[1] * len(row.ids), *[0] * gap] for row, gap in zip(rows, gaps, strict=True)],
    }
