"""What a report format is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from auditkit.evidence.results import Results
    from auditkit.evidence.values import ValuesDoc
    from auditkit.reporting._vocabulary import CheckText


@dataclass(frozen=True)
class Report:
    """All that a format may read."""

    results: Results
    values: Mapping[str, ValuesDoc] = field(default_factory=dict)
    """Per-example values by the requirement's slug."""
    check_texts: Mapping[str, CheckText] = field(default_factory=dict)
    """Texts by check; a check that is not installed has none."""


@dataclass(frozen=True)
class Format:
    """A file of the run folder, made from the results alone."""

    filename: str
    render: Callable[[Report], str]
    """Pure: equal reports give equal bytes."""
