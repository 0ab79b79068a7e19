"""NPO, SimNPO and DPO: functions of a row's log-probability."""

from __future__ import annotations

import math

import pytest
import torch

from auditkit.unlearning._preference import dpo_loss
from auditkit.unlearning.npo import muse_npo_loss, npo_loss
from auditkit.unlearning.simnpo import simnpo_loss

SUMS = [-3.0, -7.5, -0.2]
PARENT = [-2.0, -9.0, -0.2]


def tensor(values, *, grad=False):
    return torch.tensor(values, dtype=torch.float64, requires_grad=grad)


def softplus(x):
    return max(x, 0.0) + math.log1p(math.exp(-abs(x)))


def test_npo_at_the_parent_is_a_constant_with_the_gradient_of_ascent():
    sums = tensor(SUMS, grad=True)
    loss = npo_loss(sums, sums.detach(), beta=0.1)
    assert loss.item() == pytest.approx(13.8629, abs=1e-4)
    assert torch.autograd.grad(loss, sums)[0].tolist() == pytest.approx([1 / 3] * 3)
    assert torch.autograd.grad(sums.mean(), sums)[0].tolist() == pytest.approx([1 / 3] * 3)


def test_npo_against_a_loop():
    expected = sum(2 / 0.1 * softplus(0.1 * (s - p)) for s, p in zip(SUMS, PARENT, strict=True)) / 3
    assert npo_loss(tensor(SUMS), tensor(PARENT), beta=0.1).item() == pytest.approx(expected, rel=1e-12)


def test_npo_tends_to_ascent_as_beta_falls():
    """NPO − (2/β) ln 2 → E (S − S_parent), ascent's loss up to a constant; so does the gradient."""
    sums = tensor(SUMS, grad=True)
    loss = npo_loss(sums, tensor(PARENT), beta=1e-5)
    ascent = sum(s - p for s, p in zip(SUMS, PARENT, strict=True)) / 3
    assert loss.item() - 2e5 * math.log(2) == pytest.approx(ascent, abs=1e-4)
    assert torch.autograd.grad(loss, sums)[0].tolist() == pytest.approx([1 / 3] * 3, abs=1e-4)


def test_npo_stops_pushing_where_the_answer_is_forgotten():
    sums = tensor([-2000.0, -2.0], grad=True)
    forgotten, known = torch.autograd.grad(npo_loss(sums, tensor([-2.0, -2.0]), beta=0.1), sums)[0].tolist()
    assert forgotten == pytest.approx(0, abs=1e-12) and known == pytest.approx(0.5)


def test_muse_npo_against_a_loop_and_blind_to_which_token_it_lowers():
    logits, parent = tensor([[1.0, 2.0], [0.0, -1.0]]), tensor([[1.5, 2.0], [-0.5, 0.0]])
    pairs = zip(logits.flatten().tolist(), parent.flatten().tolist(), strict=True)
    expected = sum(2 / 0.1 * softplus(-0.1 * (p - z)) for z, p in pairs) / 4
    assert muse_npo_loss(logits, parent, beta=0.1).item() == pytest.approx(expected, rel=1e-12)
    at_parent = parent.clone().requires_grad_(True)
    pushed = torch.autograd.grad(muse_npo_loss(at_parent, parent, beta=0.1), at_parent)[0]
    assert pushed.flatten().tolist() == pytest.approx([0.25] * 4)


def test_simnpo_by_hand_and_against_a_loop():
    assert simnpo_loss(tensor([0.0]), beta=4.5).item() == pytest.approx(2 / 4.5 * math.log(2), rel=1e-12)
    means = [-0.01, -1.0, -8.0]
    expected = sum(2 / 4.5 * softplus(-4.5 * (-m - 0.3)) for m in means) / 3
    assert simnpo_loss(tensor(means), beta=4.5, delta=0.3).item() == pytest.approx(expected, rel=1e-12)


def test_dpo_at_the_parent_by_hand():
    win, lose = tensor(SUMS, grad=True), tensor(PARENT, grad=True)
    loss = dpo_loss(win, win.detach(), lose, lose.detach(), beta=0.1)
    assert loss.item() == pytest.approx(20 * math.log(2), rel=1e-12)
    up, down = torch.autograd.grad(loss, [win, lose])
    assert up.tolist() == pytest.approx([-1 / 3] * 3) and down.tolist() == pytest.approx([1 / 3] * 3)


def test_dpo_against_a_loop_and_npo_is_dpo_without_a_better_answer():
    win, win_parent = tensor([-1.0, -4.0, -2.0]), tensor([-5.0, -3.0, -2.0])
    rows = zip(win.tolist(), win_parent.tolist(), SUMS, PARENT, strict=True)
    expected = sum(2 / 0.5 * softplus(-0.5 * ((w - wp) - (s - sp))) for w, wp, s, sp in rows) / 3
    assert dpo_loss(win, win_parent, tensor(SUMS), tensor(PARENT), beta=0.5).item() == pytest.approx(expected, rel=1e-12)
    without = dpo_loss(win, win, tensor(SUMS), tensor(PARENT), beta=0.1)
    assert without.item() == pytest.approx(npo_loss(tensor(SUMS), tensor(PARENT), beta=0.1).item(), rel=1e-12)


def test_gradients():
    args = [tensor(values, grad=True) for values in (SUMS, PARENT, [-1.0, -4.0, -2.0], [-5.0, -3.0, -2.0])]
    assert torch.autograd.gradcheck(lambda s, p: npo_loss(s, p, beta=0.1), args[:2])
    assert torch.autograd.gradcheck(lambda s, p: muse_npo_loss(s, p, beta=0.1), args[:2])
    assert torch.autograd.gradcheck(lambda m: simnpo_loss(m, beta=4.5, delta=0.1), args[:1])
    assert torch.autograd.gradcheck(lambda w, wp, s, p: dpo_loss(w, wp, s, p, beta=0.1), args)


@pytest.mark.parametrize("sums", [0.0, -1e6, -1e-30])
def test_saturated_rows_give_finite_losses_and_gradients(sums):
    for parent in (0.0, -1e6):
        given = torch.tensor([sums], requires_grad=True)
        old = torch.tensor([parent])
        for loss in (
            npo_loss(given, old, beta=0.1),
            muse_npo_loss(given[None], old[None], beta=0.1),
            simnpo_loss(given, beta=4.5),
            dpo_loss(given, old, old, given.detach(), beta=0.1),
        ):
            assert math.isfinite(loss.item())
            assert torch.isfinite(torch.autograd.grad(loss, given)[0]).all()
