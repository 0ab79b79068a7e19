"""The grammar of a bound: a number, or ``M``, ``M + x``, ``M - x``, ``x * M`` with M the name of a model.

Parsed by one regular expression; never evaluated.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Any

_NUMBER = r"[0-9]+(?:\.[0-9]+)?"
_MODEL = r"[A-Za-z_][A-Za-z0-9_]*"
BOUND_PATTERN = rf"^\s*(?:-?{_NUMBER}|(?:{_NUMBER}\s*\*\s*)?{_MODEL}(?:\s*[+-]\s*{_NUMBER})?)\s*$"
_RELATIVE = re.compile(
    rf"^\s*(?:(?P<scale>{_NUMBER})\s*\*\s*)?(?P<model>{_MODEL})(?:\s*(?P<sign>[+-])\s*(?P<offset>{_NUMBER}))?\s*$"
)


@dataclass(frozen=True, slots=True)
class Bound:
    """``scale * model + offset``; without a model, the number ``offset``."""

    offset: float
    model: str | None = None
    scale: float = 1.0

    def __str__(self) -> str:
        if self.model is None:
            return f"{self.offset:g}"
        head = self.model if self.scale == 1 else f"{self.scale:g} * {self.model}"
        if self.offset == 0:
            return head
        return f"{head} {'+' if self.offset > 0 else '-'} {abs(self.offset):g}"


def parse_bound(value: Any) -> Any:
    """A YAML number or text → Bound. Raises ValueError in words for anything else; a Bound passes through."""
    if isinstance(value, Bound):
        return value
    if isinstance(value, bool) or value is None:
        raise ValueError(f"must be a number or a model's name with + or - or *; got {str(value).lower()}")
    if isinstance(value, int | float):
        if not math.isfinite(value):
            raise ValueError("must be a finite number")
        return Bound(float(value))
    if not isinstance(value, str):
        raise ValueError(f"must be a number or text such as 'reference + 0.05'; got a {type(value).__name__}")
    try:
        number = float(value) if re.fullmatch(rf"\s*-?{_NUMBER}\s*", value) else None
    except ValueError:  # pragma: no cover - the pattern admits only numbers
        number = None
    if number is not None:
        return Bound(number)
    match = _RELATIVE.match(value)
    if match is None:
        raise ValueError(f"must be a number, or M, M + x, M - x, x * M with M a model; got {value!r}")
    offset = float(match["offset"] or 0) * (-1 if match["sign"] == "-" else 1)
    return Bound(offset, match["model"], float(match["scale"] or 1))
