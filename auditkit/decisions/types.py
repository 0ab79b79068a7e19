"""The words of a verdict, as types."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from auditkit.errors import ExitCode


class Result(StrEnum):
    """Of one requirement (XCCDF's vocabulary, cut to what an audit needs)."""

    PASS = "pass"
    FAIL = "fail"
    INCONCLUSIVE = "inconclusive"
    ERROR = "error"
    NOT_CHECKED = "not_checked"
    NOT_APPLICABLE = "not_applicable"
    INFORMATIONAL = "informational"


class Verdict(StrEnum):
    """Of the audit."""

    PASS = "PASS"
    PASS_WITH_EXCEPTIONS = "PASS WITH EXCEPTIONS"
    FAIL = "FAIL"
    INCOMPLETE = "INCOMPLETE"

    @property
    def exit_code(self) -> ExitCode:
        """The process's exit code."""
        return {
            Verdict.PASS: ExitCode.PASS,
            Verdict.PASS_WITH_EXCEPTIONS: ExitCode.PASS,
            Verdict.FAIL: ExitCode.FAIL,
            Verdict.INCOMPLETE: ExitCode.INCOMPLETE,
        }[self]


@dataclass(frozen=True, slots=True)
class Estimate:
    """A number with its interval. ``None`` stands for what could not be computed: the reason is in ``note``."""

    value: float | None
    lower: float | None
    """One-sided lower bound at the audit's confidence."""
    upper: float | None
    """One-sided upper bound at the audit's confidence."""
    n: int
    """Units of inference (subjects)."""
    rows: int
    """Values behind it."""
    unit: str
    """``subject`` or ``row``."""
    method: str
    """``Clopper-Pearson on subjects``, ``clustered t``, …"""
    note: str = ""


@dataclass(frozen=True, slots=True)
class GroupEstimate:
    """One component of a check on one model."""

    group: str
    model: str
    estimate: Estimate
    decisive: bool


@dataclass(frozen=True, slots=True)
class Control:
    """The same requirement, asked of a model whose answer is known."""

    model: str
    expected: str
    """``fail`` (original, for leaks) or ``not fail`` (reference)."""
    result: Result
    held: bool
    estimate: Estimate


@dataclass(frozen=True)
class Judgement:
    """What was decided about one requirement, and from what."""

    result: Result
    reason: str
    """One or two plain sentences; names the bound and the unfavourable end of the interval."""
    estimate: Estimate
    """Of the candidate, on the metric's own scale."""
    difference: Estimate | None = None
    """Relative bounds: candidate minus scale times the bound's model, paired; compared with the offset."""
    worst_group: str = ""
    models: Mapping[str, Estimate] = field(default_factory=dict)
    """The same estimate on every model, for the reader."""
    groups: tuple[GroupEstimate, ...] = ()
    controls: tuple[Control, ...] = ()
    needed: int | None = None
    """inconclusive for want of subjects: how many would do, as far as can be said."""
    missed: str = ""
    """fail: the missed end, ``upper`` (at_most) or ``lower`` (at_least); a waiver's ceiling is read in that direction."""
