"""Teach a model named corpora: whole weights, or a low-rank adapter that is merged or kept apart.

A made model is a folder ``made/<recipe>/`` of the user's cache. The recipe is everything that its weights depend on: the
parent's fingerprint, the rows, the parameters, how rows are put to the model, precision and device.
"""

from __future__ import annotations

import json
import shutil
import tempfile
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from auditkit.errors import ModelError, SpecError, did_you_mean
from auditkit.files import cache_folder, digest, write_atomically
from auditkit.models.source import Source, localise, resolve

if TYPE_CHECKING:
    from auditkit.corpora.example import Corpus
    from auditkit.spec.model import Finetune, Lora, Model
    from auditkit.unlearning._train import Run

NOTE = "unlearning.json"
"""The note in a made model's folder: how it was made, from what."""


@dataclass(frozen=True)
class Manner:
    """How a model is loaded, asked and trained."""

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
    pupil = _Pupil.load(localise(source, offline=True), manner)
    rows = pupil.rows(corpora)
    if params.lora:
        pupil.model = _with_adapter(pupil.model, _lora(params), seed=params.seed)
    else:
        pupil.model.requires_grad_(True)
    run = pupil.train(rows, params)
    model = pupil.model.merge_and_unload() if params.lora else pupil.model
    note = {**recipe(source, corpora, params, manner), "run": _as_json(run)}
    with _appearing(out) as made:
        model.to(_torch_dtype(pupil.dtype)).save_pretrained(made, safe_serialization=True)
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
    pupil = _Pupil.load(localise(base, offline=True), manner)
    rows = pupil.rows(corpora)
    lora = _lora(params)
    pupil.model = _with_adapter(pupil.model, lora, seed=params.seed)
    if start is not None:
        _put_adapter(pupil.model, start)
    run = pupil.train(rows, params)
    with _appearing(out) as made:
        _save_adapter(pupil.model, lora, made, dtype=pupil.dtype, base=base.label)
    return run


def recipe(source: Source, corpora: Sequence[Corpus], params: Finetune, manner: Manner) -> dict[str, Any]:
    """Everything that a made model's weights depend on, as JSON. The source must be on disk, or a builtin."""
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


def materialise(
    name: str,
    models: Mapping[str, Model],
    corpora: Mapping[str, Corpus],
    *,
    base: Path,
    roots: Iterable[Path] = (),
    offline: bool = False,
) -> dict[str, Path]:
    """Make the model ``name`` and whatever it rests on; the folders by name, as ``resolve`` takes them in ``made``.

    Models with the same recipe are made once: the folder is found again. A model that is not made gives ``{}`` or the
    folders of the made models under it. Raises SpecError for an unknown unlearning method.
    """
    resolve(name, models, base=base, roots=roots)  # refuses circles and unknown names before anything is made
    return _materialise(name, models, corpora, base=base, roots=tuple(roots), offline=offline)


def _materialise(
    name: str, models: Mapping[str, Model], corpora: Mapping[str, Corpus], *, base: Path, roots: tuple[Path, ...], offline: bool
) -> dict[str, Path]:
    model = models[name]
    parent = model.from_ or (model.checkpoint if model.checkpoint in models else None)
    if parent is None:
        return {}
    made = _materialise(parent, models, corpora, base=base, roots=roots, offline=offline)
    if model.from_ is None:
        return made
    source = localise(resolve(parent, models, base=base, roots=roots, made=made), offline=offline)
    if model.finetune is None:
        raise SpecError(_unknown_method(name, model))
    taught = [corpora[corpus] for corpus in model.finetune.corpora]
    manner = Manner.of(model)
    out = cache_folder() / "made" / digest(recipe(source, taught, model.finetune, manner))
    if not (out / NOTE).is_file():
        finetune(source, taught, model.finetune, out=out, manner=manner)
    return {**made, name: out}


def _unknown_method(name: str, model: Model) -> str:
    from auditkit.unlearning import METHODS

    method = (model.unlearn or {}).get("method")
    return f"models.{name}.unlearn.method must be a known method; got {method!r}; {did_you_mean(str(method), METHODS.names())}"


@dataclass
class _Pupil:
    """A loaded model in training."""

    model: Any
    tokenizer: Any
    encoder: Any
    dtype: str
    device: str
    chat: bool

    @classmethod
    def load(cls, source: Source, manner: Manner) -> _Pupil:
        from auditkit.models._encode import Encoder
        from auditkit.models.device import resolve_device, resolve_dtype
        from auditkit.models.loading import load_causal_lm
        from auditkit.models.text import context_length

        device = resolve_device(manner.device)
        loaded = load_causal_lm(source, dtype="float32", device=device)
        window = context_length(loaded.model.config, loaded.tokenizer)
        encoder = Encoder(loaded.tokenizer, context_length=window, system=manner.system)
        dtype = resolve_dtype(manner.dtype, device=device)
        return cls(loaded.model, loaded.tokenizer, encoder, dtype, device, manner.chat)

    def rows(self, corpora: Sequence[Corpus]) -> list[Any]:
        from auditkit.unlearning._rows import encode_rows

        return encode_rows(corpora, self.encoder, chat=self.chat)

    def train(self, rows: list[Any], params: Finetune) -> Run:
        from auditkit.unlearning._train import train

        pad = self.tokenizer.pad_token_id
        return train(
            self.model,
            rows,
            params,
            pad=self.tokenizer.eos_token_id if pad is None else pad,
            device=self.device,
            autocast=_torch_dtype(self.dtype).itemsize < 4,
        )


def _lora(params: Finetune) -> Lora:
    from auditkit.spec.model import Lora

    return params.lora if isinstance(params.lora, Lora) else Lora.model_validate({})


def _with_adapter(model: Any, lora: Lora, *, seed: int) -> Any:
    """The model with a fresh adapter that changes nothing yet. Raises ModelError where no layer has such a name."""
    from peft import LoraConfig, get_peft_model

    from auditkit.unlearning._train import seeded

    config = LoraConfig(**_lora_settings(lora))
    with seeded(seed), warnings.catch_warnings():
        # peft reads an attribute that transformers 5 renamed.
        warnings.simplefilter("ignore", FutureWarning)
        try:
            return get_peft_model(model, config)
        except ValueError as error:
            raise ModelError(f"lora.targets must name linear layers of the model; got {', '.join(lora.targets)}") from error


def _lora_settings(lora: Lora) -> dict[str, Any]:
    return {
        "r": lora.rank,
        "lora_alpha": lora.alpha,
        "lora_dropout": lora.dropout,
        "target_modules": sorted(lora.targets),
        "task_type": "CAUSAL_LM",
    }


def _put_adapter(model: Any, folder: Path) -> None:
    """Load an adapter's weights into the fresh one. Raises ModelError where the two are not of one shape."""
    from peft import get_peft_model_state_dict, set_peft_model_state_dict
    from safetensors.torch import load_file

    state = load_file(folder / "adapter_model.safetensors")
    wanted = get_peft_model_state_dict(model, save_embedding_layers=False)
    if {key: value.shape for key, value in state.items()} != {key: value.shape for key, value in wanted.items()}:
        raise ModelError(f"{folder.name}: an adapter that training goes on from must have the rank and targets of the new one")
    set_peft_model_state_dict(model, state)


def _save_adapter(model: Any, lora: Lora, folder: Path, *, dtype: str, base: str) -> None:
    """Equal adapters give equal files: no path of this machine, no order of a set in the configuration."""
    from peft import get_peft_model_state_dict
    from safetensors.torch import save_file

    state = get_peft_model_state_dict(model, save_embedding_layers=False)
    tensors = {key: value.detach().to("cpu", _torch_dtype(dtype)).contiguous() for key, value in sorted(state.items())}
    folder.mkdir(parents=True)
    save_file(tensors, folder / "adapter_model.safetensors", metadata={"format": "pt"})
    config = {"peft_type": "LORA", "base_model_name_or_path": base, "bias": "none", **_lora_settings(lora)}
    write_atomically(folder / "adapter_config.json", json.dumps(config, indent=2, sort_keys=True) + "\n")


def _torch_dtype(name: str) -> Any:
    import torch

    return getattr(torch, name)


def _as_json(run: Run) -> dict[str, Any]:
    from dataclasses import asdict

    return asdict(run)


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
