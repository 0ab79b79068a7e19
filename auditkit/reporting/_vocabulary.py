"""Result words, their order and what a reader does next: shared by every format, so that none has its own truth."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING, Protocol

from auditkit.reporting._words import wording

if TYPE_CHECKING:
    from auditkit.evidence.results import RequirementDoc, Results

WORDS: Mapping[str, str] = {
    "pass": "Pass",
    "fail": "Fail",
    "inconclusive": "Inconclusive",
    "error": "Error",
    "not_checked": "Not checked",
    "not_applicable": "Not applicable",
    "informational": "Informational",
}
SEVERITIES = ("critical", "high", "medium", "low", "info")
DIMENSIONS: Mapping[str, str] = {
    "forgetting": "Forgetting",
    "privacy": "Privacy",
    "utility": "Utility retained",
    "robustness": "Robustness",
}
_URGENCY = ("fail", "error", "inconclusive", "not_checked", "waived", "pass", "informational", "not_applicable")
_STEPS_SHOWN = 3


class CheckText(Protocol):
    """What a report says about a check; every check of the registry fits."""

    @property
    def title(self) -> str:
        """Its name in words."""

    @property
    def summary(self) -> str:
        """What it measures, in one sentence."""

    @property
    def source(self) -> str:
        """Paper and equation, or repository."""

    @property
    def limits(self) -> str:
        """What it cannot show."""

    @property
    def remediation(self) -> str:
        """What to do when it fails."""


def waived(requirement: RequirementDoc) -> bool:
    """A failure that a waiver in force covers."""
    return requirement.result == "fail" and requirement.waiver is not None and requirement.waiver.state == "applied"


def result_word(requirement: RequirementDoc) -> str:
    """``Fail``, ``Fail (waived until 2027-01-31)``."""
    word = WORDS[requirement.result]
    if waived(requirement) and requirement.waiver is not None:
        return f"{word} (waived until {requirement.waiver.expires_on})"
    return word


def urgency(requirement: RequirementDoc) -> tuple[int, int, int]:
    """Sort key: what stands in the way of a pass, then advisory troubles, then the rest; failed first, then by severity."""
    state = "waived" if waived(requirement) else requirement.result
    trouble = _URGENCY.index(state) < _URGENCY.index("waived")
    bucket = 2 if not trouble else int(requirement.level != "required")
    severity = SEVERITIES.index(requirement.severity) if requirement.severity in SEVERITIES else len(SEVERITIES)
    return bucket, _URGENCY.index(state), severity


def counts(results: Results) -> list[tuple[str, str, int]]:
    """(result, word, how many) in the order of the vocabulary, those that occur."""
    found = Counter(str(requirement.result) for requirement in results.requirements)
    return [(result, word, found[result]) for result, word in WORDS.items() if found[result]]


def failed_by_severity(results: Results) -> list[tuple[str, int]]:
    """How many failed without a waiver, by severity, worst first."""
    failed = Counter(r.severity for r in results.requirements if r.result == "fail" and not waived(r))
    return [(severity, failed[severity]) for severity in SEVERITIES if failed[severity]]


def next_steps(results: Results, texts: Mapping[str, CheckText]) -> list[tuple[str, str]]:
    """At most three (requirement's name or '', what to do), the most urgent first."""
    steps = wording().next_steps
    found = [("", steps.tainted)] if results.tainted else []
    for requirement in sorted(results.requirements, key=urgency):
        text = "" if waived(requirement) or requirement.level != "required" else _step(requirement, texts)
        if text:
            found.append((requirement.name, text))
    return (found or [("", text) for text in steps.default])[:_STEPS_SHOWN]


def _step(requirement: RequirementDoc, texts: Mapping[str, CheckText]) -> str:
    steps = wording().next_steps
    if requirement.result == "fail":
        check = texts.get(requirement.check)
        return check.remediation if check else steps.fail
    if requirement.result == "inconclusive" and requirement.needed:
        return steps.needed.format(needed=requirement.needed, n=requirement.estimate.n)
    return {"error": steps.error, "inconclusive": steps.inconclusive, "not_checked": steps.not_checked}.get(
        requirement.result, ""
    )
