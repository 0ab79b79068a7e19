"""A model made of two: what a base predicts, less what a model reinforced on the forget data would add.

Eldan & Russinovich, "Who's Harry Potter?" (arXiv 2310.02238), section 2.1. Both models run at inference; the knowledge is
still in the base's weights. The pair is an ordinary checkpoint folder of a class of auditkit's own, whose weights are those
of both (``model.base.…``, ``model.reinforced.…``) and whose config.json holds the base's configuration, alpha and the
convention. Whoever loads such a folder calls ``make_known`` first.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from auditkit.errors import ModelError, Problem, did_you_mean
from auditkit.models._inspect import read_json
from auditkit.models.source import Source

if TYPE_CHECKING:
    import torch

MODEL_TYPE = "auditkit-contrast"
CONVENTIONS = ("correct", "muse-paper")
_LARGEST_ALPHA = 1e6
_SHOWN = 3
_NO_MATTER = (
    "_name_or_path", "architectures", "dtype", "transformers_version", "use_cache",
    "bos_token_id", "eos_token_id", "pad_token_id",
)  # fmt: skip
"""Entries of a configuration that change no logit."""


def contrast_logits(base: torch.Tensor, reinforced: torch.Tensor, *, alpha: float, convention: str = "correct") -> torch.Tensor:
    """Logits of the pair from float32 logits of both, all of shape (…, vocabulary); alpha from 0, where it is the base.

    correct: base - alpha * ReLU(reinforced - base), on logits, as the paper of the method and MUSE's code have it.
    muse-paper: MUSE (arXiv 2407.06460) writes the rule on probabilities: p_base - alpha * (p_reinforced - p_base). It does
    not say what is done with negative values; here they are clipped at 0 and the rest is normalised by whoever takes the
    softmax. Clipped entries get the logarithm of the smallest normal float32 (-87.3): minus infinity would leave no mean
    over them. These logits are the logarithms of the values before normalising.
    """
    import torch

    if alpha == 0:
        return base
    if convention == "muse-paper":
        kept = (1 + alpha) * base.softmax(-1) - alpha * reinforced.softmax(-1)
        return kept.clamp(min=torch.finfo(kept.dtype).tiny).log()
    return base - alpha * (reinforced - base).relu()


def write_contrast(base_folder: Path, reinforced_folder: Path, out: Path, *, alpha: float, convention: str = "correct") -> None:
    """Write the pair of two whole checkpoints of one architecture and vocabulary into the folder ``out``.

    Weights keep the precision that the base's configuration names; tokenizer and generation config are the base's. Not
    atomic. Raises ModelError for a checkpoint that cannot be loaded, two that do not belong together, and settings that
    ``contrast_logits`` does not know.
    """
    import torch

    from auditkit.models.loading import load_causal_lm, load_config, quiet

    _raise(_settings({"alpha": alpha, "convention": convention}))
    source, other = Source.of_folder(base_folder), Source.of_folder(reinforced_folder)
    config = load_config(source)
    _raise(_base(config.to_dict()), where=source.label)
    dtype = str(config.dtype or "float32").removeprefix("torch.")
    base, reinforced = (load_causal_lm(each, dtype=dtype, device="cpu") for each in (source, other))
    _check_alike(base, reinforced, where=other.label)
    config_class, model_class = _classes()
    with quiet():
        # On this device nothing is allocated or initialised: the weights are there.
        with torch.device("meta"):
            pair = model_class(
                config_class(base=base.model.config.to_diff_dict(), alpha=alpha, convention=convention, dtype=dtype),
                two=(base.model, reinforced.model),
            )
        pair.generation_config = base.model.generation_config
        pair.save_pretrained(out)
        base.tokenizer.save_pretrained(out)


def make_known(source: Source) -> None:
    """Where a folder's config.json names our class: check its settings and tell transformers of the class.

    Nothing is imported for any other checkpoint. Raises ModelError with every setting that is wrong.
    """
    content = read_json(source.path / "config.json") if source.kind == "folder" else None
    if content is None or content.get("model_type") != MODEL_TYPE:
        return
    _raise([*_settings(content), *_base(content.get("base"))], where=f"{source.label}: config.json")
    from transformers import AutoConfig, AutoModelForCausalLM

    config_class, model_class = _classes()
    AutoConfig.register(MODEL_TYPE, config_class, exist_ok=True)
    AutoModelForCausalLM.register(config_class, model_class, exist_ok=True)


def _classes() -> tuple[Any, Any]:
    from auditkit.models import _contrast

    return _contrast.ContrastConfig, _contrast.ContrastForCausalLM


def _settings(content: Mapping[str, Any]) -> Iterator[str]:
    alpha, convention = content.get("alpha"), content.get("convention")
    if not isinstance(alpha, int | float) or isinstance(alpha, bool) or not 0 <= alpha <= _LARGEST_ALPHA:
        yield f"alpha must be a number from 0 to {_LARGEST_ALPHA:,.0f}; got {alpha!r}"
    if convention not in CONVENTIONS:
        yield f"convention must be a known one; got {convention!r}; {did_you_mean(str(convention), CONVENTIONS)}"


def _base(content: object) -> Iterator[str]:
    """What speaks against the configuration of the two."""
    from transformers import CONFIG_MAPPING

    kind = content.get("model_type") if isinstance(content, Mapping) else None
    if not isinstance(content, Mapping) or not isinstance(kind, str):
        yield "base must be the configuration of a model; got none with a model_type"
    elif kind == MODEL_TYPE:
        yield "base must be one model; got a pair of two"
    elif kind not in CONFIG_MAPPING:
        yield f"base must be of a model_type that transformers has; got {kind!r}"
    elif content.get("quantization_config") is not None:
        yield "base must have plain weights; got a quantization_config"
    elif content.get("is_encoder_decoder"):
        yield f"base must be a decoder alone; got {kind!r}, an encoder and a decoder"


def _check_alike(base: Any, reinforced: Any, *, where: str) -> None:
    """Two models of which only the values of the weights may differ. Raises ModelError."""
    ours, theirs = base.model.config.to_dict(), reinforced.model.config.to_dict()
    differing = [
        name for name in sorted({*ours, *theirs} - {*_NO_MATTER}) if ours.get(name, ours) != theirs.get(name, theirs)
    ]  # fmt: skip
    if differing:
        more = f" and {len(differing) - _SHOWN} more" if len(differing) > _SHOWN else ""
        raise ModelError(f"{where}: must be of the base's architecture; got another {', '.join(differing[:_SHOWN])}{more}")
    if base.tokenizer.get_vocab() != reinforced.tokenizer.get_vocab():
        raise ModelError(f"{where}: must have the base's vocabulary; got a tokenizer with another")


def _raise(messages: Iterator[str] | list[str], *, where: str = "") -> None:
    problems = [Problem(message, where=where) for message in messages]
    if problems:
        raise ModelError(problems)
