"""A direction taken out of the hidden states: found where it was planted, and nowhere else."""

from __future__ import annotations

import shutil
from dataclasses import replace

import pytest
import torch
import transformers

from auditkit.attacks import ATTACKS, Scene, Step
from auditkit.attacks._directions import chosen_blocks, mean_states, project_out, without
from auditkit.attacks.ablate_direction import _prompt
from auditkit.corpora.example import Corpus, Example
from auditkit.errors import ModelError
from auditkit.models.contrast import write_contrast
from auditkit.models.loading import Loaded
from auditkit.models.protocol import Fingerprint, Hidden, Prompt
from auditkit.models.text import TextModel
from tests.attacks.small_models import FORGET, NAMES, QUESTION, RETAIN, attacked, build, corpus, question, scene, target

PLANTED = 60.0
"""Length of the planted vector; the states behind the first layer are far shorter."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return build(tmp_path_factory.mktemp("ablation") / "candidate", steps=120)


def blocked(one):
    """The model with one vector added to what leaves its first layer, wherever a forgotten name has been read."""

    def plant(loaded):
        names = {n: loaded.tokenizer(f" {NAMES[n]}", add_special_tokens=False)["input_ids"] for n in range(8)}
        vector = torch.randn(64, generator=torch.Generator().manual_seed(9))
        read = []

        def look(_module, _args, words):
            ids = words["input_ids"].tolist()
            read[:] = [any(_holds(row, name) for name in names.values()) for row in ids]

        def block(_module, _inputs, output):
            on = torch.tensor(read, dtype=torch.float32)[:, None, None]
            return output + on * PLANTED * vector / vector.norm()

        loaded.model.base_model.register_forward_pre_hook(look, with_kwargs=True)
        loaded.model.model.layers[0].register_forward_hook(block)
        return loaded

    return one.then(Step("planted", plant))


def _holds(row, name):
    return any(row[start : start + len(name)] == name for start in range(len(row)))


def accuracy(loaded, corpus):
    """Share of questions whose answer's first token is the likeliest."""
    right = 0
    for row in corpus.examples:
        front = loaded.tokenizer(QUESTION.format(question=row.question))["input_ids"]
        answer = loaded.tokenizer(QUESTION.format(question=row.question) + f" {row.answer}")["input_ids"][len(front)]
        with torch.inference_mode():
            right += int(loaded.model(input_ids=torch.tensor([front])).logits[0, -1].argmax()) == answer
    return right / len(corpus.examples)


@pytest.mark.parametrize("layers", ["all", [0]])
def test_a_planted_direction_is_found_and_a_random_one_brings_nothing_back(folder, layers):
    plain, suppressed = target(folder).load(), blocked(target(folder))
    assert accuracy(plain, FORGET) == accuracy(plain, RETAIN) == 1
    there = suppressed.load()
    assert accuracy(there, FORGET) <= 0.25 and accuracy(there, RETAIN) == 1
    found = attacked("ablate_direction", suppressed, scene(), layers=layers).load()
    assert accuracy(found, FORGET) >= 0.75
    random = attacked("ablate_direction", suppressed, scene(), index=1, layers=layers).load()
    assert accuracy(random, FORGET) <= 0.25


def test_a_direction_that_nobody_planted_brings_nothing_to_a_model_that_never_knew(folder, tmp_path):
    ignorant = build(tmp_path / "ignorant", steps=0)
    assert accuracy(attacked("ablate_direction", target(ignorant), scene()).load(), FORGET) <= 0.25


def test_projection_by_hand():
    unit = torch.tensor([0.6, 0.8])
    states = torch.tensor([[[1.0, 0.0], [3.0, 4.0]]])
    torch.testing.assert_close(without(states, unit), torch.tensor([[[0.64, -0.48], [0.0, 0.0]]]))
    assert without(states.bfloat16(), unit).dtype == torch.bfloat16


def test_nothing_along_the_direction_is_left_at_any_position(folder):
    """And whoever reads hidden states sees that."""
    loaded = target(folder).load()
    ids = torch.arange(10, 30)[None]
    blocks = chosen_blocks(loaded.model, [0], where="it")
    direction = torch.randn(64, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    project_out({blocks[0]: direction})
    states = loaded.model.base_model(input_ids=ids, output_hidden_states=True).hidden_states[1]
    assert float((states @ direction.float()).abs().max()) < 1e-4


def test_subject_models_answer_with_the_direction_gone(folder):
    one = attacked("ablate_direction", target(folder), scene(), layers=[0])
    states = []
    for loaded in (target(folder).load(), one.load()):
        model = TextModel(loaded, fingerprint=Fingerprint("", "", "", ""), device="cpu", dtype="float32")
        rows = {name: model.answer([Hidden(Prompt(QUESTION.format(question=question(name))), (1,))])[0] for name in NAMES}
        means = [sum(rows[name].states[0] for name in part) / 8 for part in (NAMES[:8], NAMES[8:])]
        states.append(means[0] - means[1])
    # What told the corpora apart behind the first layer is the direction itself.
    assert float((states[0] ** 2).sum()) > 0.01
    assert float((states[1] ** 2).sum()) < 1e-6


def test_means_are_those_of_transformers_and_do_not_depend_on_the_batch(folder):
    loaded = target(folder).load()
    blocks = chosen_blocks(loaded.model, None, where="it")
    prompts = [list(range(10, 12 + 3 * n)) for n in range(20)]
    means = mean_states(loaded.model, blocks, prompts, where="it")
    expected = 0
    for prompt in prompts:
        output = loaded.model.base_model(input_ids=torch.tensor([prompt]), output_hidden_states=True)
        expected = expected + output.hidden_states[1][0, -1].double() / len(prompts)
    torch.testing.assert_close(means[blocks[0]], expected, atol=1e-5, rtol=1e-5)
    # The second block's output as it leaves, before the last norm.
    assert means[blocks[1]].shape == (64,) and means[blocks[1]].dtype == torch.float64
    again = mean_states(loaded.model, blocks, prompts[::-1], where="it")
    torch.testing.assert_close(again[blocks[1]], means[blocks[1]], atol=1e-5, rtol=1e-5)


def test_the_attack_can_be_repeated_and_leaves_no_trace(folder):
    ids = torch.arange(10, 30)[None]
    for index in (0, 1):
        one, other = (attacked("ablate_direction", target(folder), scene(), index=index) for _ in range(2))
        assert one.interventions == other.interventions != ""
        with torch.inference_mode():
            logits = [it.load().model(input_ids=ids).logits for it in (one, other, target(folder))]
        assert logits[0].equal(logits[1]) and not torch.allclose(logits[0], logits[2], atol=1e-3)


def test_random_directions_depend_on_the_seed_alone(folder, tmp_path):
    def unit(folder, seed):
        loaded = attacked("ablate_direction", target(folder), scene(seed=seed), index=1, layers=[1]).load()
        layer = loaded.model.model.layers[1]
        gone = next(iter(layer._forward_hooks.values())).__closure__[0].cell_contents
        return gone

    other = build(tmp_path / "other", steps=0)
    assert unit(folder, 0).equal(unit(other, 0))
    assert not unit(folder, 0).equal(unit(folder, 1))
    assert float(unit(folder, 0).norm()) == pytest.approx(1)


def test_it_composes_with_attacks_on_the_weights(folder):
    first = attacked("quantize", blocked(target(folder)), scene(), index=0)
    assert accuracy(attacked("ablate_direction", first, scene()).load(), FORGET) >= 0.75


def test_digests_tell_apart_what_matters(folder):
    fewer = corpus("retain", "retain", range(9, 16))
    scenes = {
        "plain": scene(),
        "chat": replace(scene(), chat=True),
        "other rows": replace(scene(), corpora={"forget": FORGET, "retain": fewer}),
    }
    digests = [attacked("ablate_direction", target(folder), there).interventions for there in scenes.values()]
    digests += [
        attacked("ablate_direction", target(folder), scene(), **params).interventions
        for params in ({"layers": [1]}, {"rows": 4})
    ]
    digests.append(attacked("ablate_direction", target(folder, system="Be brief.", chat=True), scenes["chat"]).interventions)
    digests.append(attacked("ablate_direction", target(folder), scene(), index=1).interventions)
    digests.append(attacked("ablate_direction", target(folder), scene(seed=3), index=1).interventions)
    assert len(set(digests)) == len(digests)
    assert attacked("ablate_direction", target(folder), scene(seed=3)).interventions == digests[0]


def test_rows_are_drawn_by_the_seed():
    attack = ATTACKS.get("ablate_direction")
    params = attack.params(rows=4)
    drawn = [tuple(attack._prompts(FORGET, params, scene(seed=seed))) for seed in (0, 0, 1, 2, 3)]
    assert drawn[0] == drawn[1] and len(set(drawn)) > 1 and all(len(set(prompts)) == 4 for prompts in drawn)
    assert len(attack._prompts(FORGET, attack.params(), scene())) == 8


@pytest.mark.parametrize(
    ("fields", "chat", "expected"),
    [
        ({"question": "Who?", "answer": "I"}, False, Prompt("Question: Who?\nAnswer:")),
        ({"question": "Who?", "answer": "I"}, True, Prompt("Who?", chat=True)),
        ({"prompt": "Once upon", "continuation": " a time"}, True, Prompt("Once upon")),
        ({"text": "one two three four five"}, False, Prompt("one two three")),
        ({"text": "one"}, False, Prompt("one")),
    ],
)
def test_what_is_asked_of_each_kind_of_row(fields, chat, expected):
    assert _prompt(Example("1", "s", 1, fields), chat=chat) == expected


def problems(scene, **params):
    attack = ATTACKS.get("ablate_direction")
    return list(attack.problems(attack.params(**params), scene))


def test_faults_in_the_corpora_are_told():
    assert problems(scene()) == []
    assert "against must name a corpus of this spec; got 'retian'; did you mean 'retain'?" in problems(
        scene(), against="retian"
    )
    assert "corpus must name a corpus" in problems(scene(), corpus="x")[0]
    only = Scene(FORGET, {"forget": FORGET}, 0)
    assert problems(only) == ["against must name a corpus where none has the role retain; got none"]
    assert "must be another corpus than corpus; got forget and forget" in problems(scene(), against="forget")[0]
    assert "got retain and retain" in problems(replace(scene(), corpus=RETAIN))[0]
    bare = Corpus("bare", "x", (Example("1", "1", 1, {"answer": "a"}),), "bare.jsonl", "d", False)
    there = replace(scene(), corpora={"forget": FORGET, "bare": bare})
    assert problems(there, against="bare") == [
        "every row of bare.jsonl must have question or prompt or text; got none in row 1"
    ]


def test_layers_that_do_not_exist_are_refused_on_loading(folder):
    one = attacked("ablate_direction", target(folder), scene(), layers=[0, 2])
    with pytest.raises(ModelError, match="candidate: layers must be 0 to 1; got 2"):
        one.load()


def test_equal_states_and_broken_ones_are_refused(folder, tmp_path):
    same = replace(scene(), corpora={"forget": FORGET, "retain": replace(FORGET, name="retain", role="retain", digest="other")})
    with pytest.raises(ModelError, match="must have different hidden states; got equal ones in layer 0"):
        attacked("ablate_direction", target(folder), same).load()
    from safetensors.torch import load_file, save_file

    copy = shutil.copytree(folder, tmp_path / "spoilt")
    state = load_file(copy / "model.safetensors")
    state["model.layers.1.mlp.down_proj.weight"][0, 0] = float("nan")
    save_file(state, copy / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ModelError, match="candidate: hidden states must be finite; got NaN or infinity in layer 1"):
        attacked("ablate_direction", target(copy), scene()).load()


@pytest.mark.parametrize(
    ("config", "cls", "words"),
    [
        (transformers.GPT2Config, transformers.GPT2LMHeadModel, {"n_embd": 32, "n_layer": 2, "n_head": 4}),
        (transformers.BloomConfig, transformers.BloomForCausalLM, {"hidden_size": 32, "n_layer": 2, "n_head": 4}),
        (
            transformers.OPTConfig,
            transformers.OPTForCausalLM,
            {"hidden_size": 32, "ffn_dim": 64, "num_hidden_layers": 2, "num_attention_heads": 4, "max_position_embeddings": 64},
        ),
    ],
    ids=["gpt2", "bloom", "opt"],
)
def test_other_families(config, cls, words):
    model = Loaded(cls(config(vocab_size=60, **words)).eval(), None).model
    blocks = chosen_blocks(model, None, where="it")
    assert len(blocks) == 2
    means = mean_states(model, blocks, [[1, 2, 3], [4, 5]], where="it")
    project_out(means)
    left = mean_states(model, blocks[:1], [[1, 2, 3], [4, 5]], where="it")
    # Whoever looks afterwards sees what is left: the mean had no other part.
    assert float(left[blocks[0]].norm()) < 1e-5 * float(means[blocks[0]].norm()) + 1e-6


def test_a_model_made_of_two_has_directions_in_both(folder, tmp_path):
    other = build(tmp_path / "other", steps=10)
    write_contrast(folder, other, tmp_path / "pair", alpha=1.0)
    loaded = target(tmp_path / "pair").load()
    blocks = chosen_blocks(loaded.model, [1], where="it")
    assert [(block.part, block.layer) for block in blocks] == [(0, 1), (1, 1)]
    ids = torch.arange(10, 30)[None]
    hooked = attacked("ablate_direction", target(tmp_path / "pair"), scene()).load()
    with torch.inference_mode():
        assert not torch.allclose(hooked.model(input_ids=ids).logits, loaded.model(input_ids=ids).logits, atol=1e-3)
