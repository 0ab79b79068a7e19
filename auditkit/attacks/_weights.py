"""The weights of a loaded model that attacks change in place: which ones there are, each of them once."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from auditkit.errors import ModelError, Problem

if TYPE_CHECKING:
    import torch


def block_lists(model: Any, *, where: str) -> list[Any]:
    """The module lists that hold the transformer's blocks: the outermost ones that are as long as the configuration says.

    One, except in a model made of two, which has one for each. ``where`` names the model in messages. Raises ModelError.
    """
    wanted = getattr(model.config.get_text_config(decoder=True), "num_hidden_layers", None)
    found = list(_lists(model, wanted))
    if not found:
        raise ModelError(Problem(f"must have a list of {wanted} blocks, as its configuration says; got none", where=where))
    return found


def _lists(module: Any, length: int | None) -> Iterator[Any]:
    import torch

    for child in module.children():
        if isinstance(child, torch.nn.ModuleList) and len(child) == length:
            yield child
        else:
            yield from _lists(child, length)


def linear_weights(model: Any, *, where: str) -> Iterator[tuple[str, torch.Tensor]]:
    """Name and weight of every linear layer in the blocks, experts included; no embedding, norm, convolution, bias or head.

    A weight is a view, shape (…, outputs, inputs), of what the model computes with: changed in place, it changes the model.
    Raises ModelError where there are none, or where they are packed.
    """
    inside = {id(module) for blocks in block_lists(model, where=where) for module in blocks.modules()}
    seen: set[int] = set()
    for name, module in model.named_modules():
        for own, weight, view in _matrices(module) if id(module) in inside else ():
            if id(weight) in seen:
                continue
            seen.add(id(weight))
            if not weight.is_floating_point():
                got = str(weight.dtype).removeprefix("torch.")
                raise ModelError(Problem(f"must be floating-point numbers; got {got}", where=f"{where}: {name}.{own}"))
            yield f"{name}.{own}", view
    if not seen:
        raise ModelError(Problem("must have linear layers in its blocks; got none", where=where))


def _matrices(module: Any) -> Iterator[tuple[str, torch.Tensor, torch.Tensor]]:
    """Name, weight and view of what a module itself multiplies with."""
    import torch
    from torch.nn.modules.conv import _ConvNd
    from transformers.pytorch_utils import Conv1D

    if isinstance(module, torch.nn.Linear):
        yield "weight", module.weight, module.weight.detach()
    elif isinstance(module, Conv1D):
        # GPT-2's linear layer: inputs first.
        yield "weight", module.weight, module.weight.detach().T
    elif not isinstance(module, _ConvNd):
        # Experts lie in one tensor, an expert a matrix.
        yield from (
            (name, weight, weight.detach()) for name, weight in module.named_parameters(recurse=False) if weight.dim() == 3
        )


def require_finite(weight: torch.Tensor, *, where: str) -> None:
    """Raises ModelError where a weight is no finite number: arithmetic would hide it, or spread it."""
    if not bool(weight.isfinite().all()):
        raise ModelError(Problem("must be finite; got NaN or infinity", where=where))
