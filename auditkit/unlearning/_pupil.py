"""A model in training: loaded, given its rows, trained, written."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from auditkit.errors import ModelError
from auditkit.models.loading import quiet
from auditkit.models.source import Source, localise
from auditkit.unlearning._lora import save_adapter, with_adapter

if TYPE_CHECKING:
    from auditkit.corpora.example import Corpus
    from auditkit.models.loading import Loaded
    from auditkit.spec.model import Lora, Model
    from auditkit.unlearning._rows import Row


@dataclass(frozen=True)
class Manner:
    """How a model is asked and trained."""

    chat: bool = False
    """Questions go through the chat template."""
    system: str | None = None
    dtype: str = "auto"
    """Precision of the computation and of the weights written; weights in training are always float32."""
    device: str = "auto"

    @classmethod
    def of(cls, model: Model) -> Manner:
        """As the spec describes the model that is made."""
        return cls(model.chat == "template", model.system, model.dtype, model.device)


@dataclass
class Pupil:
    """A loaded model in training."""

    model: Any
    tokenizer: Any
    encoder: Any
    dtype: str
    device: str
    chat: bool
    lora: Lora | None = None

    @classmethod
    def load(cls, source: Source, manner: Manner) -> Pupil:
        """In float32, adapters merged, nothing trainable yet. Raises ModelError."""
        from auditkit.models.device import resolve_device
        from auditkit.models.loading import load_causal_lm

        loaded = load_causal_lm(localise(source, offline=True), dtype="float32", device=resolve_device(manner.device))
        return cls.of(loaded, manner, label=source.label)

    @classmethod
    def of(cls, loaded: Loaded, manner: Manner, *, label: str) -> Pupil:
        """A model that is loaded, in float32 and on the manner's device. Raises ModelError."""
        from auditkit.models._encode import Encoder
        from auditkit.models.device import resolve_device, resolve_dtype
        from auditkit.models.text import context_length

        device = resolve_device(manner.device)
        if manner.chat and not loaded.tokenizer.chat_template:
            raise ModelError(f"{label}: chat: template needs a chat template, which this tokenizer lacks")
        window = context_length(loaded.model.config, loaded.tokenizer)
        encoder = Encoder(loaded.tokenizer, context_length=window, system=manner.system)
        dtype = resolve_dtype(manner.dtype, device=device)
        return cls(loaded.model, loaded.tokenizer, encoder, dtype, device, manner.chat)

    @property
    def precision(self) -> Any:
        """The torch dtype of computation and of what is written."""
        import torch

        return getattr(torch, self.dtype)

    @property
    def autocast(self) -> Any:
        """The precision of the computation where it is not float32, else None."""
        return self.precision if self.precision.itemsize < 4 else None

    @property
    def pad(self) -> int:
        """The token behind the end of a row."""
        pad = self.tokenizer.pad_token_id
        return int(self.tokenizer.eos_token_id if pad is None else pad)

    def rows(self, corpora: Sequence[Corpus]) -> list[Row]:
        """Training sequences. Raises DataError."""
        from auditkit.unlearning._rows import encode_rows

        return encode_rows(corpora, self.encoder, chat=self.chat)

    def open(self, lora: Lora | None, *, seed: int, trainable: Callable[[str], bool] = lambda _: True) -> None:
        """Make weights trainable: a fresh adapter, or those of the model's own that ``trainable`` names. Raises ModelError."""
        self.lora = lora
        if lora is not None:
            self.model = with_adapter(self.model, lora, seed=seed)
            candidates = {name: weight for name, weight in self.model.named_parameters() if weight.requires_grad}
        else:
            candidates = dict(self.model.named_parameters())
        chosen = [weight for name, weight in candidates.items() if trainable(name)]
        if not chosen:
            raise ModelError("the method must have weights to train; got a model without any of the kind that it trains")
        self.model.requires_grad_(False)
        for weight in chosen:
            weight.requires_grad_(True)

    def save(self, folder: Path) -> None:
        """Write a whole checkpoint, a LoRA merged; ends the training: the model is changed by it."""
        model = self.model.merge_and_unload() if self.lora else self.model
        self._write(model.to(self.precision), folder)

    def save_adapter(self, folder: Path, *, base: str) -> None:
        """Write the LoRA adapter alone; ``base`` is printed in its configuration."""
        if self.lora is None:
            raise ValueError("there is an adapter only where one was trained")
        save_adapter(self.model, self.lora, folder, dtype=self.dtype, base=base)

    def snapshot(self, folder: Path, source: Source) -> Source:
        """Write the model as it is now, in the middle of its training, for a look from outside."""
        if self.lora is not None:
            self.save_adapter(folder, base=source.label)
            return replace(source, adapters=(*source.adapters, folder))
        same = self.model.dtype == self.precision
        self._write(self.model if same else copy.deepcopy(self.model).to(self.precision), folder)
        return Source.of_folder(folder, label=source.label)

    def _write(self, model: Any, folder: Path) -> None:
        with quiet():
            model.save_pretrained(folder, safe_serialization=True)
            self.tokenizer.save_pretrained(folder)
