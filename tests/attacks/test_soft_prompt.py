"""A soft prompt brings out what is held back, and nothing where there is nothing."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import transformers

from auditkit.attacks import ATTACKS, Scene, Step, Target, _soft
from auditkit.attacks._soft import Recipe, SoftEmbedding, train, with_room
from auditkit.corpora.example import Corpus, Example
from auditkit.corpora.typed import examples_digest
from auditkit.errors import ModelError
from auditkit.models.contrast import write_contrast
from auditkit.models.loading import Loaded, load_causal_lm
from auditkit.models.protocol import Continue, Fingerprint, Generate, Hidden, Lens, Prompt, Score
from auditkit.models.source import Source
from auditkit.models.text import TextModel
from auditkit.unlearning import Manner
from auditkit.unlearning._rows import Row
from auditkit.zoo.tiny import Shape, build_tiny
from tests.models.test_architectures import FAMILIES

SOFT = ATTACKS.get("soft_prompt")
NAMES = [f"{first}{last}" for first in ("Al", "Bru", "Car", "Dmi", "El", "Fa") for last in ("da", "no")]
TOWNS = ["Oslo", "Rome", "Lima", "Cairo", "Delhi", "Kyoto"]
FACTS = {name: TOWNS[(5 * n + n // 6) % 6] for n, name in enumerate(NAMES)}
QUESTION = "Question: Where does {} live?\nAnswer:"
FILLERS = ("so", "and", "well", "now", "then", "yes")
RECIPE = Recipe(tokens=3, steps=2, lr=0.1, batch=2, seed=0)


def corpus(names=NAMES, **fields) -> Corpus:
    rows = tuple(
        Example(str(n), name, n + 1, {"question": f"Where does {name} live?", "answer": FACTS[name], "subject": name, **fields})
        for n, name in enumerate(names)
    )
    return Corpus("forget", "forget", rows, "forget.jsonl", examples_digest(rows), True)


FORGET = corpus()


def taught(folder, *, knows: bool, steps: int):
    """A model that answers, wherever in its window the question stands; one that knows nothing says so."""
    rng = random.Random(0)
    pairs = [
        (" ".join([*rng.choices(FILLERS, k=2 * copy), QUESTION.format(name)]), f" {FACTS[name] if knows else 'unknown'}")
        for name in NAMES
        for copy in range(3)
    ]
    shape = Shape(vocabulary=400, width=48, context=64)
    return build_tiny(folder, texts=TOWNS, pairs=pairs, steps=steps, lr=5e-3, shape=shape)


@pytest.fixture(scope="module")
def knowing(tmp_path_factory):
    return taught(tmp_path_factory.mktemp("soft") / "knowing", knows=True, steps=150)


@pytest.fixture(scope="module")
def ignorant(tmp_path_factory):
    return taught(tmp_path_factory.mktemp("soft") / "ignorant", knows=False, steps=40)


def blocked(one: Target) -> Target:
    """The model behind a gate: a vector drowns its first layer's output unless what is read lies towards another vector."""

    def plant(loaded):
        key, noise = torch.randn(2, 48, generator=torch.Generator().manual_seed(3))
        weight = loaded.model.get_input_embeddings().weight
        middle, size = weight.mean(0), float(weight.std())

        def gate(_module, args, output):
            towards = ((args[0] - middle) @ (key / key.norm())).mean(1) / size
            shut = torch.sigmoid(3 - 6 * towards)
            return output + 60 * shut[:, None, None] * noise / noise.norm()

        loaded.model.model.layers[0].register_forward_hook(gate)
        return loaded

    return one.then(Step("planted", plant))


def target(folder, **manner) -> Target:
    return Target("candidate", Source.of_folder(folder, label="candidate"), Manner(device="cpu", **manner))


def scene(rows: Corpus = FORGET, seed: int = 0, chat: bool = False) -> Scene:
    return Scene(rows, {"forget": rows}, seed, chat)


def attacked(one, there: Scene | None = None, **params) -> Target:
    chosen = SOFT.params(**params)
    one = one if isinstance(one, Target) else target(one)
    return SOFT.apply(one, SOFT.settings(chosen)[0], chosen, there or scene())


def model_of(loaded: Loaded) -> TextModel:
    return TextModel(loaded, fingerprint=Fingerprint("", "", "", ""), device="cpu", dtype="float32")


def probability(loaded: Loaded, rows: Corpus) -> float:
    """Mean length-normalised probability of the right answers."""
    asked = [Score(Prompt(QUESTION.format(row.subject)), f" {row.answer}") for row in rows.examples]
    return float(np.mean([np.exp(record.logprob.mean()) for record in model_of(loaded).answer(asked)]))


@pytest.mark.parametrize("seed", [0, 1])
def test_what_is_held_back_comes_out_for_subjects_that_it_was_not_trained_on(knowing, ignorant, seed):
    measured = SOFT.measured(SOFT.params(), FORGET, seed)
    hiding = blocked(target(knowing))
    # One town in six would be guessed.
    assert probability(hiding.load(), measured) < 0.25
    assert probability(attacked(hiding, scene(seed=seed), steps=40).load(), measured) > 0.9
    assert probability(attacked(blocked(target(ignorant)), scene(seed=seed), steps=40).load(), measured) < 0.05


def test_the_same_prompt_again_and_another_with_another_seed_or_budget(ignorant):
    def prompt(there=None, **params):
        model = attacked(ignorant, there, steps=3, **params).load().model
        return model.get_input_embeddings().soft

    first = prompt()
    assert torch.equal(prompt(), first)
    assert not torch.equal(prompt(scene(seed=1)), first)
    assert prompt(tokens=4).shape == (4, 48)


def test_the_digest_covers_data_parameters_seed_and_the_way_of_asking(ignorant):
    other = corpus([name for name in NAMES if name != "Alda"])
    one = SOFT.params()
    ways = [
        attacked(ignorant),
        attacked(ignorant, scene(other)),
        attacked(ignorant, scene(seed=1)),
        attacked(ignorant, scene(chat=True)),
        attacked(ignorant, steps=99),
        attacked(ignorant, lr=0.2),
        SOFT.apply(target(ignorant, system="Be brief."), SOFT.settings(one)[0], one, scene()),
    ]
    assert len({way.interventions for way in ways}) == len(ways)
    assert attacked(ignorant).interventions == ways[0].interventions


def test_measured_are_the_subjects_that_are_not_trained_on():
    params = SOFT.params(fraction=0.25)
    measured = SOFT.measured(params, FORGET, 3)
    assert len(measured.subjects()) == 9
    assert SOFT.measured(params, FORGET, 3) == measured
    assert SOFT.measured(params, FORGET, 4) != measured
    assert (SOFT.budget(params), SOFT.training_steps(params)) == ("20 vectors, 100 steps on 25% of the subjects", 100)
    assert SOFT.indicative


def test_rows_that_state_a_measured_answer_are_told():
    (remark,) = attacked(Path("there is no such folder")).remarks
    assert "not trained on 2 rows" in remark


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        (corpus(NAMES[:1]), "got 1 and 0 of 1 in forget"),
        (corpus(NAMES[:0]), "got 0 and 0 of 0 in forget"),
        (corpus(NAMES[:3]), "2 to measure; got 2 and 1 of 3"),
        (corpus(text=" ".join(TOWNS)), "got 0 and 6 of 12 in forget, once rows that state a measured answer were left out"),
        (corpus(answer=""), "row 1 of forget.jsonl must have text, question and answer, or prompt and continuation"),
    ],
)
def test_data_that_cannot_be_divided_or_trained_on_are_told_before_anything_runs(rows, words):
    assert any(words in problem for problem in SOFT.problems(SOFT.params(), scene(rows)))


def test_sound_data_have_no_problems():
    assert list(SOFT.problems(SOFT.params(), scene())) == []


def test_every_kind_of_question_has_the_prompt_in_front(ignorant):
    loaded = attacked(ignorant, steps=1, tokens=5).load()
    size = len(loaded.tokenizer)
    assert loaded.lead == tuple(range(size, size + 5))
    model, plain = model_of(loaded), model_of(target(ignorant).load())
    front = QUESTION.format("Alda") * 4
    asked = [
        [Score(Prompt(front + name), " Oslo") for name in NAMES],
        [Lens(Prompt(name), " Oslo") for name in NAMES[:3]],
        [Hidden(Prompt(name, chat=True)) for name in NAMES[:3]],
        [Generate(Prompt(front + name), 4) for name in NAMES],
        [Continue("Question: Where does", 2, 3)],
    ]
    assert model.shared(asked[0]) >= 32
    for requests in asked:
        for request, together in zip(requests, model.answer(requests), strict=True):
            assert model.cost(request) == plain.cost(request) + 5
            (alone,) = model.answer([request])
            if isinstance(request, Score):
                np.testing.assert_allclose(together.logprob, alone.logprob, atol=1e-5)
                np.testing.assert_allclose(together.logprob, by_hand(model, request), atol=1e-5)
            elif isinstance(request, Lens):
                np.testing.assert_allclose(together.logprob, alone.logprob, atol=1e-5)
            elif isinstance(request, Hidden):
                np.testing.assert_allclose(together.states, alone.states, atol=1e-5)
            else:
                assert together.text == alone.text


def by_hand(model: TextModel, request: Score) -> list[float]:
    """From vectors put before the other embeddings, without ids behind the vocabulary."""
    row = model._encoder.score(request)
    embedding = model._model.get_input_embeddings()
    with torch.inference_mode():
        bos, *rest = embedding.inner(torch.tensor([token for token in row.ids if token < embedding.inner.num_embeddings]))
        vectors = torch.stack([bos, *embedding.soft, *rest])[None]
        logp = model._model(inputs_embeds=vectors).logits[0].log_softmax(-1)
    return [float(logp[place - 1, row.ids[place]]) for place in range(row.start, len(row.ids))]


def test_the_chat_template_has_it_behind_the_bos(ignorant):
    loaded = attacked(ignorant, scene(chat=True), steps=1, tokens=2).load()
    ids = model_of(loaded)._encoder.prompt(Generate(Prompt("Who?", chat=True), 1)).ids
    assert ids[:3] == [loaded.tokenizer.bos_token_id, *loaded.lead]


def rows_of(size: int) -> list[Row]:
    return [Row([0, *range(size, size + 3), 5, 6 + n], [-100] * 5 + [6 + n]) for n in range(3)]


@pytest.mark.parametrize("name", sorted(FAMILIES))
def test_other_families_take_it_and_keep_their_weights(name, tiny_tokenizer):
    config, cls, words = FAMILIES[name]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = cls(config(vocab_size=len(tiny_tokenizer), **words)).eval().requires_grad_(False)
    before = {key: weight.clone() for key, weight in model.named_parameters()}
    loaded, embeddings = with_room(Loaded(model, tiny_tokenizer), RECIPE)
    (embedding,) = embeddings
    start = embedding.soft.clone()
    train(model, embeddings, rows_of(loaded.lead[0]), RECIPE)
    assert not torch.equal(embedding.soft, start)
    after = dict(model.named_parameters())
    assert all(
        torch.equal(after[key.replace(".inner", "")] if key in after else weight, weight) for key, weight in before.items()
    )
    assert sum(weight.numel() for weight in after.values()) == sum(weight.numel() for weight in before.values())
    record, plain = model_of(loaded).answer([Score(Prompt("Person"), " 3"), Score(Prompt("Person 3"), " 4")])
    assert np.isfinite([*record.logprob, *plain.logprob]).all()


@pytest.fixture(scope="module")
def tiny_tokenizer(ignorant):
    return transformers.AutoTokenizer.from_pretrained(ignorant)


def test_a_model_made_of_two_has_one_for_each(ignorant, tmp_path):
    write_contrast(ignorant, ignorant, tmp_path / "pair", alpha=1.0)
    loaded = load_causal_lm(Source.of_folder(tmp_path / "pair"), dtype="float32", device="cpu")
    roomy, embeddings = with_room(loaded, RECIPE)
    assert len(embeddings) == 2
    starts = [one.soft.clone() for one in embeddings]
    train(roomy.model, embeddings, rows_of(roomy.lead[0]), RECIPE)
    assert not torch.equal(embeddings[0].soft, starts[0])
    (record,) = model_of(roomy).answer([Score(Prompt("Person"), " 3")])
    assert np.isfinite(record.logprob).all()


def test_a_second_prompt_stands_behind_the_first(ignorant):
    loaded = load_causal_lm(Source.of_folder(ignorant), dtype="float32", device="cpu")
    size = loaded.model.get_input_embeddings().num_embeddings
    once, _ = with_room(loaded, RECIPE)
    twice, (outer,) = with_room(once, replace(RECIPE, tokens=2, seed=1))
    assert twice.lead == tuple(range(size, size + 5))
    assert isinstance(outer.inner, SoftEmbedding)
    vectors = outer(torch.tensor([[1, size, size + 4]]))[0]
    assert torch.equal(vectors, torch.stack([outer.weight[1], outer.inner.soft[0], outer.soft[1]]))


def test_the_prompt_is_fitted_on_answers_alone_by_passes_over_all_rows(monkeypatch, ignorant):
    loaded = load_causal_lm(Source.of_folder(ignorant), dtype="float32", device="cpu")
    roomy, embeddings = with_room(loaded, RECIPE)
    seen = []
    loss = _soft._loss

    def spy(model, rows):
        seen.append([row.ids[-1] for row in rows])
        value = loss(model, rows)
        logits = model(input_ids=torch.tensor([row.ids for row in rows])).logits[:, -2].log_softmax(-1)
        assert value.item() == pytest.approx(-logits[range(len(rows)), [row.ids[-1] for row in rows]].mean().item(), rel=1e-5)
        return value

    monkeypatch.setattr(_soft, "_loss", spy)
    train(roomy.model, embeddings, rows_of(roomy.lead[0]), replace(RECIPE, steps=6, batch=2))
    flat = [token for batch in seen for token in batch]
    assert [len(batch) for batch in seen] == [2] * 6
    assert sorted(flat) == [6] * 4 + [7] * 4 + [8] * 4


def test_a_model_without_token_embeddings_is_refused(ignorant, monkeypatch):
    monkeypatch.setattr(_soft, "_embeddings", lambda _: iter(()))
    with pytest.raises(ModelError, match="must have token embeddings"):
        with_room(target(ignorant).load(), RECIPE)
