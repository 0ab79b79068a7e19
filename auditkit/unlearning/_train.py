"""The training loop.

transformers' Trainer is not used: it seeds global generators, spreads over every GPU that it sees, and would compute
logits of the whole vocabulary for tokens that carry no loss.
"""

from __future__ import annotations

import itertools
import math
import random
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from auditkit.errors import ModelError
from auditkit.unlearning._rows import IGNORED, Row, padded

if TYPE_CHECKING:
    import torch

    from auditkit.spec.model import Finetune

WARM_UP = 0.05
"""Share of the steps in which the learning rate rises."""


@dataclass(frozen=True, slots=True)
class Run:
    """What a training run was."""

    steps: int
    """Optimiser steps."""
    rows: int
    tokens: int
    """Tokens of one pass over the rows, padding not counted."""
    loss: float
    """Mean training loss over the whole run, nats a token."""
    seconds: float


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


@dataclass
class Batches:
    """Batches of row indices, shuffled anew in every pass, each of rows of like length: padding costs as much as text."""

    lengths: Sequence[int]
    size: int
    seed: int
    passes: int = 0
    """Passes begun so far; part of each pass's seed."""

    def __len__(self) -> int:
        return math.ceil(len(self.lengths) / self.size)

    def __iter__(self) -> Iterator[list[int]]:
        rng = random.Random(f"batches/{self.seed}/{self.passes}")  # noqa: S311 (reproducible order, no secret)
        self.passes += 1
        noisy = [length * rng.uniform(1.0, 1.2) for length in self.lengths]
        order = sorted(range(len(self.lengths)), key=noisy.__getitem__)
        batches = [order[start : start + self.size] for start in range(0, len(order), self.size)]
        rng.shuffle(batches)
        yield from batches


def train(
    model: Any, rows: Sequence[Row], params: Finetune, *, pad: int, device: str, autocast: torch.dtype | None = None
) -> Run:
    """Train in place what is trainable: AdamW, linear warm-up then linear decay, gradient norm clipped at 1.

    ``model`` holds float32 weights, whole or with a LoRA adapter; ``autocast`` is the precision of the computation where
    that is another one. Equal arguments give equal weights on the same machine and number of threads. Raises ModelError where
    the loss stops being a number: the weights are spoilt then.
    """
    import torch

    started = time.monotonic()
    weights = [weight for weight in model.parameters() if weight.requires_grad]
    steps = max(1, round(params.epochs * math.ceil(len(rows) / params.batch)))
    optimiser = torch.optim.AdamW(weights, lr=params.lr, weight_decay=0.0, fused=True)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: _rate(step, steps))
    losses: list[float] = []
    model.train()
    with seeded(params.seed):
        for batch in _batches(rows, params, steps=steps, pad=pad, device=device):
            with torch.autocast(torch.device(device).type, dtype=autocast, enabled=autocast is not None):
                loss = answer_loss(model, batch)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(weights, 1.0)
            optimiser.step()
            schedule.step()
            optimiser.zero_grad(set_to_none=True)
            losses.append(_finite(loss.item(), step=len(losses) + 1))
    model.eval()
    tokens = sum(len(row.ids) for row in rows)
    return Run(steps, len(rows), tokens, math.fsum(losses) / steps, round(time.monotonic() - started, 1))


def _rate(step: int, steps: int) -> float:
    """Share of the peak learning rate: up from 0 in the first WARM_UP of the steps, then down to 0 behind the last.

    Runs of a few steps have no warm-up: their first step would teach nothing.
    """
    warm_up = round(WARM_UP * steps)
    return step / warm_up if step < warm_up else (steps - step) / (steps - warm_up)


def _batches(rows: Sequence[Row], params: Finetune, *, steps: int, pad: int, device: str) -> Iterator[dict[str, torch.Tensor]]:
    import torch

    passes = Batches([len(row.ids) for row in rows], size=params.batch, seed=params.seed)
    chosen = itertools.islice(itertools.chain.from_iterable(itertools.repeat(passes)), steps)
    for indices in chosen:
        columns = padded([rows[index] for index in indices], pad=pad)
        yield {name: torch.tensor(values, device=device) for name, values in columns.items()}


def _finite(loss: float, *, step: int) -> float:
    if not math.isfinite(loss):
        raise ModelError(f"training must have a finite loss; got {loss} at step {step}; lower the learning rate")
    return loss


def answer_loss(model: Any, inputs: Any) -> Any:
    """Mean cross-entropy over the labelled tokens, in float32.

    The head runs on the positions that predict a label only: most tokens of a question have none, and a vocabulary's width
    of logits for each would cost as much as a third of the network.
    """
    import torch

    base = model.get_base_model() if hasattr(model, "get_base_model") else model
    hidden = base.base_model(
        input_ids=inputs["input_ids"], attention_mask=inputs["attention_mask"], use_cache=False
    ).last_hidden_state
    labels = inputs["labels"][:, 1:]
    wanted = labels != IGNORED
    logits = base.get_output_embeddings()(hidden[:, :-1][wanted]).float()
    return torch.nn.functional.cross_entropy(logits, labels[wanted])
