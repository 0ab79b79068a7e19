"""One training for all methods: transformers' Trainer, with what it lacks.

The Trainer brings the loop, accumulation, clipping, the schedule and several devices through accelerate (which nobody has
tried here). Added: batches of forget rows with their partners; a state that is whole or not there, and only of weights that
train; a loss that is not a number ends the run; global random generators are left as they were.

::

    STATE/checkpoint-N/    after step N: trainable.safetensors, optimizer.pt, scheduler.pt, rng_state.pth, trainer_state.json
                           history.json, written last: a state without it is not one
"""

from __future__ import annotations

import json
import math
import random
import resource
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from auditkit.errors import TrainingError
from auditkit.files import write_atomically

if TYPE_CHECKING:
    from auditkit.unlearning._objective import Objective
    from auditkit.unlearning._passes import Passes

HISTORY = "history.json"
WEIGHTS = "trainable.safetensors"


@dataclass(frozen=True, slots=True)
class Settings:
    """How weights are moved."""

    epochs: float
    lr: float
    seed: int = 0
    accumulate: int = 1
    schedule: str = "constant"
    """``constant``, or ``linear``: down to 0 behind the last step."""
    warmup: float = 0.0
    """Share of the steps in which the rate rises."""
    weight_decay: float = 0.0
    clip: float = 1.0
    save_every: int | None = None
    """Steps between saved states; None: an epoch."""


@dataclass(frozen=True, slots=True)
class Run:
    """What a training run was."""

    steps: int
    """Optimiser steps."""
    rows: int
    """Rows of one pass: forget rows, or the rows that were taught."""
    tokens: int
    """Tokens that went through the model in training, partners counted, padding and the parent's passes not."""
    loss: float
    """Mean training loss over the whole run."""
    seconds: float
    """Wall time, over every piece of a run that was taken up again."""
    peak_memory_bytes: int | None = None
    """Most memory held: of the device on cuda, of the process elsewhere."""
    stopped: int | None = None
    """Epoch at which the stop rule ended it; None where all epochs were run or there was no rule."""


@dataclass
class History:
    """What a state must remember that the Trainer does not."""

    losses: list[float] = field(default_factory=list)
    tokens: int = 0
    seconds: float = 0.0
    stopped: int | None = None


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Seeds every global generator inside the block, and puts back what was there: peft and dropout draw from them."""
    import numpy as np
    import torch

    before = random.getstate(), np.random.get_state()
    with torch.random.fork_rng():
        random.seed(seed)
        np.random.seed(seed % 2**32)
        torch.manual_seed(seed)
        try:
            yield
        finally:
            random.setstate(before[0])
            np.random.set_state(before[1])


def train(
    objective: Objective,
    passes: Passes,
    settings: Settings,
    *,
    state: Path,
    device: str,
    examine: Callable[[int], bool] | None = None,
) -> Run:
    """Train what is trainable in the objective's model, in place.

    ``state`` is a folder for this run alone: where it holds a whole state the run goes on from it and ends with the same
    weights. ``examine`` is called at the end of every epoch with its number (from 1) and ends the run where it says so.
    Equal arguments give equal weights on the same machine and number of threads.
    Raises TrainingError where the loss or the weights stop being numbers, or where a state cannot be saved; the last good
    state is kept.
    """
    from auditkit.models.loading import quiet
    from auditkit.unlearning._loop import make_trainer

    per_epoch = math.ceil(len(passes) / settings.accumulate)
    steps = max(1, round(settings.epochs * per_epoch))
    start = last_state(state)
    history = _history(start)
    with quiet(), seeded(settings.seed), _only(device):
        trainer = make_trainer(
            objective, passes, settings, state=state, steps=steps, per_epoch=per_epoch, history=history, examine=examine
        )
        if start is not None and (history.stopped is not None or len(history.losses) >= steps):
            trainer._load_from_checkpoint(str(start))
        else:
            trainer.train(resume_from_checkpoint=str(start) if start else None)
    objective.model.eval()
    return Run(
        steps=len(history.losses),
        rows=len(passes.lengths),
        tokens=history.tokens,
        loss=math.fsum(history.losses) / max(1, len(history.losses)),
        seconds=round(history.seconds, 1),
        peak_memory_bytes=_peak(device),
        stopped=history.stopped,
    )


def rate(step: int, steps: int, *, schedule: str, warmup: float) -> float:
    """Share of the peak learning rate: up from 0 in the warm-up, then level, or down to 0 behind the last step.

    Runs of a few steps have no warm-up: their first step would teach nothing.
    """
    rising = round(warmup * steps)
    if step < rising:
        return step / rising
    return (steps - step) / (steps - rising) if schedule == "linear" else 1.0


def last_state(folder: Path) -> Path | None:
    """The newest whole state; those that were being written when a run was killed do not count."""
    whole = [path.parent for path in folder.glob(f"checkpoint-*/{HISTORY}")]
    return max(whole, key=lambda path: int(path.name.rpartition("-")[2]), default=None)


def _history(state: Path | None) -> History:
    return History() if state is None else History(**json.loads((state / HISTORY).read_text()))


def finish_state(folder: Path, history: History) -> None:
    """Declare a state whole, and remove the older ones."""
    write_atomically(folder / HISTORY, json.dumps(asdict(history)) + "\n")
    for other in folder.parent.glob("checkpoint-*"):
        if other != folder:
            shutil.rmtree(other)


@contextmanager
def saving(folder: Path) -> Iterator[None]:
    """A disk that is full takes the unfinished state with it, not the one before. Raises TrainingError."""
    from safetensors import SafetensorError

    try:
        yield
    except (OSError, RuntimeError, SafetensorError) as error:  # torch reports a full disk as RuntimeError
        shutil.rmtree(folder, ignore_errors=True)
        before = last_state(folder.parent)
        kept = f"; the state of step {before.name.rpartition('-')[2]} is kept" if before else ""
        number = folder.name.rpartition("-")[2]
        why = getattr(error, "strerror", None) or str(error).strip().split("\n")[0][:200]
        raise TrainingError(f"the training's state of step {number} must be saved; got: {why}{kept}; run again") from error


@contextmanager
def _only(device: str) -> Iterator[None]:
    """The Trainer runs on this device alone, whatever else there is."""
    import os

    from accelerate.state import AcceleratorState

    word = "ACCELERATE_TORCH_DEVICE"
    before = os.environ.get(word)
    os.environ[word] = device
    AcceleratorState._reset_state(reset_partial_state=True)
    try:
        yield
    finally:
        AcceleratorState._reset_state(reset_partial_state=True)
        if before is None:
            os.environ.pop(word, None)
        else:
            os.environ[word] = before


def _peak(device: str) -> int | None:
    import torch

    if device.startswith("cuda"):
        return int(torch.cuda.max_memory_allocated(device))
    kilobytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return kilobytes if sys.platform == "darwin" else kilobytes * 1024


class Clock:
    """Wall time of a run's pieces, looks from outside left out."""

    def __init__(self, history: History) -> None:
        self._history = history
        self._before = history.seconds
        self._started = time.monotonic()

    @contextmanager
    def stopped(self) -> Iterator[None]:
        """What is done inside is not part of the run."""
        began = time.monotonic()
        try:
            yield
        finally:
            self._started += time.monotonic() - began

    def stop(self) -> None:
        """Bring the history up to now."""
        self._history.seconds = self._before + time.monotonic() - self._started
