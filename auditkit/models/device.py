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


def pass_tokens(device: str, *, width: int) -> int:
    """Padded tokens at which one forward pass of a model of that hidden size is near its fastest.

    A cpu wants the activations of a layer in its cache: more tokens a pass are slower (measured at widths 64 to 576).
    """
    kind = device_kind(device)
    if kind == "cpu":
        return min(2048, max(512, (1 << 18) // width))
    return 32768 if kind == "cuda" else 8192


def cache_tokens(device: str) -> int:
    """Padded tokens whose keys and values may be held beside the weights: what a batch that is decoded occupies."""
    return {"cpu": 8192, "cuda": 65536}.get(device_kind(device), 16384)
