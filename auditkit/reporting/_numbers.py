"""Numbers as printed: one place, so that the report, the table and the CI summary agree to the last digit."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from auditkit.files import canonical_json

if TYPE_CHECKING:
    from auditkit.evidence.results import BoundDoc, EstimateDoc

NOT_MEASURED = "not measured"
_ONE_DECIMAL = {"percent": "%", "points": ""}
_SMALL = 0.0005
_NO_BREAK = "\u00a0"
_INTERVAL = re.compile(r"\[[^\[\]]*\]")
_INLINE_ITEMS = 8


def number(value: float | None, unit: str = "fraction") -> str:
    """``0.031``, ``−4.2%``, ``1.2e−07``; None is ``not measured``, never zero."""
    if value is None:
        return NOT_MEASURED
    if unit in _ONE_DECIMAL:
        text = f"{value:.1f}{_ONE_DECIMAL[unit]}"
    elif 0 < abs(value) < _SMALL:
        text = f"{value:.1e}"
    elif abs(value) < 1000:
        text = f"{value:.3f}"
    else:
        text = f"{value:.4g}"
    if text.startswith("-") and not any(digit in text for digit in "123456789"):
        text = text[1:]
    return text.replace("-", "−")


def signed(value: float | None, unit: str = "fraction") -> str:
    """A difference: always with its sign."""
    text = number(value, unit)
    return f"+{text}" if value is not None and value > 0 else text


def interval(estimate: EstimateDoc, unit: str = "fraction") -> str:
    """``[0.000, 0.089]``; an open side is ``…``; '' where there is no interval."""
    if estimate.lower is None and estimate.upper is None:
        return ""
    ends = ("…" if end is None else number(end, unit) for end in (estimate.lower, estimate.upper))
    return f"[{', '.join(ends)}]"


def observed(estimate: EstimateDoc, unit: str = "fraction") -> str:
    """``0.031 [0.000, 0.089]``."""
    return f"{number(estimate.value, unit)} {interval(estimate, unit)}".rstrip()


def in_cell(estimate: EstimateDoc | None, unit: str = "fraction") -> str:
    """Like ``observed``, for a narrow column: a line may break before the bracket and not within it."""
    return NOT_MEASURED if estimate is None else unbroken(observed(estimate, unit))


def unbroken(text: str) -> str:
    """The text with every interval in it on one line."""
    return _INTERVAL.sub(lambda match: match[0].replace(" ", _NO_BREAK), text)


def sample(estimate: EstimateDoc) -> str:
    """``60 subjects, 480 rows``."""
    units = counted(estimate.n, estimate.unit)
    return (
        units if estimate.unit == "row" or estimate.rows in (0, estimate.n) else f"{units}, {counted(estimate.rows, 'value')}"
    )


def counted(n: int, noun: str) -> str:
    """``1 subject``, ``60 subjects``."""
    return f"{n:,} {noun}" if n == 1 else f"{n:,} {noun}s"


def duration(seconds: float) -> str:
    """``8.4 s``, ``12 min 5 s``, ``3 h 20 min``."""
    if round(seconds, 1) < 60:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    hours, minutes = whole // 3600, whole % 3600 // 60
    return f"{hours:,} h {minutes} min" if hours else f"{minutes} min {whole % 60} s"


def plain(value: float) -> str:
    """A limit of a scale: ``0``, ``−100``."""
    return f"{value:g}".replace("-", "−")


def utc(moment: str) -> str:
    """``2026-11-24 09:21:42 UTC`` from ISO 8601 with offset zero; anything else as it stands."""
    return f"{moment[:-6].replace('T', ' ')} UTC" if moment.endswith("+00:00") else moment


def bound_here(bound: BoundDoc, unit: str = "fraction") -> str:
    """A relative bound on the metric's own scale: ``0.123 as measured``; '' where it is a plain number."""
    ends = [number(end, unit) for end in (bound.lower_value, bound.upper_value) if end is not None]
    return f"{' to '.join(ends)} as measured" if bound.model and ends else ""


def in_words(value: Any) -> str:
    """A JSON value in words; a long list only by its length."""
    if isinstance(value, bool) or value is None:
        return {True: "yes", False: "no", None: "none"}[value]
    if isinstance(value, float):
        return number(value)
    if isinstance(value, list):
        flat = all(not isinstance(item, list | dict) for item in value)
        return ", ".join(map(in_words, value)) or "none" if flat and len(value) <= _INLINE_ITEMS else f"{len(value)} values"
    return canonical_json(value) if isinstance(value, dict) else str(value)
