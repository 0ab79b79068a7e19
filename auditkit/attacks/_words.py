"""Lists of settings: read from a spec, and put into words."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any


def distinct(values: list[Any]) -> list[Any]:
    """The values as they are; raises ValueError where one stands twice, as its rows would be pooled with themselves."""
    twice = [value for index, value in enumerate(values) if value in values[:index]]
    if twice:
        raise ValueError(f"must not name a setting twice; got {twice[0]} again")
    return values


def listed(words: Iterable[object]) -> str:
    """``a``, ``a and b``, ``a, b and c``."""
    *front, last = map(str, words)
    return f"{', '.join(front)} and {last}" if front else last
