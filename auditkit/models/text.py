"""Causal language models of transformers as subject models."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from auditkit.errors import ModelError
from auditkit.models._backbone import Backbone, common_prefix, plain_attention
from auditkit.models._encode import Encoder, PromptRow
from auditkit.models._generate import decode_rows
from auditkit.models._lens import Readout
from auditkit.models._score import score
from auditkit.models._states import last_states
from auditkit.models._stop import cut_at_stop
from auditkit.models.checkpoint import fingerprint
from auditkit.models.device import cache_tokens, pass_tokens, resolve_device, resolve_dtype
from auditkit.models.loading import Loaded, load_causal_lm, load_config, load_tokenizer
from auditkit.models.protocol import NO_NUMBERS, Fingerprint, Generated, Hidden, HiddenStates, Lens, Record, Request, Score
from auditkit.models.source import Source

_LENGTH_KEYS = ("max_position_embeddings", "n_positions", "n_ctx", "max_seq_len", "seq_length")
_DEFAULT_LENGTH = 2048
_EVERY_LAYER_UP_TO = 24
_LONGEST_BELIEVED = 10**9
"""Tokenizers that know no limit say 1e30."""


class TextModel:
    """A loaded causal language model: answers Score, Generate, Continue, Hidden and Lens requests (see ``SubjectModel``)."""

    def __init__(self, loaded: Loaded, *, fingerprint: Fingerprint, device: str, dtype: str, system: str | None = None) -> None:
        self.fingerprint = fingerprint
        self.device = device
        self.dtype = dtype
        self.context_length = context_length(loaded.model.config, loaded.tokenizer)
        self.pass_tokens = pass_tokens(device, width=_width(loaded.model.config))
        self.cache_tokens = cache_tokens(device)
        self._encoder = Encoder(
            loaded.tokenizer,
            context_length=self.context_length,
            system=system,
            ends=_configured_ends(loaded.model),
            lead=loaded.lead,
        )
        self._model: Any = loaded.model
        self._plain = plain_attention(loaded.model.config)
        self._backbone: Backbone | None = None
        self._readout: Readout | None = None

    @classmethod
    def load(
        cls, source: Source, *, dtype: str = "auto", device: str = "auto", chat: str = "plain", system: str | None = None
    ) -> TextModel:
        """Load a source that is on disk. Raises ModelError with every problem of the checkpoint.

        ``chat`` as the spec says it: with ``template`` a tokenizer without chat template is refused here and not later.
        """
        device = resolve_device(device)
        dtype = resolve_dtype(dtype, device=device)
        loaded = load_causal_lm(source, dtype=dtype, device=device)
        _check_chat(loaded.tokenizer, source, chat)
        return cls(loaded, fingerprint=fingerprint(source), device=device, dtype=dtype, system=system)

    def cost(self, request: Request) -> int:
        """Tokens that the request occupies, new ones included. Raises TooLongError where they cannot fit."""
        return self._encoder.cost(request)

    def shared(self, requests: Sequence[Any]) -> int:
        """Tokens at the beginning that are encoded once for a batch of these requests."""
        return shared_tokens(self._encoder, requests, plain=self._plain)

    def answer(self, requests: Sequence[Any]) -> list[Record]:
        """Answer one batch of requests of one kind, in order."""
        import torch

        if not requests:
            return []
        with torch.inference_mode():
            first = requests[0]
            if isinstance(first, Score):
                rows = [self._encoder.score(request) for request in requests]
                answers: list[Record] = [*score(self._running(), rows)]
                self._encoder.forget(requests)
                return answers
            if isinstance(first, Lens):
                return [*self._looking().look([self._encoder.lens(request) for request in requests])]
            prompts = [self._encoder.prompt(request) for request in requests]
            return self._hidden(requests, prompts) if isinstance(first, Hidden) else self._generate(prompts)

    def close(self) -> None:
        """Free the weights."""
        import torch

        self._model = self._backbone = self._readout = None
        if self.device.startswith("cuda"):
            torch.cuda.empty_cache()

    def _running(self) -> Backbone:
        if self._backbone is None:
            self._backbone = Backbone(self._model)
        return self._backbone

    def _looking(self) -> Readout:
        if self._readout is None:
            self._readout = Readout(self._running())
        return self._readout

    def _generate(self, rows: Sequence[PromptRow]) -> list[Record]:
        outputs = decode_rows(self._running(), rows, decode=self._encoder.decode)
        return [
            Generated(
                cut_at_stop(self._encoder.decode(tokens), row.stop),
                NO_NUMBERS if finished is None else len(tokens),
                bool(finished),
                row.target,
                row.cut,
            )
            for (tokens, finished), row in zip(outputs, rows, strict=True)
        ]

    def _hidden(self, requests: Sequence[Hidden], rows: Sequence[PromptRow]) -> list[Record]:
        import numpy as np

        states = last_states(self._running(), [row.ids for row in rows])
        answers: list[Record] = []
        for own, request, row in zip(states, requests, rows, strict=True):
            layers = _layers(request, len(own))
            answers.append(HiddenStates(own[layers].float().cpu().numpy(), np.array(layers, np.int64), row.cut))
        return answers


class TextCosts:
    """What requests would cost on a model whose weights are not loaded: its tokenizer and its configuration alone."""

    def __init__(self, source: Source, *, device: str = "auto", system: str | None = None) -> None:
        tokenizer, config, device = load_tokenizer(source), load_config(source), resolve_device(device)
        self.pass_tokens = pass_tokens(device, width=_width(config))
        self.cache_tokens = cache_tokens(device)
        self._plain = plain_attention(config)
        self._encoder = Encoder(tokenizer, context_length=context_length(config, tokenizer), system=system)

    def cost(self, request: Request) -> int:
        """See ``TextModel.cost``."""
        return self._encoder.cost(request)

    def shared(self, requests: Sequence[Any]) -> int:
        """See ``TextModel.shared``."""
        return shared_tokens(self._encoder, requests, plain=self._plain)


def shared_tokens(encoder: Encoder, requests: Sequence[Any], *, plain: bool) -> int:
    """The beginning that all requests share and that need not be scored, where it is worth a pass of its own; else 0."""
    if isinstance(requests[0], Score):
        scored = [encoder.score(request) for request in requests]
        return common_prefix([row.ids for row in scored], at_most=min(row.start for row in scored) - 1)
    if isinstance(requests[0], Hidden | Lens) or not plain:
        return 0
    rows = [encoder.prompt(request).ids for request in requests]
    return common_prefix(rows, at_most=min(map(len, rows)) - 1)


def context_length(config: Any, tokenizer: Any) -> int:
    """The model's window in tokens, from its configuration, else from its tokenizer."""
    text = config.get_text_config(decoder=True)
    for key in _LENGTH_KEYS:
        value = getattr(text, key, None)
        if isinstance(value, int) and value > 0:
            return value
    limit = int(tokenizer.model_max_length)
    return limit if 0 < limit < _LONGEST_BELIEVED else _DEFAULT_LENGTH


def _width(config: Any) -> int:
    width: int = config.get_text_config(decoder=True).hidden_size
    return width


def _configured_ends(model: Any) -> frozenset[int]:
    """End tokens that the checkpoint's generation config names."""
    ends = getattr(getattr(model, "generation_config", None), "eos_token_id", None)
    return frozenset({ends} if isinstance(ends, int) else ends or ())


def _check_chat(tokenizer: Any, source: Source, chat: str) -> None:
    if chat == "template" and not tokenizer.chat_template:
        raise ModelError(f"{source.label}: chat: template needs a chat template, which this tokenizer lacks; say chat: plain")


def _layers(request: Hidden, there: int) -> list[int]:
    """The layers asked for, of those that are there with the embeddings. Raises ModelError."""
    wrong = [layer for layer in request.layers if not 0 <= layer < there]
    if wrong:
        raise ModelError(f"layers must be 0 to {there - 1} for this model; got {wrong[0]}")
    last = there - 1
    step = 1 if last <= _EVERY_LAYER_UP_TO else 2
    return list(request.layers) or [0, *sorted(range(last, 0, -step))]
