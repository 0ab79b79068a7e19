"""What making a model cost, in words: the page and the table print the same."""

from __future__ import annotations

from typing import TYPE_CHECKING

from auditkit.files import canonical_json
from auditkit.reporting._numbers import counted, duration

if TYPE_CHECKING:
    from auditkit.evidence.comparison import CandidateDoc
    from auditkit.evidence.results import MadeDoc

NOT_RECORDED = "not recorded"
_GIB = 1 << 30
_MOST_ENTRIES = 8
"""Longer lists (the refusals of IdkDPO) are counted, not printed."""


def cost(made: MadeDoc | None) -> str:
    """``12.3 s, 41,000 tokens``."""
    return NOT_RECORDED if made is None else f"{duration(made.seconds)}, {counted(made.tokens, 'token')}"


def ratio(candidate: CandidateDoc) -> str:
    """``0.12 × reference``; '' where the two cannot be compared."""
    return "" if candidate.cost_ratio is None else f"{candidate.cost_ratio:.2g} × reference"


def memory(made: MadeDoc) -> str:
    """``12.4 GiB``."""
    return NOT_RECORDED if made.peak_memory_bytes is None else f"{made.peak_memory_bytes / _GIB:.2f} GiB"


def parameters(made: MadeDoc) -> str:
    """``alpha 1.0, steps 60``; nested ones as JSON."""
    return ", ".join(f"{key} {_plain(value)}" for key, value in sorted(made.parameters.items())) or "none"


def _plain(value: object) -> str:
    if isinstance(value, list) and len(value) > _MOST_ENTRIES:
        return f"{len(value)} entries"
    return value if isinstance(value, str) else canonical_json(value)
