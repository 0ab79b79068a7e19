"""Recorded answers on disk, addressed by what they are answers to.

::

    measurements/
      <key of subject and version>/          one shelf: never found by a model's name
        score.<sha256>.parquet               the records of one batch
        generate.<sha256>.parquet

A file is written under a temporary name and renamed. Its name carries a digest of its shelf's name and its bytes: a file that
does not match, such as one of another model's shelf, is set aside and its batch measured again. Several runs may read and
write one store at once.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from auditkit.errors import Problem
from auditkit.files import cache_folder, digest, write_atomically
from auditkit.measurement.plan import Subject
from auditkit.models.protocol import Record, Request

MEASUREMENT_VERSION = 3
"""Grows whenever the same request on the same model would be answered differently: older records are then not used."""
_SUFFIX = ".parquet"
_DIGEST, _TOKENS, _CUT = "request_digest", "request_tokens", "cut_tokens"


@dataclass(frozen=True)
class Store:
    """A folder of shelves."""

    root: Path

    @classmethod
    def default(cls) -> Store:
        """In the user's cache folder."""
        return cls(cache_folder() / "measurements")

    def shelf(self, subject: Subject) -> Shelf:
        """The answers of one subject model."""
        return Shelf(self.root / digest([subject.key, MEASUREMENT_VERSION])[:32])


class Shelf:
    """The answers of one subject model: an index in memory over the files of its folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.warnings: list[Problem] = []
        """Files that were set aside."""
        self._tables: list[Any] = []
        self._index: dict[str, tuple[int, int]] = {}
        for path in sorted(folder.glob(f"*{_SUFFIX}")) if folder.is_dir() else ():
            self._read(path)

    def __contains__(self, request: Request) -> bool:
        return request.digest in self._index

    def __getitem__(self, request: Request) -> Record:
        """The record; raises KeyError where it was not measured."""
        table, row = self._index[request.digest]
        return _record(request.record, self._tables[table], row)

    def tokens(self, request: Request) -> int:
        """What the request cost when it was measured."""
        table, row = self._index[request.digest]
        tokens: int = self._tables[table][_TOKENS][row].as_py()
        return tokens

    def cut(self, request: Request) -> bool:
        """Tokens of its prompt were dropped, because it did not fit into the model's window."""
        table, row = self._index[request.digest]
        return bool(self._tables[table][_CUT][row].as_py())

    def put(self, requests: Sequence[Request], records: Sequence[Record], tokens: Sequence[int]) -> None:
        """Keep the records of one batch, of one kind: on disk and in the index when it returns."""
        table = to_table([request.digest for request in requests], records, tokens)
        content = to_bytes(table)
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        name = f"{requests[0].kind}.{self._digest(content)}{_SUFFIX}"
        write_atomically(self.folder / name, content)
        self._add(table)

    def _read(self, path: Path) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        try:
            content = path.read_bytes()
        except OSError as error:
            self.warnings.append(Problem(f"cannot be read: {error.strerror}; measured again", file=path.name))
            return
        if path.name.split(".")[1:2] == [self._digest(content)]:
            self._add(pq.read_table(pa.BufferReader(content)))
            return
        self.warnings.append(Problem("does not match its digest and shelf: set aside and measured again", file=path.name))
        with contextlib.suppress(OSError):
            path.rename(path.with_suffix(".damaged"))

    def _digest(self, content: bytes) -> str:
        return hashlib.sha256(self.folder.name.encode() + content).hexdigest()

    def _add(self, table: Any) -> None:
        number = len(self._tables)
        self._tables.append(table)
        for row, key in enumerate(table[_DIGEST].to_pylist()):
            self._index.setdefault(key, (number, row))


def to_table(keys: Sequence[str], records: Sequence[Record], tokens: Sequence[int]) -> Any:
    """An Arrow table with one row per record and one column per field; arrays become lists."""
    import pyarrow as pa

    fields = [field.name for field in dataclasses.fields(records[0])]
    columns = {name: _column([getattr(record, name) for record in records]) for name in fields}
    return pa.table({_DIGEST: pa.array(keys, pa.string()), _TOKENS: pa.array(tokens, pa.int64()), **columns})


def to_bytes(table: Any) -> bytes:
    """The table as a Parquet file; equal tables give equal bytes."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, compression="zstd")
    content: bytes = sink.getvalue().to_pybytes()
    return content


def _column(values: Sequence[Any]) -> Any:
    import numpy as np
    import pyarrow as pa

    first = values[0]
    if not isinstance(first, np.ndarray):
        return pa.array(values)
    kind = pa.list_(pa.from_numpy_dtype(first.dtype))
    if first.ndim == 1:
        return pa.array(list(values), type=kind)
    return pa.array([list(value) for value in values], type=pa.list_(kind))


def _record(cls: type[Record], table: Any, row: int) -> Record:
    return cls(**{field.name: _value(table[field.name][row]) for field in dataclasses.fields(cls)})


def _value(scalar: Any) -> Any:
    import numpy as np
    import pyarrow as pa

    if not pa.types.is_list(scalar.type):
        return scalar.as_py()
    if pa.types.is_list(scalar.type.value_type):
        return np.stack([_value(part) for part in scalar])
    return scalar.values.to_numpy(zero_copy_only=False)


def merged(parts: Iterable[tuple[Request, Record, int]], *, names: Mapping[str, str]) -> Any:
    """One table of records of one kind, ordered by name; ``names`` replaces the requests' digests."""
    rows = sorted(((names[request.digest], record, tokens) for request, record, tokens in parts), key=lambda row: row[0])
    return to_table([row[0] for row in rows], [row[1] for row in rows], [row[2] for row in rows])
