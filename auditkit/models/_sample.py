"""Tokens drawn from a model's distribution.

A row draws from a generator of its own, so what it draws does not depend on the rows beside it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from auditkit.models._encode import PromptRow, Sampling
from auditkit.models.protocol import NO_NUMBERS

if TYPE_CHECKING:
    import torch

_CHUNK_BYTES = 64 << 20
"""Of float64 probabilities worked on at a time."""


class Sampler:
    """The generators of the rows of one batch that are sampled; the others are greedy."""

    def __init__(self, rows: Sequence[PromptRow]) -> None:
        import numpy as np

        self._drawn = {
            row: (one.sampling, np.random.default_rng(one.sampling.seed))
            for row, one in enumerate(rows)
            if one.sampling is not None
        }

    def choose(self, logits: torch.Tensor, rows: Sequence[int]) -> list[int]:
        """The next token of each of these rows, from float32 logits (len(rows), vocabulary); ``NO_NUMBERS`` where the largest
        of them is not finite, as it is where any is NaN."""
        best = logits.argmax(-1)
        tokens: list[int] = best.tolist()
        finite: list[bool] = logits.gather(-1, best[:, None])[:, 0].isfinite().tolist()
        places = [place for place, row in enumerate(rows) if row in self._drawn]
        step = max(1, _CHUNK_BYTES // (8 * logits.shape[-1]))
        for begin in range(0, len(places), step):
            part = places[begin : begin + step]
            drawn = [self._drawn[rows[place]] for place in part]
            found = draw(logits[part], [sampling for sampling, _ in drawn], [generator.random() for _, generator in drawn])
            for place, token in zip(part, found, strict=True):
                tokens[place] = token
        return [token if there else NO_NUMBERS for token, there in zip(tokens, finite, strict=True)]


def draw(logits: torch.Tensor, sampling: Sequence[Sampling], uniforms: Sequence[float]) -> list[int]:
    """One token per row of float32 logits (rows, vocabulary): the cumulative distribution inverted at ``uniforms`` in [0, 1).

    The distribution is softmax(logits / temperature) in float64, of which the smallest set of likeliest tokens is kept whose
    probabilities reach ``top_p`` (of equally likely ones those with the lower numbers). A row whose logits are no numbers gets
    its argmax, which ``Sampler`` does not use.
    """
    import torch

    # mps has no float64.
    wide = (logits.cpu() if logits.device.type == "mps" else logits).double()
    given = [(one.temperature, one.top_p, uniform) for one, uniform in zip(sampling, uniforms, strict=True)]
    temperature, top_p, uniform = torch.tensor(given, dtype=torch.float64, device=wide.device).T[..., None]
    # The largest is taken off first: divided by a small temperature it would overflow.
    weights = ((wide - wide.amax(-1, keepdim=True)) / temperature).softmax(-1)
    if any(one.top_p < 1 for one in sampling):
        weights = weights.where(_nucleus(weights, top_p), 0.0)
    heights = weights.cumsum(-1)
    total = heights[:, -1:]
    places = torch.searchsorted(heights, uniform * total, right=True).clamp_(max=logits.shape[-1] - 1)
    chosen: list[int] = torch.where(total.isfinite(), places, wide.argmax(-1, keepdim=True))[:, 0].tolist()
    return chosen


def _nucleus(weights: torch.Tensor, top_p: torch.Tensor) -> torch.Tensor:
    """Which tokens are kept, (rows, vocabulary), at ``top_p`` (rows, 1); the likeliest always is."""
    import torch

    ordered, order = weights.sort(dim=-1, descending=True, stable=True)
    before = ordered.cumsum(-1) - ordered
    kept = (before < top_p) | (before == 0) | (top_p >= 1)
    return torch.zeros_like(kept).scatter_(-1, order, kept)
