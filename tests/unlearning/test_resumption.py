"""Killed at any moment and run again, a training ends with the same weights, bit for bit."""

from __future__ import annotations

import errno
import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from safetensors.torch import load_file

from auditkit.errors import ExitCode, TrainingError
from auditkit.unlearning import _loop as loop
from auditkit.unlearning._state import HISTORY, last_state
from tests.unlearning.small_runs import DROPPING, PIECES, SETTINGS, STEPS, opened, run, same, weights

ROOT = Path(__file__).parents[2]
KINDS = pytest.mark.parametrize("lora", [None, DROPPING], ids=["all-weights", "lora-with-dropout"])


class Killed(BaseException):
    """Stands for the end of the process: nobody may catch it."""


@pytest.fixture(scope="module")
def whole(tiny, tmp_path_factory):
    """Weights and account of runs that nobody interrupted, by adapter and by what differs from the usual settings."""
    known = {}

    def ended(lora=None, **changes):
        key = repr((lora, changes))
        if key not in known:
            pupil = opened(tiny, lora)
            done = run(pupil, tmp_path_factory.mktemp("whole"), settings=replace(SETTINGS, **changes))
            known[key] = weights(pupil), done
        return known[key]

    return ended


def interrupted(monkeypatch, at, *, whole_state):
    """The process ends at the state of step ``at``, just before or just after it is declared whole."""
    finish = loop.finish_state

    def killed(folder, history):
        number = int(folder.name.rpartition("-")[2])
        if number != at or whole_state:
            finish(folder, history)
        if number == at:
            raise Killed

    monkeypatch.setattr(loop, "finish_state", killed)


MOMENTS = [*((step, True) for step in range(1, STEPS + 1)), *((step, False) for step in (1, 3, 5, STEPS))]


@KINDS
@pytest.mark.parametrize(("at", "whole_state"), MOMENTS, ids=[f"{n}-{'whole' if w else 'half-written'}" for n, w in MOMENTS])
def test_a_run_that_ends_at_any_state_goes_on_to_the_same_weights(tiny, tmp_path, monkeypatch, whole, lora, at, whole_state):
    with monkeypatch.context() as patch, pytest.raises(Killed):
        interrupted(patch, at, whole_state=whole_state)
        run(opened(tiny, lora), tmp_path)
    assert (tmp_path / f"checkpoint-{at}" / HISTORY).exists() == whole_state
    pupil = opened(tiny, lora)
    done = run(pupil, tmp_path)
    expected, account = whole(lora)
    assert same(weights(pupil), expected)
    assert (done.steps, done.tokens, done.loss) == (account.steps, account.tokens, account.loss)


@pytest.mark.parametrize("changes", [{"save_every": 2}, {"save_every": None}, {"accumulate": 2}, {"schedule": "constant"}])
@pytest.mark.parametrize("nth", [0, 1, -1])
def test_so_it_does_however_often_states_are_saved(tiny, tmp_path, monkeypatch, whole, changes, nth):
    settings = replace(SETTINGS, **changes)
    expected, account = whole(**changes)
    every = settings.save_every or -(-3 // settings.accumulate)
    saved = sorted({*range(every, account.steps + 1, every), account.steps})
    with monkeypatch.context() as patch, pytest.raises(Killed):
        interrupted(patch, saved[nth], whole_state=True)
        run(opened(tiny), tmp_path, settings=settings)
    pupil = opened(tiny)
    run(pupil, tmp_path, settings=settings)
    assert same(weights(pupil), expected)


@KINDS
def test_a_finished_run_is_not_trained_again(tiny, tmp_path, monkeypatch, whole, lora):
    run(opened(tiny, lora), tmp_path)
    pupil = opened(tiny, lora)
    monkeypatch.setattr(loop._Trainer, "compute_loss", None)
    done = run(pupil, tmp_path)
    expected, account = whole(lora)
    assert same(weights(pupil), expected)
    assert (done.steps, done.tokens, done.loss) == (account.steps, account.tokens, account.loss)


def test_only_the_newest_state_is_kept(tiny, tmp_path):
    run(opened(tiny), tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [f"checkpoint-{STEPS}"]


def test_of_two_whole_states_the_newer_counts(tmp_path):
    """Between the declaration of a state and the removal of the one before; 10 is newer than 9."""
    for step in (9, 10, 11):
        (tmp_path / f"checkpoint-{step}").mkdir()
    for step in (9, 10):
        (tmp_path / f"checkpoint-{step}" / HISTORY).write_text("{}")
    assert last_state(tmp_path).name == "checkpoint-10"
    assert last_state(tmp_path / "nowhere") is None


def test_an_adapters_state_holds_the_adapter_alone(tiny, tmp_path):
    pupil = opened(tiny, DROPPING)
    run(pupil, tmp_path)
    assert set(load_file(last_state(tmp_path) / "trainable.safetensors")) == set(weights(pupil))


@pytest.mark.parametrize("stop", [1, 2])
@pytest.mark.parametrize("died", [True, False], ids=["killed while looking", "killed behind the state"])
def test_a_run_that_a_stop_rule_ended_stays_ended(tiny, tmp_path, monkeypatch, stop, died):
    settings = replace(SETTINGS, save_every=None)
    pupil = opened(tiny)
    run(pupil, tmp_path / "whole", settings=settings, examine=lambda epoch: epoch == stop)
    asked = []

    def examine(epoch):
        asked.append(epoch)
        if died and asked == [*range(1, stop + 1)]:
            raise Killed
        return epoch == stop

    with monkeypatch.context() as patch, pytest.raises(Killed):
        if not died:
            interrupted(patch, 3 * stop, whole_state=True)
        run(opened(tiny), tmp_path / "broken", settings=settings, examine=examine)
    again = opened(tiny)
    done = run(again, tmp_path / "broken", settings=settings, examine=examine)
    assert asked == [*range(1, stop + 1), *([stop] if died else [])]
    assert (done.stopped, done.steps) == (stop, 3 * stop)
    assert same(weights(pupil), weights(again))


def full(*_, **__):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def full_to_torch(*_, **__):
    raise RuntimeError("[enforce fail at inline_container.cc:664] . unexpected pos 64 vs 0\nand more lines")


@pytest.mark.parametrize("at", [1, 5, STEPS])
@pytest.mark.parametrize(
    ("what", "fault", "told"),
    [
        ("safetensors", full, "No space left on device"),
        ("torch", full_to_torch, "[enforce fail at inline_container.cc:664] . unexpected pos 64 vs 0"),
        ("history", full, "No space left on device"),
    ],
)
def test_a_full_disk_costs_the_state_that_was_being_written(tiny, tmp_path, monkeypatch, whole, at, what, fault, told):
    import torch

    owner, name = {
        "safetensors": (loop, "save_file"),
        "torch": (torch, "save"),
        "history": (loop, "finish_state"),
    }[what]
    real = getattr(owner, name)

    def failing(*args, **kwargs):
        reached = any(path.name == f"checkpoint-{at}" for path in tmp_path.glob("checkpoint-*"))
        return (fault if reached else real)(*args, **kwargs)

    with monkeypatch.context() as patch, pytest.raises(TrainingError) as caught:
        patch.setattr(owner, name, failing)
        run(opened(tiny, DROPPING), tmp_path)
    kept = f"; the state of step {at - 1} is kept" if at > 1 else ""
    assert str(caught.value) == f"the training's state of step {at} must be saved; got: {told}{kept}; run again"
    assert caught.value.exit_code == ExitCode.BROKEN
    assert [path.name for path in tmp_path.iterdir()] == ([f"checkpoint-{at - 1}"] if at > 1 else [])
    pupil = opened(tiny, DROPPING)
    run(pupil, tmp_path)
    assert same(weights(pupil), whole(DROPPING)[0])


@KINDS
def test_a_process_killed_again_and_again_ends_like_an_uninterrupted_one(tiny, tmp_path, whole, lora):
    shutil.copytree(tiny.path, tmp_path / "base")
    done = subprocess.run(
        [sys.executable, "-m", "tests.unlearning.small_runs", str(tmp_path), "lora" if lora else "all", "11"],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
        timeout=300,
    )
    rounds, expected = json.loads(done.stdout), whole(lora)[0]
    assert sum(map(len, rounds)) >= PIECES
    for number, steps in enumerate(rounds):
        assert steps == sorted(steps) and steps[-1] == STEPS
        ended = load_file(tmp_path / f"round-{number}" / "end.safetensors")
        assert same({name: ended[name] for name in expected}, expected) and ended.keys() == expected.keys()
