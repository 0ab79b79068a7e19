"""``summary.md``, for a pull request or a CI job's summary page."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from auditkit.reporting._numbers import interval, number, sample
from auditkit.reporting._outcome import facts
from auditkit.reporting._printable import printable
from auditkit.reporting._vocabulary import counts, next_steps, result_word, urgency
from auditkit.reporting.formats._base import Format, Report
from auditkit.text import one_line

if TYPE_CHECKING:
    from auditkit.evidence.results import RequirementDoc

_CELL_LETTERS = 300
_SPECIAL = re.compile(r"[\\`*_{}\[\]#!|~$@:&<>]")
_FORMULA = ("=", "+", "-", "@")


def render(report: Report) -> str:
    """GitHub-flavoured Markdown; nothing in the data can become markup, a link or a mention."""
    results = printable(report.results)
    tally = ", ".join(f"{n} {word.lower()}" for _, word, n in counts(results)) or "no requirement"
    lines = [
        f"## {results.verdict}: {escape(results.title)}",
        "",
        escape(results.summary),
        "",
        *(line for heading, items in facts(results) for line in _fact(heading, items)),
        *(f"> Limited run: {escape(reason)}" for reason in results.tainted),
        *([""] if results.tainted else []),
        "| Requirement | Result | Observed | Bound | Sample |",
        "| --- | --- | --- | --- | --- |",
        *(_row(requirement) for requirement in sorted(results.requirements, key=urgency)),
        "",
        f"Results: {tally}. One-sided confidence {results.confidence * 100:.4g}%.",
        "",
        "What to do next:",
        "",
        *(f"1. {_step(name, text)}" for name, text in next_steps(results, report.check_texts)),
        "",
        f"auditkit {escape(results.tool_version)}, report {escape(results.report_id)}. The whole report is report.html.",
    ]
    return "\n".join(lines) + "\n"


def escape(text: str) -> str:
    """Text for a line or a table cell: every character that Markdown reads becomes a reference, ``=cmd`` gets a quote."""
    line = one_line(text, _CELL_LETTERS)
    quoted = f"'{line}" if line.startswith(_FORMULA) else line
    return _SPECIAL.sub(lambda match: f"&#{ord(match[0])};", quoted).replace("www.", "www&#46;")


def _fact(heading: str, items: list[str]) -> list[str]:
    if len(items) == 1:
        return [f"**{heading}:** {escape(items[0])}", ""]
    return [f"**{heading}:**", "", *(f"- {escape(item)}" for item in items), ""]


def _row(requirement: RequirementDoc) -> str:
    unit, estimate = requirement.metric.unit, requirement.estimate
    cells = (
        escape(requirement.name),
        escape(result_word(requirement)) + (" (advisory)" if requirement.level != "required" else ""),
        f"{number(estimate.value, unit)} {escape(interval(estimate, unit))}".rstrip(),
        escape(requirement.bound.text) or "none",
        sample(estimate) if estimate.value is not None else "none",
    )
    return f"| {' | '.join(cells)} |"


def _step(name: str, text: str) -> str:
    return f"{escape(name)}: {escape(text)}" if name else escape(text)


FORMAT = Format("summary.md", render)
