"""Which device and which precision a model runs in."""

from __future__ import annotations

from auditkit.errors import ModelError


def resolve_device(device: str = "auto") -> str:
    """``auto`` → cuda, else mps, else cpu; another name is checked. Imports torch. Raises ModelError for what is not there."""
    import torch

    if device == "auto":
        if torch.cuda.is_available():
            return "cuda"
        return "mps" if torch.backends.mps.is_available() else "cpu"
    try:
        asked = torch.device(device)
        torch.empty(0, device=asked)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise ModelError(f"device must be auto or one that this machine has; got {device!r}") from error
    return str(asked)


def resolve_dtype(dtype: str = "auto", *, device: str) -> str:
    """``auto`` → bfloat16 on cuda, float32 elsewhere; another name stands."""
    if dtype != "auto":
        return dtype
    return "bfloat16" if device_kind(device) == "cuda" else "float32"


def device_kind(device: str) -> str:
    """``cuda:1`` → ``cuda``."""
    return device.partition(":")[0]
