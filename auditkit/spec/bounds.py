"""The grammar of a bound: a number, or ``M``, ``M + x``, ``M - x``, ``x * M`` with M the name of a model.

``x * M + y`` is the general form. Parsed by one regular expression; never evaluated. ``str(bound)`` parses back to an equal
bound.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

_NUMBER = r"[0-9]+(?:\.[0-9]+)?"
_MODEL = r"[A-Za-z_][A-Za-z0-9_]*"
BOUND_PATTERN = rf"^\s*(?:-?{_NUMBER}|(?:{_NUMBER}\s*\*\s*)?{_MODEL}(?:\s*[+-]\s*{_NUMBER})?)\s*$"
_ABSOLUTE = re.compile(rf"\s*(-?{_NUMBER})\s*")
_RELATIVE = re.compile(
    rf"\s*(?:(?P<scale>{_NUMBER})\s*\*\s*)?(?P<model>{_MODEL})(?:\s*(?P<sign>[+-])\s*(?P<offset>{_NUMBER}))?\s*"
)
_LONGEST_TEXT = 200  # characters; keeps messages short and float() away from absurd input


@dataclass(frozen=True, slots=True)
class Bound:
    """``scale * model + offset``; without a model, the number ``offset``."""

    offset: float
    model: str | None = None
    scale: float = 1.0

    def __str__(self) -> str:
        if self.model is None:
            return _plain(self.offset)
        head = self.model if self.scale == 1 else f"{_plain(self.scale)} * {self.model}"
        if self.offset == 0:
            return head
        return f"{head} {'+' if self.offset > 0 else '-'} {_plain(abs(self.offset))}"


def parse_bound(value: Any) -> Any:
    """A YAML number or text → Bound. Raises ValueError in words for anything else; a Bound passes through."""
    if isinstance(value, Bound):
        return value
    if isinstance(value, int | float) and not isinstance(value, bool):
        return Bound(_finite(value))
    if isinstance(value, str):
        return _parse_text(value)
    got = {None: "nothing", True: "true", False: "false"}[value] if value is None or isinstance(value, bool) else _kind(value)
    raise ValueError(f"must be a number, or text such as reference + 0.05; got {got}")


def _parse_text(text: str) -> Bound:
    if len(text) > _LONGEST_TEXT:
        raise ValueError(f"must be a number, or text such as reference + 0.05; got {len(text)} characters")
    if number := _ABSOLUTE.fullmatch(text):
        return Bound(_finite(float(number[1])))
    match = _RELATIVE.fullmatch(text)
    if match is None:
        raise ValueError(f"must be a number, or M, M + x, M - x, x * M with M a model; got {text!r}")
    offset = float(match["offset"] or 0) * (-1 if match["sign"] == "-" else 1)
    return Bound(offset + 0.0, match["model"], float(match["scale"] or 1))


def _finite(number: float) -> float:
    try:
        value = float(number)
    except OverflowError:
        value = math.inf
    if not math.isfinite(value):
        raise ValueError(f"must be a finite number; got {'one too large' if math.isinf(value) else 'nan'}")
    return value + 0.0  # -0.0 becomes 0.0, which prints the same everywhere


def _plain(number: float) -> str:
    """The shortest decimal text that reads back as the same number, never with an exponent (the grammar has none)."""
    text = format(Decimal(repr(number)), "f")
    return text.removesuffix(".0")


def _kind(value: Any) -> str:
    return "a list" if isinstance(value, list | tuple) else "a mapping" if isinstance(value, dict) else "another type"
