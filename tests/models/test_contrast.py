"""A model made of two answers as a plain loop over both does, and is an ordinary checkpoint."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file

from auditkit.errors import ModelError
from auditkit.models.checkpoint import fingerprint, inspect
from auditkit.models.contrast import contrast_logits, write_contrast
from auditkit.models.loading import load_causal_lm, quiet
from auditkit.models.protocol import Generate, Generated, Hidden, HiddenStates, Lens, Prompt, Score, Scored
from auditkit.models.source import Source
from auditkit.models.text import TextCosts, TextModel
from auditkit.zoo.tiny import Shape, build_tiny

TEXTS = [f"Person {number} lives in town {number * 7 % 13}." for number in range(12)]
SMALL = Shape(vocabulary=280, layers=2, width=32, heads=2, context=256)
FRONT = "Person 1 lives in town 7. Person 2 lives in town 1. " * 3
GENERATE = [Generate(Prompt(f"Person {n} lives" + " in town" * (n % 3)), 4 + 3 * n) for n in range(5)]
SHARING = [Generate(Prompt(FRONT + f"Person {n}" + " lives" * n), 8) for n in range(3)]
SCORE = [Score(Prompt(f"Person {n}"), " lives in town" + " 8 and" * n) for n in range(4)]
SHARING_SCORE = [Score(Prompt(FRONT + f"Person {n}"), " lives in town 7") for n in range(3)]
FAMILY = {
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
    "tie_word_embeddings": False,
}


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A base and the same taught for longer: Llamas with tied embeddings."""
    root = tmp_path_factory.mktemp("two")
    return tuple(build_tiny(root / str(steps), texts=TEXTS, steps=steps, shape=SMALL) for steps in (15, 60))  # type: ignore[return-value]


@pytest.fixture(scope="module")
def strange(tmp_path_factory: pytest.TempPathFactory, folders: tuple[Path, Path]) -> Any:
    """Makes two random models of another family, far from uniform."""

    def make(config: type[Any], **words: Any) -> tuple[Path, Path]:
        root = tmp_path_factory.mktemp(config.__name__)
        tokenizer = transformers.AutoTokenizer.from_pretrained(folders[0])
        for seed in (0, 1):
            with torch.random.fork_rng(devices=[]), quiet():
                torch.manual_seed(seed)
                model = transformers.AutoModelForCausalLM.from_config(config(vocab_size=len(tokenizer), **words))
                for parameter in model.parameters():
                    parameter.data.mul_(3)
                model.save_pretrained(root / str(seed))
                tokenizer.save_pretrained(root / str(seed))
        return root / "0", root / "1"

    return make


def load(folder: Path, **words: str) -> TextModel:
    return TextModel.load(Source.of_folder(folder), device="cpu", **words)


def pair(folders: tuple[Path, Path], out: Path, *, alpha: float, convention: str = "correct") -> TextModel:
    write_contrast(*folders, out, alpha=alpha, convention=convention)
    return load(out)


def loop(folders: tuple[Path, Path], *, alpha: float, convention: str) -> Any:
    """Next-token log-probabilities of ids, by the formula, from two whole passes."""
    models = [load_causal_lm(Source.of_folder(folder), dtype="float32", device="cpu").model for folder in folders]

    def logp(ids: list[int]) -> torch.Tensor:
        with torch.inference_mode():
            base, reinforced = (model(input_ids=torch.tensor([ids]), use_cache=False).logits[0].double() for model in models)
        if convention == "correct":
            difference = reinforced - base
            return (base - alpha * torch.where(difference > 0, difference, torch.zeros(()).double())).log_softmax(-1)
        p = base.softmax(-1) - alpha * (reinforced.softmax(-1) - base.softmax(-1))
        p = torch.where(p > 0, p, torch.zeros(()).double())
        return (p / p.sum(-1, keepdim=True)).log()

    return logp


def said(model: TextModel, requests: list[Generate]) -> list[tuple[str, int, bool]]:
    records = model.answer(requests)
    return [(record.text, record.tokens, record.finished) for record in records if isinstance(record, Generated)]


def check_against_loop(model: TextModel, logp: Any, *, sharing: bool = True) -> None:
    for requests in (GENERATE, SHARING) if sharing else (GENERATE,):
        for request, record in zip(requests, model.answer(requests), strict=True):
            assert isinstance(record, Generated)
            row = model._encoder.prompt(request)
            ids, new = list(row.ids), []
            while len(new) < request.max_new_tokens and (token := int(logp(ids)[-1].argmax())) not in row.ends:
                new.append(token)
                ids.append(token)
            assert record.text == model._encoder.decode(new)
            assert record.tokens == len(new)
    for scores in (SCORE, SHARING_SCORE):
        for score, answer in zip(scores, model.answer(scores), strict=True):
            assert isinstance(answer, Scored)
            scored = model._encoder.score(score)
            table = logp(scored.ids)
            expected = [float(table[place - 1, scored.ids[place]]) for place in range(scored.start, len(scored.ids))]
            possible = np.isfinite(expected)
            np.testing.assert_allclose(answer.logprob[possible], np.array(expected)[possible], atol=1e-5, rtol=1e-5)
            assert (answer.logprob[~possible] < -80).all()


def test_logits_computed_by_hand() -> None:
    base, reinforced = torch.tensor([2.0, 1.0, 0.0]), torch.tensor([3.0, 1.0, -1.0])
    assert contrast_logits(base, reinforced, alpha=1).tolist() == [1, 1, 0]
    assert contrast_logits(base, reinforced, alpha=256).tolist() == [-254, 1, 0]
    assert contrast_logits(base, reinforced, alpha=0).tolist() == base.tolist()


def test_probabilities_computed_by_hand() -> None:
    """p = (.5, .3, .2), p' = (.8, .2, 0), alpha 1: (.2, .4, .4); alpha 2: (-.1, .5, .6), clipped (0, .5, .6) / 1.1."""
    base, reinforced = torch.tensor([0.5, 0.3, 0.2]).log(), torch.tensor([0.8, 0.2, 1e-30]).log()
    for alpha, expected in ((1, [0.2, 0.4, 0.4]), (2, [0, 0.5 / 1.1, 0.6 / 1.1])):
        logits = contrast_logits(base, reinforced, alpha=alpha, convention="muse-paper")
        np.testing.assert_allclose(logits.softmax(-1), expected, atol=1e-6)
        assert logits.isfinite().all()
    assert contrast_logits(base, reinforced, alpha=0, convention="muse-paper").equal(base)


@pytest.mark.parametrize("convention", ["correct", "muse-paper"])
def test_alpha_nothing_answers_as_the_base(folders: tuple[Path, Path], tmp_path: Path, convention: str) -> None:
    base, both = load(folders[0]), pair(folders, tmp_path / "c", alpha=0, convention=convention)
    assert both.context_length == base.context_length == 256
    for requests in (GENERATE, SHARING):
        assert said(both, requests) == said(base, requests)
    for scores in (SCORE, SHARING_SCORE):
        for one, other in zip(both.answer(scores), base.answer(scores), strict=True):
            assert isinstance(one, Scored)
            assert isinstance(other, Scored)
            for name in ("logprob", "hit", "mean", "variance"):
                np.testing.assert_array_equal(getattr(one, name), getattr(other, name))


@pytest.mark.parametrize(
    ("convention", "alpha"), [("correct", 0.5), ("correct", 5.0), ("muse-paper", 0.5), ("muse-paper", 2.0)]
)
def test_answers_are_those_of_a_plain_loop(folders: tuple[Path, Path], tmp_path: Path, convention: str, alpha: float) -> None:
    model = pair(folders, tmp_path / "c", alpha=alpha, convention=convention)
    assert model.shared(SHARING) > 32
    assert model.shared(SHARING_SCORE) > 32
    check_against_loop(model, loop(folders, alpha=alpha, convention=convention))
    assert said(model, GENERATE) != said(load(folders[0]), GENERATE)


@pytest.mark.parametrize(
    ("config", "words"),
    [
        # No tying; a scale on the logits.
        (transformers.CohereConfig, {**FAMILY, "logit_scale": 0.25}),
        # Attention biases from the mask, no positions.
        (transformers.BloomConfig, {"hidden_size": 32, "n_layer": 2, "n_head": 4}),
        # Experts, which a checkpoint keeps under other names than the model; and a class that cannot be taken apart.
        (transformers.MixtralConfig, {**FAMILY, "num_local_experts": 2}),
    ],
)
def test_other_families(strange: Any, tmp_path: Path, config: type[Any], words: dict[str, Any]) -> None:
    folders = strange(config, **words)
    model = pair(folders, tmp_path / "c", alpha=0.7)
    check_against_loop(model, loop(folders, alpha=0.7, convention="correct"))


def test_two_kinds_of_cache(strange: Any, tmp_path: Path) -> None:
    """Convolutions beside attention. Without a shared beginning: padding behind one would lie among what they see."""
    folders = strange(transformers.Lfm2Config, **FAMILY, full_attn_idxs=[1])
    model = pair(folders, tmp_path / "c", alpha=0.7)
    check_against_loop(model, loop(folders, alpha=0.7, convention="correct"), sharing=False)


def test_the_batch_changes_nothing(folders: tuple[Path, Path], tmp_path: Path) -> None:
    model = pair(folders, tmp_path / "c", alpha=1.0)
    for requests in (GENERATE, SHARING):
        assert said(model, requests[::-1])[::-1] == [answer for request in requests for answer in said(model, [request])]
    for together, score in zip(model.answer([*SCORE, *SHARING_SCORE]), [*SCORE, *SHARING_SCORE], strict=True):
        (alone,) = model.answer([score])
        assert isinstance(together, Scored)
        assert isinstance(alone, Scored)
        np.testing.assert_allclose(together.logprob, alone.logprob, atol=1e-5)


def test_the_vocabulary_wide_half_runs_apart(folders: tuple[Path, Path], tmp_path: Path) -> None:
    assert pair(folders, tmp_path / "c", alpha=1.0)._running().split


def test_own_decoding_of_transformers_agrees(folders: tuple[Path, Path], tmp_path: Path) -> None:
    model = pair(folders, tmp_path / "c", alpha=1.0)
    for request, record in zip(GENERATE, model.answer(GENERATE), strict=True):
        assert isinstance(record, Generated)
        row = model._encoder.prompt(request)
        ids = torch.tensor([row.ids])
        out = model._model.generate(
            input_ids=ids, attention_mask=torch.ones_like(ids), max_new_tokens=request.max_new_tokens, do_sample=False
        )[0, len(row.ids) :]
        assert record.text == model._encoder.decode([token for token in out.tolist() if token not in row.ends])


def test_hidden_states_are_the_base_s(folders: tuple[Path, Path], tmp_path: Path) -> None:
    requests = [Hidden(Prompt("Person 3" + " lives" * n), (0, 1, 2)) for n in range(3)]
    both, base = pair(folders, tmp_path / "c", alpha=1.0), load(folders[0])
    for one, other in zip(both.answer(requests), base.answer(requests), strict=True):
        assert isinstance(one, HiddenStates)
        assert isinstance(other, HiddenStates)
        np.testing.assert_array_equal(one.states, other.states)


def test_the_lens_does_not_know_two_models_as_one(folders: tuple[Path, Path], tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="cannot take apart: auditkit-contrast"):
        pair(folders, tmp_path / "c", alpha=1.0).answer([Lens(Prompt("Person 3"), " lives")])


def test_it_is_an_ordinary_checkpoint(folders: tuple[Path, Path], tmp_path: Path) -> None:
    out, source = tmp_path / "c", Source.of_folder(tmp_path / "c")
    write_contrast(*folders, out, alpha=1.5)
    write_contrast(*folders, tmp_path / "again", alpha=1.5)
    write_contrast(*folders, tmp_path / "other", alpha=1.25)
    assert inspect(source) == []
    ours, base = fingerprint(source), fingerprint(Source.of_folder(folders[0]))
    assert ours == fingerprint(Source.of_folder(tmp_path / "again"))
    assert ours.config != fingerprint(Source.of_folder(tmp_path / "other")).config
    assert ours.chat_template == base.chat_template
    assert (out / "tokenizer.json").read_bytes() == (folders[0] / "tokenizer.json").read_bytes()
    assert str(tmp_path.parent) not in (out / "config.json").read_text()
    assert json.loads((out / "generation_config.json").read_text())["eos_token_id"] == [1, 6]
    costs = TextCosts(source)
    assert costs.cost(SCORE[0]) == TextCosts(Source.of_folder(folders[0])).cost(SCORE[0])


def test_tied_embeddings_are_saved_once_and_tied_again(folders: tuple[Path, Path], tmp_path: Path) -> None:
    model = pair(folders, tmp_path / "c", alpha=1.0)._model.model
    names = set(load_file(tmp_path / "c" / "model.safetensors"))
    for one, folder in (("base", folders[0]), ("reinforced", folders[1])):
        assert {name.removeprefix(f"model.{one}.") for name in names if one in name} == set(
            load_file(folder / "model.safetensors")
        )
        inner = getattr(model, one)
        assert inner.lm_head.weight is inner.model.embed_tokens.weight
    assert model.base.lm_head.weight is not model.reinforced.lm_head.weight


def test_saved_again_it_is_the_same(folders: tuple[Path, Path], tmp_path: Path) -> None:
    model = pair(folders, tmp_path / "c", alpha=1.5)
    with quiet():
        model._model.save_pretrained(tmp_path / "again")
        model._encoder.tokenizer.save_pretrained(tmp_path / "again")
    assert fingerprint(Source.of_folder(tmp_path / "again")).weights == model.fingerprint.weights
    assert said(load(tmp_path / "again"), GENERATE) == said(model, GENERATE)


def test_the_precision_is_kept(folders: tuple[Path, Path], tmp_path: Path) -> None:
    halves = []
    for index, folder in enumerate(folders):
        loaded = load_causal_lm(Source.of_folder(folder), dtype="bfloat16", device="cpu")
        with quiet():
            loaded.model.save_pretrained(tmp_path / str(index))
            loaded.tokenizer.save_pretrained(tmp_path / str(index))
        halves.append(tmp_path / str(index))
    write_contrast(halves[0], halves[1], tmp_path / "c", alpha=1.0)
    written = load_file(tmp_path / "c" / "model.safetensors")
    assert {tensor.dtype for tensor in written.values()} == {torch.bfloat16}
    (one,), (other,) = load(tmp_path / "c", dtype="bfloat16").answer(SCORE[:1]), load(tmp_path / "c").answer(SCORE[:1])
    assert isinstance(one, Scored)
    assert isinstance(other, Scored)
    np.testing.assert_allclose(one.logprob, other.logprob, atol=0.3)


def test_it_can_be_trained_on(folders: tuple[Path, Path], tmp_path: Path) -> None:
    """As an attack does: the head on chosen positions, an adapter put on both behind a first pass, merged and saved."""
    from peft import LoraConfig, get_peft_model

    loaded = load_causal_lm(Source.of_folder(_written(folders, tmp_path)), dtype="float32", device="cpu")
    ids = torch.tensor([loaded.tokenizer(TEXTS[0])["input_ids"]])
    loaded.model(input_ids=ids)
    with quiet():
        adapted = get_peft_model(loaded.model, LoraConfig(r=4, target_modules=["q_proj", "v_proj"], task_type="CAUSAL_LM"))
    assert len([name for name, weight in adapted.named_parameters() if weight.requires_grad]) == 2 * 2 * 2 * 2
    optimiser = torch.optim.AdamW([weight for weight in adapted.parameters() if weight.requires_grad], lr=1e-2)
    losses = []
    for _ in range(6):
        inner = adapted.get_base_model()
        logits = inner.get_output_embeddings()(inner.base_model(input_ids=ids, use_cache=False).last_hidden_state[:, :-1])
        loss = torch.nn.functional.cross_entropy(logits[0], ids[0, 1:])
        loss.backward()
        optimiser.step()
        optimiser.zero_grad()
        losses.append(loss.item())
    assert losses[-1] < losses[0] - 0.1
    with quiet():
        adapted.merge_and_unload().save_pretrained(tmp_path / "r")
        loaded.tokenizer.save_pretrained(tmp_path / "r")
    again = load_causal_lm(Source.of_folder(tmp_path / "r"), dtype="float32", device="cpu").model
    with torch.inference_mode():
        logits = again(input_ids=ids).logits[0, :-1]
    assert torch.nn.functional.cross_entropy(logits, ids[0, 1:]).item() < losses[0] - 0.1


def test_two_that_do_not_belong_together_are_refused(folders: tuple[Path, Path], strange: Any, tmp_path: Path) -> None:
    wide = build_tiny(tmp_path / "wide", texts=TEXTS, steps=0, shape=Shape(vocabulary=280, width=48, heads=2, context=256))
    foreign, _ = strange(transformers.CohereConfig, **FAMILY)
    words = build_tiny(tmp_path / "words", texts=[text[::-1] for text in TEXTS], steps=0, shape=SMALL)
    config = json.loads((folders[1] / "config.json").read_text())
    assert config["vocab_size"] == json.loads((words / "config.json").read_text())["vocab_size"]
    for other, message in (
        (wide, "must be of the base's architecture; got another head_dim, hidden_size, intermediate_size$"),
        (foreign, r"must be of the base's architecture; got another .* and \d+ more"),
        (words, "must have the base's vocabulary"),
        (tmp_path / "nowhere", "must be a checkpoint folder"),
        (_written(folders, tmp_path), "must be of the base's architecture"),
    ):
        with pytest.raises(ModelError, match=message):
            write_contrast(folders[0], other, tmp_path / "out", alpha=1.0)
        assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("alpha", [float("nan"), float("inf"), -1, 10**400, True, "1", None])
def test_alpha_that_is_none(folders: tuple[Path, Path], tmp_path: Path, alpha: Any) -> None:
    with pytest.raises(ModelError, match="alpha must be a number from 0 to 1,000,000"):
        write_contrast(*folders, tmp_path / "out", alpha=alpha)


def test_a_convention_that_is_unknown(folders: tuple[Path, Path], tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="convention must be a known one; got 'muse_paper'; did you mean 'muse-paper'"):
        write_contrast(*folders, tmp_path / "out", alpha=1, convention="muse_paper")


def test_a_pair_of_pairs_is_refused(folders: tuple[Path, Path], tmp_path: Path) -> None:
    folder = _written(folders, tmp_path)
    with pytest.raises(ModelError, match="base must be one model; got a pair"):
        write_contrast(folder, folder, tmp_path / "out", alpha=1.0)


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ({"alpha": float("nan")}, "alpha must be a number"),
        ({"alpha": "2"}, "alpha must be a number"),
        ({"convention": ["correct"]}, "convention must be a known one"),
        ({"base": None}, "base must be the configuration of a model"),
        ({"base": {"hidden_size": 3}}, "base must be the configuration of a model"),
        ({"base": {"model_type": "unheard-of"}}, "base must be of a model_type that transformers has; got 'unheard-of'"),
        ({"base": {"model_type": "auditkit-contrast", "base": {}}}, "base must be one model"),
        ({"base": {"model_type": "t5", "is_encoder_decoder": True}}, "base must be a decoder alone"),
        ({"base": {"model_type": "llama", "quantization_config": {"quant_method": "bnb"}}}, "base must have plain weights"),
        ({"base": {"model_type": "llama", "auto_map": {"AutoModelForCausalLM": "evil.Model"}}}, "got auto_map"),
        ({"base": {"model_type": "vit"}}, "cannot be loaded: ValueError"),
        ({"base": {"model_type": "llama", "hidden_size": "wide"}}, "cannot be loaded"),
        ({"auto_map": {"AutoConfig": "evil.Config"}}, "got auto_map"),
    ],
)
def test_hostile_configurations_are_refused_in_words(
    folders: tuple[Path, Path], tmp_path: Path, entries: dict[str, Any], message: str
) -> None:
    folder = _written(folders, tmp_path)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, **entries}))
    with pytest.raises(ModelError, match=message) as caught:
        load(folder)
    assert "\n" not in str(caught.value)


def test_half_a_pair_is_not_made_whole(folders: tuple[Path, Path], tmp_path: Path) -> None:
    folder = _written(folders, tmp_path)
    tensors = load_file(folder / "model.safetensors")
    kept = {name: value for name, value in tensors.items() if "reinforced" not in name}
    save_file(kept, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ModelError, match=r"the weights lack model\.reinforced\."):
        load(folder)


def test_caches_and_embeddings_that_fit_one_model_only(folders: tuple[Path, Path], tmp_path: Path) -> None:
    model = pair(folders, tmp_path / "c", alpha=1.0)._model
    ids = torch.tensor([[0, 5, 9]])
    filled = transformers.DynamicCache(config=model.config.base)
    model.model.base(input_ids=ids, cache=filled)
    with pytest.raises(ModelError, match="needs a cache of 4 layers; got 2, already filled"):
        model(input_ids=ids, cache=filled)
    with pytest.raises(ModelError, match="needs a DynamicCache; got StaticCache"):
        model(input_ids=ids, cache=transformers.StaticCache(config=model.config.base, max_cache_len=8))
    with pytest.raises(ModelError, match="takes tokens; got embeddings"):
        model(inputs_embeds=torch.zeros((1, 3, 32)))


def test_importing_it_loads_nothing_heavy() -> None:
    code = "import sys, auditkit.models.contrast; print([m for m in ('torch', 'transformers', 'numpy') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def _written(folders: tuple[Path, Path], tmp_path: Path) -> Path:
    write_contrast(*folders, tmp_path / "pair", alpha=1.0)
    return tmp_path / "pair"
