"""What is minimised, as one torch module: the model in training, the parent, and a method's loss between them."""

from __future__ import annotations

import copy
import functools
import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, Any

from auditkit.errors import TrainingError
from auditkit.unlearning._rows import padded
from auditkit.unlearning._step import Batch, Network, Step

if TYPE_CHECKING:
    import torch

    from auditkit.unlearning._passes import Draw
    from auditkit.unlearning._rows import Row

Loss = Any
"""``Callable[[Step], Tensor]``."""
_SUMS_ROWS = 8
"""Rows of one pass when the parent's log-probabilities are computed."""


class Lessons:
    """The rows of a run, and how a list of draws becomes a batch."""

    def __init__(
        self, forget: Sequence[Row], *, retain: Sequence[Row] = (), others: Sequence[Sequence[Row]] = (), pad: int
    ) -> None:
        self.forget, self.retain, self.others, self.pad = forget, retain, others, pad
        self.parent_sums: dict[str, Any] = {}
        """``forget`` and ``other``: the parent's log-probability of each row, where the loss asks for it."""

    def __getitem__(self, draw: Draw) -> Draw:
        return draw

    def __len__(self) -> int:
        return len(self.forget)

    def collate(self, draws: Sequence[Draw]) -> dict[str, dict[str, Any]]:
        """Draws → tensors by role."""
        columns = {"forget": self._tensors([self.forget[draw.forget] for draw in draws])}
        if self.retain:
            columns["retain"] = self._tensors([self.retain[draw.retain or 0] for draw in draws])
        if self.others:
            columns["other"] = self._tensors([self.others[draw.forget][draw.other or 0] for draw in draws])
        if self.parent_sums:
            forget = [draw.forget for draw in draws]
            columns["forget"]["parent_sums"] = self.parent_sums["forget"][forget]
            if self.others:
                columns["other"]["parent_sums"] = self.parent_sums["other"][forget, [draw.other or 0 for draw in draws]]
        return columns

    def remember_parent(self, network: Network, device: str, *, autocast: Any) -> None:
        """Ask the parent once for the log-probability of every forget row and of its other answers."""
        import torch

        def sums(rows: Sequence[Row]) -> Any:
            parts = [rows[start : start + _SUMS_ROWS] for start in range(0, len(rows), _SUMS_ROWS)]
            found = [network.tokens(batch_of(self._tensors(part), device)).sums().cpu() for part in parts]
            return torch.cat(found)

        # In the training's own precision: at the first step the model must not differ from its parent.
        kind = torch.device(device).type
        with torch.no_grad(), torch.autocast(kind, dtype=autocast, enabled=autocast is not None):
            self.parent_sums = {"forget": sums(self.forget)}
            if self.others:
                flat = sums([row for rows in self.others for row in rows])
                self.parent_sums["other"] = flat.reshape(len(self.others), -1)

    def _tensors(self, rows: Sequence[Row]) -> dict[str, Any]:
        import torch

        return {name: torch.tensor(values) for name, values in padded(rows, pad=self.pad).items()}


def batch_of(columns: Mapping[str, Any], device: Any) -> Batch:
    """Tensors of one role as a Batch on the device."""
    on = {name: tensor.to(device) for name, tensor in columns.items()}
    return Batch(on["input_ids"], on["labels"], on["attention_mask"], on.get("parent_sums"))


def frozen_copy(model: Any) -> Any:
    """The model as it is now, once more."""
    return copy.deepcopy(model).eval().requires_grad_(False)


@contextmanager
def as_parent(model: Any) -> Iterator[None]:
    """Inside, a peft model is what it was before its adapter: adapter and dropout off, no gradient."""
    import torch

    training = model.training
    model.eval()
    try:
        with torch.no_grad(), model.disable_adapter() if hasattr(model, "disable_adapter") else nullcontext():
            yield
    finally:
        model.train(training)


def parent_of(model: Any, *, asked: bool, adapter: bool) -> Network:
    """The frozen parent: the model with its adapter off, a copy, or one that must not be asked."""
    if not asked:
        return Network(None, _refuse)
    if adapter:
        return Network(model, functools.partial(as_parent, model))
    copied = frozen_copy(model)
    return Network(copied, functools.partial(as_parent, copied))


def _refuse() -> Any:
    raise AssertionError("the method did not declare that its loss asks the parent")


def _module() -> type[Any]:
    """The class, made where torch is there: listing methods must not load it."""
    import torch

    class _Objective(torch.nn.Module):
        def __init__(self, model: Any, parent: Network, loss: Loss, lessons: Lessons, *, autocast: Any, seed: int) -> None:
            super().__init__()
            self.model = model
            self._parent = [parent]  # in a list, so that torch does not take a copied parent for a part of this module
            self._loss = loss
            self.lessons = lessons
            self._autocast = autocast
            self._seed = seed
            self._kept: dict[str, Any] = {}

        def forward(self, **columns: Any) -> torch.Tensor:
            device = next(self.model.parameters()).device
            batches = {role: batch_of(part, device) for role, part in columns.items()}
            step = Step(
                Network(self.model, nullcontext),
                self._parent[0],
                batches["forget"],
                batches.get("retain"),
                batches.get("other"),
                seed=self._seed,
                kept=self._kept,
            )
            with torch.autocast(device.type, dtype=self._autocast, enabled=self._autocast is not None):
                loss: torch.Tensor = self._loss(step)
            return loss

    return _Objective


Objective = Any
"""A module whose ``forward`` takes a collated batch by role and gives the loss; its ``model`` is what trains."""


def make_objective(
    model: Any, parent: Network, loss: Loss, lessons: Lessons, *, autocast: Any = None, seed: int = 0
) -> Objective:
    """The module for the trainer."""
    return _module()(model, parent, loss, lessons, autocast=autocast, seed=seed)


def refuse_spoilt(value: float, *, step: int, lr: float) -> float:
    """The loss, where it is a number. Raises TrainingError."""
    if not math.isfinite(value):
        raise TrainingError(
            f"the loss must be finite; got {value} at step {step} with the learning rate {lr:g}; "
            "the last good state is kept; lower lr, or give clip or warmup"
        )
    return value
