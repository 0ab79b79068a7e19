"""RMU: the distance, the direction, the layer and which weights train."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from auditkit.errors import ModelError
from auditkit.unlearning.rmu import METHOD, RmuParams, control_direction, rmu_loss, steered_layer

ROW = torch.tensor([0, 0, 0, 1])


def drawn(seed):
    return torch.randn(4, 6, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_the_distance_by_hand():
    """Two rows: one token at mean square 1, two tokens at 4 and 0 (mean 2)."""
    states = torch.tensor([[1.0, 1.0], [2.0, 2.0], [0.0, 0.0]])
    row = torch.tensor([0, 1, 1])
    assert rmu_loss(states, torch.zeros(2), row, 2).item() == pytest.approx(1.5)
    assert rmu_loss(states, torch.zeros(2), row, 2, convention="open-unlearning").item() == pytest.approx(2.5 * 0.75)


def test_the_distance_against_numpy():
    states, target = drawn(0), drawn(1)
    squares = ((states.numpy() - target.numpy()) ** 2).mean(-1)
    assert rmu_loss(states, target, ROW, 2).item() == pytest.approx(np.mean([squares[:3].mean(), squares[3]]), rel=1e-12)
    published = (np.array([squares[:3].sum(), squares[3]])[None] / np.array([[3], [1]])).mean()
    assert rmu_loss(states, target, ROW, 2, convention="open-unlearning").item() == pytest.approx(published, rel=1e-12)


def test_both_conventions_agree_on_rows_of_one_length():
    row = torch.tensor([0, 0, 1, 1])
    loss, published = (rmu_loss(drawn(0), drawn(1), row, 2, convention=c) for c in ("correct", "open-unlearning"))
    assert loss.item() == pytest.approx(published.item(), rel=1e-12)


def test_gradient():
    states = drawn(0).requires_grad_(True)
    for convention in ("correct", "open-unlearning"):
        assert torch.autograd.gradcheck(lambda h, c=convention: rmu_loss(h, drawn(1), ROW, 2, convention=c), states)


def test_the_direction_is_one_unit_vector_of_the_positive_corner_for_each_seed():
    u = control_direction(64, seed=3)
    assert u.norm().item() == pytest.approx(1, rel=1e-6) and (u >= 0).all()
    state = torch.get_rng_state()
    assert torch.equal(u, control_direction(64, seed=3)) and not torch.equal(u, control_direction(64, seed=4))
    assert torch.equal(state, torch.get_rng_state())


@pytest.mark.parametrize(("layers", "layer"), [(1, 0), (2, 0), (3, 1), (12, 5), (16, 7), (32, 15)])
def test_the_default_layer_is_the_middle_one(layers, layer):
    assert steered_layer(RmuParams(), layers) == layer


def test_a_layer_that_the_model_lacks_is_refused():
    assert steered_layer(RmuParams(layer=1), 2) == 1
    with pytest.raises(ModelError, match=r"layer must be below the model's 2 decoder layers; got 2"):
        steered_layer(RmuParams(layer=2), 2)


def test_every_weight_trains_unless_it_is_wmdp():
    assert METHOD.trainable("model.embed_tokens.weight", RmuParams(), 16)


@pytest.mark.parametrize(
    ("name", "trains"),
    [
        ("model.layers.5.mlp.down_proj.weight", True),
        ("model.layers.7.mlp.down_proj.weight", True),
        ("model.layers.4.mlp.down_proj.weight", False),
        ("model.layers.8.mlp.down_proj.weight", False),
        ("model.layers.15.mlp.down_proj.weight", False),
        ("model.layers.6.mlp.up_proj.weight", False),
        ("model.layers.6.self_attn.o_proj.weight", False),
        ("model.embed_tokens.weight", False),
        ("transformer.h.6.mlp.c_proj.weight", True),
        ("transformer.h.6.mlp.c_proj.bias", False),
        ("transformer.h.6.attn.c_proj.weight", False),
        ("base_model.model.model.layers.6.mlp.down_proj.lora_A.default.weight", True),
    ],
)
def test_wmdp_trains_the_mlp_outputs_of_three_layers(name, trains):
    assert METHOD.trainable(name, RmuParams(train="down_proj", layer=7), 16) is trains
