"""The subclass of transformers' Trainer; a module of its own, since it can only be defined where torch is loaded."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from transformers import PrinterCallback, Trainer, TrainerCallback, TrainingArguments

from auditkit.errors import TrainingError
from auditkit.unlearning._objective import refuse_spoilt
from auditkit.unlearning._passes import Passes
from auditkit.unlearning._settings import Settings, rate, seeded
from auditkit.unlearning._state import WEIGHTS, Clock, History, finish_state, saving


def make_trainer(
    objective: Any,
    passes: Passes,
    settings: Settings,
    *,
    state: Path,
    steps: int,
    per_epoch: int,
    history: History,
    examine: Callable[[int], bool] | None,
    look: Callable[[int], None] | None = None,
) -> _Trainer:
    """A Trainer that runs ``steps`` optimiser steps and keeps ``history`` up to date."""
    weights = [weight for weight in objective.model.parameters() if weight.requires_grad]
    optimiser = torch.optim.AdamW(weights, lr=settings.lr, weight_decay=settings.weight_decay, fused=True)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimiser, lambda step: rate(step, steps, schedule=settings.schedule, warmup=settings.warmup)
    )
    arguments = TrainingArguments(
        output_dir=str(state),
        max_steps=steps,
        per_device_train_batch_size=passes.size,
        gradient_accumulation_steps=settings.accumulate,
        max_grad_norm=settings.clip,
        seed=settings.seed,
        save_strategy="no",
        logging_strategy="no",
        report_to=[],
        disable_tqdm=True,
        remove_unused_columns=False,
        dataloader_pin_memory=False,
        use_cpu=weights[0].device.type == "cpu",  # on a machine with a GPU the Trainer would count the loss there
    )
    arguments._n_gpu = min(arguments.n_gpu, 1)  # read first: the property fills the field; more would split every batch
    trainer = _Trainer(
        model=objective,
        args=arguments,
        data_collator=objective.lessons.collate,
        train_dataset=objective.lessons,
        optimizers=(optimiser, schedule),
        callbacks=[_Bookkeeper(passes, settings, history, per_epoch=per_epoch, examine=examine, look=look)],
        passes=passes,
        history=history,
        peak_rate=settings.lr,
    )
    trainer.remove_callback(PrinterCallback)
    return trainer


class _Bookkeeper(TrainerCallback):  # type: ignore[misc]
    """Which epoch it is, what is remembered, when a state is saved and when the run ends."""

    def __init__(
        self,
        passes: Passes,
        settings: Settings,
        history: History,
        *,
        per_epoch: int,
        examine: Callable[[int], bool] | None,
        look: Callable[[int], None] | None,
    ) -> None:
        self._passes, self._history, self._examine, self._look = passes, history, examine, look
        self._per_epoch = per_epoch
        self._save_every = settings.save_every or per_epoch
        self._clock = Clock(history)

    def on_epoch_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self._passes.epoch = state.global_step // self._per_epoch

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        epoch, rest = divmod(state.global_step, self._per_epoch)
        if rest == 0 and self._meets_the_rule(epoch):
            self._history.stopped = epoch
            control.should_training_stop = control.should_save = True
        if self._look is not None:
            with seeded(state.global_step), self._clock.stopped():
                self._look(state.global_step)
        if state.global_step % self._save_every == 0 or state.global_step == state.max_steps:
            control.should_save = True
        self._clock.stop()

    def _meets_the_rule(self, epoch: int) -> bool:
        if self._examine is None:
            return False
        # What the look draws, or finds measured already, must not move the dropout of the steps behind it.
        with seeded(epoch), self._clock.stopped():
            return self._examine(epoch)


class _Trainer(Trainer):  # type: ignore[misc]
    def __init__(self, *, passes: Passes, history: History, peak_rate: float, **words: Any) -> None:
        super().__init__(**words)
        self._passes, self._history, self._peak_rate = passes, history, peak_rate
        self._parts: list[float] = []

    def get_train_dataloader(self) -> Any:
        loader = torch.utils.data.DataLoader(self.train_dataset, batch_sampler=self._passes, collate_fn=self.data_collator)
        return self.accelerator.prepare(loader)

    def compute_loss(self, model: Any, inputs: Any, return_outputs: bool = False, num_items_in_batch: Any = None) -> Any:
        loss = model(**inputs)
        value = refuse_spoilt(loss.item(), step=self.state.global_step + 1, lr=self._peak_rate)
        self._parts.append(value)
        self._history.tokens += sum(int(part["attention_mask"].sum()) for part in inputs.values())
        if self.accelerator.sync_gradients:
            self._history.losses.append(sum(self._parts) / len(self._parts))
            self._parts = []
        return loss

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        folder = Path(self.args.output_dir) / f"checkpoint-{self.state.global_step}"
        spoilt = [name for name, weight in self._trainable().items() if not torch.isfinite(weight).all()]
        if spoilt:
            raise TrainingError(
                f"the weights must be finite; {len(spoilt)} tensors are not after step {self.state.global_step} with the "
                f"learning rate {self._peak_rate:g}; the last good state is kept; lower lr"
            )
        with saving(folder):
            super()._save_checkpoint(model, trial)
            finish_state(folder, self._history)

    def _save(self, output_dir: str | None = None, state_dict: Any = None) -> None:
        folder = Path(str(output_dir))
        folder.mkdir(parents=True, exist_ok=True)
        save_file({name: weight.detach().contiguous() for name, weight in self._trainable().items()}, folder / WEIGHTS)

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: Any = None) -> None:
        saved = load_file(Path(resume_from_checkpoint) / WEIGHTS)
        with torch.no_grad():
            for name, weight in self._trainable().items():
                weight.copy_(saved[name])

    def _trainable(self) -> dict[str, Any]:
        model = self.accelerator.unwrap_model(self.model)
        return {name: weight for name, weight in model.model.named_parameters() if weight.requires_grad}
