"""What a loss sees: a micro-batch, the model in training, and the model as it was.

::

    step.forget, step.retain, step.other      Batch: ids, mask, labels, and which rows
    step.model.tokens(batch)                  Tokens: log p of every labelled token
    step.model.logits(batch)                  Logits: the whole vocabulary at the positions that predict a label
    step.model.logits(batch, everywhere=True)         … at every position that predicts a real token, prompt included
    step.model.hidden(batch, layer=ℓ)         activations behind layer ℓ at labelled positions
    step.parent.…                             the same of the frozen parent, without gradient

The vocabulary-wide head runs only on the positions that are asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from auditkit.unlearning._rows import IGNORED

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class Batch:
    """Right-padded rows on the model's device."""

    ids: torch.Tensor
    """(rows, length) int64."""
    labels: torch.Tensor
    """Like ``ids``; IGNORED where a token carries no loss."""
    mask: torch.Tensor
    """Like ``ids``; 1 for real tokens."""
    parent_sums: torch.Tensor | None = None
    """(rows,) float32: the parent's sum of log p over each row's labelled tokens, where the method asked for sums."""

    @property
    def rows(self) -> int:
        """How many rows."""
        return int(self.ids.shape[0])


@dataclass(frozen=True)
class Tokens:
    """Labelled tokens of a batch, flat, row after row, in order."""

    logprob: torch.Tensor
    """(tokens,) float32: log p(token | what stands before it), at most 0."""
    row: torch.Tensor
    """(tokens,) int64: the row that each belongs to."""
    rows: int

    def sums(self) -> torch.Tensor:
        """(rows,): log-probability of each row's answer."""
        import torch

        return torch.zeros(self.rows, device=self.logprob.device).index_add(0, self.row, self.logprob)

    def lengths(self) -> torch.Tensor:
        """(rows,) float32: labelled tokens of each row."""
        import torch

        return torch.zeros(self.rows, device=self.logprob.device).index_add(0, self.row, torch.ones_like(self.logprob))

    def means(self) -> torch.Tensor:
        """(rows,): mean log-probability of each row's tokens."""
        return self.sums() / self.lengths()

    def nll(self) -> torch.Tensor:
        """Scalar: mean negative log-likelihood over all tokens of the batch (the cross-entropy of every source)."""
        return -self.logprob.mean()


@dataclass(frozen=True)
class Logits:
    """Predictions at some positions of a batch, flat."""

    values: torch.Tensor
    """(positions, vocabulary) float32, not normalised."""
    labels: torch.Tensor
    """(positions,) int64: the token that stands there."""
    row: torch.Tensor
    """(positions,) int64."""
    rows: int


@dataclass(frozen=True)
class Network:
    """A causal language model, asked the ways that losses ask."""

    model: Any
    """A transformers model, or a peft model around one."""
    around: Callable[[], AbstractContextManager[Any]]
    """Entered around every pass: no gradient and adapter off for the parent, nothing for the model in training."""

    def tokens(self, batch: Batch) -> Tokens:
        """log p of every labelled token."""
        import torch

        found = self.logits(batch)
        logprob = -torch.nn.functional.cross_entropy(found.values, found.labels, reduction="none")
        return Tokens(logprob, found.row, found.rows)

    def logits(self, batch: Batch, *, everywhere: bool = False) -> Logits:
        """Logits at the positions that predict a labelled token, or any real token."""
        with self.around():
            hidden = self._inner().base_model(
                input_ids=batch.ids, attention_mask=batch.mask, use_cache=False
            ).last_hidden_state  # fmt: skip
            wanted, labels = positions(batch, everywhere=everywhere)
            values = self._inner().get_output_embeddings()(hidden[:, :-1][wanted]).float()
        return Logits(values, labels[wanted], wanted.nonzero()[:, 0], batch.rows)

    def hidden(self, batch: Batch, *, layer: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Activations behind decoder layer ``layer`` (0 is the first) at labelled tokens: (tokens, width), and their rows.

        A token's own position, not the one that predicts it. Nothing above the layer is computed.
        """
        with self.around():
            states = _behind(self._inner().base_model, layer, batch)
        wanted = batch.labels != IGNORED
        return states[wanted].float(), wanted.nonzero()[:, 0]

    @property
    def layers(self) -> int:
        """How many decoder layers it has."""
        return len(decoder_layers(self._inner().base_model))

    def _inner(self) -> Any:
        return self.model.get_base_model() if hasattr(self.model, "get_base_model") else self.model


def positions(batch: Batch, *, everywhere: bool) -> tuple[torch.Tensor, torch.Tensor]:
    """(rows, length - 1) booleans of the positions whose next token is wanted, and the next tokens."""
    following = batch.ids[:, 1:]
    wanted = batch.mask[:, 1:].bool() if everywhere else batch.labels[:, 1:] != IGNORED
    return wanted, following


class _Reached(Exception):  # noqa: N818 (control flow, not a fault)
    """Ends a forward pass behind the layer that is asked for."""


def _behind(backbone: Any, layer: int, batch: Batch) -> torch.Tensor:
    kept: list[torch.Tensor] = []

    def keep(_module: Any, _inputs: Any, output: Any) -> None:
        kept.append(output[0] if isinstance(output, tuple) else output)
        raise _Reached

    with _hooked(decoder_layers(backbone)[layer], keep), suppress(_Reached):
        backbone(input_ids=batch.ids, attention_mask=batch.mask, use_cache=False)
    return kept[0]


@contextmanager
def _hooked(module: Any, hook: Any) -> Iterator[None]:
    handle = module.register_forward_hook(hook)
    try:
        yield
    finally:
        handle.remove()


def decoder_layers(backbone: Any) -> Any:
    """The decoder's list of layers: the one module list as long as the configuration says."""
    import torch

    wanted = backbone.config.get_text_config(decoder=True).num_hidden_layers
    return next(m for m in backbone.modules() if isinstance(m, torch.nn.ModuleList) and len(m) == wanted)


@dataclass(frozen=True)
class Step:
    """One micro-batch and the two models."""

    model: Network
    parent: Network
    """Refuses to be asked where the method did not declare that it asks."""
    forget: Batch
    retain: Batch | None = None
    """As many rows as ``forget``; None where the method keeps nothing."""
    other: Batch | None = None
    """The forget questions with another answer, row for row (see ``LossMethod.second``)."""
    seed: int = 0
    """Of the run: for draws that stay the same over all steps (RMU's direction)."""
    kept: dict[str, Any] = field(default_factory=dict)
    """What a loss computes once and needs in every step of the run; made anew after a resumption, so only from the seed."""

    def partner(self, role: Literal["retain", "other"]) -> Batch:
        """The rows of that role. That they are there is the trainer's business, so their absence is a fault of this program."""
        batch = self.retain if role == "retain" else self.other
        if batch is None:
            raise AssertionError(f"the loss asks for {role} rows that its method did not declare")
        return batch
