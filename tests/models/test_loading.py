"""What a checkpoint must be to be loaded, and adapters that are really there."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from auditkit.errors import ModelError
from auditkit.models.device import cache_tokens, pass_tokens, resolve_device, resolve_dtype
from auditkit.models.loading import load_causal_lm, quiet
from auditkit.models.protocol import Prompt, Score, Scored
from auditkit.models.source import Source
from auditkit.models.text import TextCosts, TextModel, context_length

REQUEST = Score(Prompt("Person 3 lives"), " in town 8 and likes the colour black.")


def logprobs(model: TextModel) -> Any:
    (record,) = model.answer([REQUEST])
    assert isinstance(record, Scored)
    return record.logprob


def load(folder: Path, *adapters: Path) -> TextModel:
    return TextModel.load(Source.of_folder(folder, adapters=adapters), device="cpu")


@pytest.fixture(scope="module")
def make_adapter(tiny_folder: Path) -> Callable[..., Path]:
    def make(folder: Path, *, scale: float = 0.3, seed: int = 0, **words: Any) -> Path:
        from peft import LoraConfig, get_peft_model
        from transformers import AutoModelForCausalLM

        with quiet():
            model = AutoModelForCausalLM.from_pretrained(tiny_folder)
            adapted = get_peft_model(model, LoraConfig(r=4, target_modules=["q_proj", "v_proj", "up_proj"], **words))
        generator = torch.Generator().manual_seed(seed)
        for name, parameter in adapted.named_parameters():
            if "lora_B" in name:
                parameter.data = scale * torch.randn(parameter.shape, generator=generator)
        adapted.save_pretrained(folder)
        return folder

    return make


def test_a_merged_adapter_answers_like_an_attached_one(
    tiny_folder: Path, tiny: TextModel, make_adapter: Callable[..., Path], tmp_path: Path
) -> None:
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    folder = make_adapter(tmp_path / "lora")
    merged = load(tiny_folder, folder)
    with quiet():
        attached = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(tiny_folder), folder)
    row = merged._encoder.score(REQUEST)
    with torch.inference_mode():
        logp = attached(input_ids=torch.tensor([row.ids])).logits[0].log_softmax(-1)
    expected = [float(logp[place - 1, row.ids[place]]) for place in range(row.start, len(row.ids))]
    np.testing.assert_allclose(logprobs(merged), expected, atol=1e-4)
    assert np.abs(logprobs(merged) - logprobs(tiny)).max() > 0.1
    assert merged.fingerprint.adapter
    assert merged.fingerprint.weights == tiny.fingerprint.weights


def test_adapters_add_up_in_order(tiny_folder: Path, make_adapter: Callable[..., Path], tmp_path: Path) -> None:
    one, two = make_adapter(tmp_path / "one", seed=1), make_adapter(tmp_path / "two", seed=2)
    both = load(tiny_folder, one, two)
    assert np.abs(logprobs(both) - logprobs(load(tiny_folder, one))).max() > 0.01
    np.testing.assert_allclose(logprobs(both), logprobs(load(tiny_folder, two, one)), atol=1e-4)
    assert both.fingerprint != load(tiny_folder, two, one).fingerprint


def test_an_adapter_that_does_nothing_is_an_error(tiny_folder: Path, make_adapter: Callable[..., Path], tmp_path: Path) -> None:
    folder = make_adapter(tmp_path / "lora", scale=0.0)
    with pytest.raises(ModelError, match="adapter lora changes nothing"):
        load(tiny_folder, folder)


def test_keys_that_do_not_match_are_errors(tiny_folder: Path, make_adapter: Callable[..., Path], tmp_path: Path) -> None:
    folder = make_adapter(tmp_path / "lora")
    tensors = load_file(folder / "adapter_model.safetensors")
    renamed = {name.replace("layers.1.", "layers.7."): value for name, value in tensors.items()}
    save_file(renamed, folder / "adapter_model.safetensors")
    with pytest.raises(ModelError, match=r"adapter lora lacks .*layers\.1\."):
        load(tiny_folder, folder)
    save_file(
        {name.replace("layers", "blocks"): value for name, value in tensors.items()}, folder / "adapter_model.safetensors"
    )
    with pytest.raises(ModelError, match="no layer of the base is named"):
        load(tiny_folder, folder)
    save_file({**tensors, "base_model.model.extra.lora_A.weight": torch.ones(4, 4)}, folder / "adapter_model.safetensors")
    with pytest.raises(ModelError, match="no place for the adapter's"):
        load(tiny_folder, folder)


def test_an_adapter_of_another_width_is_refused_before_loading(
    tiny_folder: Path, make_adapter: Callable[..., Path], tmp_path: Path
) -> None:
    folder = make_adapter(tmp_path / "lora")
    tensors = load_file(folder / "adapter_model.safetensors")
    wide = {name: torch.ones(4, 96) if "lora_A" in name else value for name, value in tensors.items()}
    save_file(wide, folder / "adapter_model.safetensors")
    with pytest.raises(ModelError, match=r"must fit its base; got layers\.0.*and 3 more"):
        load(tiny_folder, folder)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (shutil.rmtree, "must be the folder of a PEFT adapter"),
        (lambda folder: (folder / "adapter_config.json").unlink(), "missing or cannot be read"),
        (lambda folder: (folder / "adapter_model.safetensors").unlink(), "got no weights"),
        (
            lambda folder: (folder / "adapter_model.safetensors").rename(folder / "adapter_model.bin"),
            "must be safetensors; got adapter_model.bin",
        ),
        (lambda folder: (folder / "adapter_model.safetensors").write_bytes(b"x"), "must hold a safetensors header"),
        (lambda folder: _edit(folder, peft_type="PROMPT_TUNING"), "peft_type must be one of"),
        (lambda folder: _edit(folder, megatron_config={"a": 1}), "got megatron_config"),
        (lambda folder: _edit(folder, auto_map={"x": "y"}), "got auto_map"),
    ],
)
def test_broken_adapters_are_refused_in_words(
    tiny_folder: Path, make_adapter: Callable[..., Path], tmp_path: Path, spoil: Callable[[Path], object], message: str
) -> None:
    folder = make_adapter(tmp_path / "lora")
    spoil(folder)
    with pytest.raises(ModelError, match=message):
        load(tiny_folder, folder)


def _edit(folder: Path, **entries: object) -> None:
    path = folder / "adapter_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **entries}))


def test_weights_that_are_missing_are_never_made_up(copy_of_tiny: Path) -> None:
    tensors = load_file(copy_of_tiny / "model.safetensors")
    del tensors["model.layers.1.mlp.up_proj.weight"]
    save_file(tensors, copy_of_tiny / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ModelError, match=r"the weights lack model\.layers\.1\.mlp\.up_proj\.weight"):
        load(copy_of_tiny)


def test_weights_of_another_shape_are_refused(copy_of_tiny: Path) -> None:
    config = json.loads((copy_of_tiny / "config.json").read_text())
    (copy_of_tiny / "config.json").write_text(json.dumps({**config, "intermediate_size": 100}))
    with pytest.raises(ModelError, match=r"shapes are not those of config\.json"):
        load(copy_of_tiny)


def test_an_unknown_architecture_is_one_line(copy_of_tiny: Path) -> None:
    (copy_of_tiny / "config.json").write_text(json.dumps({"model_type": "unheard-of"}))
    with pytest.raises(ModelError, match="cannot be loaded: ValueError") as caught:
        load(copy_of_tiny)
    assert "\n" not in str(caught.value)


def test_a_broken_tokenizer_is_one_line(copy_of_tiny: Path) -> None:
    (copy_of_tiny / "tokenizer.json").write_text("{}")
    with pytest.raises(ModelError, match="cannot be loaded") as caught:
        load(copy_of_tiny)
    assert "\n" not in str(caught.value)


def test_inspection_comes_before_loading(copy_of_tiny: Path) -> None:
    (copy_of_tiny / "model.safetensors").write_bytes(b"short")
    (copy_of_tiny / "tokenizer.json").unlink()
    with pytest.raises(ModelError) as caught:
        load_causal_lm(Source.of_folder(copy_of_tiny, label="candidate"), dtype="float32", device="cpu")
    assert len(caught.value.problems) == 2
    assert all("candidate" in str(problem) for problem in caught.value.problems)


def test_pickled_weights_load_where_they_are_allowed(copy_of_tiny: Path, tiny: TextModel) -> None:
    tensors = load_file(copy_of_tiny / "model.safetensors")
    (copy_of_tiny / "model.safetensors").unlink()
    torch.save(tensors, copy_of_tiny / "pytorch_model.bin")
    source = Source.of_folder(copy_of_tiny)
    with pytest.raises(ModelError, match="must be safetensors"):
        TextModel.load(source, device="cpu")
    model = TextModel.load(Source("folder", source.location, "c", allow_pickle=True), device="cpu")
    np.testing.assert_array_equal(logprobs(model), logprobs(tiny))


class _Runs:
    def __reduce__(self) -> tuple[Any, ...]:
        return print, ("code of the checkpoint was run",)


def test_allowed_pickles_still_run_no_code(copy_of_tiny: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (copy_of_tiny / "model.safetensors").unlink()
    torch.save({"x": _Runs()}, copy_of_tiny / "pytorch_model.bin")
    with pytest.raises(ModelError):
        TextModel.load(Source("folder", str(copy_of_tiny), "c", allow_pickle=True), device="cpu")
    assert "was run" not in capsys.readouterr().out


def test_chat_needs_a_template(copy_of_tiny: Path) -> None:
    (copy_of_tiny / "chat_template.jinja").unlink()
    source = Source.of_folder(copy_of_tiny)
    assert TextModel.load(source, device="cpu").dtype == "float32"
    with pytest.raises(ModelError, match="say chat: plain"):
        TextModel.load(source, device="cpu", chat="template")


def test_dtype_and_device() -> None:
    assert resolve_dtype("auto", device="cpu") == "float32"
    assert resolve_dtype("auto", device="mps") == "float32"
    assert resolve_dtype("auto", device="cuda:1") == "bfloat16"
    assert resolve_dtype("float16", device="cpu") == "float16"
    assert resolve_device("cpu") == "cpu"
    for device in ("gpu", "cuda:99", "xpu"):
        with pytest.raises(ModelError, match="device must be auto or one that this machine has"):
            resolve_device(device)


def test_a_cpu_gets_smaller_batches_for_wider_models() -> None:
    assert [pass_tokens("cpu", width=width) for width in (64, 256, 576, 4096)] == [2048, 1024, 512, 512]
    assert pass_tokens("cuda:0", width=4096) > pass_tokens("mps", width=4096)
    assert cache_tokens("cuda:1") > cache_tokens("mps") > cache_tokens("cpu")


def test_half_precision_runs(tiny_folder: Path, tiny: TextModel) -> None:
    model = TextModel.load(Source.of_folder(tiny_folder), device="cpu", dtype="bfloat16")
    assert model.dtype == "bfloat16"
    assert logprobs(model).dtype == np.float32
    np.testing.assert_allclose(logprobs(model), logprobs(tiny), atol=0.3)


def test_the_window_comes_from_the_config_then_the_tokenizer(tiny: TextModel) -> None:
    from transformers import BloomConfig

    assert tiny.context_length == 512
    tokenizer = tiny._encoder.tokenizer
    assert context_length(BloomConfig(), tokenizer) == tokenizer.model_max_length


def test_costs_need_no_weights(tiny_folder: Path, tiny: TextModel, tmp_path: Path) -> None:
    for path in tiny_folder.iterdir():
        if path.suffix != ".safetensors":
            shutil.copy(path, tmp_path)
    costs = TextCosts(Source.of_folder(tmp_path))
    assert costs.cost(REQUEST) == tiny.cost(REQUEST)
    assert costs.shared([REQUEST, REQUEST]) == 0
    assert (costs.pass_tokens, costs.cache_tokens) == (tiny.pass_tokens, tiny.cache_tokens)


def test_closing_frees_the_weights(tiny_folder: Path) -> None:
    model = load(tiny_folder)
    logprobs(model)
    model.close()
    assert model._model is None
    assert model._backbone is None
