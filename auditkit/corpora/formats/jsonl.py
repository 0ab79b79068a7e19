"""JSON Lines: one object a line; empty lines are passed over."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from auditkit.corpora.rows import BrokenFileError, Reader, Row, decode, parse_json


def read(path: Path) -> Iterator[Row]:
    """One row per line, numbered by line; the first broken line raises BrokenFileError."""
    with path.open("rb") as stream:
        for number, line in enumerate(stream, start=1):
            try:
                text = decode(line).rstrip()
                value = parse_json(text) if text else {}
            except BrokenFileError as error:
                raise BrokenFileError(error.message, row=number, line=number, column=error.column, hint=error.hint) from None
            if not isinstance(value, dict):
                raise BrokenFileError("must be an object {...}; got another value", row=number, line=number)
            if text:
                yield Row(number, value)


FORMAT: Reader = read
