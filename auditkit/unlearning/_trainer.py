"""One training for all methods: transformers' Trainer, with what it lacks.

The Trainer brings the loop, accumulation, clipping, the schedule and several devices through accelerate (which nobody has
tried here). Added: batches of forget rows with their partners; a state that is whole or not there, and only of weights that
train; a loss that is not a number ends the run; global random generators are left as they were.
"""

from __future__ import annotations

import math
import resource
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from auditkit.unlearning._settings import Settings, seeded
from auditkit.unlearning._state import history_of, last_state

if TYPE_CHECKING:
    from auditkit.unlearning._objective import Objective
    from auditkit.unlearning._passes import Passes


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


def train(
    objective: Objective,
    passes: Passes,
    settings: Settings,
    *,
    state: Path,
    device: str,
    examine: Callable[[int], bool] | None = None,
    look: Callable[[int], None] | None = None,
) -> Run:
    """Train what is trainable in the objective's model, in place.

    ``state`` is a folder for this run alone: where it holds a whole state the run goes on from it and ends with the same
    weights. ``examine`` is called at the end of every epoch with its number (from 1) and ends the run where it says so;
    ``look`` after every step with its number, before a state is saved: again for the steps behind the last state, where the
    run was killed.
    Equal arguments give equal weights on the same machine and number of threads.
    Raises TrainingError where the loss or the weights stop being numbers, or where a state cannot be saved; the last good
    state is kept.
    """
    from auditkit.models.loading import quiet
    from auditkit.unlearning._loop import make_trainer

    per_epoch = math.ceil(len(passes) / settings.accumulate)
    steps = max(1, round(settings.epochs * per_epoch))
    start = last_state(state)
    history = history_of(start)
    with quiet(), seeded(settings.seed), _only(device):
        trainer = make_trainer(
            objective,
            passes,
            settings,
            state=state,
            steps=steps,
            per_epoch=per_epoch,
            history=history,
            examine=examine,
            look=look,
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
