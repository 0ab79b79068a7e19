"""All results of an audit → what kind of result it is. The only place where a class is made.

In this order, after the table of classes of Ren et al. 2025 (SoK, arXiv 2506.09227):

========================= ================================================================================================
not unlearned              a property of behaviour failed; or the weights are the original's and no behaviour is shown to pass
collapse                   behaviour passes, and something that had to be kept failed
suppression                behaviour passes; an attack brings the knowledge back, it is still measurable, or nothing changed
over-unlearned             a forget score lies below the reference's: traceable in itself
consistent with removal    behaviour, utility and every attack pass, one on weights and one on representations among them, and
                           no attack brings back more than ``epsilon`` of the gap between reference and original
inconclusive               everything else; also where nothing was measured
========================= ================================================================================================

What counts as behaviour, attack and utility, and where an advisory property counts, is said in ``findings``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from auditkit.decisions import claims
from auditkit.decisions.claims import Claim
from auditkit.decisions.findings import Evidence, Finding, passes
from auditkit.decisions.types import Result

Kind = Literal["not unlearned", "consistent with removal", "suppression", "inconclusive", "collapse", "over-unlearned"]


@dataclass(frozen=True)
class Outcome:
    """What the audit came to."""

    kind: Kind
    claim: Claim
    sentence: str
    claim_sentence: str
    attacks: tuple[str, ...]
    """Every attack with its budget, the indicative ones too."""
    omitted: tuple[str, ...]
    """What the intent asks for and the spec leaves out, as sentences."""


def outcome(
    findings: Sequence[Finding],
    *,
    intent: Literal["removal", "suppression"],
    epsilon: float,
    omitted: Sequence[str] = (),
) -> Outcome:
    """The class of the audit, the level of claim that it supports, and both in words.

    ``findings``: of the candidate, taint applied. ``epsilon``: ``decide.recovery``.
    """
    evidence = Evidence(tuple(findings), epsilon)
    kind = kind_of(evidence)
    level = claims.level(evidence, kind)
    return Outcome(
        kind=kind,
        claim=level,
        sentence=_sentence(evidence, kind, intent),
        claim_sentence=claims.sentence(evidence, kind, level),
        attacks=tuple(_attacks([one for one in findings if one.probing])),
        omitted=tuple(omitted),
    )


def kind_of(evidence: Evidence) -> Kind:
    """The class; see the module's table."""
    if any(one.leaks for one in evidence.behaviour) or (evidence.identical and not evidence.silent):
        return "not unlearned"
    if evidence.silent and any(one.result is Result.FAIL for one in evidence.utility):
        return "collapse"
    if evidence.silent and (evidence.identical or evidence.came_back or evidence.still_seen):
        return "suppression"
    if evidence.over:
        return "over-unlearned"
    settled = evidence.silent and not (evidence.open or evidence.untested or evidence.unbounded)
    return "consistent with removal" if settled and passes(evidence.utility) else "inconclusive"


def _sentence(evidence: Evidence, kind: Kind, intent: str) -> str:
    """The class in plain words, and what else was seen."""
    said = {
        "not unlearned": _not_unlearned,
        "collapse": _collapse,
        "suppression": _suppression,
        "over-unlearned": _over,
        "consistent with removal": _consistent,
        "inconclusive": _inconclusive,
    }[kind](evidence)
    if kind == "suppression" and intent == "removal":
        said += " That is suppression, not removal."
    if kind not in ("suppression", "not unlearned") and evidence.came_back:
        said += f" Besides, it is found under {_under(evidence.came_back)}."
    if kind != "over-unlearned" and evidence.over:
        said += f" Besides, it scores below the reference ({_names(evidence.over)}), which is traceable in itself."
    return said


def _not_unlearned(evidence: Evidence) -> str:
    failed = [one for one in evidence.behaviour if one.leaks]
    if not failed:
        return "The weights are the original's, bit for bit, and it is not shown that anything is held back."
    return f"The data is still shown when asked for directly ({_names(failed)})."


def _collapse(evidence: Evidence) -> str:
    lost = [one for one in evidence.utility if one.result is Result.FAIL]
    return f"The data is not shown, but what had to be kept is lost as well ({_names(lost)}): that is damage, not unlearning."


def _suppression(evidence: Evidence) -> str:
    parts = []
    if evidence.identical:
        parts.append("the weights are the original's, so that all of it is still in them")
    if evidence.came_back:
        parts.append(f"it is found under {_under(evidence.came_back)}")
    if evidence.still_seen:
        parts.append(f"it can still be measured ({_names(evidence.still_seen)})")
    return f"Not shown under {_names(_shown_clean(evidence))}; {', and '.join(parts)}."


def _over(evidence: Evidence) -> str:
    return (
        f"The candidate scores below a model that never saw the data ({_names(evidence.over)}): that tells by itself that "
        "something was unlearned, and what."
    )


def _consistent(evidence: Evidence) -> str:
    tried = [one for one in evidence.attacked if one.required and one.result is Result.PASS]
    return (
        f"No evidence of the data was found under: {_listed(_attacks(tried))}; this is consistent with removal up to these "
        "attacks and no further."
    )


def _inconclusive(evidence: Evidence) -> str:
    """What is shown, and why it is not enough."""
    reasons = []
    if not evidence.behaviour:
        reasons.append("no behaviour was required")
    if evidence.open:
        reasons.append(f"not passed: {_names(evidence.open)}")
    if not evidence.utility:
        reasons.append("no utility was required, and a broken model looks forgetful")
    if evidence.untested:
        reasons.append(f"no required attack on {' and '.join(evidence.untested)} was passed")
    if evidence.unbounded:
        reasons.append(f"how much comes back is too uncertain under {_under(evidence.unbounded)}")
    shown = f"Not shown under {_names(_shown_clean(evidence))}. " if evidence.silent else ""
    return f"{shown}Whether the data is gone or hidden is open: {'; '.join(reasons)}."


def _shown_clean(evidence: Evidence) -> list[Finding]:
    """Under what the data is not shown."""
    asked = [one for one in evidence.findings if one.required and one.result is Result.PASS and one.dimension == "forgetting"]
    return [one for one in asked if not one.came_back(evidence.epsilon) and not one.indicative] or evidence.behaviour


def _under(findings: Sequence[Finding]) -> str:
    """The attacks by name; their budgets stand in the list of what was tried."""
    return _listed(list(dict.fromkeys(one.tried for one in findings)))


def _attacks(findings: Sequence[Finding]) -> list[str]:
    """The attacks with their budgets; a check that probes by itself stands for one."""
    return list(dict.fromkeys(" then ".join(map(str, one.attacks)) or one.tried for one in findings))


def _names(findings: Sequence[Finding]) -> str:
    return _listed([f"{one.name}{' (accepted by a waiver)' if one.waived else ''}" for one in findings])


def _listed(items: Sequence[str], most: int = 8) -> str:
    """``a, b and c``, or how many more there are."""
    shown = list(items[:most])
    if len(items) > most:
        shown.append(f"{len(items) - most} more")
    return shown[0] if len(shown) == 1 else f"{', '.join(shown[:-1])} and {shown[-1]}"
