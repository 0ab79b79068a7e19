"""The sentences of a judgement. Numbers in them have three digits, or as many as it takes to tell them from the threshold."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from auditkit.decisions.ends import End
    from auditkit.decisions.types import Estimate


def number(value: float | None, beside: float | None = None) -> str:
    """``0.0383``; never printed equal to ``beside`` where it is not."""
    if value is None:
        return "unknown"
    for digits in (3, 4, 5, 6, 8):
        text = f"{value + 0.0:.{digits}g}"
        if beside is None or value == beside or float(text) != float(f"{beside:.{digits}g}"):
            return text
    return repr(value)


def percent(level: float) -> str:
    """``95 %``."""
    return f"{100 * level:.4g} %"


def counted(estimate: Estimate) -> str:
    """``64 subjects``, ``1 row``."""
    return f"{estimate.n} {estimate.unit}{'' if estimate.n == 1 else 's'}"


def quantity(end: End, model: str) -> str:
    """What the bound is put on: ``the value`` or ``candidate minus 0.95 * original``."""
    if end.model is None:
        return "the value"
    return f"{model} minus {'' if end.scale == 1 else f'{end.scale:g} * '}{end.model}"


def upheld(end: End, estimate: Estimate, *, model: str, level: float) -> str:
    """Why an end holds."""
    side, bound = ("upper", estimate.upper) if end.upper else ("lower", estimate.lower)
    return (
        f"{_first_upper(end.text)} holds: the {side} {percent(level)} bound of {quantity(end, model)} is "
        f"{number(bound, end.threshold)}, {_limit(end)} (measured {number(estimate.value)}, {counted(estimate)})."
    )


def missed(end: End, estimate: Estimate, *, model: str, level: float) -> str:
    """Why an end is missed."""
    side, bound = ("lower", estimate.lower) if end.upper else ("upper", estimate.upper)
    return (
        f"{_first_upper(end.text)} is missed: even the {side} {percent(level)} bound of {quantity(end, model)} is "
        f"{number(bound, end.threshold)}, {_limit(end)} (measured {number(estimate.value)}, {counted(estimate)})."
    )


def undecided(end: End, estimate: Estimate, *, model: str, level: float) -> str:
    """Why an end is neither."""
    if estimate.lower is None and estimate.upper is None:
        return f"{_first_upper(end.text)} cannot be decided: {estimate.note.rstrip('.')}."
    return (
        f"{_first_upper(end.text)} is neither shown nor refuted: {quantity(end, model)} is {number(estimate.value)}, between "
        f"{number(estimate.lower)} and {number(estimate.upper, end.threshold)} by one-sided {percent(level)} bounds, "
        f"{_limit(end)} ({counted(estimate)})."
    )


def would_do(needed: int | None, unit: str) -> str:
    """How many subjects would decide."""
    return f" About {needed} {unit}s would decide if the measured value stayed as it is." if needed else ""


def in_group(group: str, groups: int, sentence: str) -> str:
    """The sentence, said of the worst of several groups."""
    return f"Worst of {groups} groups ({group}): {sentence}" if groups > 1 else sentence


def corrected(groups: int, level: float) -> str:
    """What a failure would need where several groups are looked at."""
    return f" The worst of {groups} groups fails by its {percent(level)} bound only." if groups > 1 else ""


def _limit(end: End) -> str:
    words = "allowed is at most" if end.upper else "required is at least"
    return f"{words} {number(end.threshold)}"


def _first_upper(text: str) -> str:
    return text[:1].upper() + text[1:]
