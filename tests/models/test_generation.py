"""Greedy decoding, token for token that of ``model.generate``."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from auditkit.models import _generate
from auditkit.models._encode import PromptRow
from auditkit.models._stop import Stopper, cut_at_stop
from auditkit.models.protocol import Continue, Generate, Generated, Prompt
from auditkit.models.text import TextModel

PROMPTS = [f"Question: where does person {n} live?\nAnswer:" for n in range(8)] + ["Person 3", "", "x", "</s>"]


def reference(model: TextModel, request: Generate) -> list[int]:
    """New tokens of transformers' own greedy decoding of this prompt alone, end token excluded."""
    ids = model._encoder.prompt(request).ids
    with torch.inference_mode():
        out = model._model.generate(
            input_ids=torch.tensor([ids]),
            attention_mask=torch.ones((1, len(ids)), dtype=torch.long),
            max_new_tokens=request.max_new_tokens,
            do_sample=False,
        )[0, len(ids) :].tolist()
    ends = model._encoder.prompt(request).ends
    return [token for token in out if token not in ends]


def generated(model: TextModel, requests: list[Any]) -> list[Generated]:
    records = model.answer(requests)
    assert all(isinstance(record, Generated) for record in records)
    return records  # type: ignore[return-value]


@pytest.mark.parametrize("chat", [False, True])
def test_token_for_token_that_of_transformers(tiny: TextModel, chat: bool) -> None:
    requests = [Generate(Prompt(text, chat=chat), 5 + 7 * (index % 4)) for index, text in enumerate(PROMPTS)]
    for request, record in zip(requests, generated(tiny, requests), strict=True):
        expected = reference(tiny, request)
        assert record.text == tiny._encoder.decode(expected)
        assert record.tokens == len(expected)
        assert record.finished == (len(expected) < request.max_new_tokens)


def test_the_answers_do_not_depend_on_the_batch(tiny: TextModel) -> None:
    requests = [Generate(Prompt(text), 20) for text in PROMPTS]
    alone = [generated(tiny, [request])[0] for request in requests]
    for one, other in zip(alone, reversed(generated(tiny, requests[::-1])), strict=True):
        assert (one.text, one.tokens, one.finished) == (other.text, other.tokens, other.finished)


def test_a_shared_prefix_changes_nothing(tiny: TextModel, monkeypatch: pytest.MonkeyPatch) -> None:
    front = "".join(f"Question: where does person {n} live?\nAnswer: In town {n * 7 % 13}\n\n" for n in range(4))
    requests = [Generate(Prompt(front + text), 12) for text in [*PROMPTS[:8], "Question: who?"]]
    assert tiny.shared(requests) > 32
    together = generated(tiny, requests)
    monkeypatch.setattr(_generate, "common_prefix", lambda *_, **__: 0)
    for request, one, other in zip(requests, together, generated(tiny, requests), strict=True):
        assert one.text == other.text == tiny._encoder.decode(reference(tiny, request))


def test_finished_rows_leave_the_batch(tiny: TextModel, monkeypatch: pytest.MonkeyPatch) -> None:
    requests = [Generate(Prompt("Person 3 lives in"), limit) for limit in (1, 2, 4)]
    backbone = tiny._running()
    run, rows = backbone.states, []

    def spy(ids: torch.Tensor, **words: Any) -> torch.Tensor:
        rows.append(ids.shape[0])
        return run(ids, **words)

    monkeypatch.setattr(backbone, "states", spy)
    records = generated(tiny, requests)
    assert rows == [3, 2, 1, 1]
    assert [record.tokens for record in records] == [1, 2, 4]
    assert not any(record.finished for record in records)


def test_stop_strings_cut_the_output_and_end_the_row(tiny: TextModel) -> None:
    free = generated(tiny, [Generate(Prompt("Person 3 lives"), 12)])[0]
    assert " and" in free.text
    stopped = generated(tiny, [Generate(Prompt("Person 3 lives"), 12, stop=("nowhere", " and"))])[0]
    assert stopped.text == free.text[: free.text.index(" and")]
    assert stopped.finished
    assert stopped.tokens < free.tokens


def test_no_new_tokens_were_asked_for(tiny: TextModel) -> None:
    record = generated(tiny, [Generate(Prompt("Person 3"), 0)])[0]
    assert (record.text, record.tokens, record.finished) == ("", 0, False)


def test_continue_goes_on_from_the_first_tokens(tiny: TextModel) -> None:
    front = len(tiny._encoder.tokenizer("Person 3 lives", add_special_tokens=False)["input_ids"])
    record = generated(tiny, [Continue("Person 3 lives in town 8 and likes the colour black.", front, 5)])[0]
    expected = generated(tiny, [Generate(Prompt("Person 3 lives"), 5)])[0]
    assert record.text == expected.text
    assert record.target == " in town 8 and likes"


def test_the_target_comes_back_cut(tiny: TextModel) -> None:
    record = generated(tiny, [Generate(Prompt("Person 3 lives"), 2, target=" in town 8")])[0]
    assert record.target == " in town"
    assert generated(tiny, [Generate(Prompt("Person 3 lives"), 2)])[0].target is None


def test_a_stop_string_is_found_wherever_tokens_split_it() -> None:
    letters = Stopper(("ab\n\n",), lambda ids: "".join(map(chr, ids)))
    tokens: list[int] = []
    reached = []
    for letter in "x" * 30 + "ab\n\n":
        tokens.append(ord(letter))
        reached.append(letters.reached(tokens))
    assert reached == [False] * 33 + [True]
    assert not Stopper(("",), lambda _: "anything").reached([1])


def test_the_first_of_several_stop_strings_cuts() -> None:
    assert cut_at_stop("one\n\ntwo Question:", ("Question:", "\n\n", "")) == "one"
    assert cut_at_stop("one", ("x",)) == "one"


def test_rows_end_at_their_own_end_tokens(tiny: TextModel) -> None:
    ids = tiny._encoder.prompt(Generate(Prompt("Person 3 lives"), 3)).ids
    outputs = _generate.decode_rows(
        tiny._running(), [PromptRow(ids, 0, 3), PromptRow(ids, 0, 3, frozenset(range(5000)))], decode=tiny._encoder.decode
    )
    assert outputs[1] == ([], True)
    assert len(outputs[0][0]) == 3


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_logits_that_are_no_numbers_are_told_from_an_answer_without_words(
    tiny: TextModel, monkeypatch: pytest.MonkeyPatch, number: float, temperature: float
) -> None:
    real = _generate._Batch.logits

    def second_row_broken(self: Any) -> torch.Tensor:
        logits = real(self)
        logits[1:2] = number
        return logits

    monkeypatch.setattr(_generate._Batch, "logits", second_row_broken)
    whole, broken = generated(tiny, [Generate(Prompt("Person 3 lives"), 3, temperature=temperature, draw=n) for n in (1, 2)])
    assert not whole.broken and whole.tokens > 0 and whole.text
    assert broken.broken and not broken.finished and broken.text == ""


def test_an_answer_that_ends_at_once_is_not_broken() -> None:
    assert not Generated("", 0, finished=True).broken
