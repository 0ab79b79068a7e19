"""``junit.xml``, for CI systems.

The first test case is the verdict itself, so that a file is red exactly where the audit does not pass: an advisory failure
does not redden it, and an audit in which nothing was measured does not look green. Its properties are the kind of result, the
claim level, what was left out and each attack.

=====================  ==========================================================
result                 test case
=====================  ==========================================================
pass                   passed
fail                   failure; skipped where a waiver covers it
inconclusive, error    error
not_checked            skipped
not_applicable         skipped
informational          passed, the value as a property
=====================  ==========================================================
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING
from xml.etree import ElementTree as Xml

from auditkit.reporting._numbers import observed, sample
from auditkit.reporting._outcome import facts
from auditkit.reporting._printable import printable
from auditkit.reporting._probing import attack_title, probing, recovery_text, settings
from auditkit.reporting._vocabulary import result_word, waived
from auditkit.reporting.formats._base import Format, Report

if TYPE_CHECKING:
    from auditkit.evidence.results import RequirementDoc, Results

_OUTCOMES = {
    "pass": None,
    "fail": "failure",
    "inconclusive": "error",
    "error": "error",
    "not_checked": "skipped",
    "not_applicable": "skipped",
    "informational": None,
}
_VERDICTS = {"PASS": None, "PASS WITH EXCEPTIONS": None, "FAIL": "failure", "INCOMPLETE": "error"}


def render(report: Report) -> str:
    """JUnit XML. Hidden characters are shown as ``\\u{…}``: a control character would make the file unreadable."""
    results = printable(report.results)
    cases = [_verdict(results), *(_case(requirement) for requirement in results.requirements)]
    suite = Xml.Element("testsuite", _totals(results, cases))
    suite.extend(cases)
    suites = Xml.Element("testsuites", {"name": "auditkit"})
    suites.append(suite)
    Xml.indent(suites)
    return f'<?xml version="1.0" encoding="utf-8"?>\n{Xml.tostring(suites, encoding="unicode")}\n'


def _totals(results: Results, cases: list[Xml.Element]) -> dict[str, str]:
    found = {f"{tag}s": sum(case.find(tag) is not None for case in cases) for tag in ("failure", "error")}
    skipped = sum(case.find("skipped") is not None for case in cases)
    numbers = {"tests": len(cases), **found, "skipped": skipped}
    return {
        "name": results.title,
        "timestamp": results.run.started,
        "time": f"{results.run.seconds:.1f}",
        **{key: str(value) for key, value in numbers.items()},
    }


def _verdict(results: Results) -> Xml.Element:
    case = Xml.Element("testcase", {"classname": "auditkit", "name": "verdict", "time": "0"})
    _properties(case, [(heading.lower(), item) for heading, items in facts(results) for item in items])
    _outcome(case, _VERDICTS[results.verdict], results.verdict, f"{results.verdict}: {results.summary}")
    return case


def _case(requirement: RequirementDoc) -> Xml.Element:
    case = Xml.Element("testcase", {"classname": f"auditkit.{requirement.check}", "name": requirement.name, "time": "0"})
    unit = requirement.metric.unit
    found = {
        "result": result_word(requirement),
        "level": requirement.level,
        "severity": requirement.severity,
        "observed": observed(requirement.estimate, unit),
        "bound": requirement.bound.text or "none",
        "sample": sample(requirement.estimate),
    }
    if probing(requirement):
        found["recovery"] = recovery_text(requirement)
    if requirement.under:
        found["under"] = f"{attack_title(requirement)} ({settings(requirement)})"
    _properties(case, found.items())
    outcome, message = _message(requirement)
    _outcome(case, outcome, requirement.result, message)
    return case


def _properties(case: Xml.Element, found: Iterable[tuple[str, str]]) -> None:
    properties = Xml.SubElement(case, "properties")
    for name, value in found:
        Xml.SubElement(properties, "property", {"name": name, "value": value})


def _message(requirement: RequirementDoc) -> tuple[str | None, str]:
    """Element and text: what does not count in the verdict is skipped with its reason."""
    outcome = _OUTCOMES[requirement.result]
    if waived(requirement) and requirement.waiver is not None:
        return "skipped", f"{result_word(requirement)}: {requirement.waiver.justification} ({requirement.waiver.approver})"
    if outcome in ("failure", "error") and requirement.level != "required":
        return "skipped", f"{result_word(requirement)} (advisory): {requirement.reason}"
    return outcome, requirement.reason


def _outcome(case: Xml.Element, tag: str | None, kind: str, message: str) -> None:
    if tag is not None:
        extra = {} if tag == "skipped" else {"type": kind}
        Xml.SubElement(case, tag, {"message": message, **extra})


FORMAT = Format("junit.xml", render)
