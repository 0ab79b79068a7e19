"""Everything that can be found wrong with a checkpoint before anything of it is loaded. A checkpoint is hostile."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from auditkit.errors import Problem
from auditkit.models._safetensors import BrokenFileError, Tensor, lora_problems, read_header
from auditkit.models.source import Source

INDEX = "model.safetensors.index.json"
PICKLES = (".bin", ".pt", ".pth", ".pkl", ".ckpt")
TOKENIZER_FILES = ("tokenizer.json", "tokenizer.model", "vocab.json", "vocab.txt", "spiece.model")
ADAPTER_CONFIG = "adapter_config.json"
ADAPTER_WEIGHTS = "adapter_model.safetensors"
MERGEABLE = ("LORA", "LOHA", "LOKR", "IA3", "ADALORA")
"""Kinds of adapter that can be merged into the base's weights."""
_GGUF_MAGIC = b"GGUF"
_JSON_LIMIT_BYTES = 100_000_000
_SHOWN = 3


def inspect(source: Source) -> list[Problem]:
    """Why a checkpoint cannot or may not be used; [] where nothing speaks against loading it.

    Of sources that are not on disk yet only the adapters are looked at.
    """
    found: list[Problem] = []
    if source.kind in ("folder", "gguf"):
        found += _gguf(source) if source.kind == "gguf" else _folder(source)
    for adapter in source.adapters:
        found += _adapter(adapter, source)
    return found


def _folder(source: Source) -> Iterator[Problem]:
    folder = source.path
    if not folder.is_dir():
        yield _problem(source, "must be a checkpoint folder; got " + ("a file" if folder.exists() else "nothing there"))
        return
    yield from _links(folder, source.links or folder, source)
    yield from _configs(folder, source)
    yield from _weights(folder, source)
    if not any((folder / name).is_file() for name in TOKENIZER_FILES):
        yield _problem(source, "must hold a tokenizer; got none", hint=f"one of {', '.join(TOKENIZER_FILES[:3])} is looked for")


def _gguf(source: Source) -> Iterator[Problem]:
    path = source.path
    if not path.is_file():
        yield _problem(source, "must be a GGUF file; got nothing there")
        return
    with path.open("rb") as stream:
        magic = stream.read(4)
    if magic != _GGUF_MAGIC or path.stat().st_size < 24:
        yield _problem(source, "must be a GGUF file; got something else")


def _links(folder: Path, allowed: Path, source: Source) -> Iterator[Problem]:
    """Symbolic links that lead out: the checkpoint would not be what its folder holds."""
    limit = allowed.resolve()
    for root, folders, files in os.walk(folder):
        for name in (*folders, *files):
            path = Path(root) / name
            if path.is_symlink() and not path.resolve().is_relative_to(limit):
                yield _problem(source, "must not be a link out of the checkpoint's folder", part=name, hint="copy the file in")


def _configs(folder: Path, source: Source) -> Iterator[Problem]:
    if not (folder / "config.json").is_file():
        yield _problem(source, "must be there; got a folder without it", part="config.json")
    for path in sorted(folder.glob("*.json")):
        if path.name in ("tokenizer.json", "vocab.json") or path.name.endswith(".index.json"):
            continue
        content = read_json(path)
        if content is None:
            yield _problem(source, "must be a JSON object; it cannot be read as one", part=path.name)
            continue
        if path.name == "config.json" and not isinstance(content.get("model_type"), str):
            yield _problem(source, "must name a model_type; got none", part=path.name)
        yield from _code(content, path.name, source)


def _code(content: Mapping[str, Any], part: str, source: Source) -> Iterator[Problem]:
    """Entries that would make a loader import code from the checkpoint or from the hub."""
    if "auto_map" in content:
        yield _problem(source, "must not bring its own code; got auto_map", part=part, hint="remote code is never run")
    for key, value in content.items():
        if key.endswith("_implementation") and "/" in str(value):
            yield _problem(source, f"must not bring its own code; got {key} from a hub", part=part)
        if isinstance(value, dict):
            yield from _code(value, part, source)


def _weights(folder: Path, source: Source) -> Iterator[Problem]:
    shards, problems = weight_files(folder)
    yield from (_problem(source, message, part=part) for part, message in problems)
    for shard in shards:
        try:
            read_header(folder / shard)
        except BrokenFileError as error:
            yield _problem(source, str(error), part=shard)
    if shards or problems:
        return
    pickles = pickle_files(folder)
    if not pickles:
        yield _problem(source, "must hold weights; got a folder without any", hint="model.safetensors is looked for")
    elif not source.allow_pickle:
        yield _problem(
            source,
            f"must be safetensors; got {pickles[0]}, whose format can run code",
            part=pickles[0],
            hint="convert it, or state allow_pickle: true for this model",
        )


def weight_files(folder: Path) -> tuple[list[str], list[tuple[str, str]]]:
    """Names of the safetensors files that make up the model, and (file, what is wrong) for the index."""
    if (folder / "model.safetensors").is_file():
        return ["model.safetensors"], []
    if not (folder / INDEX).is_file():
        return [], []
    content = read_json(folder / INDEX)
    names = content.get("weight_map") if content is not None else None
    if not isinstance(names, dict) or not names or not all(isinstance(name, str) for name in names.values()):
        return [], [(INDEX, "must hold a weight_map of tensors to files; it cannot be read as one")]
    shards = sorted(set(names.values()))
    bad = [name for name in shards if Path(name).name != name or not name.endswith(".safetensors")]
    if bad:
        return [], [(INDEX, f"must name safetensors files beside it; got {bad[0]!r}")]
    missing = [name for name in shards if not (folder / name).is_file()]
    problems = [(name, "must be there, the index names it; got a folder without it") for name in missing]
    return [name for name in shards if name not in missing], problems


def pickle_files(folder: Path) -> list[str]:
    """Names of files with pickled weights, those that transformers would load first."""
    names = [path.name for path in sorted(folder.iterdir()) if path.suffix in PICKLES]
    return sorted(names, key=lambda name: not name.startswith("pytorch_model"))


def _adapter(folder: Path, source: Source) -> Iterator[Problem]:
    if not folder.is_dir():
        yield _problem(source, "must be the folder of a PEFT adapter; got nothing there", part=folder.name)
        return
    yield from _links(folder, folder, source)
    content = read_json(folder / ADAPTER_CONFIG) if (folder / ADAPTER_CONFIG).is_file() else None
    where = f"{folder.name}/{ADAPTER_CONFIG}"
    if content is None:
        yield _problem(source, "must be a JSON object; it is missing or cannot be read as one", part=where)
        return
    yield from _code(content, where, source)
    if content.get("peft_type") not in MERGEABLE:
        got = content.get("peft_type")
        yield _problem(source, f"peft_type must be one of {', '.join(MERGEABLE)}; got {got!r}", part=where)
    if content.get("megatron_config"):
        # peft imports whatever module such a config names.
        yield _problem(source, "must not bring its own code; got megatron_config", part=where)
    yield from _adapter_weights(folder, source)


def _adapter_weights(folder: Path, source: Source) -> Iterator[Problem]:
    part = f"{folder.name}/{ADAPTER_WEIGHTS}"
    if not (folder / ADAPTER_WEIGHTS).is_file():
        got = next((path.name for path in sorted(folder.iterdir()) if path.suffix in PICKLES), "no weights")
        yield _problem(source, f"an adapter's weights must be safetensors; got {got}", part=part)
        return
    try:
        tensors = read_header(folder / ADAPTER_WEIGHTS)
    except BrokenFileError as error:
        yield _problem(source, str(error), part=part)
        return
    if not tensors:
        yield _problem(source, "must hold tensors; got none", part=part)
    base = _base_tensors(source)
    wrong = lora_problems(tensors, base) if base else []
    if wrong:
        more = f" and {len(wrong) - _SHOWN} more" if len(wrong) > _SHOWN else ""
        message = f"must fit its base; got {'; '.join(wrong[:_SHOWN])}{more}"
        yield _problem(source, message, part=part, hint="name the checkpoint that it was made for")


def _base_tensors(source: Source) -> Mapping[str, Tensor]:
    """Names and shapes of a safetensors base; for another base nothing can be compared before loading."""
    tensors: dict[str, Tensor] = {}
    if source.kind == "folder" and source.path.is_dir():
        for shard in weight_files(source.path)[0]:
            try:
                tensors |= read_header(source.path / shard)
            except BrokenFileError:
                return {}
    return tensors


def read_json(path: Path) -> dict[str, Any] | None:
    """A JSON object, or None where the file is none."""
    try:
        if path.stat().st_size > _JSON_LIMIT_BYTES:
            return None
        content = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return None
    return content if isinstance(content, dict) else None


def _problem(source: Source, message: str, *, part: str = "", hint: str = "") -> Problem:
    return Problem(message, where=f"{source.label}: {part}" if part else source.label, hint=hint)
