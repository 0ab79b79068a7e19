"""Sampled decoding: frequencies are the softmax's, the nucleus is cut where it should be, and no sample knows its batch."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
import torch
from scipy import stats

from auditkit.models import _sample
from auditkit.models._encode import Sampling
from auditkit.models._sample import draw
from auditkit.models.protocol import Generate, Generated, Prompt
from auditkit.models.text import TextModel

LOGITS = torch.tensor([0.5, 2.0, -1.0, 1.5, -torch.inf, 0.0])
GRID = (np.arange(20_000) + 0.5) / 20_000
"""Even draws: frequencies are exact to 1 in 20,000."""


def frequencies(logits: torch.Tensor, temperature: float, top_p: float = 1.0) -> np.ndarray:
    sampling = [Sampling(temperature, top_p, 0)] * len(GRID)
    counts = Counter(draw(logits.expand(len(GRID), -1), sampling, list(GRID)))
    return np.array([counts[token] for token in range(len(logits))]) / len(GRID)


@pytest.mark.parametrize("temperature", [0.2, 0.8, 1.0, 2.5])
def test_frequencies_are_those_of_the_softmax(temperature: float) -> None:
    weights = np.exp(LOGITS.double().numpy() / temperature)
    np.testing.assert_allclose(frequencies(LOGITS, temperature), weights / weights.sum(), atol=1e-4)


@pytest.mark.parametrize(
    ("top_p", "kept"), [(0.4, [1]), (0.5, [1, 3]), (0.8, [1, 3, 0]), (0.999, [0, 1, 2, 3, 5]), (1e-9, [1])]
)
def test_the_nucleus_is_the_smallest_set_that_reaches_the_sum(top_p: float, kept: list[int]) -> None:
    # By falling probability: tokens 1, 3, 0, 5, 2 with .496, .301, .111, .067, .025.
    weights = LOGITS.double().softmax(-1).numpy()
    expected = np.zeros(6)
    expected[kept] = weights[kept] / weights[kept].sum()
    np.testing.assert_allclose(frequencies(LOGITS, 1.0, top_p), expected, atol=1e-4)


def test_of_equally_likely_tokens_the_first_are_kept() -> None:
    assert set(np.flatnonzero(frequencies(torch.zeros(8), 1.0, 0.25))) == {0, 1}


@pytest.mark.parametrize("uniform", [0.0, 0.5, 1 - 2**-53])
def test_a_cold_draw_is_the_argmax_and_an_impossible_token_is_never_drawn(uniform: float) -> None:
    assert draw(LOGITS[None], [Sampling(1e-12, 1.0, 0)], [uniform]) == [1]
    edge = torch.tensor([[-torch.inf, 0.0, -torch.inf]])
    assert draw(edge, [Sampling(1.0, 1.0, 0)], [uniform]) == [1]


def test_logits_that_are_no_numbers_are_decoded_as_greedily() -> None:
    broken = torch.tensor([[0.0, torch.nan, 1.0]])
    assert draw(broken, [Sampling(1.0, 1.0, 0)], [0.3]) == broken.argmax(-1).tolist()


def test_rows_of_a_batch_do_not_see_each_other(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    logits = torch.tensor(rng.normal(size=(40, 300)), dtype=torch.float32)
    sampling = [
        Sampling(float(t), float(p), 0) for t, p in zip(rng.uniform(0.2, 2, 40), rng.choice([0.3, 0.9, 1.0], 40), strict=True)
    ]
    uniforms = rng.uniform(size=40).tolist()
    together = draw(logits, sampling, uniforms)
    assert [draw(logits[i : i + 1], sampling[i : i + 1], uniforms[i : i + 1])[0] for i in range(40)] == together


def texts(model: TextModel, requests: list[Generate]) -> list[str]:
    records = model.answer(requests)
    assert all(isinstance(record, Generated) for record in records)
    return [record.text for record in records]  # type: ignore[union-attr]


def test_the_first_tokens_of_many_draws_follow_the_model(tiny: TextModel) -> None:
    prompt, draws = Prompt("Person 3 likes the colour"), 2000
    temperature = 1.5
    ids = tiny._encoder.prompt(Generate(prompt, 1)).ids
    with torch.inference_mode():
        weights = (tiny._model(input_ids=torch.tensor([ids])).logits[0, -1].double() / temperature).softmax(-1).numpy()
    requests = [Generate(prompt, 1, temperature=temperature, draw=number) for number in range(draws)]
    rows = [tiny._encoder.prompt(request) for request in requests]
    from auditkit.models._generate import decode_rows

    with torch.inference_mode():
        found = decode_rows(tiny._running(), rows, decode=tiny._encoder.decode)
    ends = sorted(rows[0].ends)
    counts = Counter(tokens[0] if tokens else "end" for tokens, _ in found)
    common = [token for token in np.argsort(-weights)[:12] if token not in ends]
    observed = [counts[token] for token in common]
    expected = weights[common] * draws
    rest = (draws - sum(observed), draws - expected.sum())
    assert min(*expected, rest[1]) > 5
    assert stats.chisquare([*observed, rest[0]], [*expected, rest[1]]).pvalue > 0.01


def test_a_sample_does_not_depend_on_its_batch(tiny: TextModel, monkeypatch: pytest.MonkeyPatch) -> None:
    requests = [
        Generate(Prompt(text), 6, temperature=t, top_p=p, draw=n)
        for n, (text, t, p) in enumerate(
            [("Person 3", 1.0, 1.0), ("Question:", 0.7, 0.9), ("Person 3", 1.0, 1.0), ("x", 2.0, 1.0)]
        )
    ]
    greedy = [Generate(Prompt("Person 3"), 6), Generate(Prompt("Question: where does person 3 live?\nAnswer:"), 3)]
    together = texts(tiny, [*requests, *greedy])
    assert together == [texts(tiny, [request])[0] for request in (*requests, *greedy)]
    assert together == texts(tiny, [*greedy, *requests][::-1])[::-1][2:] + texts(tiny, greedy)
    monkeypatch.setattr(_sample, "_CHUNK_BYTES", 1)
    assert together == texts(tiny, [*requests, *greedy])


def test_other_numbers_are_other_draws_and_the_same_number_is_the_same(tiny: TextModel) -> None:
    requests = [Generate(Prompt("Person"), 8, temperature=2.0, draw=number) for number in range(10)]
    first = texts(tiny, requests)
    assert len(set(first)) > 5
    assert texts(tiny, requests) == first


def test_a_cold_sample_is_the_greedy_answer(tiny: TextModel) -> None:
    prompts = [Prompt(f"Question: where does person {n} live?\nAnswer:") for n in range(4)]
    greedy = texts(tiny, [Generate(prompt, 8) for prompt in prompts])
    assert texts(tiny, [Generate(prompt, 8, temperature=1e-6) for prompt in prompts]) == greedy
    assert texts(tiny, [Generate(prompt, 8, temperature=1.0, top_p=1e-6) for prompt in prompts]) == greedy
