"""Teacher-forced log-probabilities: one pass over a batch, the vocabulary-wide part on scored positions, in chunks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from auditkit.models._backbone import Backbone, common_prefix
from auditkit.models._encode import ScoreRow
from auditkit.models.protocol import Scored

if TYPE_CHECKING:
    import torch

_CHUNK_BYTES = 24 << 20
"""Of float32 logits worked on at a time: small enough to stay in a cache, large enough for whole matrix products."""
_BLOCK_BYTES = 1 << 20
"""Of float32 logits that a processor core's own cache holds."""
_FLOOR = -1e4
"""Log-probability of what cannot happen (a masked vocabulary entry): 0 * inf would make the mean NaN."""


def score(backbone: Backbone, rows: Sequence[ScoreRow]) -> list[Scored]:
    """Score a batch. Rows are padded on the right, where the causal mask keeps padding out of every real position."""
    import numpy as np
    import torch

    counts = [len(row.ids) - row.start for row in rows]
    inputs = [row.ids[:-1] or row.ids for row in rows]
    if not any(counts):
        return [_scored(np.zeros((4, 0), np.float32), row.cut) for row in rows]
    # State t-1 predicts token t: the first state needed is that of start - 1.
    prefix = common_prefix(inputs, at_most=min(row.start - 1 for row in rows))
    width = max(len(ids) for ids in inputs) - prefix
    padded = torch.zeros((len(rows), width), dtype=torch.long)
    for index, ids in enumerate(inputs):
        padded[index, : len(ids) - prefix] = torch.tensor(ids[prefix:])
    where = [index * width + position - 1 - prefix for index, row in enumerate(rows) for position in _scored_positions(row)]
    targets = torch.tensor([row.ids[position] for row in rows for position in _scored_positions(row)])
    cache = backbone.prefix_cache(inputs[0][:prefix], rows=len(rows)) if prefix else None
    states = backbone.states(padded.to(backbone.device), cache=cache).flatten(0, 1)
    states = states[torch.tensor(where, device=backbone.device)]
    table = statistics(backbone, states, targets.to(backbone.device)).cpu().numpy()
    splits = np.cumsum(counts)[:-1]
    return [_scored(part, row.cut) for part, row in zip(np.split(table, splits, axis=1), rows, strict=True)]


def _scored_positions(row: ScoreRow) -> range:
    return range(row.start, len(row.ids))


def _scored(table: object, cut: int) -> Scored:
    import numpy as np

    logprob, hit, mean, variance = np.asarray(table)
    return Scored(logprob.copy(), hit > 0.5, mean.copy(), variance.copy(), cut)


def statistics(backbone: Backbone, states: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """Per position: log-probability of its target, 1 where the target is the argmax, mean and variance of the vocabulary's
    log-probabilities under the model. ``states`` (n, width), ``targets`` (n,); float32, shape (4, n)."""
    import torch

    out = torch.empty((4, len(targets)), dtype=torch.float32, device=states.device)
    row_bytes = 4 * backbone.vocabulary
    step = max(1, _CHUNK_BYTES // row_bytes)
    # Half a dozen walks over the vocabulary: on a cpu a few rows at a time, which its own cache holds.
    block = max(1, _BLOCK_BYTES // row_bytes) if states.device.type == "cpu" else step
    for begin in range(0, len(targets), step):
        logits = backbone.logits(states[begin : begin + step])
        for offset in range(0, len(logits), block):
            rows = slice(begin + offset, min(begin + offset + block, begin + len(logits)))
            _fill(logits[offset : offset + block], targets[rows], out[:, rows])
    return out


def _fill(logits: torch.Tensor, targets: torch.Tensor, out: torch.Tensor) -> None:
    """Fill ``out`` (4, n) from logits (n, vocabulary), which are overwritten."""
    import torch

    own, out[1] = _target_and_hit(logits, targets)
    top = logits.amax(-1)
    logits -= top[:, None]
    weights = logits.softmax(-1)
    # The most likely entry has logit 0 now, so its weight is one over the sum of all.
    log_total = -weights.amax(-1).log()
    out[0] = own - top - log_total
    mean = torch.linalg.vecdot(weights, logits)
    if mean.isnan().any():
        # Weight 0 times log-probability -inf: what cannot happen adds nothing. NaN in the logits stays NaN.
        mean = torch.linalg.vecdot(weights, logits.clamp_(min=_FLOOR))
    out[2] = mean - log_total
    # Centred first: the difference of two squares would lose half of float32's digits.
    logits -= mean[:, None]
    out[3] = torch.linalg.vecdot(weights.mul_(logits), logits)


def _target_and_hit(logits: torch.Tensor, targets: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Each target's logit, and whether the target is the argmax.

    Comparing with the best of the others costs a tenth of an argmax; where they are equal, the argmax decides, so that a
    model which says the same of every token does not count as hitting each.
    """
    where = targets[:, None]
    own = logits.gather(-1, where)
    others = logits.scatter_(-1, where, -float("inf")).amax(-1, keepdim=True)
    logits.scatter_(-1, where, own)
    hit = (own > others)[:, 0]
    tied = (own == others)[:, 0]
    if tied.any():
        hit[tied] = logits[tied].argmax(-1) == targets[tied]
    return own[:, 0], hit
