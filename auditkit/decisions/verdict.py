"""Results of all requirements → the verdict, its one sentence, taint and waivers. The only place where a verdict is made.

In this order:

1. FAIL: a required property failed without a waiver that counts.
2. INCOMPLETE: a required property is inconclusive, in error or not checked; or none was decided.
3. PASS WITH EXCEPTIONS: a required property failed under a waiver.
4. PASS.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from auditkit.decisions.types import Judgement, Result, Verdict

if TYPE_CHECKING:
    import datetime as dt

    from auditkit.spec.model import Waiver

Row = tuple[str, Result, bool]
"""(level, result, failed under a waiver that counts) of one requirement."""
WaiverState = Literal["applied", "expired", "unused", "above ceiling", "no such requirement"]

_OPEN = {Result.INCONCLUSIVE: "inconclusive", Result.ERROR: "in error", Result.NOT_CHECKED: "not checked"}
_CAVEAT = "This says what was found under the tests named here, not that anything is gone."


@dataclass(frozen=True, slots=True)
class AppliedWaiver:
    """A waiver of the spec and whether it counts."""

    waiver: Waiver
    state: WaiverState


def verdict(rows: Sequence[Row]) -> Verdict:
    """The verdict of the audit."""
    required = [(result, waived) for level, result, waived in rows if level == "required"]
    if any(result is Result.FAIL and not waived for result, waived in required):
        return Verdict.FAIL
    if any(result in _OPEN for result, _ in required) or not any(
        result in (Result.PASS, Result.FAIL) for result, _ in required
    ):
        return Verdict.INCOMPLETE
    return Verdict.PASS_WITH_EXCEPTIONS if any(result is Result.FAIL for result, _ in required) else Verdict.PASS


def summarise(word: Verdict, rows: Sequence[Row]) -> str:
    """The verdict in one sentence of plain language, with a caveat where it is good."""
    required = [(result, waived) for level, result, waived in rows if level == "required"]
    counts = Counter(result for result, _ in required)
    failed = [waived for result, waived in required if result is Result.FAIL]
    total = _of(len(required))
    if word is Verdict.FAIL:
        waived = f" ({sum(failed)} more under a waiver)" if any(failed) else ""
        return f"The candidate misses {failed.count(False)} of {total}{waived}."
    if word is Verdict.INCOMPLETE and not any(result in counts for result in (Result.PASS, Result.FAIL, *_OPEN)):
        return "Nothing that is required was decided, so nothing is shown."
    if word is Verdict.INCOMPLETE:
        open_ones = " and ".join(f"{counts[result]} {text}" for result, text in _OPEN.items() if counts[result])
        return f"Not decided: of {total}, {open_ones}; what was not decided is not a pass."
    if word is Verdict.PASS_WITH_EXCEPTIONS:
        return f"The candidate misses {len(failed)} of {total}, each accepted by a waiver, and meets the others. {_CAVEAT}"
    met = "the one required property" if len(required) == 1 else f"all {total}"
    return f"The candidate meets {met} on the subjects, tests and attacks used. {_CAVEAT}"


def taint(judgement: Judgement) -> Judgement:
    """Nothing of a run that was cut short is better than inconclusive; a failure stands."""
    if judgement.result is not Result.PASS:
        return judgement
    reason = f"Not a pass, because the run was cut short (--limit). On the rows measured: {judgement.reason}"
    return replace(judgement, result=Result.INCONCLUSIVE, reason=reason)


def indicative(judgement: Judgement) -> Judgement:
    """A requirement whose attacks are all only indicative cannot fail: they may find what was never there."""
    if judgement.result is not Result.FAIL:
        return judgement
    reason = f"indicative only: this attack alone proves nothing, so it is no failure. {judgement.reason}"
    return replace(judgement, result=Result.INCONCLUSIVE, reason=reason, missed="")


def apply_waivers(
    waivers: Sequence[Waiver], judged: Sequence[tuple[str, Judgement]], *, as_of: dt.date
) -> tuple[AppliedWaiver, ...]:
    """The state of each waiver on that day. A waiver covers a failure only, up to its ceiling, and never anything undecided.

    Before ``approved_on`` it is unused.
    """
    by_name = dict(judged)
    return tuple(AppliedWaiver(waiver, _state(waiver, by_name.get(waiver.requirement), as_of)) for waiver in waivers)


def _state(waiver: Waiver, judgement: Judgement | None, as_of: dt.date) -> WaiverState:
    if judgement is None:
        return "no such requirement"
    if as_of > waiver.expires_on:
        return "expired"
    if judgement.result is not Result.FAIL or as_of < waiver.approved_on:
        return "unused"
    return "above ceiling" if _worse_than(waiver.ceiling, judgement) else "applied"


def _worse_than(ceiling: float | None, judgement: Judgement) -> bool:
    """The measured value lies beyond the ceiling, on the side where the bound is missed; also where it is unknown."""
    value = judgement.estimate.value
    if ceiling is None:
        return False
    if value is None:
        return True
    return value < ceiling if judgement.missed == "lower" else value > ceiling


def _of(count: int) -> str:
    return f"{count} required propert{'y' if count == 1 else 'ies'}"
