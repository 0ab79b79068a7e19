"""Hidden states of every layer at the last position of a text, a few rows at a time: a pass keeps those of all positions."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from auditkit.models._backbone import Backbone

if TYPE_CHECKING:
    import torch

_PASS_BYTES = 512 << 20
"""Of hidden states that one pass may keep."""


def last_states(backbone: Backbone, rows: Sequence[list[int]]) -> torch.Tensor:
    """States at the last token of each row, shape (rows, layers + 1, width), embeddings first, in the model's precision.

    Rows are padded on the right, where the causal mask keeps padding out of every real position.
    """
    import torch

    found: list[torch.Tensor] = []
    for part in _parts(backbone, rows):
        padded = torch.zeros((len(part), max(map(len, part))), dtype=torch.long)
        for index, ids in enumerate(part):
            padded[index, : len(ids)] = torch.tensor(ids)
        ends = torch.tensor([len(ids) - 1 for ids in part], device=backbone.device)
        places = torch.arange(len(part), device=backbone.device)
        layers = backbone.all_states(padded.to(backbone.device))
        found.append(torch.stack([layer[places, ends] for layer in layers], dim=1))
    return torch.cat(found)


def _parts(backbone: Backbone, rows: Sequence[list[int]]) -> Iterator[Sequence[list[int]]]:
    config = backbone.model.config.get_text_config(decoder=True)
    position = (config.num_hidden_layers + 1) * config.hidden_size * backbone.model.dtype.itemsize
    step = max(1, _PASS_BYTES // (position * max(map(len, rows))))
    for begin in range(0, len(rows), step):
        yield rows[begin : begin + step]
