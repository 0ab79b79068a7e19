"""The embedded pretrained model: the same promises at a real size."""

from __future__ import annotations

import importlib.util
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from auditkit.errors import ModelError
from auditkit.models.builtin import BUILTINS, builtin_folder
from auditkit.models.protocol import Generate, Generated, Prompt, Score, Scored
from auditkit.models.source import Source
from auditkit.models.text import TextModel

pytestmark = pytest.mark.real_model
NAME = "smollm2-135m-instruct"
TEXTS = [
    "The capital of France is Paris, and the river Seine runs through it.",
    "In 1969 Neil Armstrong became the first person to walk on the Moon, and he said so in a few words.",
    "Water boils at 100 degrees Celsius.",
]
SHOTS = "".join(f"Question: What is {n} plus {n}?\nAnswer: {n + n}\n\n" for n in range(6))


@pytest.fixture(scope="module")
def real() -> TextModel:
    return TextModel.load(Source.of_folder(builtin_folder(NAME), label=NAME), device="cpu", chat="template")


def scored(model: TextModel, requests: list[Score]) -> list[Scored]:
    return [record for record in model.answer(requests) if isinstance(record, Scored)]


def test_scores_are_the_same_in_any_batch(real: TextModel) -> None:
    plain = [Score(Prompt(""), text) for text in TEXTS]
    shots = [Score(Prompt(f"{SHOTS}Question: What is {n} plus 1?\nAnswer:"), f" {n + 1}") for n in range(3)]
    assert real.shared(shots) > 32
    for batch in (plain, shots):
        for request, together in zip(batch, scored(real, batch), strict=True):
            (alone,) = scored(real, [request])
            # Float32 carries some 6e-8 of a value's size through thirty layers.
            np.testing.assert_allclose(together.logprob, alone.logprob, atol=1e-5, rtol=5e-6)
            assert abs(float(together.logprob.mean() - alone.logprob.mean())) < 1e-5


def test_the_world_is_more_likely_than_nonsense(real: TextModel) -> None:
    right, wrong = scored(real, [Score(Prompt("The capital of France is"), word) for word in (" Paris", " butter")])
    assert right.logprob.sum() > wrong.logprob.sum() + 3


def test_chat_generations_are_those_of_transformers(real: TextModel) -> None:
    requests = [
        Generate(Prompt(text, chat=True), 8) for text in ("Say hello.", "What is the capital of France?", "Name a colour.")
    ]
    for request, record in zip(requests, real.answer(requests), strict=True):
        row = real._encoder.prompt(request)
        ids = torch.tensor([row.ids])
        with torch.inference_mode():
            out = real._model.generate(input_ids=ids, attention_mask=torch.ones_like(ids), max_new_tokens=8, do_sample=False)
        expected = [token for token in out[0, len(row.ids) :].tolist() if token not in row.ends]
        assert isinstance(record, Generated)
        assert record.text == real._encoder.decode(expected)


@pytest.mark.slow
def test_a_gguf_file_is_a_model_of_its_own(real: TextModel, tmp_path: Path) -> None:
    spec = importlib.util.find_spec(BUILTINS[NAME].module)
    assert spec is not None
    assert spec.submodule_search_locations
    file = Path(spec.submodule_search_locations[0]) / BUILTINS[NAME].file
    model = TextModel.load(Source("gguf", str(file), "packed"), device="cpu", chat="template")
    assert (model.fingerprint.config, model.fingerprint.tokenizer) == ("", "")
    request = Score(Prompt("The capital of France is"), " Paris, and")
    (packed,), (unpacked,) = scored(model, [request]), scored(real, [request])
    # The embedded folder holds the same weights, rounded to bfloat16.
    np.testing.assert_allclose(packed.logprob, unpacked.logprob, atol=0.1)
    short = tmp_path / "short.gguf"
    shutil.copy(file, short)
    with short.open("r+b") as stream:
        stream.truncate(file.stat().st_size // 2)
    with pytest.raises(ModelError, match="short: cannot be loaded"):
        TextModel.load(Source("gguf", str(short), "short"), device="cpu")
