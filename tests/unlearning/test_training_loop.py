"""The loop: what it optimises, in which order, and what it leaves alone."""

from __future__ import annotations

import itertools
import random

import numpy as np
import pytest
import torch

from auditkit.errors import ModelError
from auditkit.models.loading import load_causal_lm
from auditkit.spec.model import Finetune
from auditkit.unlearning._rows import IGNORED, Row, padded
from auditkit.unlearning._train import Batches, _rate, answer_loss, seeded, train

ROWS = [Row([1, 20 + n, 30 + n, 40], [IGNORED, IGNORED, 30 + n, 40]) for n in range(6)]


def trainable(source):
    return load_causal_lm(source, dtype="float32", device="cpu").model.requires_grad_(True)


def test_the_loss_is_the_one_over_all_logits(tiny):
    model = trainable(tiny)
    batch = {name: torch.tensor(values) for name, values in padded([*ROWS, Row([1, 9], [1, 9])], pad=2).items()}
    assert answer_loss(model, batch).item() == pytest.approx(model(**batch).loss.item(), rel=1e-5)


def test_training_lowers_the_loss_and_says_what_it_was(tiny):
    model = trainable(tiny)
    batch = {name: torch.tensor(values) for name, values in padded(ROWS, pad=2).items()}
    before = answer_loss(model, batch).item()
    run = train(model, ROWS, Finetune(corpora=["x"], epochs=20, lr=1e-2, batch=4), pad=2, device="cpu")
    assert answer_loss(model, batch).item() < before / 2
    assert (run.steps, run.rows, run.tokens) == (40, 6, 24)
    assert not model.training


def test_bfloat16_computes_otherwise_and_learns_too(tiny):
    run = {}
    for autocast in (None, torch.bfloat16):
        params = Finetune(corpora=["x"], epochs=10, lr=3e-3, batch=6)
        run[autocast] = train(trainable(tiny), ROWS, params, pad=2, device="cpu", autocast=autocast).loss
    assert run[None] != run[torch.bfloat16]
    assert run[None] == pytest.approx(run[torch.bfloat16], rel=0.05)


def test_a_pass_holds_every_row_once_and_the_next_has_another_order():
    batches = Batches([3, 50, 4, 49, 5, 51, 3], size=3, seed=1)
    first, second = list(batches), list(batches)
    assert len(first) == len(batches) == 3
    assert all(sorted(itertools.chain(*once)) == list(range(7)) for once in (first, second))
    assert first != second
    assert list(Batches(batches.lengths, size=3, seed=1)) == first
    assert list(Batches(batches.lengths, size=3, seed=2)) != first


def test_rows_of_like_length_stand_together():
    lengths = [5] * 8 + [60] * 8
    assert all(len({lengths[index] for index in batch}) == 1 for batch in Batches(lengths, size=4, seed=0))


def test_the_rate_rises_and_falls_to_nothing():
    rates = [_rate(step, 40) for step in range(41)]
    assert rates[0] == 0 and max(rates) == rates[2] == 1 and rates[40] == 0
    assert rates[2:] == sorted(rates[2:], reverse=True)
    assert [_rate(step, 2) for step in range(3)] == [1, 0.5, 0]


def test_global_generators_are_put_back():
    def drawn():
        return random.random(), np.random.rand(), torch.rand(1).item()

    torch.manual_seed(3), random.seed(3), np.random.seed(3)
    expected = drawn()
    torch.manual_seed(3), random.seed(3), np.random.seed(3)
    with seeded(9):
        inside = drawn()
    assert drawn() == expected
    with seeded(9):
        assert drawn() == inside


def test_a_loss_that_is_no_number_ends_the_training(tiny):
    model = trainable(tiny)
    with torch.no_grad():
        model.get_input_embeddings().weight.fill_(float("nan"))
    with pytest.raises(ModelError, match="finite loss; got nan at step 1"):
        train(model, ROWS, Finetune(corpora=["x"], epochs=1), pad=2, device="cpu")
