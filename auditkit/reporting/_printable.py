"""Results and comparisons whose every string is fit to print: done once, at the door of every format."""

from __future__ import annotations

from typing import Any, TypeVar

from auditkit.evidence.results import Document
from auditkit.text import one_line, visible

EXCERPT_LETTERS = 600
D = TypeVar("D", bound=Document)
_LINES_KEPT = frozenset({"question", "expected", "answered"})


def printable(results: D) -> D:
    """The same document with hidden characters shown and white space folded; excerpts keep their lines and are cut."""
    document: Any = _shown(results.model_dump(mode="json"))
    return type(results).model_validate(document)


def _shown(part: Any) -> Any:
    if isinstance(part, str):
        return one_line(part)
    if isinstance(part, dict):
        return {one_line(key): _excerpt(item) if key in _LINES_KEPT else _shown(item) for key, item in part.items()}
    return [_shown(item) for item in part] if isinstance(part, list) else part


def _excerpt(part: Any) -> Any:
    return visible(part, EXCERPT_LETTERS) if isinstance(part, str) else _shown(part)
