"""``compare.html``: one self-contained file, no script, nothing fetched; the report's look, macros and escaping."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from auditkit.reporting import _costs, _numbers
from auditkit.reporting._printable import printable
from auditkit.reporting._vocabulary import DIMENSIONS, WORDS
from auditkit.reporting._words import wording
from auditkit.reporting.figures import Figure
from auditkit.reporting.figures._compared import paired_figure, trade_off_figure
from auditkit.reporting.html import environment

if TYPE_CHECKING:
    from auditkit.evidence.comparison import CandidateDoc, CellDoc, ComparedDoc, Comparison
    from auditkit.evidence.results import EstimateDoc, MadeDoc

PAGE = "compare.html"
_STYLES = ("report.css", "compare.css")
_VERDICT_LOOKS = {"PASS": "pass", "PASS WITH EXCEPTIONS": "inconclusive", "FAIL": "fail", "INCOMPLETE": "inconclusive"}


@dataclass(frozen=True)
class Column:
    """One requirement as the page shows it."""

    doc: ComparedDoc
    anchor: str
    dimension: str
    cells: Mapping[str, CellDoc]
    """By candidate."""
    figure: Figure | None


@dataclass(frozen=True)
class Page:
    """Everything that the template may print."""

    comparison: Comparison
    columns: list[Column]
    roles: list[tuple[str, Mapping[str, EstimateDoc]]]
    """(``original`` or ``reference``, its estimates by requirement), those that were measured."""
    trade_off: Figure | None
    made: list[tuple[CandidateDoc | None, str, MadeDoc]]
    """(candidate or None for the reference, name, cost), where a cost was recorded."""
    disclaimer: str


def render_comparison(comparison: Comparison) -> dict[str, str]:
    """Every report of a comparison, by file name."""
    template = environment().get_template("compare.html.j2")
    shown = printable(comparison)
    text = template.render(
        page=_page(shown),
        style_hash=_style_hash(),
        styles=_STYLES,
        looks=_VERDICT_LOOKS,
        cost=_costs.cost,
        ratio=_costs.ratio,
        memory=_costs.memory,
        parameters=_costs.parameters,
        duration=_numbers.duration,
        word=_word,
    )
    return {PAGE: text}


def _page(comparison: Comparison) -> Page:
    columns = [_column(place, doc, comparison.baseline) for place, doc in enumerate(comparison.requirements, start=1)]
    roles = [
        (role, {doc.name: doc.models[role] for doc in comparison.requirements if role in doc.models})
        for role in ("original", "reference")
    ]
    made = [(one, one.name, one.cost) for one in comparison.candidates if one.cost is not None]
    reference = comparison.reference_cost
    return Page(
        comparison=comparison,
        columns=columns,
        roles=[(role, estimates) for role, estimates in roles if estimates],
        trade_off=trade_off_figure(comparison),
        made=[*made, *([] if reference is None else [(None, "reference", reference)])],
        disclaimer=wording().disclaimer,
    )


def _column(place: int, doc: ComparedDoc, baseline: str) -> Column:
    return Column(
        doc=doc,
        anchor=f"r{place}",
        dimension=DIMENSIONS.get(doc.dimension, doc.dimension),
        cells={cell.candidate: cell for cell in doc.cells},
        figure=paired_figure(doc, baseline),
    )


def _word(cell: CellDoc) -> str:
    return f"{WORDS[cell.result]} (waived)" if cell.waived else WORDS[cell.result]


def _style_hash() -> str:
    """What the content security policy allows: the one style block, as the template includes it."""
    style = "".join(environment().get_template(name).render() for name in _STYLES)
    return "sha256-" + base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
