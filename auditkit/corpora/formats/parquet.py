"""Parquet, through pyarrow."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from auditkit.corpora.rows import MAX_BYTES, BrokenFileError, Reader, Row

_BATCH_ROWS = 1024


def read(path: Path) -> Iterator[Row]:
    """One row per record, batch by batch."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as file:
            _refuse_bomb(file.metadata)
            yield from rows_of(file.iter_batches(batch_size=_BATCH_ROWS))
    except (pa.ArrowException, OSError, ValueError, OverflowError) as error:
        raise BrokenFileError(f"must be a parquet file; {type(error).__name__} while reading it") from None


def _refuse_bomb(metadata: object) -> None:
    groups = [metadata.row_group(index) for index in range(metadata.num_row_groups)]  # type: ignore[attr-defined]
    if sum(group.total_byte_size for group in groups) > MAX_BYTES:
        raise BrokenFileError(f"must be at most {MAX_BYTES >> 30} GiB when unpacked; got more")


def rows_of(batches: Iterator[object]) -> Iterator[Row]:
    """Record batches of pyarrow → rows, numbered from 1."""
    number = 0
    for batch in batches:
        for cells in batch.to_pylist():  # type: ignore[attr-defined]
            number += 1
            yield Row(number, cells)


FORMAT: Reader = read
