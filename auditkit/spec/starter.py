"""The spec that ``auditkit init`` writes."""

from __future__ import annotations

from pathlib import Path


def starter() -> str:
    """A commented spec; it validates once the files that it names are there."""
    return (Path(__file__).parent / "starter.yaml").read_text(encoding="utf-8")
