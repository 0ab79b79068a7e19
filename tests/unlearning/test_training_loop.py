"""The loop: what it optimises, at which rate, what it counts, and what it leaves alone."""

from __future__ import annotations

import random
from dataclasses import replace

import numpy as np
import pytest
import torch

from auditkit.errors import ExitCode, TrainingError
from auditkit.unlearning._rows import padded
from auditkit.unlearning._settings import Settings, rate, seeded
from auditkit.unlearning._state import last_state
from tests.unlearning.small_runs import DROPPING, FORGET, RETAIN, SETTINGS, STEPS, opened, run, same, taught, weights

TOKENS = 6 * (4 + 3 + 3)
"""Of an epoch: each forget row of 4, with a retain row of 3 and another answer of 3."""


def loss_of(pupil):
    columns = {name: torch.tensor(values) for name, values in padded(FORGET, pad=pupil.pad).items()}
    with torch.no_grad():
        return pupil.model(**columns).loss.item()


def test_training_lowers_the_loss_and_says_what_it_was(tiny, tmp_path):
    pupil = opened(tiny)
    before = loss_of(pupil)
    done = run(pupil, tmp_path, loss=taught, size=4, settings=Settings(epochs=20, lr=1e-2))
    assert loss_of(pupil) < before / 2
    assert (done.steps, done.rows, done.tokens, done.stopped) == (40, 6, 20 * TOKENS, None)
    assert 0 < done.loss < before
    assert done.seconds > 0 and done.peak_memory_bytes > 1_000_000
    assert not pupil.model.training


def test_the_first_loss_is_transformers_own(tiny, tmp_path):
    pupil = opened(tiny)
    before = loss_of(pupil)
    assert run(pupil, tmp_path, loss=taught, size=6, settings=Settings(epochs=1, lr=1e-9)).loss == pytest.approx(
        before, rel=1e-5
    )


@pytest.mark.parametrize(("epochs", "steps"), [(1, 3), (0.5, 2), (0.1, 1), (2.4, 7)])
def test_epochs_may_be_broken(tiny, tmp_path, epochs, steps):
    assert run(opened(tiny), tmp_path, settings=replace(SETTINGS, epochs=epochs)).steps == steps


def test_bfloat16_computes_otherwise_and_learns_too(tiny, tmp_path):
    def loss(autocast):
        pupil = opened(tiny)
        done = run(pupil, tmp_path / str(autocast), loss=taught, settings=Settings(epochs=10, lr=3e-3), autocast=autocast)
        assert {weight.dtype for weight in pupil.model.parameters()} == {torch.float32}
        return done.loss

    exact, rounded = loss(None), loss(torch.bfloat16)
    assert exact != rounded
    assert exact == pytest.approx(rounded, rel=0.05)


def moments(folder, name):
    """AdamW's, of all weights: its first is 0.1 g after one step, its second 0.001 g², g the clipped gradient."""
    stored = torch.load(last_state(folder) / "optimizer.pt", weights_only=True)["state"].values()
    return torch.cat([moment[name].flatten() for moment in stored])


@pytest.mark.parametrize(("size", "accumulate"), [(3, 2), (2, 3), (1, 6)])
def test_a_step_in_parts_is_the_step_in_one(tiny, tmp_path, size, accumulate):
    """Rows of equal length. The first step of AdamW is lr · sign(g), so weights are compared where g is more than rounding."""
    settings = Settings(epochs=1, lr=1e-3)
    whole, parts = opened(tiny), opened(tiny)
    one = run(whole, tmp_path / "whole", loss=taught, size=6, settings=settings)
    several = run(parts, tmp_path / "parts", loss=taught, size=size, settings=replace(settings, accumulate=accumulate))
    assert one.steps == several.steps == 1
    assert one.tokens == several.tokens
    assert several.loss == pytest.approx(one.loss, rel=1e-5)
    gradients = [moments(tmp_path / name, "exp_avg") * 10 for name in ("whole", "parts")]
    assert torch.allclose(*gradients, rtol=0, atol=1e-6)
    stepped = [torch.cat([weight.flatten() for weight in weights(pupil).values()]) for pupil in (whole, parts)]
    clear = gradients[0].abs() > 1e-4
    assert clear.float().mean() > 0.3
    assert torch.allclose(*(weight[clear] for weight in stepped), rtol=0, atol=1e-6)


def test_the_last_step_of_an_epoch_is_a_mean_of_the_parts_that_are_left(tiny, tmp_path):
    """Six rows in parts of two, two parts a step: the second step has one part, at full weight."""
    weighed = []

    def loss(step):
        value = taught(step)
        value.register_hook(lambda gradient: weighed.append(gradient.item()))
        return value

    done = run(opened(tiny), tmp_path, loss=loss, size=2, settings=Settings(epochs=1, lr=1e-3, accumulate=2))
    assert done.steps == 2
    assert weighed == [0.5, 0.5, 1.0]


def test_the_gradient_is_clipped(tiny, tmp_path):
    """AdamW does not see a gradient's scale, so it is read off its moments."""
    norms = {}
    for clip in (1e-3, 1e6):
        folder = tmp_path / str(clip)
        run(opened(tiny), folder, loss=taught, size=6, settings=Settings(epochs=1, lr=1e-3, clip=clip))
        norms[clip] = (moments(folder, "exp_avg") * 10).norm().item()
    assert norms[1e-3] == pytest.approx(1e-3, rel=0.01)
    assert norms[1e6] > 0.01


def test_weight_decay_shrinks_what_no_gradient_moves(tiny, tmp_path):
    """AdamW: θ ← θ (1 - lr λ) - lr m / (√v + ε), and with a loss that does not depend on θ the second part is 0."""
    pupil = opened(tiny)
    before = weights(pupil)
    run(pupil, tmp_path, loss=lambda step: 0 * taught(step), size=6, settings=Settings(epochs=1, lr=0.1, weight_decay=0.5))
    assert all(torch.allclose(after, before[name] * 0.95, rtol=1e-6) for name, after in weights(pupil).items())


@pytest.mark.parametrize(("schedule", "warmup"), [("constant", 0.0), ("linear", 0.0), ("constant", 0.4), ("linear", 0.4)])
def test_the_schedule_reaches_the_weights(tiny, tmp_path, schedule, warmup):
    """Weight decay with no gradient multiplies by (1 - lr λ) at each step's own rate."""
    pupil = opened(tiny)
    before = weights(pupil)
    settings = Settings(epochs=5, lr=0.1, weight_decay=0.5, schedule=schedule, warmup=warmup)
    run(pupil, tmp_path, loss=lambda step: 0 * taught(step), size=6, settings=settings)
    left = np.prod([1 - 0.1 * 0.5 * rate(step, 5, schedule=schedule, warmup=warmup) for step in range(5)])
    assert all(torch.allclose(after, before[name] * left, rtol=1e-5) for name, after in weights(pupil).items())


def test_the_rate_rises_and_falls_to_nothing_behind_the_last_step():
    rates = [rate(step, 40, schedule="linear", warmup=0.05) for step in range(41)]
    assert rates[:3] == [0, 0.5, 1] and rates[40] == 0
    assert rates[2:] == sorted(rates[2:], reverse=True)
    assert [rate(step, 4, schedule="linear", warmup=0) for step in range(5)] == [1, 0.75, 0.5, 0.25, 0]
    assert [rate(step, 4, schedule="constant", warmup=0.5) for step in range(4)] == [0, 0.5, 1, 1]


def test_a_run_of_few_steps_has_no_warm_up():
    assert [rate(step, 2, schedule="linear", warmup=0.05) for step in range(3)] == [1, 0.5, 0]


def drawn():
    return random.random(), np.random.rand(), torch.rand(1).item()


def test_global_generators_are_put_back(tiny, tmp_path):
    torch.manual_seed(3), random.seed(3), np.random.seed(3)
    expected = drawn()
    torch.manual_seed(3), random.seed(3), np.random.seed(3)
    run(opened(tiny, DROPPING), tmp_path)
    assert drawn() == expected


def test_they_are_put_back_after_a_fault_as_well():
    torch.manual_seed(3), random.seed(3), np.random.seed(3)
    expected = drawn()
    torch.manual_seed(3), random.seed(3), np.random.seed(3)
    with pytest.raises(KeyError), seeded(9):
        inside = drawn()
        raise KeyError
    assert drawn() == expected
    with seeded(9):
        assert drawn() == inside


def test_nothing_is_printed(tiny, tmp_path, capfd):
    run(opened(tiny, DROPPING), tmp_path)
    run(opened(tiny, DROPPING), tmp_path)
    assert capfd.readouterr() == ("", "")


def test_the_environment_is_left_alone(tiny, tmp_path, monkeypatch):
    import os

    monkeypatch.setenv("ACCELERATE_TORCH_DEVICE", "meta")
    before = dict(os.environ)
    run(opened(tiny), tmp_path)
    assert dict(os.environ) == before


@pytest.mark.parametrize("lora", [None, DROPPING])
def test_equal_seeds_give_equal_weights_and_another_seed_others(tiny, tmp_path, lora):
    def trained(name, seed):
        pupil = opened(tiny, lora, seed=seed)
        run(pupil, tmp_path / name, settings=replace(SETTINGS, seed=seed))
        return weights(pupil)

    first = trained("a", 1)
    torch.rand(5)
    assert same(first, trained("b", 1))
    assert not same(first, trained("c", 2))


def test_only_what_is_trainable_moves(tiny, tmp_path):
    pupil = opened(tiny, DROPPING)
    before = {name: weight.detach().clone() for name, weight in pupil.model.named_parameters()}
    run(pupil, tmp_path)
    moved = {name for name, weight in pupil.model.named_parameters() if not torch.equal(weight, before[name])}
    assert moved == set(weights(pupil)) and all("lora_" in name for name in moved)


def spoiling(at):
    """A loss that is no number in the step of that number."""
    asked = []

    def loss(step):
        asked.append(None)
        value = taught(step)
        return value * float("nan") if len(asked) == at else value

    return loss


@pytest.mark.parametrize("at", [1, 2, 6])
def test_a_loss_that_is_no_number_ends_the_training_at_its_step(tiny, tmp_path, at):
    with pytest.raises(TrainingError) as caught:
        run(opened(tiny), tmp_path, loss=spoiling(at))
    assert caught.value.exit_code == ExitCode.BROKEN
    assert f"the loss must be finite; got nan at step {at} with the learning rate 0.003" in str(caught.value)
    kept = last_state(tmp_path)
    assert (kept.name if kept else None) == (f"checkpoint-{at - 1}" if at > 1 else None)


def test_a_run_that_broke_goes_on_from_the_state_before(tiny, tmp_path):
    whole, broken = opened(tiny), opened(tiny)
    run(whole, tmp_path / "whole", loss=taught)
    with pytest.raises(TrainingError):
        run(opened(tiny), tmp_path / "broken", loss=spoiling(6))
    run(broken, tmp_path / "broken", loss=taught)
    assert same(weights(whole), weights(broken))


def test_spoilt_weights_are_never_saved(tiny, tmp_path):
    """A finite loss with a gradient that is not: it shows in the weights alone."""
    asked = []

    def loss(step):
        value = taught(step)
        asked.append(None)
        if len(asked) == 3:
            value.register_hook(lambda gradient: gradient * float("inf"))
        return value

    with pytest.raises(TrainingError, match=r"the weights must be finite; \d+ tensors are not after step 3 .* 0\.003"):
        run(opened(tiny), tmp_path, loss=loss)
    assert last_state(tmp_path).name == "checkpoint-2"
    assert [path.name for path in tmp_path.glob("checkpoint-*")] == ["checkpoint-2"]


@pytest.mark.parametrize("stop", [1, 2, None])
def test_a_stop_rule_is_asked_once_an_epoch_and_ends_the_run(tiny, tmp_path, stop):
    asked = []

    def examine(epoch):
        asked.append(epoch)
        return epoch == stop

    done = run(opened(tiny), tmp_path, settings=replace(SETTINGS, save_every=None), examine=examine)
    assert asked == list(range(1, (stop or 3) + 1))
    assert done.stopped == stop
    assert done.steps == (3 * stop if stop else STEPS)


def test_a_stop_rule_does_not_change_the_training(tiny, tmp_path):
    """It may draw what it likes, and switch the model as it needs."""
    plain, watched = opened(tiny, DROPPING), opened(tiny, DROPPING)
    run(plain, tmp_path / "plain")

    def examine(_):
        watched.model.eval()
        torch.rand(7), random.random(), np.random.rand()
        return False

    run(watched, tmp_path / "watched", examine=examine)
    assert same(weights(plain), weights(watched))


def test_rows_of_the_retain_set_are_drawn(tiny, tmp_path):
    seen = []

    def loss(step):
        seen.extend(step.retain.ids[:, 1].tolist())
        return taught(step)

    run(opened(tiny), tmp_path, loss=loss)
    assert set(seen) <= {row.ids[1] for row in RETAIN} and len(set(seen)) > 1
