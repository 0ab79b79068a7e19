"""Scores against a direct computation from full logits in float64, and their independence of the batch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from auditkit.models import _backbone, _score
from auditkit.models.protocol import Hidden, Prompt, Score, Scored
from auditkit.models.text import TextModel, _layers

TOLERANCE = 1e-5
PROMPTS = ["", "Question:", "Person 3 lives", "Question: where does person 3 live?\nAnswer:", "</s>é漢"]
CONTINUATIONS = ["", " In town 8", "and likes the colour black.", " x" * 40, "Person 1 lives in town 7</s>"]

requests = st.builds(
    Score,
    st.builds(Prompt, st.sampled_from(PROMPTS) | st.text(max_size=20), st.booleans()),
    st.sampled_from(CONTINUATIONS) | st.text(max_size=30),
    st.booleans(),
)


def direct(model: TextModel, request: Score) -> dict[str, np.ndarray[Any, Any]]:
    """From the full logits of one sequence, in float64."""
    row = model._encoder.score(request)
    with torch.inference_mode():
        logits = model._model(input_ids=torch.tensor([row.ids])).logits[0].double()
    logp = logits.log_softmax(-1)[row.start - 1 : -1]
    targets = torch.tensor(row.ids[row.start :], dtype=torch.long)
    mean = (logp.exp() * logp).sum(-1)
    return {
        "logprob": logp[range(len(targets)), targets].numpy(),
        "hit": (logp.argmax(-1) == targets).numpy(),
        "mean": mean.numpy(),
        "variance": ((logp.exp() * logp**2).sum(-1) - mean**2).numpy(),
    }


def answer(model: TextModel, batch: Sequence[Score]) -> list[Scored]:
    records = model.answer(batch)
    assert all(isinstance(record, Scored) for record in records)
    return records  # type: ignore[return-value]


def close(one: Scored, other: Scored) -> None:
    for name in ("logprob", "mean", "variance"):
        np.testing.assert_allclose(getattr(one, name), getattr(other, name), rtol=0, atol=TOLERANCE, err_msg=name)


@pytest.mark.parametrize("prompt", PROMPTS)
@pytest.mark.parametrize("continuation", CONTINUATIONS)
def test_equal_to_a_direct_computation(tiny: TextModel, prompt: str, continuation: str) -> None:
    request = Score(Prompt(prompt), continuation, score_end=True)
    (record,) = answer(tiny, [request])
    expected = direct(tiny, request)
    assert record.logprob.dtype == record.mean.dtype == np.float32
    np.testing.assert_array_equal(record.hit, expected["hit"])
    for name in ("logprob", "mean", "variance"):
        np.testing.assert_allclose(getattr(record, name), expected[name], atol=TOLERANCE, rtol=TOLERANCE, err_msg=name)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], derandomize=True)
@given(batch=st.lists(requests, min_size=1, max_size=8), data=st.data())
def test_a_score_does_not_depend_on_its_batch(tiny: TextModel, batch: list[Score], data: st.DataObject) -> None:
    alone = [answer(tiny, [request])[0] for request in batch]
    order = data.draw(st.permutations(range(len(batch))))
    together = answer(tiny, [batch[index] for index in order])
    for place, index in enumerate(order):
        close(together[place], alone[index])


def test_the_same_batch_twice_is_bit_equal(tiny: TextModel) -> None:
    batch = [Score(Prompt(prompt), " In town 8") for prompt in PROMPTS]
    for one, other in zip(answer(tiny, batch), answer(tiny, batch), strict=True):
        assert one.logprob.tobytes() == other.logprob.tobytes()
        assert one.variance.tobytes() == other.variance.tobytes()


def shots(count: int) -> list[Score]:
    front = "".join(f"Question: where does person {n} live?\nAnswer: In town {n * 7 % 13}\n\n" for n in range(4))
    return [Score(Prompt(f"{front}Question: where does person {n} live?\nAnswer:"), f" In town {n}") for n in range(count)]


def test_a_shared_prefix_is_encoded_once(tiny: TextModel, monkeypatch: pytest.MonkeyPatch) -> None:
    batch = shots(5)
    seen: list[tuple[int, int]] = []
    backbone = tiny._running()
    run = backbone.states

    def spy(ids: torch.Tensor, **words: Any) -> torch.Tensor:
        seen.append((ids.shape[0], ids.shape[1]))
        return run(ids, **words)

    monkeypatch.setattr(backbone, "states", spy)
    shared = tiny.shared(batch)
    assert shared > 32
    together = answer(tiny, batch)
    longest = max(map(tiny.cost, batch)) - 1
    assert seen == [(1, shared), (5, longest - shared)]
    again = answer(tiny, batch[:3])
    assert len(seen) == 3, "the batches of one group encode their beginning once"
    for one, other in zip(again, together, strict=False):
        close(one, other)
    monkeypatch.setattr(_score, "common_prefix", lambda *_, **__: 0)
    for one, other in zip(together, answer(tiny, batch), strict=True):
        close(one, other)


def test_what_came_before_changes_no_bit(tiny: TextModel) -> None:
    batch, other = shots(5), shots(8)
    first = answer(tiny, batch)
    answer(tiny, [Score(Prompt("x" * 400 + request.prompt.text), "y") for request in other])
    answer(tiny, other)
    for one, again in zip(first, answer(tiny, batch), strict=True):
        assert one.logprob.tobytes() == again.logprob.tobytes()


def test_a_prefix_never_swallows_a_scored_token(tiny: TextModel) -> None:
    same = Score(Prompt(shots(1)[0].prompt.text), " In town 8")
    assert 32 < tiny.shared([same, same]) <= tiny._encoder.score(same).start - 1
    first, second = answer(tiny, [same, same])
    np.testing.assert_allclose(first.logprob, direct(tiny, same)["logprob"], atol=TOLERANCE)
    close(first, second)


def test_short_or_scored_beginnings_are_not_shared(tiny: TextModel) -> None:
    assert tiny.shared([Score(Prompt("Question:"), " a"), Score(Prompt("Question:"), " b")]) == 0
    assert tiny.shared([Score(Prompt(""), "x " * 80 + "a"), Score(Prompt(""), "x " * 80 + "b")]) == 0
    assert _backbone.common_prefix([[1] * 50], at_most=49) == 0


def test_chunks_of_positions_give_the_same_numbers(tiny: TextModel, monkeypatch: pytest.MonkeyPatch) -> None:
    batch = [Score(Prompt("Person 3"), text) for text in CONTINUATIONS]
    whole = answer(tiny, batch)
    monkeypatch.setattr(_score, "_CHUNK_BYTES", 1)
    for one, other in zip(whole, answer(tiny, batch), strict=True):
        close(one, other)


def test_a_vocabulary_entry_that_cannot_occur_gives_no_nan() -> None:
    logits = torch.tensor([[0.0, 1.0, -torch.inf, 2.0]])
    out = torch.empty((4, 1))
    _score._fill(logits.clone(), torch.tensor([1]), out)
    p = logits.double().softmax(-1)[0]
    mean = float(torch.special.xlogy(p, p).sum())
    assert out[2].item() == pytest.approx(mean, abs=1e-6)
    assert torch.isfinite(out).all()
    _score._fill(logits.clone(), torch.tensor([2]), out)
    assert out[0].item() == -torch.inf


def test_equal_logits_hit_the_first_token_alone() -> None:
    targets = torch.tensor([0, 1, 5])
    out = torch.empty((4, 3))
    _score._fill(torch.zeros((3, 6)), targets, out)
    assert out[1].tolist() == [1.0, 0.0, 0.0]
    np.testing.assert_allclose(out[0].numpy(), np.log(1 / 6), atol=1e-6)
    np.testing.assert_allclose(out[3].numpy(), 0, atol=1e-6)


def test_nan_stays_nan() -> None:
    out = torch.empty((4, 1))
    _score._fill(torch.full((1, 6), torch.nan), torch.tensor([0]), out)
    assert out[[0, 2, 3]].isnan().all()
    assert out[1].item() == 0


def test_nothing_to_score_and_nothing_to_answer(tiny: TextModel) -> None:
    assert tiny.answer([]) == []
    (record,) = answer(tiny, [Score(Prompt("Person"), "")])
    assert record.logprob.shape == (0,)


def test_a_cut_prompt_is_recorded(tiny: TextModel) -> None:
    request = Score(Prompt("abcdefghij " * 100), " In town 8")
    (record,) = answer(tiny, [request])
    assert record.cut_tokens > 0
    assert np.isfinite(record.logprob).all()


def test_hidden_states_are_those_of_the_last_position(tiny: TextModel) -> None:
    batch = [Hidden(Prompt("Person 3 lives"), (0, 1, 2)), Hidden(Prompt("Person 3 lives in town 8"), (2,))]
    records = tiny.answer(batch)
    for request, record in zip(batch, records, strict=True):
        ids = torch.tensor([tiny._encoder.prompt(request).ids])
        with torch.inference_mode():
            layers = tiny._model(input_ids=ids, output_hidden_states=True).hidden_states
        expected = np.stack([layers[layer][0, -1].numpy() for layer in request.layers])
        np.testing.assert_allclose(record.states, expected, atol=TOLERANCE)  # type: ignore[union-attr]


def test_all_layers_are_those_that_the_model_has(tiny: TextModel) -> None:
    every, some = tiny.answer([Hidden(Prompt("Person 3")), Hidden(Prompt("Person 3"), (0, 2))])
    np.testing.assert_array_equal(every.states[[0, 2]], some.states)  # type: ignore[union-attr]
    assert (every.layers.tolist(), some.layers.tolist()) == ([0, 1, 2], [0, 2])  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("depth", "layers"), [(1, [0, 1]), (24, [*range(25)]), (26, [0, *range(2, 27, 2)]), (27, [0, *range(1, 28, 2)])]
)
def test_of_a_deep_model_every_second_layer_up_to_the_last(depth: int, layers: list[int]) -> None:
    assert _layers(Hidden(Prompt("")), depth + 1) == layers


def test_layers_that_are_not_there_are_refused(tiny: TextModel) -> None:
    with pytest.raises(Exception, match="layers must be 0 to 2"):
        tiny.answer([Hidden(Prompt("a"), (3,))])
