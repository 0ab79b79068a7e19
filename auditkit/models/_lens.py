"""The logit lens: what a model would say if it stopped at an inner layer.

Final norm and head are applied to every layer's state. The final norm is not known by its name: it is the module that makes
the backbone's output out of the last layer's, found in one short pass that shows both.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

from auditkit.errors import ModelError
from auditkit.models._backbone import Backbone
from auditkit.models._encode import ScoreRow
from auditkit.models._states import last_states
from auditkit.models.protocol import Lensed

if TYPE_CHECKING:
    import torch

_CHUNK_BYTES = 24 << 20
"""Of float32 logits worked on at a time."""
_PROBE_TOKENS = 6
_IN_A_LAYER = re.compile(r"(^|\.)\d+(\.|$)")
"""Layers stand in numbered lists."""


class Readout:
    """Final norm and head of one model, for states of any layer."""

    def __init__(self, backbone: Backbone) -> None:
        """Raises ModelError where they cannot be told from what the model computes."""
        import torch

        self._backbone = backbone
        ids = torch.arange(1, 1 + _PROBE_TOKENS, device=backbone.device)[None]
        with _watched(backbone.model.base_model) as passed:
            output = backbone.states(ids)
        last = backbone.all_states(ids)[-1]
        norm = _final_norm(passed, output) if backbone.split else None
        # transformers gives the last layer's state behind the final norm, for most models.
        self._normed = _same(last, output)
        if norm is None or not (self._normed or _same(norm(last), output)):
            raise ModelError(
                "the logit lens must know a model's final norm and head; got an architecture that it cannot take apart: "
                f"{backbone.model.config.model_type}"
            )
        self._norm = norm

    def look(self, rows: Sequence[ScoreRow]) -> list[Lensed]:
        """Every layer's view of the last token of each row, from the states at the token before it."""
        import torch

        states = last_states(self._backbone, [row.ids[:-1] for row in rows])
        layers = states.shape[1]
        inner = layers - 1 if self._normed else layers
        states = torch.cat([self._norm(states[:, :inner]), states[:, inner:]], dim=1)
        targets = torch.tensor([row.ids[-1] for row in rows], device=states.device).repeat_interleave(layers)
        logprobs, ranks = views(self._backbone, states.flatten(0, 1), targets)
        found = zip(logprobs.cpu().view(-1, layers), ranks.cpu().view(-1, layers), rows, strict=True)
        return [Lensed(logprob.numpy(), rank.numpy(), row.cut) for logprob, rank, row in found]


def views(backbone: Backbone, states: torch.Tensor, targets: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Of normed states (n, width): log-probability (float32) and rank (int64) of each target (n,); rank -1 for NaN logits."""
    import torch

    logprobs, ranks = [], []
    step = max(1, _CHUNK_BYTES // (4 * backbone.vocabulary))
    for begin in range(0, len(targets), step):
        logits = backbone.logits(states[begin : begin + step])
        own = logits.gather(-1, targets[begin : begin + step, None])
        logprob = (own - logits.logsumexp(-1, keepdim=True))[:, 0]
        logprobs.append(logprob)
        ranks.append((logits > own).sum(-1).masked_fill_(logprob.isnan(), -1))
    return torch.cat(logprobs), torch.cat(ranks)


class _Passed(NamedTuple):
    """One module's tensors in a pass."""

    name: str
    module: Any
    given: torch.Tensor
    made: torch.Tensor


@contextmanager
def _watched(model: Any) -> Iterator[list[_Passed]]:
    """The modules of a model that make a tensor out of a tensor of floats, as they run inside the block."""
    import torch

    passed: list[_Passed] = []

    def watch(name: str) -> Callable[..., None]:
        def hook(module: Any, args: tuple[Any, ...], words: dict[str, Any], output: Any) -> None:
            given = next(iter((*args, *words.values())), None)
            made = output[0] if isinstance(output, tuple) else output
            if isinstance(given, torch.Tensor) and isinstance(made, torch.Tensor) and given.is_floating_point():
                passed.append(_Passed(name, module, given, made))

        return hook

    hooks = [module.register_forward_hook(watch(name), with_kwargs=True) for name, module in model.named_modules()]
    try:
        yield passed
    finally:
        for hook in hooks:
            hook.remove()


def _final_norm(passed: Sequence[_Passed], output: torch.Tensor) -> Callable[[torch.Tensor], torch.Tensor] | None:
    """What turns the last layer's state into the backbone's output; None where that cannot be seen."""
    layers = [one.made for one in passed if _IN_A_LAYER.search(one.name)]
    if any(_same(made, output) for made in layers):
        return lambda states: states
    for one in passed:
        if _same(one.made, output) and any(_same(made, one.given) for made in layers):
            return one.module  # type: ignore[no-any-return]
    return None


def _same(one: torch.Tensor, other: torch.Tensor) -> bool:
    """Equal in every number; NaN equals NaN, so that a broken model's lens shows NaN."""
    import torch

    if one.numel() != other.numel() or one.shape[-1:] != other.shape[-1:]:
        return False
    return torch.allclose(one.reshape(other.shape), other, rtol=0, atol=0, equal_nan=True)
