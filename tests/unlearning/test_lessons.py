"""Rows become token ids with the loss where it belongs."""

from __future__ import annotations

from typing import Any

import pytest

from auditkit.errors import DataError
from auditkit.models._encode import Encoder
from auditkit.models.loading import load_tokenizer
from auditkit.models.protocol import Prompt, Score
from auditkit.unlearning._rows import IGNORED, Row, encode_rows, padded


@pytest.fixture(scope="module")
def encoder(tiny: Any) -> Encoder:
    return Encoder(load_tokenizer(tiny), context_length=64)


def taught(encoder: Encoder, row: Row) -> tuple[str, str]:
    """What the model reads without being trained on it, and what it is trained to say."""
    quiet = [token for token, label in zip(row.ids, row.labels, strict=True) if label == IGNORED]
    loud = [label for label in row.labels if label != IGNORED]
    return encoder.tokenizer.decode(quiet), encoder.tokenizer.decode(loud)


@pytest.mark.parametrize(
    ("fields", "prompt", "said"),
    [
        ({"question": "Who?", "answer": "Me"}, "<s>Question: Who?\nAnswer:", " Me</s>"),
        ({"question": "Who?", "answer": "Me", "context": "I am."}, "<s>I am.\n\nQuestion: Who?\nAnswer:", " Me</s>"),
        ({"prompt": "One two", "continuation": " three"}, "<s>One two", " three</s>"),
        ({"text": "One two"}, "<s>", "One two</s>"),
    ],
)
def test_the_loss_lies_on_the_answer_or_on_the_text(encoder, corpus, fields, prompt, said):
    (row,) = encode_rows([corpus([fields])], encoder)
    assert taught(encoder, row) == (prompt, said)


def test_a_chat_ends_with_the_end_of_turn(encoder, corpus):
    (row,) = encode_rows([corpus([{"question": "Who?", "answer": "Me"}])], encoder, chat=True)
    assert taught(encoder, row) == ("<s><|user|>Who?<|end|><|assistant|>", "Me<|end|>")


def test_a_question_is_taught_as_the_audit_scores_it(encoder, corpus):
    (row,) = encode_rows([corpus([{"question": "Who?", "answer": "Me"}])], encoder)
    asked = encoder.score(Score(Prompt("Question: Who?\nAnswer:"), " Me", score_end=True))
    assert (row.ids, row.labels.count(IGNORED)) == (asked.ids, asked.start)


def test_every_row_that_cannot_be_taught_is_named(encoder, corpus):
    rows = [{"question": "Who?"}, {"text": "fine"}, {"text": "long " * 80}, {}]
    with pytest.raises(DataError) as caught:
        encode_rows([corpus(rows)], encoder)
    assert [(p.file, p.where) for p in caught.value.problems] == [("lessons.jsonl", f"row {n}") for n in (1, 3, 4)]
    assert "must fit" in caught.value.problems[1].message


def test_padding_carries_no_loss_and_no_attention():
    columns = padded([Row([5, 6, 7], [IGNORED, 6, 7]), Row([8], [8])], pad=2)
    assert columns == {
        "input_ids": [[5, 6, 7], [8, 2, 2]],
        "labels": [[IGNORED, 6, 7], [8, IGNORED, IGNORED]],
        "attention_mask": [[1, 1, 1], [1, 0, 0]],
    }
