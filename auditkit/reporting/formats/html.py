"""``report.html``, for people."""

from __future__ import annotations

from auditkit.reporting.formats._base import Format, Report


def render(report: Report) -> str:
    """The report as one self-contained page."""
    from auditkit.reporting.html import render_html

    return render_html(report.results, report.values, report.check_texts)


FORMAT = Format("report.html", render)
