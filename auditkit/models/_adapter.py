"""A PEFT adapter → part of the base's weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from auditkit.errors import ModelError
from auditkit.models._inspect import ADAPTER_WEIGHTS

_SHOWN = 3
_PROBE_TOKENS = 8


def merge_adapter(model: Any, folder: Path, *, label: str, may_be_idle: bool = False) -> Any:
    """The base with the adapter merged into its weights.

    Merged, because every measurement then costs what the base costs, and because all that follows (attacks on the weights,
    saving) sees one ordinary model. In bfloat16 the sum is rounded, as in a merged checkpoint.

    An adapter that was not wholly loaded would leave the base to be audited in its place. So raises ModelError where a
    tensor of the adapter found no place, a place found no tensor, or (unless it ``may_be_idle``, after few steps of a training)
    the merged model computes what the base computes.
    """
    from peft import PeftConfig, PeftModelForCausalLM, get_peft_model_state_dict, set_peft_model_state_dict
    from safetensors.torch import load_file

    config = PeftConfig.from_pretrained(str(folder))
    config.inference_mode = True
    state = load_file(folder / ADAPTER_WEIGHTS)
    before = _probe(model)
    adapted = PeftModelForCausalLM(model, config)
    wanted = set(get_peft_model_state_dict(adapted, save_embedding_layers=False))
    result = set_peft_model_state_dict(adapted, state)
    _expect_none(sorted(wanted - set(state)), f"{label}: the adapter {folder.name} lacks")
    _expect_none(sorted(result.unexpected_keys), f"{label}: the base has no place for the adapter's")
    merged = adapted.merge_and_unload()
    if not may_be_idle and before.equal(_probe(merged)):
        raise ModelError(f"{label}: the adapter {folder.name} changes nothing: the base would be audited in its place")
    return merged


def _expect_none(names: list[str], words: str) -> None:
    if names:
        more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
        raise ModelError(f"{words} {', '.join(names[:_SHOWN])}{more}")


def _probe(model: Any) -> Any:
    """Logits of a few fixed tokens."""
    import torch

    with torch.inference_mode():
        return model(input_ids=torch.arange(1, 1 + _PROBE_TOKENS, device=model.device)[None]).logits
