"""Which requirements look behind the direct answer, and how what was tried is named: the same in every figure and format."""

from __future__ import annotations

from typing import TYPE_CHECKING

from auditkit.decisions.findings import PROBES
from auditkit.evidence.results import EstimateDoc
from auditkit.reporting._numbers import in_words, interval, number, signed
from auditkit.reporting._vocabulary import WORDS, waived
from auditkit.reporting._words import explanations

if TYPE_CHECKING:
    from auditkit.evidence.results import AttackDoc, RequirementDoc

ITSELF, SEVERAL, OTHER = "itself", "several", "other"
"""Families besides those of single attacks."""


def probing(doc: RequirementDoc) -> bool:
    """Measured under an attack, or by a check that looks behind the direct answer by itself."""
    return bool(doc.under or doc.curves) or doc.check in PROBES or doc.dimension == "robustness"


def family(doc: RequirementDoc) -> str:
    """Key of ``families`` in ``data/explanations.yaml``."""
    if not doc.under:
        return ITSELF
    if len(doc.under) > 1:
        return SEVERAL
    return doc.under[0].family if doc.under[0].family in explanations().families else OTHER


def attack_name(attack: AttackDoc) -> str:
    """``Round the weights``."""
    return attack.title or attack.name.replace("_", " ")


def attack_title(doc: RequirementDoc) -> str:
    """Of one attack or of several in a row; of a check that needs none, its own."""
    return ", then ".join(attack_name(attack) for attack in doc.under) or doc.title


def attack_key(doc: RequirementDoc) -> str:
    """Equal for requirements under the same attacks with the same parameters."""
    return "|".join(attack.model_dump_json() for attack in doc.under) or doc.check


def settings(doc: RequirementDoc) -> str:
    """What was tried: the budget; without one, the names of the settings that decide."""
    budgets = ", then ".join(attack.budget for attack in doc.under if attack.budget)
    named = budgets or ", ".join(dict.fromkeys(group.group for group in doc.groups if group.decisive and doc.under))
    return "; ".join(filter(None, (named, "indicative only" if indicative(doc) else "")))


def indicative(doc: RequirementDoc) -> bool:
    """Every attack is one whose failure proves nothing by itself."""
    return bool(doc.under) and all(attack.indicative for attack in doc.under)


def parameters(attack: AttackDoc) -> str:
    """``corpus: forget; steps: 10, 50``; '' where the spec gives none."""
    return "; ".join(f"{key}: {in_words(value)}" for key, value in sorted(attack.params.items()))


def gap(doc: RequirementDoc) -> EstimateDoc | None:
    """Candidate minus reference: the paired difference where the bound names the reference, else of the two values alone."""
    if doc.difference is not None and doc.bound.model == "reference" and doc.bound.scale == 1:
        return doc.difference
    ours, theirs = (doc.models[name].value if name in doc.models else None for name in ("candidate", "reference"))
    return None if ours is None or theirs is None else EstimateDoc(value=ours - theirs, note="not what the bound compares")


def gap_text(doc: RequirementDoc) -> str:
    """``+0.020 [−0.010, 0.050]``."""
    found, unit = gap(doc), doc.metric.unit
    if found is None:
        return "not measured"
    why = f"(no interval{f': {found.note}' if found.note else ''})"
    return f"{signed(found.value, unit)} {interval(found, unit) or why}"


def recovery_text(doc: RequirementDoc) -> str:
    """``0.420 [0.310, 0.530]``, or why there is none."""
    found = doc.recovery
    if found is None:
        return "not computed"
    if found.value is None:
        return f"undefined: {found.note.removeprefix('undefined: ')}" if found.note else "undefined"
    return f"{number(found.value)} {interval(found)}".rstrip()


def word(doc: RequirementDoc) -> str:
    """``Fail (waived)``: short enough for a cell."""
    return f"{WORDS[doc.result]}{' (waived)' if waived(doc) else ''}"
