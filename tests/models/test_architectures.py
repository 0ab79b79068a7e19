"""Other families than Llama: scores and generations stay those of the model's own full forward pass."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers

from auditkit.models.loading import Loaded
from auditkit.models.protocol import Fingerprint, Generate, Generated, Lens, Lensed, Prompt, Score, Scored
from auditkit.models.text import TextModel

SMALL: dict[str, Any] = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 8,
    "max_position_embeddings": 256,
    "pad_token_id": 2,
    "bos_token_id": 0,
    "eos_token_id": 1,
}
FAMILIES: dict[str, tuple[type[Any], type[Any], dict[str, Any]]] = {
    "gpt2": (
        transformers.GPT2Config,
        transformers.GPT2LMHeadModel,
        {"n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 256, "bos_token_id": 0, "eos_token_id": 1},
    ),
    # A softcap between head and logits.
    "gemma2": (transformers.Gemma2Config, transformers.Gemma2ForCausalLM, {**SMALL, "final_logit_softcapping": 2.0}),
    # A scale on the logits.
    "cohere": (transformers.CohereConfig, transformers.CohereForCausalLM, {**SMALL, "logit_scale": 0.25}),
    # A window shorter than the texts.
    "mistral": (transformers.MistralConfig, transformers.MistralForCausalLM, {**SMALL, "sliding_window": 8}),
    # Biases and positions of its own.
    "opt": (
        transformers.OPTConfig,
        transformers.OPTForCausalLM,
        {"hidden_size": 32, "ffn_dim": 64, "num_hidden_layers": 2, "num_attention_heads": 4, "max_position_embeddings": 256},
    ),
    # No positions at all: attention biases from the mask.
    "bloom": (
        transformers.BloomConfig,
        transformers.BloomForCausalLM,
        {"hidden_size": 32, "n_layer": 2, "n_head": 4, "bos_token_id": 0, "eos_token_id": 1},
    ),
}
FRONT = "Question: where does person 1 live?\nAnswer: In town 7\n\n" * 3


@pytest.fixture(scope="module", params=sorted(FAMILIES))
def family(request: pytest.FixtureRequest, tiny_folder: Path) -> TextModel:
    config, cls, words = FAMILIES[request.param]
    tokenizer = transformers.AutoTokenizer.from_pretrained(tiny_folder)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = cls(config(vocab_size=len(tokenizer), **words)).eval()
        for parameter in model.parameters():
            # Far from zero, so that a forgotten softcap or scale shows.
            parameter.data.mul_(3)
    model.generation_config.eos_token_id = 1
    return TextModel(
        Loaded(model, tokenizer), fingerprint=Fingerprint("", "", "", ""), device="cpu", dtype="float32", system=None
    )


def test_scores_are_those_of_the_full_forward_pass(family: TextModel) -> None:
    requests = [Score(Prompt("Person 3"), " lives in town" + " 8 and" * n) for n in range(4)]
    requests += [Score(Prompt(FRONT + f"Question: {n}"), " In town 7") for n in range(3)]
    records = [*family.answer(requests[:4]), *family.answer(requests[4:])]
    assert family.shared(requests[4:]) > 32
    for request, record in zip(requests, records, strict=True):
        assert isinstance(record, Scored)
        row = family._encoder.score(request)
        with torch.inference_mode():
            logp = family._model(input_ids=torch.tensor([row.ids])).logits[0].double().log_softmax(-1)
        expected = [float(logp[position - 1, row.ids[position]]) for position in range(row.start, len(row.ids))]
        np.testing.assert_allclose(record.logprob, expected, atol=2e-5)


def test_the_head_is_split_off(family: TextModel) -> None:
    assert family._running().split


def test_the_last_layer_of_the_lens_is_the_models_answer(family: TextModel) -> None:
    prompts = [Prompt("Person 3 lives in" + " town" * n) for n in range(3)]
    scored = family.answer([Score(prompt, " town") for prompt in prompts])
    lensed = family.answer([Lens(prompt, " town") for prompt in prompts])
    for one, other in zip(lensed, scored, strict=True):
        assert isinstance(one, Lensed)
        assert isinstance(other, Scored)
        assert len(one.logprob) == len(one.rank) == 3
        assert one.logprob[-1] == pytest.approx(other.logprob[0], abs=2e-5)
        assert (one.rank[-1] == 0) == other.hit[0]


NORMS = {"gpt2": "ln_f", "opt": "decoder.final_layer_norm", "bloom": "ln_f"}


def test_inner_layers_pass_the_final_norm(family: TextModel) -> None:
    """A layer that is skipped leaves the state before it: the layer before the last shows what the model then says."""
    request = Lens(Prompt("Person 3 lives in"), " town")
    (record,) = family.answer([request])
    assert isinstance(record, Lensed)
    ids = torch.tensor([family._encoder.lens(request).ids])
    base = family._model.base_model
    norm = base.get_submodule(NORMS.get(family._model.config.model_type, "norm"))
    with torch.inference_mode():
        before = base(input_ids=ids[:, :-1], output_hidden_states=True).hidden_states[-2]
        hook = norm.register_forward_pre_hook(lambda *_: (before,))
        logits = family._model(input_ids=ids[:, :-1]).logits[0, -1].double()
        hook.remove()
    assert record.logprob[-2] == pytest.approx(float(logits.log_softmax(-1)[ids[0, -1]]), abs=2e-5)
    assert record.rank[-2] == int((logits > logits[ids[0, -1]]).sum())


def test_generations_are_those_of_transformers(family: TextModel) -> None:
    requests = [Generate(Prompt("Person 3 lives in" + " town" * n), 12) for n in range(4)]
    requests += [Generate(Prompt(FRONT + f"Question: {n}"), 6) for n in range(3)]
    # Behind a shared beginning, rows of very different length: the padding between must not push real tokens out of a window.
    requests += [Generate(Prompt(FRONT + "Question: " + "town 7 " * n), 6) for n in (0, 5, 9)]
    records = [record for part in (requests[:4], requests[4:7], requests[7:]) for record in family.answer(part)]
    for request, record in zip(requests, records, strict=True):
        assert isinstance(record, Generated)
        row = family._encoder.prompt(request)
        with torch.inference_mode():
            ids = torch.tensor([row.ids])
            out = family._model.generate(
                input_ids=ids, attention_mask=torch.ones_like(ids), max_new_tokens=request.max_new_tokens, do_sample=False
            )[0, len(row.ids) :]
        assert record.text == family._encoder.decode([token for token in out.tolist() if token not in row.ends])
