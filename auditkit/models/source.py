"""Where a subject model comes from: the spec's words become a ``Source``, with no network and no torch.

::

    ./folder  ../folder  /folder      a checkpoint folder        \\
    ./file.gguf                       a GGUF file                 |
    owner/name  (and revision)        a hub repository            |  and PEFT adapters, in the order they are applied
    builtin:NAME                      a model shipped with pip    |
    NAME                              another model of the spec  /

A model with ``from:`` is made by the spec: its source has the kind ``made`` until whoever makes it gives the folder.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from auditkit.errors import ModelError, UserError, did_you_mean
from auditkit.paths import inside

if TYPE_CHECKING:
    from auditkit.spec.model import Model

_HUB_ID = re.compile(r"^[A-Za-z0-9][A-Za-z0-9_.-]*/[A-Za-z0-9][A-Za-z0-9_.-]*$")
_REVISION = re.compile(r"^[A-Za-z0-9][A-Za-z0-9_./-]*$")
_BUILTIN = "builtin:"
HUB_FILES = (
    "*.safetensors",
    "*.safetensors.index.json",
    "*.json",
    "*.jinja",
    "*.model",
    "*.txt",
    "additional_chat_templates/*",
)
"""What is fetched of a hub repository; with ``allow_pickle`` also ``pytorch_model*.bin``."""


@dataclass(frozen=True)
class Source:
    """What a model is loaded from. ``Source.of_folder`` makes one from a folder on disk."""

    kind: Literal["folder", "gguf", "hub", "builtin", "made"]
    location: str
    """Absolute path, hub id, builtin's name, or the name of the model that the spec makes."""
    label: str
    """As the spec names it, for messages and the report."""
    revision: str = ""
    """Hub: the revision asked for; once localised, the folder is named after the commit."""
    adapters: tuple[Path, ...] = ()
    """Adapter folders, applied in this order."""
    allow_pickle: bool = False
    links: Path | None = None
    """Folder in which symbolic links of the checkpoint may end; None: the checkpoint's own."""

    @classmethod
    def of_folder(cls, folder: Path, *, adapters: Iterable[Path] = (), label: str = "") -> Source:
        """A checkpoint folder that the caller vouches for: made by the spec, or by a test."""
        return cls("folder", str(folder.resolve()), label or folder.name, adapters=tuple(adapters))

    @property
    def path(self) -> Path:
        """The checkpoint folder or GGUF file. Raises ValueError for a source that is not on disk yet."""
        if self.kind not in ("folder", "gguf"):
            raise ValueError(f"a source of kind {self.kind} has no path before it is localised")
        return Path(self.location)


def resolve(
    name: str,
    models: Mapping[str, Model],
    *,
    base: Path,
    roots: Iterable[Path] = (),
    offline: bool = False,
    made: Mapping[str, Path] | None = None,
) -> Source:
    """The source of the model called ``name``.

    ``made`` holds the folders of models that the spec makes, as far as they are made. Raises ModelError for an unknown
    name, a circle, a path outside ``base`` and ``roots``, a hub id without revision, and when offline for a hub id that is
    not in the hub's local cache. Nothing else on disk is looked at.
    """
    source = _resolve(name, models, base=base, roots=tuple(roots), made=made or {}, trail=())
    return localise(source, offline=True) if offline and source.kind == "hub" else source


def _resolve(
    name: str,
    models: Mapping[str, Model],
    *,
    base: Path,
    roots: tuple[Path, ...],
    made: Mapping[str, Path],
    trail: tuple[str, ...],
) -> Source:
    if name in trail:
        raise ModelError(f"models must not be made of each other; got the circle {' -> '.join((*trail, name))}")
    model = models[name]
    if model.checkpoint is None:
        # The model it starts from is followed too, so that a circle through `from` is found as well.
        parent = _reference(str(model.from_), models, name)
        _resolve(parent, models, base=base, roots=roots, made=made, trail=(*trail, name))
        source = Source.of_folder(made[name], label=name) if name in made else Source("made", name, name)
    elif model.checkpoint in models:
        source = _resolve(model.checkpoint, models, base=base, roots=roots, made=made, trail=(*trail, name))
    else:
        source = _place(model, models, base=base, roots=roots)
    adapters = source.adapters
    if model.adapter is not None:
        adapters = (*adapters, _inside(model.adapter, base, roots, f"models.{name}.adapter"))
    return replace(source, adapters=adapters, allow_pickle=source.allow_pickle or model.allow_pickle)


def _reference(word: str, models: Mapping[str, Model], name: str) -> str:
    if word not in models:
        raise ModelError(f"models.{name}.from must be a model of this spec; got {word!r}; {did_you_mean(word, models)}")
    return word


def _place(model: Model, models: Mapping[str, Model], *, base: Path, roots: tuple[Path, ...]) -> Source:
    """A checkpoint that is not the name of another model."""
    word = str(model.checkpoint)
    if word.startswith(_BUILTIN):
        return Source("builtin", word.removeprefix(_BUILTIN), word)
    if word.startswith(("./", "../", "/")) or word in (".", ".."):
        path = _inside(word, base, roots, word)
        return Source("gguf" if path.suffix == ".gguf" else "folder", str(path), word)
    if _HUB_ID.match(word):
        if not model.revision:
            raise ModelError(f"a hub id needs a revision; got {word!r} without one; add revision: COMMIT, or write ./{word}")
        if not _REVISION.match(model.revision):
            raise ModelError(f"revision must be a commit, tag or branch; got {model.revision!r}")
        return Source("hub", word, word, revision=model.revision)
    raise ModelError(
        "checkpoint must be a path that begins with ./ ../ or /, a hub id owner/name, builtin:NAME, or a model of this spec; "
        f"got {word!r}; {did_you_mean(word, models)}"
    )


def _inside(path: str, base: Path, roots: tuple[Path, ...], where: str) -> Path:
    try:
        return inside(path, base, roots)
    except UserError as error:
        raise ModelError(f"{where}: {error}") from error


def localise(source: Source, *, offline: bool) -> Source:
    """The source on disk: a hub repository is fetched (from the hub's local cache alone when offline), a builtin converted.

    Raises ModelError where it cannot be had. Sources that are on disk come back as they are.
    """
    if source.kind == "builtin":
        from auditkit.models.builtin import builtin_folder

        return replace(source, kind="folder", location=str(builtin_folder(source.location)))
    if source.kind == "hub":
        return _fetch(source, offline=offline)
    if source.kind == "made":
        raise ModelError(f"the model {source.location!r} is made by the spec and has not been made yet")
    return source


def _fetch(source: Source, *, offline: bool) -> Source:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    patterns = [*HUB_FILES, *(["pytorch_model*.bin"] if source.allow_pickle else [])]
    try:
        folder = snapshot_download(source.location, revision=source.revision, allow_patterns=patterns, local_files_only=offline)
    except LocalEntryNotFoundError as error:
        state = "offline, and not in the hub's local cache" if offline else "not reachable"
        raise ModelError(f"{source.label} at revision {source.revision}: {state}") from error
    except (HfHubHTTPError, OSError) as error:
        raise ModelError(f"{source.label} at revision {source.revision}: cannot be fetched: {error}") from error
    # The hub's cache keeps a repository's files as links from snapshots/COMMIT into blobs/.
    path = Path(folder)
    return replace(source, kind="folder", location=folder, links=path.parent.parent.resolve())
