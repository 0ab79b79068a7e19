"""The training loop: transformers' Trainer, with logits computed only where there is a label."""

from __future__ import annotations

import random
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from auditkit.unlearning._rows import IGNORED, Row, padded

if TYPE_CHECKING:
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
    """Seeds every global generator inside the block, and puts back what was there: Trainer and peft draw from them."""
    import numpy as np
    import torch

    before = random.getstate(), np.random.get_state()  # noqa: NPY002
    with torch.random.fork_rng():
        random.seed(seed)
        np.random.seed(seed % 2**32)  # noqa: NPY002
        torch.manual_seed(seed)
        try:
            yield
        finally:
            random.setstate(before[0])
            np.random.set_state(before[1])  # noqa: NPY002


@dataclass
class Batches:
    """Batches of row indices, shuffled anew in every pass, each of rows of like length: padding costs as much as text."""

    lengths: Sequence[int]
    size: int
    seed: int
    passes: int = 0
    """Passes begun so far; part of each pass's seed."""

    def __len__(self) -> int:
        return -(-len(self.lengths) // self.size)

    def __iter__(self) -> Iterator[list[int]]:
        rng = random.Random(f"batches/{self.seed}/{self.passes}")  # noqa: S311 (reproducible order, no secret)
        self.passes += 1
        noisy = [length * rng.uniform(1.0, 1.2) for length in self.lengths]
        order = sorted(range(len(self.lengths)), key=noisy.__getitem__)
        batches = [order[start : start + self.size] for start in range(0, len(order), self.size)]
        rng.shuffle(batches)
        yield from batches


def train(model: Any, rows: Sequence[Row], params: Finetune, *, pad: int, device: str, autocast: bool) -> Run:
    """Train in place: AdamW, linear warm-up then linear decay, gradient norm clipped at 1.

    ``model`` holds float32 weights, whole or with a LoRA adapter; ``autocast`` computes in bfloat16. Equal arguments give
    equal weights on the same machine and number of threads.
    """
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as scratch, seeded(params.seed):
        trainer = _trainer(model, rows, params, pad=pad, device=device, autocast=autocast, scratch=scratch)
        outcome = trainer.train()
    model.eval()
    tokens = sum(len(row.ids) for row in rows)
    seconds = round(time.monotonic() - started, 1)
    return Run(outcome.global_step, len(rows), tokens, float(outcome.training_loss), seconds)


def _trainer(model: Any, rows: Sequence[Row], params: Finetune, *, pad: int, device: str, autocast: bool, scratch: str) -> Any:
    import torch
    from transformers import PrinterCallback, Trainer, TrainingArguments

    class AnswerTrainer(Trainer):  # type: ignore[misc]
        def compute_loss(self, model: Any, inputs: Any, return_outputs: bool = False, **_: Any) -> Any:
            # Trainer's own bf16 switch wraps the model's forward only, and answer_loss goes round that.
            with torch.autocast(torch.device(device).type, dtype=torch.bfloat16, enabled=autocast):
                loss = answer_loss(model, inputs)
            return (loss, None) if return_outputs else loss

        def get_train_dataloader(self) -> Any:
            batches = Batches([len(row.ids) for row in rows], size=params.batch, seed=params.seed)
            return torch.utils.data.DataLoader(self.train_dataset, batch_sampler=batches, collate_fn=collate)

    def collate(batch: list[Row]) -> dict[str, Any]:
        return {name: torch.tensor(values) for name, values in padded(batch, pad=pad).items()}

    steps = round(params.epochs * -(-len(rows) // params.batch))
    arguments = TrainingArguments(
        output_dir=scratch,
        max_steps=max(1, steps),
        per_device_train_batch_size=params.batch,
        learning_rate=params.lr,
        lr_scheduler_type="linear",
        warmup_steps=max(1, round(WARM_UP * steps)),
        weight_decay=0.0,
        max_grad_norm=1.0,
        seed=params.seed,
        use_cpu=device == "cpu",
        save_strategy="no",
        logging_strategy="no",
        report_to=[],
        disable_tqdm=True,
        remove_unused_columns=False,
        dataloader_pin_memory=False,
    )
    trainer = AnswerTrainer(model=model, args=arguments, train_dataset=list(rows), data_collator=collate)
    trainer.remove_callback(PrinterCallback)
    return trainer


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


def as_json(run: Run) -> dict[str, Any]:
    """The run as the note beside the weights records it."""
    return asdict(run)
