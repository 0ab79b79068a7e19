"""How weights are moved, and the draws of a run."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass


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


def rate(step: int, steps: int, *, schedule: str, warmup: float) -> float:
    """Share of the peak learning rate: up from 0 in the warm-up, then level, or down to 0 behind the last step.

    Runs of a few steps have no warm-up: their first step would teach nothing.
    """
    rising = round(warmup * steps)
    if step < rising:
        return step / rising
    return (steps - step) / (steps - rising) if schedule == "linear" else 1.0


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
