"""Paths that a spec names: they stay inside the spec's folder, or inside a root given on the command line."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from auditkit.errors import UserError

_URL = re.compile(r"^[A-Za-z][A-Za-z0-9+.-]*://")


def inside(path: str, base: Path, roots: Iterable[Path] = ()) -> Path:
    """``path`` against ``base``, with links followed; it need not exist.

    Nothing is expanded: a ``~``, a URL and a NUL byte are refused, ``$`` is an ordinary character. Raises UserError where
    the result lies neither in ``base`` nor in one of ``roots``.
    """
    if not path or "\0" in path:
        raise UserError("must be a path; got an empty one or one with a NUL byte")
    if path.startswith("~"):
        raise UserError(f"must be a path without ~; got {path!r}")
    if _URL.match(path):
        raise UserError(f"must be a path on this machine; got the URL {path!r}")
    allowed = [folder.resolve() for folder in (base, *roots)]
    resolved = (base / path).resolve()
    if not any(resolved.is_relative_to(folder) for folder in allowed):
        raise UserError(
            f"must lie in the spec's folder or in a folder given with --root; got {path!r}, which leads out of them"
        )
    return resolved
