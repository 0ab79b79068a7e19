"""A source on disk → a transformers model and its tokenizer. Nothing that a checkpoint brings is run as code."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from auditkit.errors import ModelError
from auditkit.models.checkpoint import inspect
from auditkit.models.contrast import make_known
from auditkit.models.source import Source

_SHOWN = 3


@dataclass(frozen=True)
class Loaded:
    """What transformers made of a checkpoint."""

    model: Any
    """A ``PreTrainedModel`` with a language-model head, in eval mode, adapters merged into its weights."""
    tokenizer: Any
    """A fast tokenizer: it can say which characters a token came from."""
    lead: tuple[int, ...] = ()
    """Token ids that an attack put before everything that is asked, behind a bos token; the model knows them, the tokenizer
    does not."""


def load_causal_lm(source: Source, *, dtype: str, device: str) -> Loaded:
    """Load weights, adapters and tokenizer; ``dtype`` and ``device`` as ``resolve_dtype`` and ``resolve_device`` give them.

    Raises ModelError with every problem that ``inspect`` finds, and where transformers cannot make a whole model of it.
    """
    problems = inspect(source)
    if problems:
        raise ModelError(problems)
    with quiet(), _failing(source):
        tokenizer = _tokenizer(source)
        model = _model(source, dtype)
        for folder in source.adapters:
            from auditkit.models._adapter import merge_adapter

            model = merge_adapter(model, folder, label=source.label)
        return Loaded(model.to(device).eval().requires_grad_(False), tokenizer)


def load_tokenizer(source: Source) -> Any:
    """The tokenizer alone: what planning needs. Raises ModelError."""
    with quiet(), _failing(source):
        return _tokenizer(source)


def load_config(source: Source) -> Any:
    """The transformers configuration alone. Raises ModelError."""
    from transformers import AutoConfig

    with quiet(), _failing(source):
        return AutoConfig.from_pretrained(**_place(source))


def _place(source: Source) -> dict[str, Any]:
    """Arguments that every ``from_pretrained`` gets. ``trust_remote_code`` left out would ask on the terminal.

    A model made of two is made known to transformers here. Raises ModelError where its settings are wrong.
    """
    make_known(source)
    common: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False}
    if source.kind == "gguf":
        return {"pretrained_model_name_or_path": source.path.parent, "gguf_file": source.path.name, **common}
    return {"pretrained_model_name_or_path": source.path, **common}


def _tokenizer(source: Source) -> Any:
    """The base's tokenizer; one that lies in an adapter's folder is not read."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(**_place(source))
    if not tokenizer.is_fast:
        raise ModelError(f"{source.label}: needs a fast tokenizer (tokenizer.json), which alone gives character offsets")
    return tokenizer


def _model(source: Source, dtype: str) -> Any:
    import torch
    from transformers import AutoModelForCausalLM

    words: dict[str, Any] = {"use_safetensors": None if source.allow_pickle else True}
    if source.kind == "gguf":
        from transformers import GgufConfig

        # Packed weights would be computed on by kernels that are fetched from the hub, and could not take an adapter.
        words = {"quantization_config": GgufConfig(dequantize=True)}
    model, info = AutoModelForCausalLM.from_pretrained(
        **_place(source), **words, dtype=getattr(torch, dtype), output_loading_info=True
    )
    if info["missing_keys"]:
        # transformers fills such weights with random numbers and goes on.
        names = sorted(info["missing_keys"])
        more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
        raise ModelError(f"{source.label}: the weights lack {', '.join(names[:_SHOWN])}{more}")
    return model.to(getattr(torch, dtype))


@contextmanager
def _failing(source: Source) -> Iterator[None]:
    """What a broken or foreign checkpoint makes transformers raise becomes one line about the checkpoint."""
    from pickle import UnpicklingError

    from huggingface_hub.errors import StrictDataclassError
    from safetensors import SafetensorError

    try:
        yield
    except (
        OSError, ValueError, KeyError, TypeError, ImportError, SafetensorError, StrictDataclassError, UnpicklingError
    ) as error:  # fmt: skip
        raise ModelError(f"{source.label}: cannot be loaded: {_first_line(error)}") from error
    except RuntimeError as error:
        # torch reports weights of the wrong shape this way, but also that memory is short.
        if "size mismatch" not in str(error) and "ignore_mismatched_sizes" not in str(error):
            raise
        raise ModelError(f"{source.label}: cannot be loaded: the weights' shapes are not those of config.json") from error


def _first_line(error: Exception) -> str:
    return f"{type(error).__name__}: {str(error).strip().splitlines()[0] if str(error).strip() else 'no further word'}"


@contextmanager
def quiet() -> Iterator[None]:
    """No progress bars and no advice from transformers and peft on the terminal; what matters is raised."""
    from transformers.utils import logging

    bars, level = logging.is_progress_bar_enabled(), logging.get_verbosity()
    logging.disable_progress_bar()
    logging.set_verbosity_error()
    try:
        with warnings.catch_warnings():
            # peft reads an attribute that transformers has renamed.
            warnings.filterwarnings("ignore", message="`is_gradient_checkpointing` is deprecated", category=FutureWarning)
            warnings.filterwarnings("ignore", message=".*gradient_checkpointing_enable", category=FutureWarning)
            yield
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()
