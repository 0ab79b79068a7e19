"""Results → HTML, JUnit, Markdown, terminal: pure functions of the results file.

::

    FORMATS             report formats by name, one a file in ``formats/``
    render_all          results + per-example values → {file name: text}
    github_annotations  results → GitHub workflow commands
    terminal            results → the table that ``verify`` ends with

Adding a format is one file: a module in ``formats/`` that defines ``FORMAT``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from auditkit.registry import Registry
from auditkit.reporting.formats._base import Format, Report
from auditkit.reporting.github import github_annotations

if TYPE_CHECKING:
    from auditkit.evidence.results import Results
    from auditkit.evidence.values import ValuesDoc
    from auditkit.reporting._vocabulary import CheckText

__all__ = ["FORMATS", "Format", "Report", "github_annotations", "render_all"]

FORMATS: Registry[Format] = Registry("report format", "auditkit.reporting.formats", "FORMAT")


def render_all(
    results: Results, values: Mapping[str, ValuesDoc], check_texts: Mapping[str, CheckText] | None = None
) -> dict[str, str]:
    """Every registered format, by file name. Check texts come from the registry unless given."""
    report = Report(results, values, registered_texts(results) if check_texts is None else check_texts)
    formats = (FORMATS.get(name) for name in FORMATS.names())
    return {each.filename: each.render(report) for each in formats}


def registered_texts(results: Results) -> dict[str, CheckText]:
    """Title, summary, source, limits and remediation of the checks in use that are installed here."""
    from auditkit.checks import CHECKS

    used = {requirement.check for requirement in results.requirements}
    return {name: CHECKS.get(name) for name in CHECKS.names() if name in used}
