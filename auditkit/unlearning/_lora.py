"""Low-rank adapters: put on, gone on with, written."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

from auditkit.errors import ModelError
from auditkit.files import write_atomically

if TYPE_CHECKING:
    from auditkit.spec.model import Lora

WEIGHTS = "adapter_model.safetensors"
CONFIG = "adapter_config.json"


def lora_of(given: Lora | bool) -> Lora | None:
    """The adapter's shape; true means the defaults, false none."""
    from auditkit.spec.model import Lora

    return given if isinstance(given, Lora) else Lora.model_validate({}) if given else None


def with_adapter(model: Any, lora: Lora, *, seed: int) -> Any:
    """The model with a fresh adapter that changes nothing yet. Raises ModelError where no layer has such a name."""
    from peft import LoraConfig, get_peft_model

    from auditkit.unlearning._settings import seeded

    with seeded(seed), warnings.catch_warnings():
        # peft reads an attribute that transformers 5 renamed.
        warnings.simplefilter("ignore", FutureWarning)
        try:
            return get_peft_model(model, LoraConfig(**_settings(lora)))
        except ValueError as error:
            raise ModelError(f"lora.targets must name linear layers of the model; got {', '.join(lora.targets)}") from error


def put_adapter(model: Any, folder: Path) -> None:
    """Load an adapter's weights into the fresh one. Raises ModelError where the two are not of one shape."""
    from peft import get_peft_model_state_dict, set_peft_model_state_dict
    from safetensors.torch import load_file

    state = load_file(folder / WEIGHTS)
    wanted = get_peft_model_state_dict(model, save_embedding_layers=False)
    if {key: value.shape for key, value in state.items()} != {key: value.shape for key, value in wanted.items()}:
        raise ModelError(f"{folder.name}: an adapter that training goes on from must have the rank and targets of the new one")
    set_peft_model_state_dict(model, state)


def save_adapter(model: Any, lora: Lora, folder: Path, *, dtype: str, base: str) -> None:
    """Write the adapter into a new folder.

    Equal adapters give equal files: the configuration holds no path of this machine (``base`` is printed as it stands) and
    no order of a set.
    """
    import torch
    from peft import get_peft_model_state_dict
    from safetensors.torch import save

    state = get_peft_model_state_dict(model, save_embedding_layers=False)
    precision = getattr(torch, dtype)
    tensors = {key: value.detach().to("cpu", precision).contiguous() for key, value in sorted(state.items())}
    write_atomically(folder / WEIGHTS, save(tensors, metadata={"format": "pt"}))
    config = {"peft_type": "LORA", "base_model_name_or_path": base, "bias": "none", **_settings(lora)}
    write_atomically(folder / CONFIG, json.dumps(config, indent=2, sort_keys=True) + "\n")


def _settings(lora: Lora) -> dict[str, Any]:
    return {
        "r": lora.rank,
        "lora_alpha": lora.alpha,
        "lora_dropout": lora.dropout,
        "target_modules": sorted(lora.targets),
        "task_type": "CAUSAL_LM",
    }
