"""Teach a model named corpora: whole weights, or a low-rank adapter that is merged or kept apart."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from auditkit.errors import ModelError
from auditkit.files import write_atomically
from auditkit.models.loading import quiet
from auditkit.models.source import Source, localise
from auditkit.unlearning._lora import lora_of, put_adapter, save_adapter, with_adapter

if TYPE_CHECKING:
    from auditkit.corpora.example import Corpus
    from auditkit.spec.model import Finetune, Model
    from auditkit.unlearning._rows import Row
    from auditkit.unlearning._train import Run

NOTE = "unlearning.json"
"""The note in a made model's folder: from what and how it was made."""


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


def finetune(source: Source, corpora: Sequence[Corpus], params: Finetune, *, out: Path, manner: Manner | None = None) -> Path:
    """Teach the model of ``source`` and write a whole checkpoint (a LoRA adapter is merged) with its note; returns ``out``.

    ``out`` appears complete or not at all; one that is there already is replaced. Raises ModelError for a checkpoint that
    cannot be trained and DataError for rows that cannot be trained on.
    """
    manner = manner or Manner()
    pupil = Pupil.load(source, manner)
    rows = pupil.rows(corpora)
    if params.lora:
        pupil.model = with_adapter(pupil.model, lora_of(params), seed=params.seed)
    else:
        pupil.model.requires_grad_(True)
    run = pupil.train(rows, params)
    model = pupil.model.merge_and_unload() if params.lora else pupil.model
    note = {**recipe(source, corpora, params, manner), "run": asdict(run)}
    with _appearing(out) as made, quiet():
        model.to(pupil.precision).save_pretrained(made, safe_serialization=True)
        pupil.tokenizer.save_pretrained(made)
        write_atomically(made / NOTE, json.dumps(note, indent=2, sort_keys=True) + "\n")
    return out


def finetune_adapter(
    base: Source,
    corpora: Sequence[Corpus],
    params: Finetune,
    *,
    out: Path,
    start: Path | None = None,
    manner: Manner | None = None,
) -> Run:
    """Teach a LoRA adapter on ``base`` and write it alone: ``adapter_config.json`` and ``adapter_model.safetensors``.

    ``start`` is an adapter of the same base and shape that the training goes on from; None begins with a fresh one.
    """
    manner = manner or Manner()
    pupil = Pupil.load(base, manner)
    rows = pupil.rows(corpora)
    lora = lora_of(params)
    pupil.model = with_adapter(pupil.model, lora, seed=params.seed)
    if start is not None:
        put_adapter(pupil.model, start)
    run = pupil.train(rows, params)
    with _appearing(out) as made:
        save_adapter(pupil.model, lora, made, dtype=pupil.dtype, base=base.label)
    return run


def recipe(source: Source, corpora: Sequence[Corpus], params: Finetune, manner: Manner) -> dict[str, Any]:
    """Everything that a made model's weights depend on, as JSON; the parent by its fingerprint."""
    from auditkit.models.checkpoint import fingerprint
    from auditkit.models.device import device_kind, resolve_device, resolve_dtype

    device = resolve_device(manner.device)
    return {
        "method": "finetune",
        "parent": fingerprint(localise(source, offline=True)).digest,
        "data": [{"corpus": corpus.name, "rows": len(corpus.examples), "sha256": corpus.digest} for corpus in corpora],
        "parameters": params.model_dump(mode="json"),
        "chat": manner.chat,
        "system": manner.system,
        "dtype": resolve_dtype(manner.dtype, device=device),
        "device": device_kind(device),
    }


@dataclass
class Pupil:
    """A loaded model in training."""

    model: Any
    tokenizer: Any
    encoder: Any
    dtype: str
    device: str
    chat: bool

    @classmethod
    def load(cls, source: Source, manner: Manner) -> Pupil:
        """In float32, adapters merged, nothing trainable yet. Raises ModelError."""
        from auditkit.models._encode import Encoder
        from auditkit.models.device import resolve_device, resolve_dtype
        from auditkit.models.loading import load_causal_lm
        from auditkit.models.text import context_length

        device = resolve_device(manner.device)
        loaded = load_causal_lm(localise(source, offline=True), dtype="float32", device=device)
        if manner.chat and not loaded.tokenizer.chat_template:
            raise ModelError(f"{source.label}: chat: template needs a chat template, which this tokenizer lacks")
        window = context_length(loaded.model.config, loaded.tokenizer)
        encoder = Encoder(loaded.tokenizer, context_length=window, system=manner.system)
        dtype = resolve_dtype(manner.dtype, device=device)
        return cls(loaded.model, loaded.tokenizer, encoder, dtype, device, manner.chat)

    @property
    def precision(self) -> Any:
        """The torch dtype of computation and of what is written."""
        import torch

        return getattr(torch, self.dtype)

    def rows(self, corpora: Sequence[Corpus]) -> list[Row]:
        """Training sequences. Raises DataError."""
        from auditkit.unlearning._rows import encode_rows

        return encode_rows(corpora, self.encoder, chat=self.chat)

    def train(self, rows: Sequence[Row], params: Finetune) -> Run:
        """Train what is trainable. Raises ModelError where training ran away."""
        from auditkit.unlearning._train import train

        pad = self.tokenizer.pad_token_id
        return train(
            self.model,
            rows,
            params,
            pad=self.tokenizer.eos_token_id if pad is None else pad,
            device=self.device,
            autocast=self.precision if self.precision.itemsize < 4 else None,
        )


@contextmanager
def _appearing(out: Path) -> Iterator[Path]:
    """A folder to fill, which takes the name ``out`` when the block ends well."""
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out.parent, prefix=f".{out.name}.") as temporary:
        made = Path(temporary) / out.name
        yield made
        if out.exists():
            shutil.rmtree(out)
        made.rename(out)
