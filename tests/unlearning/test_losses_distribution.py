"""KL, UNDIAL and CE-U: functions of logits over the vocabulary."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy.special import log_softmax, softmax

from auditkit.unlearning._retain import kl_loss, muse_kl_loss
from auditkit.unlearning._rows import IGNORED
from auditkit.unlearning._step import Batch
from auditkit.unlearning.ce_u import ce_u_loss, without_first
from auditkit.unlearning.undial import undial_loss

LABELS = torch.tensor([2, 0, 4])


def drawn(seed, *, grad=False):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(3, 5, generator=generator, dtype=torch.float64).mul(2).requires_grad_(grad)


def test_kl_by_hand():
    """From the parent's (1/2, 1/2) to the model's (3/4, 1/4)."""
    model, parent = torch.tensor([[0.75, 0.25]]).log(), torch.tensor([[0.5, 0.5]]).log()
    assert kl_loss(model, parent).item() == pytest.approx(0.5 * math.log(4 / 3), abs=1e-6)


def test_kl_goes_from_the_parent_to_the_model_whatever_the_logits_scale():
    model, parent = drawn(0), drawn(1)
    p, q = softmax(parent.numpy(), -1), softmax(model.numpy(), -1)
    expected = (p * (np.log(p) - np.log(q))).sum(-1).mean()
    assert kl_loss(model, parent).item() == pytest.approx(expected, rel=1e-10)
    assert kl_loss(model + 7, parent - 3).item() == pytest.approx(expected, rel=1e-10)
    assert kl_loss(parent, model).item() != pytest.approx(expected, rel=1e-2)


def test_kl_is_0_with_gradient_0_at_the_parent():
    model = drawn(0, grad=True)
    loss = kl_loss(model, model.detach())
    assert loss.item() == pytest.approx(0, abs=1e-12)
    assert torch.autograd.grad(loss, model)[0].abs().max().item() < 1e-12


def test_muse_kl_is_the_published_sum_and_no_divergence():
    model, parent = drawn(0), drawn(1)
    expected = (np.exp(parent.numpy()) * (parent.numpy() - model.numpy())).sum() / 2
    assert muse_kl_loss(model, parent, rows=2).item() == pytest.approx(expected, rel=1e-10)
    assert muse_kl_loss(parent + 1, parent, rows=2).item() < 0


def test_undial_by_hand():
    """A parent without preference among three tokens, the true one lowered by ln 2: target (1/5, 2/5, 2/5)."""
    parent, model = torch.zeros(1, 3), torch.tensor([[0.5, 0.25, 0.25]]).log()
    expected = 0.2 * math.log(2) + 0.8 * math.log(4)
    assert undial_loss(model, torch.tensor([0]), parent, beta=math.log(2)).item() == pytest.approx(expected, rel=1e-6)


def test_undial_against_numpy():
    model, parent = drawn(0), drawn(1)
    lowered = parent.numpy().copy()
    for position, label in enumerate(LABELS.tolist()):
        lowered[position, label] -= 10
    expected = -(softmax(lowered, -1) * log_softmax(model.numpy(), -1)).sum(-1).mean()
    assert undial_loss(model, LABELS, parent, beta=10.0).item() == pytest.approx(expected, rel=1e-10)


def test_undial_has_its_least_value_at_its_target_and_leaves_the_parent_as_it_was():
    parent = drawn(1)
    before = parent.clone()
    target = parent.clone()
    target[torch.arange(3), LABELS] -= 10
    model = target.clone().requires_grad_(True)
    loss = undial_loss(model, LABELS, parent, beta=10.0)
    assert torch.equal(parent, before)
    assert torch.autograd.grad(loss, model)[0].abs().max().item() < 1e-12
    assert loss < undial_loss(drawn(0), LABELS, parent, beta=10.0)


def test_ce_u_by_hand():
    """p = (1/2, 1/4, 1/4), true token 0: q = (0, 1/2, 1/2), CE = ln 4, gradient p − q."""
    model = torch.tensor([[0.5, 0.25, 0.25]], dtype=torch.float64).log().requires_grad_(True)
    loss = ce_u_loss(model, torch.tensor([0]))
    assert loss.item() == pytest.approx(math.log(4), rel=1e-12)
    assert torch.autograd.grad(loss, model)[0][0].tolist() == pytest.approx([0.5, -0.25, -0.25])


def test_ce_u_against_numpy():
    model = drawn(0)
    total = 0.0
    for position, label in enumerate(LABELS.tolist()):
        others = [v for v in range(5) if v != label]
        q = softmax(model[position, others].numpy())
        total -= (q * log_softmax(model[position].numpy())[others]).sum()
    assert ce_u_loss(model, LABELS).item() == pytest.approx(total / 3, rel=1e-10)


def test_ce_u_of_no_position_is_0_and_differentiable():
    model = torch.zeros(0, 5, requires_grad=True)
    loss = ce_u_loss(model, torch.zeros(0, dtype=torch.int64))
    loss.backward()
    assert loss.item() == 0


def test_ce_u_skips_the_first_labels_of_each_row():
    labels = torch.tensor([[IGNORED, 5, 6, 7], [IGNORED, IGNORED, 8, IGNORED], [3, 4, 5, 6]])
    kept = without_first(Batch(labels, labels, torch.ones_like(labels)), 1).labels
    assert kept.tolist() == [[IGNORED, IGNORED, 6, 7], [IGNORED] * 4, [IGNORED, 4, 5, 6]]


def test_gradients():
    model, parent = drawn(0, grad=True), drawn(1, grad=True)
    assert torch.autograd.gradcheck(kl_loss, (model, parent.detach()))
    assert torch.autograd.gradcheck(lambda z: muse_kl_loss(z, parent.detach(), rows=2), model)
    assert torch.autograd.gradcheck(lambda z: undial_loss(z, LABELS, parent.detach(), beta=10.0), model)


def test_saturated_predictions_give_finite_losses_and_gradients():
    certain = torch.tensor([[1e4, 0.0, -1e4, 0.0, 0.0]])
    for true in range(5):
        label = torch.tensor([true])
        for parent in (certain, certain.flip(-1)):
            model = certain.clone().requires_grad_(True)
            for loss in (kl_loss(model, parent), undial_loss(model, label, parent, beta=10.0), ce_u_loss(model, label)):
                assert math.isfinite(loss.item())
                assert torch.isfinite(torch.autograd.grad(loss, model)[0]).all()
