"""What is minimised sees the parent as it was, and no more of it than the method declared."""

from __future__ import annotations

import pytest
import torch

from auditkit.errors import TrainingError
from auditkit.models.loading import load_causal_lm
from auditkit.unlearning import METHODS
from auditkit.unlearning import _objective as objective_module
from auditkit.unlearning._method import Order
from auditkit.unlearning._objective import Lessons, batch_of, frozen_copy, make_objective, parent_of, refuse_spoilt
from auditkit.unlearning._passes import Draw
from auditkit.unlearning._pupil import Manner
from auditkit.unlearning._unlearn import unlearn
from tests.unlearning.small_runs import DROPPING, FORGET, OTHERS, RETAIN, SETTINGS, opened, run, taught

MANNER = Manner(dtype="float32", device="cpu")


def lessons(pad=0):
    return Lessons(FORGET, retain=RETAIN, others=OTHERS, pad=pad)


@pytest.fixture
def forget():
    draws = [Draw(n, n % 4, n % 3) for n in range(6)]
    return batch_of(lessons().collate(draws)["forget"], "cpu")


def test_with_an_adapter_the_parent_is_the_model_without_it(tiny, tmp_path, forget):
    """In training mode, with dropout, after training: as a copy taken before."""
    pupil = opened(tiny, DROPPING)
    before = load_causal_lm(tiny, dtype="float32", device="cpu").model
    run(pupil, tmp_path)
    pupil.model.train()
    switched = parent_of(pupil.model, asked=True, adapter=True)
    copied = parent_of(before, asked=True, adapter=False)
    found, expected = (parent.logits(forget, everywhere=True).values for parent in (switched, copied))
    assert torch.allclose(found, expected, rtol=0, atol=1e-6)
    assert not found.requires_grad and not expected.requires_grad
    states = [parent.hidden(forget, layer=1)[0] for parent in (switched, copied)]
    assert torch.allclose(*states, rtol=0, atol=1e-6)
    assert pupil.model.training
    with torch.no_grad():
        assert not torch.allclose(pupil.model(input_ids=forget.ids).logits, before(input_ids=forget.ids).logits, atol=1e-3)


def test_a_copied_parent_stays_while_the_model_trains(tiny, tmp_path, forget):
    pupil = opened(tiny)
    parent = parent_of(pupil.model, asked=True, adapter=False)
    before = parent.logits(forget).values
    run(pupil, tmp_path)
    assert torch.equal(parent.logits(forget).values, before)


def test_a_copied_parent_is_no_part_of_what_trains(tiny):
    pupil = opened(tiny)
    parent = parent_of(pupil.model, asked=True, adapter=False)
    made = make_objective(pupil.model, parent, taught, lessons())
    assert {id(weight) for weight in made.parameters()} == {id(weight) for weight in pupil.model.parameters()}


def test_sums_of_the_parent_are_those_that_it_gives_when_asked(tiny):
    pupil = opened(tiny)
    asked = parent_of(pupil.model, asked=True, adapter=False)
    rows = lessons(pupil.pad)
    rows.remember_parent(asked, "cpu", autocast=None)
    draws = [Draw(4, 1, 2), Draw(0, 0, 0), Draw(5, 3, 1)]
    columns = rows.collate(draws)
    for role in ("forget", "other"):
        batch = batch_of(columns[role], "cpu")
        assert batch.parent_sums.shape == (3,)
        assert torch.allclose(batch.parent_sums, asked.tokens(batch).sums(), rtol=0, atol=1e-5)
    assert "parent_sums" not in columns["retain"]


def test_draws_pick_the_rows_that_they_name():
    columns = lessons(pad=0).collate([Draw(4, 1, 2), Draw(0, 3, 0)])
    assert columns["forget"]["input_ids"].tolist() == [FORGET[4].ids, FORGET[0].ids]
    assert columns["retain"]["labels"].tolist() == [RETAIN[1].labels, RETAIN[3].labels]
    assert columns["other"]["input_ids"].tolist() == [OTHERS[4][2].ids, OTHERS[0][0].ids]


def test_a_parent_that_was_not_declared_cannot_be_asked(tiny, tmp_path):
    with pytest.raises(AssertionError, match="did not declare that its loss asks the parent"):
        run(opened(tiny), tmp_path, loss=lambda step: step.parent.tokens(step.forget).nll())


@pytest.mark.parametrize(
    ("name", "lora", "copies"),
    [
        ("kl_minimization", False, 1),
        ("kl_minimization", True, 0),
        ("undial", True, 0),
        ("rmu", True, 0),
        ("npo", True, 0),
        ("npo", False, 0),
        ("idk_dpo", False, 0),
        ("gradient_ascent", False, 0),
    ],
)
def test_a_second_copy_is_held_only_where_nothing_less_will_do(tiny, corpus, tmp_path, monkeypatch, name, lora, copies):
    made = []

    def counted(model):
        made.append(model)
        if copies == 0:
            raise AssertionError("a copy of the model was made")
        return frozen_copy(model)

    monkeypatch.setattr(objective_module, "frozen_copy", counted)
    method = METHODS.get(name)
    words = {"forget": ["forget"], "epochs": 1, "batch": 2, "lora": lora}
    if "refusals" in method.params.model_fields:
        words["refusals"] = ["no", "who knows"]
    there = {"forget": corpus(name="forget"), "retain": corpus([{"question": "Who?", "answer": "me"}], "retain")}
    order = Order(tiny, there, {"method": name}, tmp_path / "out", MANNER, taught=None)
    unlearn(method, order, method.params(**words))
    assert len(made) == copies


def test_autocast_reaches_the_loss(tiny):
    seen = []

    def loss(step):
        seen.append(torch.is_autocast_enabled("cpu") and torch.get_autocast_dtype("cpu"))
        return taught(step)

    pupil = opened(tiny)
    for autocast in (None, torch.bfloat16):
        made = make_objective(pupil.model, parent_of(None, asked=False, adapter=False), loss, lessons(), autocast=autocast)
        made(**lessons().collate([Draw(0, 0, 0)]))
    assert seen == [False, torch.bfloat16]


def test_what_a_loss_keeps_is_kept_over_all_steps(tiny, tmp_path):
    kept = []

    def loss(step):
        step.kept.setdefault("steps", []).append(step.seed)
        kept.append(step.kept["steps"])
        return taught(step)

    run(opened(tiny), tmp_path, loss=loss)
    assert kept[-1] == [SETTINGS.seed] * len(kept)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_no_number_is_refused_with_its_step(value):
    with pytest.raises(TrainingError, match=rf"got {value} at step 7 with the learning rate 1e-05"):
        refuse_spoilt(value, step=7, lr=1e-5)
    assert refuse_spoilt(-3.5, step=7, lr=1e-5) == -3.5
