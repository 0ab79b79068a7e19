"""What a reader gives: rows as the file has them, or the one place where the file is broken.

No message here or further on quotes a cell: what had to be forgotten must not spread through errors and logs.
"""

from __future__ import annotations

import datetime as dt
import json
import math
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

MAX_BYTES = 2 << 30
"""A larger file is refused: it would not fit into memory beside a model."""
MAX_DEPTH = 50
_SURROGATE = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class Row:
    """One row of a file."""

    number: int
    """1-based: the line of a jsonl file, else the row, header not counted."""
    cells: Mapping[str, Any]
    """Column to value, in the file's order; None where the row has no value."""


Reader = Callable[[Path], Iterator[Row]]
"""A format of files. It raises ``BrokenFileError`` and ``OSError``; plug-ins define it as ``FORMAT``."""


class BrokenFileError(Exception):
    """The place where a file cannot be read, in words; the caller adds the file's name."""

    def __init__(self, message: str, *, row: int = 0, line: int = 0, column: int = 0, hint: str = "") -> None:
        super().__init__(message)
        self.message, self.row, self.line, self.column, self.hint = message, row, line, column, hint


class BadCellError(ValueError):
    """A value that no corpus may hold, in words without the value."""


def clean(value: Any, depth: int = 0) -> Any:
    """A cell as plain JSON values (and bytes): dates and decimals become text, NaN, which stands for nothing, None.

    Raises BadCellError for lone surrogates, infinities, deep nesting and types that no reader here gives.
    """
    if value is None or isinstance(value, bool | int | bytes):
        return value
    if isinstance(value, str):
        if _SURROGATE.search(value):
            raise BadCellError("must be valid Unicode; got half of a surrogate pair")
        return value
    if isinstance(value, float):
        if math.isinf(value):
            raise BadCellError("must be finite; got an infinity")
        return None if math.isnan(value) else value
    if isinstance(value, dt.date | dt.time | Decimal):
        return value.isoformat() if not isinstance(value, Decimal) else str(value)
    return _clean_inside(value, depth + 1)


def _clean_inside(value: Any, depth: int) -> Any:
    if depth > MAX_DEPTH:
        raise BadCellError(f"must be nested at most {MAX_DEPTH} deep; got more")
    if isinstance(value, list | tuple):
        return [clean(item, depth) for item in value]
    if isinstance(value, Mapping):
        return {str(clean(str(key))): clean(item, depth) for key, item in value.items()}
    raise BadCellError(f"must be text, a number, true or false, a list or a mapping; got a {type(value).__name__}")


def decode(content: bytes) -> str:
    """UTF-8 with or without a byte order mark. Raises BrokenFileError naming line and column of the first other byte."""
    content = content.removeprefix(b"\xef\xbb\xbf")
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        column = error.start - (content.rfind(b"\n", 0, error.start) + 1) + 1
        message = f"must be UTF-8; got the byte 0x{content[error.start]:02x}"
        raise BrokenFileError(message, line=line, column=column, hint="save the file as UTF-8") from None


def parse_json(text: str) -> Any:
    """Strict JSON: no NaN, no key twice. Raises BrokenFileError with line and column inside ``text`` where they are known."""
    try:
        return json.loads(text, parse_constant=_refuse_constant, object_pairs_hook=_unique)
    except json.JSONDecodeError as error:
        raise BrokenFileError(f"must be JSON; {error.msg.lower()}", line=error.lineno, column=error.colno) from None
    except RecursionError:
        raise BrokenFileError(f"must be nested at most {MAX_DEPTH} deep; got more") from None
    except BadCellError as error:
        raise BrokenFileError(str(error)) from None
    except ValueError:
        raise BrokenFileError("must hold numbers of a few digits; got thousands of digits") from None


def _refuse_constant(name: str) -> None:
    raise BadCellError(f"must be JSON; got {name}, which JSON does not have")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise BadCellError("must name each column once; got one twice")
    return found
