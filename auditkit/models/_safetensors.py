"""The header of a safetensors file, read without trusting it."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_HEADER_LIMIT_BYTES = 100_000_000
"""The format's own limit."""


@dataclass(frozen=True, slots=True)
class Tensor:
    """One entry of the header."""

    dtype: str
    shape: tuple[int, ...]


class BrokenFileError(ValueError):
    """Not a whole safetensors file; the message says what is wrong."""


def read_header(path: Path) -> dict[str, Tensor]:
    """Tensors by name. Raises BrokenFileError where the header or the file's size is not what the format demands."""
    size = path.stat().st_size
    with path.open("rb") as stream:
        first = stream.read(8)
        length = int.from_bytes(first, "little")
        if len(first) < 8 or length > min(size - 8, _HEADER_LIMIT_BYTES):
            raise BrokenFileError(f"must hold a safetensors header; got {size} bytes and a header length of {length}")
        text = stream.read(length)
    try:
        entries = json.loads(text)
        entries.pop("__metadata__", None)
        tensors = {str(name): Tensor(str(entry["dtype"]), _shape(entry["shape"])) for name, entry in entries.items()}
        end = max((int(entry["data_offsets"][1]) for entry in entries.values()), default=0)
    except (ValueError, KeyError, TypeError, AttributeError, IndexError, RecursionError) as error:
        raise BrokenFileError("must hold a safetensors header; its JSON cannot be read") from error
    if 8 + length + end != size:
        raise BrokenFileError(
            f"must be {8 + length + end} bytes long, as its header says; got {size}: cut short or overwritten"
        )
    return tensors


def _shape(value: Any) -> tuple[int, ...]:
    shape = tuple(int(side) for side in value)
    if any(side < 0 for side in shape) or math.prod(shape) > 1 << 62:
        raise ValueError("impossible shape")
    return shape


def lora_problems(adapter: Mapping[str, Tensor], base: Mapping[str, Tensor]) -> list[str]:
    """Why a LoRA adapter cannot belong to a base, from names and shapes alone; [] where nothing speaks against it.

    Checkpoints and model classes put different prefixes before the same layer, so layers are compared from their number on.
    """
    shapes: dict[str, set[int]] = {}
    for name, tensor in base.items():
        shapes.setdefault(_from_number(name.removesuffix(".weight")), set()).update(tensor.shape)
    problems, found = [], False
    for name, tensor in sorted(adapter.items()):
        module, _, side = name.rpartition(".lora_")
        layer = _from_number(module)
        if side not in ("A.weight", "B.weight") or len(tensor.shape) != 2 or layer not in shapes:
            continue
        found = True
        if (tensor.shape[1] if side == "A.weight" else tensor.shape[0]) not in shapes[layer]:
            problems.append(f"{layer}: shape {list(tensor.shape)} where the base's sides are {sorted(shapes[layer])}")
    if not found and any(".lora_" in name for name in adapter):
        problems.append("no layer of the base is named")
    return problems


def _from_number(module: str) -> str:
    """``model.layers.0.mlp`` → ``layers.0.mlp``."""
    parts = module.split(".")
    number = next((index for index, part in enumerate(parts) if part.isdigit()), 1)
    return ".".join(parts[max(0, number - 1) :])
