"""Digests of a checkpoint's files, and what they add up to."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

from auditkit.files import cache_folder, digest, file_digest, write_atomically
from auditkit.models._inspect import pickle_files, read_json, weight_files
from auditkit.models.protocol import Fingerprint
from auditkit.models.source import Source

_CONFIG_FILES = ("config.json", "generation_config.json")
_TEMPLATE_FILES = ("chat_template.jinja", "chat_template.json")
_TEMPLATE_FOLDER = "additional_chat_templates/"
_TOKENIZER_CONFIG = "tokenizer_config.json"
_TOKENIZER_FILES = (
    "tokenizer.json",
    _TOKENIZER_CONFIG,
    "special_tokens_map.json",
    "added_tokens.json",
    "tokenizer.model",
    "spiece.model",
    "vocab.json",
    "vocab.txt",
    "merges.txt",
)
_SETTLED_SECONDS = 2.0
"""A file changed more recently than this could change again without a new time stamp: its digest is not kept."""


class Entry(TypedDict):
    """One file of a checkpoint."""

    sha256: str
    size: int
    """Bytes."""


Manifest = dict[str, Entry]
"""Path below the checkpoint (``@adapter-1/…`` for adapters) to its entry, sorted."""


def manifest(source: Source, *, recheck: bool = False) -> Manifest:
    """Every file of the checkpoint and of its adapters.

    Digests are remembered by path, size, time stamp and inode in the user's cache; ``recheck`` reads every byte again.
    """
    book = _Book.load()
    entries = {name: book.entry(path, recheck=recheck) for name, path in _files(source)}
    book.save()
    return dict(sorted(entries.items()))


def changed(source: Source, before: Mapping[str, Entry]) -> list[str]:
    """Files that were added, removed or altered since ``before``; every byte is read again."""
    after = manifest(source, recheck=True)
    return sorted(name for name in {*before, *after} if before.get(name) != after.get(name))


def fingerprint(source: Source, *, files: Mapping[str, Entry] | None = None) -> Fingerprint:
    """What the model is made of, from ``files`` (the source's manifest) or from a fresh manifest.

    weights: over (name, sha256) of the files that would be loaded; a GGUF file holds config and tokenizer too. The chat
    template counts on its own, wherever the checkpoint keeps it.
    """
    entries = files if files is not None else manifest(source)
    adapters = sorted((name, entry["sha256"]) for name, entry in entries.items() if _is_adapter(name, source))
    adapter = digest(adapters) if adapters else ""
    if source.kind == "gguf":
        return Fingerprint(digest([["gguf", entries[source.path.name]["sha256"]]]), "", "", "", adapter)
    folder = source.path
    names = weight_files(folder)[0] or [name for name in pickle_files(folder) if name.startswith("pytorch_model")]
    return Fingerprint(
        weights=_over(names, entries),
        config=_over(_CONFIG_FILES, entries),
        tokenizer=_over(_TOKENIZER_FILES, entries),
        chat_template=_template(folder, entries),
        adapter=adapter,
    )


def _over(names: tuple[str, ...] | list[str], entries: Mapping[str, Entry]) -> str:
    present = sorted((name, entries[name]["sha256"]) for name in names if name in entries)
    return digest(present) if present else ""


def _template(folder: Path, entries: Mapping[str, Entry]) -> str:
    names = [name for name in entries if name in _TEMPLATE_FILES or name.startswith(_TEMPLATE_FOLDER)]
    config = read_json(folder / _TOKENIZER_CONFIG) or {}
    inline = config.get("chat_template")
    if not names and inline is None:
        return ""
    return digest([_over(names, entries), inline])


def _files(source: Source) -> Iterator[tuple[str, Path]]:
    if source.kind == "gguf":
        yield source.path.name, source.path
    else:
        yield from _below(source.path, "")
    for folder, prefix in zip(source.adapters, _prefixes(source), strict=True):
        yield from _below(folder, prefix)


def _prefixes(source: Source) -> list[str]:
    return [f"@adapter-{number}/" for number in range(1, len(source.adapters) + 1)]


def _is_adapter(name: str, source: Source) -> bool:
    return name.startswith(tuple(_prefixes(source)))


def _below(folder: Path, prefix: str) -> Iterator[tuple[str, Path]]:
    """Files of a folder; hidden ones belong to tools (version control, download caches), not to the model."""
    for root, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(files):
            if not name.startswith("."):
                path = Path(root) / name
                yield prefix + path.relative_to(folder).as_posix(), path


@dataclass
class _Book:
    """Digests already computed. Two runs that save at once lose entries, never correctness."""

    path: Path
    known: dict[str, list[object]]
    grown: bool = False

    @classmethod
    def load(cls) -> _Book:
        path = cache_folder() / "digests.json"
        return cls(path, {key: value for key, value in (read_json(path) or {}).items() if isinstance(value, list)})

    def entry(self, path: Path, *, recheck: bool) -> Entry:
        real = path.resolve()
        stat = real.stat()
        stamp = [stat.st_size, stat.st_mtime_ns, stat.st_ino]
        known = self.known.get(str(real))
        if not recheck and known is not None and known[:3] == stamp and isinstance(known[-1], str):
            return Entry(sha256=known[-1], size=stat.st_size)
        sha256 = file_digest(real)
        if time.time() - stat.st_mtime > _SETTLED_SECONDS:
            self.known[str(real)] = [*stamp, sha256]
            self.grown = True
        return Entry(sha256=sha256, size=stat.st_size)

    def save(self) -> None:
        if self.grown:
            current = {key: value for key, value in (read_json(self.path) or {}).items() if key not in self.known}
            write_atomically(self.path, json.dumps({**current, **self.known}, sort_keys=True))
