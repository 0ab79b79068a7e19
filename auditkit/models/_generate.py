"""Decoding of a batch: finished rows leave the batch and its cache, logits are made for the last position alone.

No penalty or sampling of the checkpoint's generation config is applied: the answer is the model's own argmax, or drawn as the
request says.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from auditkit.models._backbone import Backbone, common_prefix
from auditkit.models._encode import PromptRow
from auditkit.models._sample import Sampler
from auditkit.models._stop import Stopper
from auditkit.models.protocol import NO_NUMBERS

if TYPE_CHECKING:
    import torch


def decode_rows(
    backbone: Backbone, rows: Sequence[PromptRow], *, decode: Callable[[Sequence[int]], str]
) -> list[tuple[list[int], bool | None]]:
    """(new tokens without the end token, finished) per row; finished means ended by an end token or a stop string.

    Where the logits are no finite numbers at some step: no tokens, and None.
    """
    import torch

    outputs: list[list[int]] = [[] for _ in rows]
    finished: list[bool | None] = [False] * len(rows)
    stoppers = [Stopper(row.stop, decode) for row in rows]
    alive = [index for index, row in enumerate(rows) if row.max_new_tokens > 0]
    if not alive:
        return list(zip(outputs, finished, strict=True))
    batch = _Batch(backbone, [rows[index].ids for index in alive])
    sampler = Sampler(rows)
    while alive:
        going: list[int] = []
        for place, (index, token) in enumerate(zip(alive, sampler.choose(batch.logits(), alive), strict=True)):
            if token == NO_NUMBERS:
                outputs[index], finished[index] = [], None
                continue
            if token in rows[index].ends:
                finished[index] = True
                continue
            outputs[index].append(token)
            finished[index] = stoppers[index].reached(outputs[index])
            if not finished[index] and len(outputs[index]) < rows[index].max_new_tokens:
                going.append(place)
        alive = [alive[place] for place in going]
        if alive:
            batch.keep(going)
            batch.step(torch.tensor([[outputs[index][-1]] for index in alive]))
    return list(zip(outputs, finished, strict=True))


class _Batch:
    """Rows that are still being continued: cache, mask, positions and the last states."""

    def __init__(self, backbone: Backbone, prompts: Sequence[list[int]]) -> None:
        """Encode the prompts, padded on the left behind the prefix that they share."""
        import torch

        self._backbone = backbone
        prefix = common_prefix(prompts, at_most=min(map(len, prompts)) - 1) if backbone.plain_attention else 0
        rests = [prompt[prefix:] for prompt in prompts]
        width = max(map(len, rests))
        ids = torch.zeros((len(rests), width), dtype=torch.long)
        mask = torch.ones((len(rests), prefix + width), dtype=torch.long)
        for index, rest in enumerate(rests):
            ids[index, width - len(rest) :] = torch.tensor(rest)
            mask[index, prefix : prefix + width - len(rest)] = 0
        mask = mask.to(backbone.device)
        self._cache = backbone.prefix_cache(prompts[0][:prefix], rows=len(rests)) if prefix else backbone.new_cache()
        # Without padding no mask is needed, and attention takes a faster path.
        self._mask = None if bool(mask.all()) else mask
        positions = (mask.cumsum(-1) - 1).clamp_(min=0)
        self._next = positions[:, -1:] + 1
        self._states = self._run(ids, positions[:, prefix:])

    def logits(self) -> torch.Tensor:
        """float32 (rows, vocabulary), for the next token of each row."""
        return self._backbone.logits(self._states)

    def keep(self, places: Sequence[int]) -> None:
        """Drop all rows but those at ``places``."""
        import torch

        if len(places) == len(self._next):
            return
        kept = torch.tensor(places, device=self._backbone.device)
        self._cache.reorder_cache(kept)
        self._next = self._next[kept]
        if self._mask is not None:
            self._mask = self._mask[kept]

    def step(self, tokens: torch.Tensor) -> None:
        """Read one more token (rows, 1) per row."""
        import torch

        if self._mask is not None:
            self._mask = torch.cat([self._mask, self._mask.new_ones((len(tokens), 1))], dim=-1)
        self._states = self._run(tokens, self._next)
        self._next = self._next + 1

    def _run(self, ids: torch.Tensor, positions: torch.Tensor) -> torch.Tensor:
        states = self._backbone.states(ids.to(self._backbone.device), cache=self._cache, mask=self._mask, positions=positions)
        return states[:, -1]
