"""Hidden states of a loaded model at the end of prompts, and directions taken out of them, by hooks on its blocks."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from auditkit.attacks._weights import block_lists
from auditkit.errors import ModelError, Problem

if TYPE_CHECKING:
    import torch

_ROWS = 16
"""Prompts in one pass."""


@dataclass(frozen=True)
class Block:
    """One decoder layer."""

    part: int
    """0, or in a model made of two 0 and 1."""
    layer: int
    """From 0."""
    module: Any


def chosen_blocks(model: Any, layers: Sequence[int] | None, *, where: str) -> list[Block]:
    """The blocks of these layers, or all. Raises ModelError for layers that the model does not have."""
    lists = block_lists(model, where=where)
    count = len(lists[0])
    wrong = [layer for layer in layers or () if not 0 <= layer < count]
    if wrong:
        raise ModelError(Problem(f"layers must be 0 to {count - 1}; got {wrong[0]}", where=where))
    wanted = range(count) if layers is None else layers
    return [Block(part, layer, blocks[layer]) for part, blocks in enumerate(lists) for layer in wanted]


def mean_states(model: Any, blocks: Sequence[Block], prompts: Sequence[list[int]], *, where: str) -> dict[Block, torch.Tensor]:
    """For each block that text runs through, the mean of its output where the prompts end: (width,), float64, on the cpu.

    Raises ModelError where a state is not finite.
    """
    import torch

    sums: dict[Block, torch.Tensor] = {}
    # Rows of like length together: less padding. Padding stands behind, where the causal mask hides it.
    ordered = sorted(prompts, key=len)
    for start in range(0, len(ordered), _ROWS):
        rows = ordered[start : start + _ROWS]
        ends = torch.tensor([len(row) - 1 for row in rows], device=model.device)
        ids = torch.zeros((len(rows), len(rows[-1])), dtype=torch.long)
        for index, row in enumerate(rows):
            ids[index, : len(row)] = torch.tensor(row)
        with torch.no_grad(), _watched(blocks) as seen:
            model.base_model(input_ids=ids.to(model.device), use_cache=False)
        for block, states in seen.items():
            last = states[torch.arange(len(rows), device=states.device), ends].double().sum(0).cpu()
            sums[block] = sums[block] + last if block in sums else last
    if not sums:
        raise ModelError(Problem("must have blocks that text runs through; got none", where=where))
    for block, total in sums.items():
        if not bool(total.isfinite().all()):
            raise ModelError(Problem(f"hidden states must be finite; got NaN or infinity in layer {block.layer}", where=where))
    return {block: total / len(prompts) for block, total in sums.items()}


def project_out(directions: Mapping[Block, torch.Tensor]) -> None:
    """From now on x - (x · d) d leaves each block instead of x, at every position; d is the direction at length 1.

    The hook comes behind those that are there, which belong to the model as it is attacked; whoever reads hidden states hooks
    in later and reads what is left. Raises ModelError for a direction of length 0.
    """
    for block, direction in directions.items():
        length = direction.norm()
        if not bool(length > 0):
            raise ModelError(f"the corpora must have different hidden states; got equal ones in layer {block.layer}")
        block.module.register_forward_hook(_without((direction / length).float()))


def without(states: torch.Tensor, unit: torch.Tensor) -> torch.Tensor:
    """x - (x · u) u for states (…, width) and a float32 vector of length 1, in the states' own precision."""
    values = states.float()
    return (values - (values @ unit)[..., None] * unit).to(states.dtype)


def _without(unit: torch.Tensor) -> Callable[..., Any]:
    def hook(_module: Any, _inputs: Any, output: Any) -> Any:
        states = _states(output)
        left = without(states, unit.to(states.device))
        return (left, *output[1:]) if isinstance(output, tuple) else left

    return hook


def _states(output: Any) -> Any:
    """A block hands on its states alone, or first of several."""
    return output[0] if isinstance(output, tuple) else output


@contextmanager
def _watched(blocks: Sequence[Block]) -> Iterator[Mapping[Block, torch.Tensor]]:
    """What the blocks put out while the context lasts."""
    seen: dict[Block, torch.Tensor] = {}
    handles = []
    for block in blocks:

        def keep(_module: Any, _inputs: Any, output: Any, *, block: Block = block) -> None:
            seen[block] = _states(output)

        handles.append(block.module.register_forward_hook(keep))
    try:
        yield seen
    finally:
        for handle in handles:
            handle.remove()
