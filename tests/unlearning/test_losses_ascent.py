"""Gradient ascent, its weighted forms WGA and SatImp, and cross-entropy on refusals: functions of log-probabilities."""

from __future__ import annotations

import math

import pytest
import torch

from auditkit.unlearning.gradient_ascent import gradient_ascent_loss
from auditkit.unlearning.idk_nll import idk_nll_loss
from auditkit.unlearning.satimp import satimp_loss
from auditkit.unlearning.wga import wga_loss

P = [0.9, 0.5, 0.1, 0.99]


def logprob(values=P, dtype=torch.float64):
    return torch.tensor(values, dtype=dtype).log().requires_grad_(True)


def gradient(loss, of):
    return torch.autograd.grad(loss, of)[0]


def test_ascent_is_the_mean_log_probability_and_the_refusal_loss_its_negative():
    assert gradient_ascent_loss(torch.tensor([-1.0, -3.0])).item() == -2
    assert idk_nll_loss(torch.tensor([-1.0, -3.0])).item() == 2
    assert torch.autograd.gradcheck(gradient_ascent_loss, logprob())
    assert torch.autograd.gradcheck(idk_nll_loss, logprob())


def test_wga_by_hand():
    assert wga_loss(logprob([0.5, 0.25]), beta=1.0).item() == pytest.approx(-0.5 * math.log(2), rel=1e-12)


@pytest.mark.parametrize("beta", [0.0, 0.5, 1.0, 3.0])
def test_wga_against_a_loop_with_its_gradient(beta):
    given = logprob()
    loss = wga_loss(given, beta=beta)
    assert loss.item() == pytest.approx(sum(p**beta * math.log(p) for p in P) / len(P), rel=1e-12)
    assert gradient(loss, given).tolist() == pytest.approx([p**beta / len(P) for p in P], rel=1e-12)


def test_wga_of_power_zero_is_ascent():
    given = logprob()
    assert torch.equal(wga_loss(given, beta=0.0), gradient_ascent_loss(given))


def test_satimp_by_hand():
    loss = satimp_loss(logprob([0.5]), saturation=5.0, importance=1.0)
    assert loss.item() == pytest.approx(-math.log(2) / 64, rel=1e-12)


@pytest.mark.parametrize(("saturation", "importance"), [(5.0, 1.0), (1.0, 0.5), (0.0, 2.0)])
def test_satimp_against_a_loop_with_its_gradient(saturation, importance):
    given = logprob()
    loss = satimp_loss(given, saturation=saturation, importance=importance)
    weights = [p**saturation * (1 - p) ** importance for p in P]
    assert loss.item() == pytest.approx(sum(w * math.log(p) for w, p in zip(weights, P, strict=True)) / len(P), rel=1e-9)
    assert gradient(loss, given).tolist() == pytest.approx([weight / len(P) for weight in weights], rel=1e-9)


def test_satimp_without_importance_is_wga():
    given = logprob()
    assert torch.equal(satimp_loss(given, saturation=2.0, importance=0.0), wga_loss(given, beta=2.0))


@pytest.mark.parametrize("values", [[0.0], [-1e4], [0.0, -1e4, -1e-9], [1e-7]])
def test_certain_and_impossible_tokens_give_finite_losses_and_gradients(values):
    """1e-7: a log-probability that rounding has put above 0."""
    for loss in (
        lambda x: wga_loss(x, beta=1.0),
        lambda x: wga_loss(x, beta=0.5),
        lambda x: satimp_loss(x, saturation=5.0, importance=1.0),
        lambda x: satimp_loss(x, saturation=5.0, importance=0.5),
    ):
        given = torch.tensor(values, requires_grad=True)
        got = loss(given)
        assert math.isfinite(got.item())
        assert torch.isfinite(gradient(got, given)).all()
