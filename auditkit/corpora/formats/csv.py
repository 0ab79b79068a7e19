"""CSV with a header line: comma, double quotes, UTF-8."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from auditkit.corpora.rows import BrokenFileError, Reader, Row, decode
from auditkit.text import one_line

_LARGEST_CELL_CHARACTERS = 64 << 20


def read(path: Path) -> Iterator[Row]:
    """One row per record; every record must have as many cells as the header. An empty cell is no value."""
    # Python's own limit of 128 KB a cell is below the length of a book; the setting is the module's, not the reader's.
    csv.field_size_limit(_LARGEST_CELL_CHARACTERS)
    records = csv.reader(io.StringIO(decode(path.read_bytes()), newline=""), strict=True)
    header = _next(records, 0)
    if header is None:
        return
    twice = [one_line(name, 40) or "an empty one" for name, count in Counter(header).items() if count > 1]
    if twice:
        raise BrokenFileError(f"must name each column once; got {', '.join(twice[:5])} more than once", line=1)
    number = 0
    while (cells := _next(records, number + 1)) is not None:
        if not cells:
            continue
        number += 1
        if len(cells) != len(header):
            message = f"must have {len(header)} cells, as the header has; got {len(cells)}"
            raise BrokenFileError(message, row=number, line=records.line_num, hint="put cells with commas in double quotes")
        yield Row(number, {name: cell or None for name, cell in zip(header, cells, strict=True)})


def _next(records: Iterator[list[str]], number: int) -> list[str] | None:
    try:
        return next(records, None)
    except csv.Error as error:
        raise BrokenFileError(f"must be CSV; {error}", row=number, hint="check the quotes of this row") from None


FORMAT: Reader = read
