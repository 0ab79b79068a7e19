"""JSON: one array of objects, or one object a line, as TOFU and other data sets of the hub name such files."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from auditkit.corpora.formats.jsonl import read as read_lines
from auditkit.corpora.rows import BrokenFileError, Reader, Row, decode, parse_json


def read(path: Path) -> Iterator[Row]:
    """One row per object."""
    text = decode(path.read_bytes())
    if not text.strip():
        return
    try:
        value = parse_json(text)
    except BrokenFileError as error:
        if not (error.message.endswith("extra data") and text.lstrip().startswith("{")):
            raise
        yield from read_lines(path)
        return
    if not isinstance(value, list):
        raise BrokenFileError("must be an array of objects [{...}, ...]; got another value", line=1)
    for number, item in enumerate(value, start=1):
        if not isinstance(item, dict):
            raise BrokenFileError("must be an object {...}; got another value", row=number)
        yield Row(number, item)


FORMAT: Reader = read
