"""The transformers classes of a model made of two. Imports torch: only ``contrast`` imports it, and late.

::

    ContrastForCausalLM
    ├── model     ContrastModel     tokens → hidden states of both, side by side
    │   ├── base         any causal language model, whole
    │   └── reinforced   the same class
    └── head      ContrastHead      such states → each one's logits → the pair's; has no weights of its own

So a ``Backbone`` takes the pair apart like any other model, and the vocabulary-wide half runs in chunks.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import torch
from transformers import AutoConfig, AutoModelForCausalLM, DynamicCache, GenerationMixin, PreTrainedConfig, PreTrainedModel
from transformers.modeling_outputs import BaseModelOutputWithPast, CausalLMOutputWithPast

from auditkit.errors import ModelError
from auditkit.models._backbone import Backbone
from auditkit.models.contrast import MODEL_TYPE, contrast_logits

# transformers 5.x renamed past_key_values to cache.
_CACHE_WORD = "cache" if "cache" in {field.name for field in fields(CausalLMOutputWithPast)} else "past_key_values"


class ContrastConfig(PreTrainedConfig):  # type: ignore[misc]
    """The configuration that both models have, and how their logits are put together (see ``contrast_logits``)."""

    model_type = MODEL_TYPE

    def __init__(self, base: Any = None, alpha: float = 0.0, convention: str = "correct", **words: Any) -> None:
        self.base = AutoConfig.for_model(**base) if isinstance(base, Mapping) else base
        self.alpha = float(alpha)
        self.convention = convention
        super().__init__(**words)

    def get_text_config(self, decoder: bool | None = None, encoder: bool | None = None) -> Any:
        """The base's: window, width and vocabulary are those of one model."""
        return self.base.get_text_config(decoder=decoder, encoder=encoder) if self.base is not None else self


@dataclass
class _Halves:
    """Each model taken apart, and what that holds for."""

    base: Backbone
    reinforced: Backbone
    cut: int
    """Width of the base's states."""
    heads: tuple[Any, Any]
    """The output embeddings when they were taken apart: an adapter may have replaced them since."""


class ContrastModel(PreTrainedModel):  # type: ignore[misc]
    """Both models, up to their hidden states."""

    config_class = ContrastConfig
    base_model_prefix = "model"

    def __init__(self, config: Any, two: tuple[Any, Any] | None = None) -> None:
        super().__init__(config)
        self.base, self.reinforced = two or (_built(config.base), _built(copy.deepcopy(config.base)))
        self._taken_apart: _Halves | None = None
        self.post_init()

    def forward(
        self,
        input_ids: torch.Tensor | None = None,
        *,
        attention_mask: torch.Tensor | None = None,
        position_ids: torch.Tensor | None = None,
        cache: Any = None,
        use_cache: bool | None = None,
        output_hidden_states: bool = False,
        **words: Any,
    ) -> Any:
        """States of ids (rows, length): (rows, length, base's width + reinforced's). ``hidden_states`` are the base's alone."""
        if input_ids is None or words.get("inputs_embeds") is not None:
            raise ModelError("a model made of two takes tokens; got embeddings, and each of the two has its own")
        halves = self._halves()
        first, second = _caches(cache, self.config) if cache is not None and use_cache is not False else (None, None)
        mask, positions = attention_mask, position_ids
        parts = (
            halves.base.states(input_ids, cache=first, mask=mask, positions=positions),
            halves.reinforced.states(input_ids, cache=second, mask=mask, positions=positions),
        )
        layers = None
        if output_hidden_states:
            layers = self.base.base_model(
                input_ids=input_ids, attention_mask=mask, use_cache=False, output_hidden_states=True
            ).hidden_states
        return BaseModelOutputWithPast(last_hidden_state=torch.cat(parts, dim=-1), hidden_states=layers)

    def combined(self, states: torch.Tensor) -> torch.Tensor:
        """float32 logits (…, vocabulary) of states (…, width) as ``forward`` gives them."""
        halves = self._halves()
        flat = states.flatten(0, -2)
        logits = contrast_logits(
            halves.base.logits(flat[:, : halves.cut]),
            halves.reinforced.logits(flat[:, halves.cut :]),
            alpha=self.config.alpha,
            convention=self.config.convention,
        )
        return logits.reshape(*states.shape[:-1], -1)

    def get_input_embeddings(self) -> Any:
        """The base's."""
        return self.base.get_input_embeddings()

    def _halves(self) -> _Halves:
        heads = (self.base.get_output_embeddings(), self.reinforced.get_output_embeddings())
        known = self._taken_apart
        if known is None or any(now is not then for now, then in zip(heads, known.heads, strict=True)):
            training = self.training
            # Dropout would make the halves look unlike the whole.
            self.eval()
            base, reinforced = Backbone(self.base), Backbone(self.reinforced)
            with torch.inference_mode():
                cut = base.states(torch.ones((1, 1), dtype=torch.long, device=base.device)).shape[-1]
            self.train(training)
            known = self._taken_apart = _Halves(base, reinforced, cut, heads)
        return known


class ContrastHead(torch.nn.Module):
    """States of both → logits of the pair."""

    def __init__(self, model: ContrastModel) -> None:
        super().__init__()
        # In a tuple: the heads' weights belong to ``model`` and must not be registered twice.
        self._model = (model,)

    def forward(self, states: torch.Tensor) -> torch.Tensor:
        """See ``ContrastModel.combined``."""
        return self._model[0].combined(states)


class ContrastForCausalLM(PreTrainedModel, GenerationMixin):  # type: ignore[misc]
    """The pair as one causal language model."""

    config_class = ContrastConfig
    base_model_prefix = "model"

    def __init__(self, config: Any, two: tuple[Any, Any] | None = None) -> None:
        super().__init__(config)
        self.model = ContrastModel(config, two)
        # Not named lm_head: an adapter that names that layer means those of the two.
        self.head = ContrastHead(self.model)
        self.post_init()

    def forward(
        self,
        input_ids: torch.Tensor | None = None,
        *,
        attention_mask: torch.Tensor | None = None,
        position_ids: torch.Tensor | None = None,
        cache: Any = None,
        inputs_embeds: torch.Tensor | None = None,
        use_cache: bool | None = None,
        logits_to_keep: int = 0,
        **_: Any,
    ) -> Any:
        """float32 logits (rows, length, vocabulary), of the last ``logits_to_keep`` positions where that is not 0."""
        states = self.model(
            input_ids=input_ids,
            attention_mask=attention_mask,
            position_ids=position_ids,
            cache=cache,
            inputs_embeds=inputs_embeds,
            use_cache=use_cache,
        ).last_hidden_state
        return CausalLMOutputWithPast(logits=self.head(states[:, -logits_to_keep:]), **{_CACHE_WORD: cache})

    def get_input_embeddings(self) -> Any:
        """The base's."""
        return self.model.get_input_embeddings()

    def get_output_embeddings(self) -> Any:
        """The pair's head: it takes the states of ``model``."""
        return self.head


def _built(config: Any) -> Any:
    # The default precision is the one that from_pretrained was asked for; the configuration's would round the weights to it.
    return AutoModelForCausalLM.from_config(config, dtype=torch.get_default_dtype(), trust_remote_code=False)


def _caches(cache: Any, config: ContrastConfig) -> tuple[Any, Any]:
    """Two views of one cache, whose first layers are the base's and whose last the reinforced model's.

    They share the layers, so whoever reorders or copies the whole does so for both. A cache made for one model, as
    ``DynamicCache(config=…)`` makes it, gets the other's layers on its first use.
    """
    if not isinstance(cache, DynamicCache):
        raise ModelError(f"a model made of two needs a DynamicCache; got {type(cache).__name__}")
    one = DynamicCache(config=config.get_text_config(decoder=True)).layers
    if len(cache.layers) in (0, len(one)) and not cache.is_initialized:
        cache.layers = [*(cache.layers or copy.deepcopy(one)), *one]
        cache.layer_class_to_replicate = None
    if len(cache.layers) != 2 * len(one):
        raise ModelError(f"a model made of two needs a cache of {2 * len(one)} layers; got {len(cache.layers)}, already filled")
    views = copy.copy(cache), copy.copy(cache)
    views[0].layers, views[1].layers = cache.layers[: len(one)], cache.layers[len(one) :]
    return views
