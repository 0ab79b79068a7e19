"""Weights in packed formats: checkpoints that come in one, and the formats that bitsandbytes makes."""

from __future__ import annotations

import importlib
import importlib.util
from typing import TYPE_CHECKING, Any

from auditkit.attacks._weights import require_finite
from auditkit.errors import ModelError, Problem
from auditkit.models.source import Source

if TYPE_CHECKING:
    import torch

PACKAGE = "bitsandbytes"
_UNPACKED = ("F64", "F32", "F16", "BF16")


def require_unpacked(source: Source) -> None:
    """Raises ModelError for a checkpoint whose weights are quantised already: rounded again, they would show little."""
    got = _packed_gguf(source) if source.kind == "gguf" else _packed_folder(source)
    if got:
        hint = "audit the model from which it was made, and this one without the attack"
        raise ModelError(Problem(f"must be an unquantised model; got {got}", where=source.label, hint=hint))


def _packed_folder(source: Source) -> str:
    from auditkit.models._inspect import read_json

    settings = (read_json(source.path / "config.json") or {}).get("quantization_config")
    if not settings:
        return ""
    return str(settings.get("quant_method") or "quantization_config") if isinstance(settings, dict) else "quantization_config"


def _packed_gguf(source: Source) -> str:
    from gguf import GGUFReader

    try:
        found = {tensor.tensor_type.name for tensor in GGUFReader(source.path).tensors}
    except (ValueError, KeyError, IndexError, TypeError) as error:
        raise ModelError(Problem("must be a GGUF file; its header cannot be read", where=source.label)) from error
    packed = sorted(found.difference(_UNPACKED))
    return f"GGUF {packed[0]}" if packed else ""


def require_bitsandbytes(kind: str, *, device: str, where: str) -> None:
    """Raises ModelError where the package or a cuda device is missing. On a cpu the package would look for code on a hub."""
    from auditkit.models.device import device_kind, resolve_device

    hint = f"leave {kind} out; 4 rounds to 4 bits on any machine"
    if importlib.util.find_spec(PACKAGE) is None:
        raise ModelError(Problem(f"{kind} must have the package {PACKAGE}; got a machine without it", where=where, hint=hint))
    got = device_kind(resolve_device(device))
    if got != "cuda":
        raise ModelError(Problem(f"{kind} must have a cuda device; got {got}", where=where, hint=hint))


def through_bitsandbytes(weight: torch.Tensor, kind: str, *, where: str) -> torch.Tensor:
    """A weight after packing to ``nf4`` or ``fp4`` in blocks of 64 and unpacking, as ``load_in_4bit`` computes with it."""
    require_finite(weight, where=where)
    package: Any = importlib.import_module(f"{PACKAGE}.functional")
    packed, state = package.quantize_4bit(weight.contiguous(), quant_type=kind)
    unpacked: torch.Tensor = package.dequantize_4bit(packed, state)
    return unpacked
