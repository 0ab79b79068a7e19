"""The logit lens: the last layer is the model's own answer, the others are norm and head by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from auditkit.errors import ModelError
from auditkit.measurement.store import Shelf
from auditkit.models import _lens, _states
from auditkit.models._lens import Readout, views
from auditkit.models.protocol import Hidden, Lens, Lensed, Prompt, Score
from auditkit.models.text import TextModel

REQUESTS = [
    Lens(Prompt("Person 3 lives"), " in town 8"),
    Lens(Prompt("Question: where does person 3 live?\nAnswer:"), " In town 8"),
    Lens(Prompt("Person 3 li"), "ves in"),
    Lens(Prompt("Who?", chat=True, start="In"), " town"),
    Lens(Prompt(""), "Person"),
]


def look(model: TextModel, requests: list[Lens]) -> list[Lensed]:
    records = model.answer(requests)
    assert all(isinstance(record, Lensed) for record in records)
    return records  # type: ignore[return-value]


def by_hand(model: TextModel, request: Lens) -> tuple[list[float], list[int]]:
    """From the hidden states of one sequence, with the model's own modules, in float64."""
    row = model._encoder.lens(request)
    with torch.inference_mode():
        inner = model._model.model
        layers = [
            layer[0, -1] for layer in inner(input_ids=torch.tensor([row.ids[:-1]]), output_hidden_states=True).hidden_states
        ]
        normed = [*(inner.norm(layer) for layer in layers[:-1]), layers[-1]]
        logits = [model._model.lm_head(layer).double() for layer in normed]
    token = row.ids[-1]
    return (
        [float(one.log_softmax(-1)[token]) for one in logits],
        [sum(other > one[token] for other in one.tolist()) for one in logits],
    )


@pytest.mark.parametrize("request_", REQUESTS)
def test_every_layer_is_norm_and_head_by_hand(tiny: TextModel, request_: Lens) -> None:
    (record,) = look(tiny, [request_])
    logprob, rank = by_hand(tiny, request_)
    assert (record.logprob.dtype, record.rank.dtype) == (np.float32, np.int64)
    np.testing.assert_allclose(record.logprob, logprob, atol=1e-5)
    assert record.rank.tolist() == rank


def test_the_last_layer_is_what_score_gives(tiny: TextModel) -> None:
    scored = tiny.answer([Score(request.prompt, request.continuation) for request in REQUESTS])
    for lensed, score in zip(look(tiny, REQUESTS), scored, strict=True):
        assert lensed.logprob[-1] == pytest.approx(score.logprob[0], abs=1e-5)  # type: ignore[union-attr]
        assert (lensed.rank[-1] == 0) == score.hit[0]  # type: ignore[union-attr]


def test_the_view_does_not_depend_on_the_batch(tiny: TextModel, monkeypatch: pytest.MonkeyPatch) -> None:
    together = look(tiny, REQUESTS)
    monkeypatch.setattr(_states, "_PASS_BYTES", 1)
    monkeypatch.setattr(_lens, "_CHUNK_BYTES", 1)
    for one, other in zip(reversed(look(tiny, REQUESTS[::-1])), together, strict=True):
        np.testing.assert_allclose(one.logprob, other.logprob, atol=1e-5)
        assert one.rank.tolist() == other.rank.tolist()
    for request, record in zip(REQUESTS, together, strict=True):
        np.testing.assert_allclose(look(tiny, [request])[0].logprob, record.logprob, atol=1e-5)


def test_the_cost_is_that_of_what_is_read_and_nothing_is_shared(tiny: TextModel) -> None:
    front = "Question: where does person 1 live?\nAnswer: In town 7\n\n" * 3
    requests = [Lens(Prompt(front + f"Question: {n}"), " In") for n in range(4)]
    assert tiny.cost(requests[0]) == tiny.cost(Hidden(requests[0].prompt))
    assert tiny.shared(requests) == 0


def test_a_long_answer_costs_no_room_and_a_long_prompt_is_cut(tiny: TextModel) -> None:
    (record,) = look(tiny, [Lens(Prompt("abcdefghij " * 100), " In town 8" * 300)])
    assert record.cut_tokens > 0
    assert np.isfinite(record.logprob).all()
    assert tiny.cost(Lens(Prompt("abcdefghij " * 100), " In")) == tiny.context_length


@pytest.mark.parametrize("prompt", [Prompt("Person"), Prompt("Person", chat=True)])
def test_an_answer_without_a_token_is_refused_before_anything_runs(tiny: TextModel, prompt: Prompt) -> None:
    with pytest.raises(ModelError, match="must have a token"):
        tiny.cost(Lens(prompt, ""))


def test_numbers_that_are_none_have_no_rank() -> None:
    class Head:
        vocabulary = 3

        def logits(self, states: torch.Tensor) -> torch.Tensor:
            return states

    states = torch.tensor([[0.0, 2.0, 1.0], [torch.nan, 0.0, 0.0], [1.0, 1.0, 1.0], [0.0, -torch.inf, 0.0]])
    logprob, rank = views(Head(), states, torch.tensor([2, 1, 2, 1]))  # type: ignore[arg-type]
    assert rank.tolist() == [1, -1, 0, 2]
    assert logprob[0].item() == pytest.approx(1 - np.log(1 + np.e + np.e**2), abs=1e-6)
    assert logprob[1].isnan()
    assert logprob[3].item() == -torch.inf


def test_a_model_of_nothing_but_nan_says_so(tiny_folder: Any) -> None:
    from auditkit.models.source import Source

    model = TextModel.load(Source.of_folder(tiny_folder), device="cpu")
    for weight in model._model.parameters():
        weight.fill_(torch.nan)
    (record,) = look(model, REQUESTS[:1])
    assert np.isnan(record.logprob).all()
    assert record.rank.tolist() == [-1, -1, -1]


def test_a_model_that_cannot_be_taken_apart_is_refused(tiny: TextModel, monkeypatch: pytest.MonkeyPatch) -> None:
    backbone = tiny._running()
    monkeypatch.setattr(backbone, "split", False)
    with pytest.raises(ModelError, match="cannot take apart: llama"):
        Readout(backbone)
    monkeypatch.undo()
    run = backbone.states
    monkeypatch.setattr(backbone, "states", lambda ids: run(ids) * 1.5)
    with torch.inference_mode(), pytest.raises(ModelError, match="final norm"):
        Readout(backbone)


def test_records_come_back_from_the_store(tiny: TextModel, tmp_path: Any) -> None:
    records = look(tiny, REQUESTS)
    Shelf(tmp_path).put(REQUESTS, records, [1] * len(REQUESTS))
    shelf = Shelf(tmp_path)
    for request, record in zip(REQUESTS, records, strict=True):
        again = shelf[request]
        assert isinstance(again, Lensed)
        np.testing.assert_array_equal(again.logprob, record.logprob)
        np.testing.assert_array_equal(again.rank, record.rank)
        assert (again.rank.dtype, again.cut_tokens) == (np.int64, record.cut_tokens)
