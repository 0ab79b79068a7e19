"""A causal language model in two halves: tokens → hidden states, hidden states → logits.

Apart, the vocabulary-wide half runs on the positions that are asked for alone, and in chunks.
"""

from __future__ import annotations

import copy
import inspect
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

_PROBE_TOKENS = 6
SHARED_PREFIX_TOKENS = 32
"""A shared beginning shorter than this is not worth a pass of its own."""
_BLOCK_TOKENS = 16
"""Shared beginnings are cut to multiples of this, so that the batches of one group share the very same one."""


class Backbone:
    """Runs a transformers model whose weights are frozen."""

    def __init__(self, model: Any) -> None:
        self.model = model
        self.device: torch.device = model.device
        parameters = inspect.signature(model.base_model.forward).parameters
        # transformers 5.x renamed past_key_values to cache.
        self._cache_word = "cache" if "cache" in parameters else "past_key_values"
        self._takes_positions = "position_ids" in parameters
        self.plain_attention = plain_attention(model.config)
        self._headed = _with_echo(model)
        self._prefix: tuple[list[int], Any] = ([], None)
        self.split = self._headed is not None
        """Runs in two halves; else in one piece."""
        self.vocabulary = self._check_halves()
        """Width of the logits."""

    def new_cache(self) -> Any:
        """An empty cache with the right kind of layer for each of the model's layers."""
        from transformers import DynamicCache

        return DynamicCache(config=self.model.config.get_text_config(decoder=True))

    def prefix_cache(self, prefix: list[int], *, rows: int) -> Any:
        """A cache that holds ``prefix`` for each of ``rows`` rows. The last prefix is remembered: a group of batches encodes
        it once, always alone and in one pass, so that no answer depends on which batch came first."""
        import torch

        if self._prefix[0] != prefix:
            cache = self.new_cache()
            self.states(torch.tensor([prefix], device=self.device), cache=cache)
            self._prefix = (list(prefix), cache)
        cache = copy.deepcopy(self._prefix[1])
        # Picking row 0 many times works for every kind of cache layer.
        cache.reorder_cache(torch.zeros(rows, dtype=torch.long, device=self.device))
        return cache

    def states(
        self,
        ids: torch.Tensor,
        *,
        cache: Any = None,
        mask: torch.Tensor | None = None,
        positions: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """Last hidden states of ids (rows, length): shape (rows, length, width).

        ``mask`` is (rows, cached + length), 1 for real tokens; without it every token is real, or stands behind all real
        ones, where the causal mask hides it. Where a model cannot be taken apart the states are its logits.
        """
        words: dict[str, Any] = {"input_ids": ids, "use_cache": cache is not None}
        if cache is not None:
            words[self._cache_word] = cache
        if mask is not None:
            words["attention_mask"] = mask
        if positions is not None and self._takes_positions:
            words["position_ids"] = positions
        if not self.split:
            logits: torch.Tensor = self.model(**words).logits
            return logits
        states: torch.Tensor = self.model.base_model(**words).last_hidden_state
        return states

    def all_states(self, ids: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Hidden states of every layer, embeddings first: each (rows, length, width)."""
        layers: tuple[torch.Tensor, ...] = self.model.base_model(
            input_ids=ids, use_cache=False, output_hidden_states=True
        ).hidden_states
        return layers

    def logits(self, states: torch.Tensor) -> torch.Tensor:
        """float32 logits of states (n, width): shape (n, vocabulary)."""
        if not self.split:
            return states.float()
        logits: torch.Tensor = self._headed(inputs_embeds=states[None], use_cache=False).logits[0]
        return logits.float()

    def _check_halves(self) -> int:
        """Both halves together must be the whole model, else it runs in one piece. Returns the vocabulary's size."""
        import torch

        ids = torch.arange(1, 1 + _PROBE_TOKENS, device=self.device)[None]
        with torch.inference_mode():
            whole = self.model(input_ids=ids, use_cache=False).logits[0].float()
            self.split = self.split and self._same(ids, whole)
        return int(whole.shape[-1])

    def _same(self, ids: torch.Tensor, whole: torch.Tensor) -> bool:
        import torch

        try:
            parts = self.logits(self.states(ids)[0])
        except (AttributeError, TypeError):
            # A class whose forward asks more of its backbone than the echo has.
            return False
        return whole.shape == parts.shape and torch.allclose(whole, parts, rtol=1e-3, atol=1e-3, equal_nan=True)


def _with_echo(model: Any) -> Any:
    """The model with its backbone replaced by one that hands back what it is given: its head, whatever that does.

    Softcaps, scales and biases between hidden states and logits are each model's own; this way none is forgotten.
    """
    import torch
    from transformers.modeling_outputs import BaseModelOutputWithPastAndCrossAttentions as Output

    name = model.base_model_prefix
    if model.base_model is model or model.get_output_embeddings() is None:
        return None

    class Echo(torch.nn.Module):
        @property
        def decoder(self) -> Any:
            """Some classes call the decoder inside their backbone."""
            return self

        def forward(self, *_: Any, inputs_embeds: torch.Tensor, **__: Any) -> Any:
            return Output(last_hidden_state=inputs_embeds)

    headed = copy.copy(model)
    headed._modules = {**model._modules, name: Echo()}
    return headed


def plain_attention(config: Any) -> bool:
    """Every layer looks at the whole past. In others (sliding window, convolution) padding behind a shared beginning would
    take up room that real tokens then lack, so that answers would depend on the batch."""
    text = config.get_text_config(decoder=True)
    kinds = getattr(text, "layer_types", None)
    if kinds:
        return set(kinds) == {"full_attention"}
    return not getattr(text, "sliding_window", None)


def common_prefix(rows: Sequence[list[int]], *, at_most: int) -> int:
    """How many first tokens all rows share, capped and cut to whole blocks; 0 where that is not worth a pass of its own."""
    if len(rows) < 2 or at_most < SHARED_PREFIX_TOKENS:
        return 0
    low, high = min(rows), max(rows)
    length = next((index for index in range(at_most) if low[index] != high[index]), at_most)
    return length // _BLOCK_TOKENS * _BLOCK_TOKENS if length >= SHARED_PREFIX_TOKENS else 0
