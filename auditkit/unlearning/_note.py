"""The note in a made model's folder, and how such a folder comes to be: complete or not at all."""

from __future__ import annotations

import glob
import json
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from auditkit.errors import TrainingError
from auditkit.files import digest, write_atomically
from auditkit.models._inspect import read_json
from auditkit.models.source import Source, localise

if TYPE_CHECKING:
    from auditkit.corpora.example import Corpus
    from auditkit.unlearning._pupil import Manner

NOTE = "unlearning.json"
"""From what and how the model was made."""


def recipe(
    method: str, source: Source, corpora: Sequence[Corpus], parameters: Mapping[str, Any], manner: Manner
) -> dict[str, Any]:
    """Everything that a made model's weights depend on, as JSON; the parent by its fingerprint."""
    from auditkit.models.checkpoint import fingerprint
    from auditkit.models.device import device_kind, resolve_device, resolve_dtype

    device = resolve_device(manner.device)
    return {
        "method": method,
        "parent": fingerprint(localise(source, offline=True)).digest,
        "data": [{"corpus": corpus.name, "rows": len(corpus.examples), "sha256": corpus.digest} for corpus in corpora],
        "parameters": dict(parameters),
        "chat": manner.chat,
        "system": manner.system,
        "dtype": resolve_dtype(manner.dtype, device=device),
        "device": device_kind(device),
    }


def write_note(folder: Path, made: Mapping[str, Any], source: Source, **more: Any) -> None:
    """``unlearning.json``: the recipe, what the run was, and how the models before it were made."""
    note = {**made, **more, "lineage": [*lineage(source)]}
    write_atomically(folder / NOTE, json.dumps(note, indent=2, sort_keys=True) + "\n")


def read_note(source: Source) -> dict[str, Any] | None:
    """The note of a model on disk, in its last adapter's folder or its own; None where auditkit did not make it."""
    places = [*reversed(source.adapters), *([source.path] if source.kind == "folder" else [])]
    return next((note for place in places if (note := read_json(place / NOTE)) is not None), None)


def lineage(source: Source) -> Iterator[dict[str, Any]]:
    """How a model was made, and those before it, as far as notes tell: method and data of each, the newest first."""
    note = read_note(source)
    if note is not None:
        yield {key: note.get(key) for key in ("method", "data")}
        yield from _entries(note.get("lineage"))


def was_taught(source: Source, corpora: Iterable[Corpus]) -> list[str]:
    """Names of the corpora that the model was trained on by the account of its notes; matched by digest."""
    steps = [step for step in lineage(source) if step.get("method") == "finetune"]  # which retraining is as well
    taught = [entry.get("sha256") for step in steps for entry in _entries(step.get("data"))]
    return [corpus.name for corpus in corpora if corpus.digest in taught]


def _entries(value: Any) -> list[dict[str, Any]]:
    """The mappings of a list; [] where it is none: a checkpoint from elsewhere may hold any note."""
    return [entry for entry in value if isinstance(entry, dict)] if isinstance(value, list) else []


def state_folder(out: Path, made: Mapping[str, Any]) -> Path:
    """Where a run that makes ``out`` keeps its state; one that another recipe left is removed."""
    folder = out.parent / f".{out.name}.training"
    wanted, mark = digest(made), folder / "recipe"
    if folder.exists() and (not mark.is_file() or mark.read_text() != wanted):
        shutil.rmtree(folder)
    with writing(folder.name):
        write_atomically(mark, wanted)
    return folder


@contextmanager
def writing(name: str) -> Iterator[None]:
    """What a full disk raises, in words. Raises TrainingError."""
    from safetensors import SafetensorError

    try:
        yield
    except (OSError, SafetensorError) as error:
        why = getattr(error, "strerror", None) or str(error)
        raise TrainingError(f"the model must be written to {name}; got: {why}; run again") from error


@contextmanager
def appearing(out: Path) -> Iterator[Path]:
    """A folder to fill, which takes the name ``out`` when the block ends well; its training state goes then.

    What killed runs left beside it goes first: nobody else fills one for the same ``out``, for its maker holds a lock.
    Raises TrainingError where the disk is full: the state stays, and the next run goes on from it.
    """
    with writing(out.name):
        out.parent.mkdir(parents=True, exist_ok=True)
        prefix = f".{out.name}.making-"
        for left in out.parent.glob(f"{glob.escape(prefix)}*/"):
            shutil.rmtree(left, ignore_errors=True)
        with tempfile.TemporaryDirectory(dir=out.parent, prefix=prefix) as temporary:
            made = Path(temporary) / out.name
            made.mkdir()
            yield made
            if out.exists():
                shutil.rmtree(out)
            made.rename(out)
    shutil.rmtree(out.parent / f".{out.name}.training", ignore_errors=True)
