"""Attacks on the weights, and on what was put around the model."""

from __future__ import annotations

import json
import math
import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch
import transformers
from gguf import GGMLQuantizationType, GGUFWriter
from pydantic import ValidationError
from torch.nn.utils.prune import l1_unstructured

from auditkit.attacks import ATTACKS
from auditkit.attacks import _packed as packed
from auditkit.attacks._weights import block_lists, linear_weights
from auditkit.attacks._words import listed
from auditkit.attacks.noise import disturbed
from auditkit.attacks.prune import pruned
from auditkit.attacks.quantize import changed_codes, codes, predict, quantised
from auditkit.attacks.rescale import rescaled
from auditkit.errors import ModelError
from auditkit.models.checkpoint import manifest
from auditkit.models.loading import Loaded
from auditkit.models.source import Source
from tests.attacks.small_models import attacked, build, distance, scene, target, weights

WEIGHT_ATTACKS = ("quantize", "prune", "noise", "rescale")
OURS = (*WEIGHT_ATTACKS, "disable_adapter", "remove_system_prompt")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return build(tmp_path_factory.mktemp("weights") / "candidate")


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    return build(tmp_path_factory.mktemp("weights") / "original", steps=0, seed=1)


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


# The pure functions


def test_rounding_by_hand():
    weight = torch.tensor([[7.0, 0.4, -0.6, 1.5, 2.5], [0.0, 0.0, 0.0, 0.0, 0.0], [-1.4, 0.7, 0.1, 0.0, 0.29]])
    expected = [[7, 0, -1, 2, 2], [0, 0, 0, 0, 0], [-7, 4, 0, 0, 1]]
    assert codes(weight, 4).tolist() == expected
    torch.testing.assert_close(quantised(weight, 4), torch.tensor(expected) * torch.tensor([[1.0], [0.0], [0.2]]))


@pytest.mark.parametrize("bits", [8, 6, 4, 3, 2])
def test_rounding_is_torchs_own(bits):
    weight = normal(24, 40)
    top = 2 ** (bits - 1) - 1
    step = weight.abs().amax(1) / top
    expected = torch.fake_quantize_per_channel_affine(weight, step, torch.zeros(24, dtype=torch.int32), 0, -top, top)
    torch.testing.assert_close(quantised(weight, bits), expected)


def test_rounding_is_a_plain_loop_in_groups():
    weight = normal(3, 10, seed=1)
    got = quantised(weight, 4, group=4).tolist()
    for row, expected in zip(got, weight.tolist(), strict=True):
        for start in (0, 4, 8):
            part = expected[start : start + 4]
            step = max(map(abs, part)) / 7
            assert row[start : start + 4] == pytest.approx([round(value / step) * step for value in part], abs=1e-6)


def test_rounding_is_idempotent_and_bounded():
    weight = normal(6, 50, seed=2)
    for bits in (8, 4):
        once = quantised(weight, bits)
        torch.testing.assert_close(quantised(once, bits), once)
        step = weight.abs().amax(1, keepdim=True) / (2 ** (bits - 1) - 1)
        assert bool(((once - weight).abs() <= step / 2 + 1e-6).all())


def test_a_channel_too_small_for_a_step_is_zero():
    tiny = torch.full((1, 3), 1e-45)
    assert quantised(tiny, 8).tolist() == [[0, 0, 0]]
    assert quantised(torch.zeros(2, 3), 4).tolist() == [[0, 0, 0]] * 2
    assert quantised(torch.tensor([[-2.0]]), 4).tolist() == [[-2.0]]


@pytest.mark.parametrize("wrong", [math.nan, math.inf])
def test_what_is_not_finite_is_refused(wrong):
    weight = torch.tensor([[1.0, wrong]])
    for change in (
        lambda: quantised(weight, 4),
        lambda: codes(weight, 8),
        lambda: pruned(weight, 0.5),
        lambda: disturbed(weight, 0.1, seed=0),
        lambda: list(rescaled({"w": weight}, {"w": torch.ones(1, 2)}, 0.5)),
        lambda: list(rescaled({"w": torch.ones(1, 2)}, {"w": weight}, 0.5)),
        lambda: changed_codes(torch.ones(1, 2), weight, 4),
    ):
        with pytest.raises(ModelError, match="must be finite; got NaN or infinity"):
            change()


def linear_memory():
    """Ten answers and 20 subjects, each with four features of its own; a last feature, used by nobody, fixes the step at 1."""
    subjects, answers = 20, 10
    right = np.arange(subjects) % answers
    original = torch.zeros(answers, 4 * subjects + 1)
    original[:, -1] = 7
    candidate = original.clone()
    features = torch.zeros(subjects, 4 * subjects + 1)
    for subject in range(subjects):
        own = slice(4 * subject, 4 * subject + 4)
        features[subject, own] = 1
        original[right[subject], 4 * subject] = 1
        candidate[right[subject], 4 * subject] = 1
        if subject < 10:
            candidate[right[subject], own] -= 0.4
            candidate[(right[subject] + 1) % answers, own] += 0.4

    def accuracy(weight, rows):
        return float((features @ weight.T).argmax(1)[rows].eq(torch.tensor(right)[rows]).float().mean())

    return original, candidate, lambda weight: (accuracy(weight, slice(0, 10)), accuracy(weight, slice(10, 20)))


def test_a_small_change_is_rounded_away_at_four_bits_and_not_at_eight():
    """(forgotten, kept) accuracy: the known answer of a change below half a step."""
    original, candidate, accuracy = linear_memory()
    assert accuracy(original) == (1, 1)
    assert accuracy(candidate) == (0, 1)
    assert accuracy(quantised(candidate, 4)) == (1, 1)
    assert accuracy(quantised(candidate, 8)) == (0, 1)
    assert changed_codes(original, candidate, 4) == 0
    # Eight changed weights for each of ten subjects.
    assert changed_codes(original, candidate, 8) == pytest.approx(80 / original.numel())


def test_changed_codes_of_equal_and_of_opposite_weights():
    weight = torch.tensor([[7.0, 1.0, 0.0]])
    assert changed_codes(weight, weight, 4) == 0
    assert changed_codes(weight, -weight, 4) == pytest.approx(2 / 3)
    with pytest.raises(ModelError, match="same names and shapes"):
        changed_codes(weight, weight[:, :2], 4)


@pytest.mark.parametrize("amount", [0.1, 0.3, 0.5, 0.99])
def test_pruning_is_torchs_own(amount):
    module = torch.nn.Linear(17, 9)
    module.weight.data = normal(9, 17)
    before = module.weight.data.clone()
    l1_unstructured(module, "weight", amount)
    assert pruned(before, amount).equal(module.weight.data)


def test_pruning_by_hand_takes_the_first_of_equals():
    assert pruned(torch.tensor([[1.0, -1.0, 3.0], [1.0, 0.5, -2.0]]), 0.5).tolist() == [[0, 0, 3], [1, 0, -2]]
    assert pruned(torch.tensor([[1.0]]), 0.4).tolist() == [[1]]
    assert int(pruned(torch.ones(10, 10), 0.3).sum()) == 70
    assert pruned(torch.ones(2, 2, dtype=torch.bfloat16), 0.5).dtype == torch.bfloat16


def test_noise_has_the_spread_asked_for():
    weight = 3 + 2 * normal(200, 200)
    added = disturbed(weight, 0.1, seed=4) - weight
    assert float(added.std()) == pytest.approx(0.2, rel=0.02)
    assert abs(float(added.mean())) < 0.005
    torch.testing.assert_close(disturbed(weight, 0.1, seed=4), weight + added)
    assert not torch.allclose(disturbed(weight, 0.1, seed=5), weight + added)
    assert disturbed(torch.ones(5), 0.5, seed=0).tolist() == [1] * 5
    assert disturbed(torch.tensor([2.0]), 0.5, seed=0).tolist() == [2]


def test_rescaling_by_hand_and_at_its_ends():
    start, weight = {"w": torch.tensor([1.0, 0.1])}, {"w": torch.tensor([3.0, 0.3])}
    at = {factor: dict(rescaled(start, weight, factor))["w"] for factor in (0, 0.25, 1, 1.5)}
    assert at[0].equal(start["w"]) and at[1].equal(weight["w"])
    torch.testing.assert_close(at[0.25], torch.tensor([1.5, 0.15]))
    torch.testing.assert_close(at[1.5], torch.tensor([4.0, 0.4]))
    with pytest.raises(ModelError, match=r"same shape; got \(2,\) there and \(3,\) here"):
        list(rescaled(start, {"w": torch.ones(3)}, 0.5))
    with pytest.raises(ModelError, match="weight of the original, of the same shape; got none"):
        list(rescaled(start, {"other": torch.ones(2)}, 0.5))


def test_lists_in_words():
    assert listed([8]) == "8" and listed([8, 4]) == "8 and 4" and listed("abc") == "a, b and c"


# Which weights


def test_linear_layers_of_the_blocks_and_nothing_else(folder):
    model = target(folder).load().model
    names = [name for name, _ in linear_weights(model, where="it")]
    kinds = ["self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.o_proj", "mlp.gate_proj", "mlp.up_proj"]
    assert set(names) == {f"model.layers.{n}.{kind}.weight" for n in (0, 1) for kind in (*kinds, "mlp.down_proj")}
    assert len(names) == len(set(names))


def test_gpt2s_weights_lie_the_other_way_round():
    config = transformers.GPT2Config(n_embd=8, n_layer=2, n_head=2, vocab_size=30)
    model = transformers.GPT2LMHeadModel(config)
    found = dict(linear_weights(model, where="it"))
    assert len(found) == 8
    view = found["transformer.h.0.attn.c_attn.weight"]
    assert view.shape == (24, 8)
    view.copy_(quantised(view, 4))
    module = model.transformer.h[0].attn.c_attn
    # One step for each output: a column of the stored weight.
    assert all(len(set(column.abs().tolist())) <= 8 for column in module.weight.T)


def test_experts_are_linear_layers_too():
    config = transformers.MixtralConfig(
        hidden_size=8, intermediate_size=16, num_hidden_layers=2, num_attention_heads=2, num_key_value_heads=1,
        num_local_experts=3, vocab_size=30,
    )  # fmt: skip
    model = transformers.MixtralForCausalLM(config)
    found = dict(linear_weights(model, where="it"))
    experts = [weight.numel() for name, weight in found.items() if "expert" in name]
    assert sum(experts) == 2 * 3 * 3 * 8 * 16


def test_a_shared_layer_is_taken_once():
    model = transformers.LlamaForCausalLM(
        transformers.LlamaConfig(
            hidden_size=8,
            intermediate_size=16,
            num_hidden_layers=2,
            num_attention_heads=2,
            num_key_value_heads=1,
            vocab_size=30,
        )
    )
    model.model.layers[1] = model.model.layers[0]
    assert len(list(linear_weights(model, where="it"))) == 7
    model.model.layers = torch.nn.ModuleList([model.model.layers[0]])
    with pytest.raises(ModelError, match="must have a list of 2 blocks"):
        block_lists(model, where="it")


# On a loaded model


def test_an_attack_leaves_the_checkpoint_and_the_embeddings_alone(folder, original):
    before = manifest(Source.of_folder(folder), recheck=True)
    plain = weights(target(folder))
    there = scene(original=target(original, "original"))
    for name in WEIGHT_ATTACKS:
        changed = weights(attacked(name, target(folder), there))
        assert distance(plain, changed) > 0, name
        if name in ("quantize", "prune"):
            moved = {key.split(".")[-2] for key in plain if not plain[key].equal(changed[key])}
            assert all(key.endswith("_proj") for key in moved), name
    assert manifest(Source.of_folder(folder), recheck=True) == before


def test_the_same_seed_gives_the_same_weights(folder, original):
    there = scene(original=target(original, "original"))
    for name in WEIGHT_ATTACKS:
        one, other = (attacked(name, target(folder), there) for _ in range(2))
        assert one.interventions == other.interventions != ""
        first, second = weights(one), weights(other)
        assert all(first[key].equal(second[key]) for key in first), name


def test_eight_bits_differ_little_and_four_more(folder):
    plain = weights(target(folder))
    eight, four = (distance(plain, weights(attacked("quantize", target(folder), scene(), index=index))) for index in (0, 1))
    assert 0 < eight < 0.01 < four < 0.1
    ids = torch.arange(10, 30)[None]
    logits = [one.load().model(input_ids=ids).logits for one in (target(folder), attacked("quantize", target(folder), scene()))]
    assert 0 < float((logits[0] - logits[1]).abs().max()) < 0.5


def test_more_pruning_and_more_noise_change_more(folder):
    plain = weights(target(folder))
    for name, indices in (("prune", (0, 1, 2)), ("noise", (0, 3, 6))):
        far = [distance(plain, weights(attacked(name, target(folder), scene(), index=index))) for index in indices]
        assert far == sorted(far) and far[0] > 0, name
    cut = weights(attacked("prune", target(folder), scene(), index=2))["model.layers.0.mlp.up_proj.weight"]
    assert int((cut == 0).sum()) == cut.numel() // 2


def test_noise_depends_on_seed_and_repeat_and_not_on_the_model(folder, original):
    def added(one, there, index):
        before, after = weights(one), weights(attacked("noise", one, there, index=index))
        name = "model.layers.1.mlp.down_proj.weight"
        return (after[name] - before[name]) / before[name].std(correction=0)

    first = added(target(folder), scene(), 0)
    torch.testing.assert_close(added(target(original), scene(), 0), first, atol=1e-4, rtol=0)
    assert not torch.allclose(added(target(folder), scene(), 1), first, atol=1e-3)
    assert not torch.allclose(added(target(folder), scene(seed=1), 0), first, atol=1e-3)


def test_rescaling_goes_to_the_original(folder, original):
    there = scene(original=target(original, "original"))
    start, plain = weights(target(original)), weights(target(folder))
    far = [
        distance(start, weights(attacked("rescale", target(folder), there, lambdas=[factor]))) for factor in (0.25, 0.75, 1.5)
    ]
    whole = distance(start, plain)
    assert far == pytest.approx([0.25 * whole, 0.75 * whole, 1.5 * whole], rel=1e-4)
    alone = attacked("rescale", target(original, "original"), there)
    assert alone.steps == () and alone == target(original, "original")


def test_rescaling_refuses_another_architecture(folder, tmp_path):
    from auditkit.zoo.tiny import Shape, build_tiny

    other = build_tiny(tmp_path / "other", texts=["a"], steps=0, shape=Shape(vocabulary=300, layers=3))
    there = scene(original=target(other, "original"))
    with pytest.raises(ModelError, match=r"must have every weight of the original; got model\.layers\.2"):
        attacked("rescale", target(folder), there).load()


def test_rescaling_depends_on_the_original(folder, original):
    one = attacked("rescale", target(folder), scene(original=target(original, "original")))
    other = attacked("rescale", target(original), scene(original=target(folder, "original")))
    assert one.interventions != other.interventions


def test_steps_follow_each_other(folder):
    twice = attacked("quantize", attacked("prune", target(folder), scene(), index=2), scene(), index=1)
    name = "model.layers.0.mlp.up_proj.weight"
    plain = weights(target(folder))[name]
    assert weights(twice)[name].equal(quantised(pruned(plain, 0.5), 4))


def test_bad_weights_are_named(folder, tmp_path):
    from safetensors.torch import load_file, save_file

    copy = shutil.copytree(folder, tmp_path / "spoilt")
    state = load_file(copy / "model.safetensors")
    state["model.layers.1.mlp.up_proj.weight"][0, 0] = math.nan
    save_file(state, copy / "model.safetensors", metadata={"format": "pt"})
    for name in ("quantize", "prune", "noise"):
        with pytest.raises(ModelError, match=r"candidate: model.layers.1.mlp.up_proj.weight: must be finite; got NaN"):
            attacked(name, target(copy), scene()).load()


# The predictor


def test_the_predictor_counts_changed_codes(folder, original):
    assert predict(target(folder), target(folder, "original"), [4]) == {4: 0}
    found = predict(target(folder), target(original, "original"), [8, 4])
    far, near = found[8], found[4]
    assert 0.5 < near < far <= 1


def test_the_predictor_is_the_mean_over_weights(folder, original):
    one, other = (dict(linear_weights(target(at).load().model, where="it")) for at in (folder, original))
    parts = [(changed_codes(other[name], one[name], 4), one[name].numel()) for name in one]
    expected = sum(share * size for share, size in parts) / sum(size for _, size in parts)
    assert predict(target(folder), target(original, "original"), [4]) == {4: pytest.approx(expected)}


# What is refused


def test_a_quantised_checkpoint_is_refused_before_loading(folder, tmp_path):
    copy = shutil.copytree(folder, tmp_path / "packed")
    config = json.loads((copy / "config.json").read_text())
    (copy / "config.json").write_text(json.dumps({**config, "quantization_config": {"quant_method": "gptq", "bits": 4}}))
    with pytest.raises(ModelError, match="candidate: must be an unquantised model; got gptq"):
        attacked("quantize", target(copy), scene())


@pytest.mark.parametrize("kind", ["F32", "BF16", "Q8_0"])
def test_a_packed_gguf_is_refused(tmp_path, kind):
    path = tmp_path / "it.gguf"
    writer = GGUFWriter(path, "llama")
    writer.add_tensor("norm", np.ones(32, dtype=np.float32))
    raw = {"F32": (32, np.float32), "BF16": (64, np.uint8), "Q8_0": (34, np.uint8)}[kind]
    writer.add_tensor("w", np.zeros((2, raw[0]), dtype=raw[1]), raw_dtype=GGMLQuantizationType[kind])
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    one = replace(target(tmp_path), source=Source("gguf", str(path), "it"))
    if kind == "Q8_0":
        with pytest.raises(ModelError, match="must be an unquantised model; got GGUF Q8_0"):
            attacked("quantize", one, scene())
    else:
        assert len(attacked("quantize", one, scene()).steps) == 1
    path.write_bytes(path.read_bytes()[:40])
    with pytest.raises(ModelError, match="its header cannot be read"):
        attacked("quantize", one, scene())


def test_bitsandbytes_must_be_there_and_needs_cuda(folder, monkeypatch):
    monkeypatch.setattr(packed.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ModelError, match="nf4 must have the package bitsandbytes"):
        attacked("quantize", target(folder), scene(), bits=["nf4"])
    monkeypatch.setattr(packed.importlib.util, "find_spec", lambda name: object())
    with pytest.raises(ModelError, match="fp4 must have a cuda device; got cpu"):
        attacked("quantize", target(folder), scene(), bits=["fp4"])


# What is declared


@pytest.mark.parametrize("name", [*OURS, "ablate_direction"])
def test_every_attack_says_what_it_is(name):
    attack = ATTACKS.get(name)
    params = attack.params()
    assert attack.name == name
    assert all(getattr(attack, word).strip() for word in ("title", "summary", "attacker", "source", "limits"))
    assert attack.budget(params)
    settings = attack.settings(params)
    assert settings and len({(one.label, one.repeat) for one in settings}) == len(settings)
    assert any(not one.shown_only for one in settings)
    json.dumps([dict(one.values) for one in settings])
    assert attack.params.model_validate(params.model_dump(mode="json")) == params


def test_budgets_and_labels_in_words():
    said = {name: ATTACKS.get(name).budget(ATTACKS.get(name).params()) for name in WEIGHT_ATTACKS}
    assert said == {
        "quantize": "8 and 4 bit",
        "prune": "10, 30 and 50 % of the weights",
        "noise": "noise of 0.01, 0.03 and 0.1 of the weights' spread, 3 draws each",
        "rescale": "0.25, 0.5 and 0.75 of the change",
    }
    quantize = ATTACKS.get("quantize")
    params = quantize.params(bits=[4, "nf4"], group=32)
    assert quantize.budget(params) == "4 bit in groups of 32 and nf4"
    assert [one.label for one in quantize.settings(params)] == ["4 bit", "nf4"]
    assert len(ATTACKS.get("noise").settings(ATTACKS.get("noise").params())) == 9


@pytest.mark.parametrize(
    ("name", "params"),
    [
        ("quantize", {"bits": []}),
        ("quantize", {"bits": [4, 4]}),
        ("quantize", {"bits": [1]}),
        ("quantize", {"bits": ["int4"]}),
        ("quantize", {"group": 0}),
        ("prune", {"amounts": [0.0]}),
        ("prune", {"amounts": [1.0]}),
        ("noise", {"scales": [0.1, 0.1]}),
        ("noise", {"seeds": 0}),
        ("rescale", {"lambdas": [0.0]}),
        ("rescale", {"lambda": [0.5]}),
        ("disable_adapter", {"adapter": "x"}),
    ],
)
def test_wrong_parameters_are_refused(name, params):
    with pytest.raises(ValidationError):
        ATTACKS.get(name).params.model_validate(params)


def test_digests_tell_settings_apart(folder):
    digests = {
        attacked(name, target(folder), scene(), index=index).interventions
        for name, count in (("quantize", 2), ("prune", 3), ("noise", 9))
        for index in range(count)
    }
    digests |= {attacked("quantize", target(folder), scene(), group=16, index=index).interventions for index in (0, 1)}
    assert len(digests) == 16


def test_a_model_without_linear_layers_is_refused():
    class Bare(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.config = transformers.LlamaConfig(num_hidden_layers=1)
            self.layers = torch.nn.ModuleList([torch.nn.LayerNorm(3)])

    with pytest.raises(ModelError, match="must have linear layers in its blocks; got none"):
        list(linear_weights(Loaded(Bare(), None).model, where="it"))
