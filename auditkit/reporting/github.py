"""GitHub workflow commands: one annotation per requirement that is not met, at its line of the spec."""

from __future__ import annotations

from typing import TYPE_CHECKING

from auditkit.text import one_line

if TYPE_CHECKING:
    from auditkit.evidence.results import RequirementDoc, Results

_LEVELS = {"fail": "error", "error": "error", "inconclusive": "warning", "not_checked": "warning"}


def github_annotations(results: Results, spec: str) -> str:
    """Lines for the log of a GitHub job; '' where every requirement is met. ``spec`` is the spec's path in the repository."""
    found = (_annotation(requirement, spec) for requirement in results.requirements)
    return "\n".join(line for line in found if line)


def command(name: str, message: str, **properties: str | int) -> str:
    """``::error file=spec.yaml,line=31::message``, escaped so that no text can end it or begin another."""
    given = ",".join(f"{key}={_property(str(value))}" for key, value in properties.items() if value)
    return f"::{name}{' ' if given else ''}{given}::{_data(message)}"


def _annotation(requirement: RequirementDoc, spec: str) -> str:
    from auditkit.reporting._vocabulary import result_word, waived

    level = _LEVELS.get(requirement.result)
    if level is None:
        return ""
    if waived(requirement) or requirement.level != "required":
        level = "notice"
    title = f"{result_word(requirement)}: {requirement.name}"
    return command(level, one_line(requirement.reason), file=spec, line=requirement.line, title=one_line(title))


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
