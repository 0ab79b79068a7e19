"""Where a run happened: an allow-list, never a dump of the environment."""

from __future__ import annotations

import os
import platform
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

_PACKAGES = (
    "auditkit", "torch", "transformers", "tokenizers", "safetensors", "peft", "lm-eval", "scikit-learn", "scipy", "numpy",
    "pyarrow", "pydantic", "pyyaml", "rouge-score", "jinja2", "altair", "vl-convert-python",
)  # fmt: skip


def environment() -> dict[str, Any]:
    """Versions, machine and determinism flags; loads nothing that is not loaded already."""
    torch = sys.modules.get("torch")
    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "machine": platform.machine(),
        "processors": os.cpu_count(),
        "packages": {name: _version(name) for name in _PACKAGES},
        "torch": None
        if torch is None
        else {
            "threads": torch.get_num_threads(),
            "deterministic": torch.are_deterministic_algorithms_enabled(),
            "cuda": torch.version.cuda,
            "device": torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu",
        },
    }


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"


def portable(text: str) -> str:
    """A path or command without the user's home folder."""
    home = str(Path.home())
    return text.replace(home, "~") if home != "/" else text
