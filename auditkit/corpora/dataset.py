"""``dataset:``: a folder written by ``datasets.save_to_disk``, or a data set of the Hugging Face hub at a revision.

A local folder is read with pyarrow: importing ``datasets`` takes seconds, and its loader follows file names out of the folder
and formats that import torch. Only a hub id imports it.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from auditkit.corpora.formats.parquet import rows_of
from auditkit.corpora.rows import MAX_BYTES, BrokenFileError, Row, decode, parse_json
from auditkit.errors import did_you_mean

_DEFAULT_SPLIT = "train"


def is_local(dataset: str) -> bool:
    """Whether the name is a folder's: it begins with ./, ../ or /."""
    return dataset.startswith(("./", "../", "/"))


def read_folder(folder: Path, *, split: str | None = None) -> Iterator[Row]:
    """Rows of a saved Dataset, or of one split of a saved DatasetDict (default: train)."""
    if not folder.is_dir():
        raise BrokenFileError("must be a folder made by datasets.save_to_disk; got no folder there")
    part = _split_folder(folder, split)
    files = _arrow_files(part)
    if sum(file.stat().st_size for file in files) > MAX_BYTES:
        raise BrokenFileError(f"must be at most {MAX_BYTES >> 30} GiB; got more")
    return _arrow_rows(files)


def read_hub(name: str, *, config: str | None, split: str | None, revision: str) -> Iterator[Row]:
    """Rows of a hub data set at a commit; data files only, never the repository's code."""
    import datasets

    try:
        data = datasets.load_dataset(name, config, split=split or _DEFAULT_SPLIT, revision=revision)
        for number, cells in enumerate(data.with_format(None), start=1):
            yield Row(number, cells)
    except (OSError, ValueError, RuntimeError, datasets.exceptions.DatasetsError) as error:
        first = (str(error).splitlines() or [""])[0]
        raise BrokenFileError(f"must be a data set that can be fetched; {type(error).__name__}: {first[:200]}") from None


def _split_folder(folder: Path, split: str | None) -> Path:
    listing = folder / "dataset_dict.json"
    if not listing.is_file():
        if split is not None:
            raise BrokenFileError(f"must have splits to choose {split!r} from; got a data set without splits")
        return folder
    splits = [name for name in _strings(_read_json(listing), "splits") if Path(name).name == name]
    wanted = split or _DEFAULT_SPLIT
    if wanted not in splits:
        raise BrokenFileError(f"must have the split {wanted!r}; got others", hint=did_you_mean(wanted, splits))
    return folder / wanted


def _arrow_files(folder: Path) -> list[Path]:
    state = _read_json(folder / "state.json")
    if state.get("_indices_data_files"):
        raise BrokenFileError("must hold its rows in order; got an index", hint="save it again with datasets.save_to_disk")
    entries = state.get("_data_files")
    names = [entry.get("filename") for entry in entries if isinstance(entry, dict)] if isinstance(entries, list) else []
    files = [folder / name for name in names if isinstance(name, str) and Path(name).name == name]
    inside = [file for file in files if file.is_file() and file.resolve().is_relative_to(folder.resolve())]
    if not names or len(inside) < len(names):
        raise BrokenFileError("must hold the arrow files that its state.json names; got none or not all of them")
    return inside


def _arrow_rows(files: list[Path]) -> Iterator[Row]:
    import pyarrow as pa

    def batches() -> Iterator[Any]:
        for file in files:
            with pa.memory_map(str(file)) as source:
                yield from pa.ipc.open_stream(source)

    try:
        yield from rows_of(batches())
    except (pa.ArrowException, OSError, ValueError, OverflowError) as error:
        raise BrokenFileError(f"must hold arrow files; {type(error).__name__} while reading one") from None


def _read_json(path: Path) -> dict[str, Any]:
    try:
        value = parse_json(decode(path.read_bytes()))
    except OSError:
        raise BrokenFileError(f"must be a folder made by datasets.save_to_disk; got no {path.name} in it") from None
    if not isinstance(value, dict):
        raise BrokenFileError(f"must be a folder made by datasets.save_to_disk; got a broken {path.name}")
    return value


def _strings(value: dict[str, Any], key: str) -> list[str]:
    found = value.get(key)
    return [item for item in found if isinstance(item, str)] if isinstance(found, list) else []
