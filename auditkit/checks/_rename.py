"""A subject's name replaced by a fresh word everywhere."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

ALIAS = "XXX"
_NAME_PART = re.compile(r"\w[\w'’-]*")
_MIN_PART = 3


def renamer(subject: str, texts: Iterable[str]) -> Callable[[str], str]:
    """A function that puts a word that occurs in none of the texts in place of a name and of its parts.

    The whole name is found in any case; a part (at least three letters) only as it is written, so that a name which is also a
    common word leaves the common word alone.
    """
    everything, alias = "\n".join(texts), ALIAS
    while alias in everything:
        alias += "X"
    whole = re.compile(rf"(?<!\w){re.escape(subject)}(?!\w)", re.IGNORECASE)
    parts = [re.escape(part) for part in _NAME_PART.findall(subject) if len(part) >= _MIN_PART]
    part = re.compile(rf"(?<!\w)(?:{'|'.join(sorted(parts, key=len, reverse=True))})(?!\w)") if parts else None
    several = re.compile(rf"{alias}(?:[\s-]+{alias})+")

    def rename(text: str) -> str:
        text = whole.sub(alias, text)
        return several.sub(alias, part.sub(alias, text) if part else text)

    return rename
