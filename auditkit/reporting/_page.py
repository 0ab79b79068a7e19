"""What the templates print: results joined with fixed wording, figures and check texts. No wording and no markup here."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Any

from auditkit.files import digest
from auditkit.reporting import _attacks, _outcome, _reliability, _series, _words
from auditkit.reporting._numbers import in_words
from auditkit.reporting._probing import attack_name, parameters
from auditkit.reporting._vocabulary import (
    DIMENSIONS,
    CheckText,
    counts,
    failed_by_severity,
    next_steps,
    result_word,
    urgency,
    waived,
)
from auditkit.reporting.figures import Figure, Table, figures_for, is_context

if TYPE_CHECKING:
    from auditkit.evidence.results import AttackDoc, GroupDoc, RequirementDoc, Results
    from auditkit.evidence.values import ValuesDoc

SECTIONS: Mapping[int, tuple[str, str]] = {
    1: ("identification", "Identification"),
    2: ("verdict", "Verdict"),
    3: ("scope", "Scope and subject"),
    4: ("criteria", "Criteria"),
    5: ("results", "Results overview"),
    6: ("details", "Details of each requirement"),
    7: ("procedures", "Procedures"),
    8: ("evidence", "Evidence excerpts"),
    9: ("limitations", "Limitations"),
    10: ("regulation", "Regulation mapping"),
    11: ("reproducibility", "Reproducibility"),
    12: ("integrity", "Integrity"),
    13: ("sign-off", "Sign-off"),
    14: ("glossary", "Glossary and result vocabulary"),
}
INSERTED: Mapping[int, Mapping[str, tuple[str, str]]] = {
    5: {"5a": ("attacks", "Attacks"), "5b": ("series", "Scale and sequence")},
    9: {"9a": ("reliability", "How reliable is this instrument")},
}
"""Number → sections after it: the regulation mapping and fixed wording name numbers, which therefore stay."""
_SERIES = "5b"
"""Only with a series."""
INFO_LABELS: Mapping[str, str] = {
    "organisation": "Commissioned by",
    "responsible": "Responsible party",
    "auditor": "Auditor",
    "readers": "Intended readers",
    "period": "Period covered",
    "excluded": "Left out, and why",
}
_DRAWN_DETAILS = frozenset({"dose_response", "roc", "histogram", "curve"})
_DETAIL_ROWS = 60


@dataclass(frozen=True)
class Row:
    """One requirement as the report shows it."""

    doc: RequirementDoc
    anchor: str
    word: str
    waived: bool
    check: CheckText | None
    explanation: str
    figures: list[Figure]
    parameters: list[tuple[str, str]]
    interventions: list[str]
    components: list[GroupDoc]
    """Those that no figure tabulates."""
    recorded: Table | None


@dataclass(frozen=True)
class MappingRow:
    """One clause and what of this report is evidence relevant to it."""

    clause: _words.Clause
    support: list[tuple[str, int]]
    """(dimension, how many requirements of it were measured)."""


@dataclass(frozen=True)
class Page:
    """Everything that a template may print."""

    results: Results
    rows: list[Row]
    """In the order of the spec."""
    groups: list[tuple[str, list[Row]]]
    """By dimension, failed first."""
    counts: list[tuple[str, str, int]]
    failed: list[tuple[str, int]]
    waived: int
    steps: list[tuple[str, str, str]]
    """(anchor, requirement, what to do)."""
    outcome: list[tuple[str, list[str]]]
    """What stands with the verdict: kind of result, claim level, what was left out, attacks tried."""
    attacks: _attacks.Section
    attack_classes: list[tuple[str, list[Row]]]
    """Class of attack → requirements that tried it."""
    limitations: list[str]
    regulation: list[tuple[str, list[MappingRow]]]
    regulation_version: int
    results_digest: str
    content_digest: str
    """Over all but the run block: equal for two runs of one audit."""
    wording: _words.Wording
    glossary: _words.Glossary
    explanations: _words.Explanations
    series: _series.Section | None
    """Curves of a scale or a sequence; None where the spec has neither."""
    reliability: _reliability.Section
    sections: Mapping[int | str, tuple[str, str]]
    info_labels: Mapping[str, str]


def page(raw: Results, shown: Results, values: Mapping[str, ValuesDoc], texts: Mapping[str, CheckText]) -> Page:
    """``shown`` is ``raw`` made printable; digests are of ``raw``."""
    rows = [_row(i, doc, values.get(doc.slug), texts.get(doc.check)) for i, doc in enumerate(shown.requirements, start=1)]
    anchors = {row.doc.name: row.anchor for row in rows}
    mapping = _words.regulation()
    document = raw.model_dump(mode="json")
    curves = _series.section(shown)
    return Page(
        results=shown,
        rows=rows,
        groups=_by_dimension(rows),
        counts=counts(shown),
        failed=failed_by_severity(shown),
        waived=sum(row.waived for row in rows),
        steps=[(anchors.get(name, ""), name, text) for name, text in next_steps(shown, texts)],
        outcome=_outcome.facts(shown),
        attacks=_attacks.section(shown, {row.doc.slug: row.anchor for row in rows}),
        attack_classes=[(kind.name, [r for r in rows if _tried(r, kind.checks)]) for kind in _words.attack_classes()],
        limitations=_limitations(shown),
        regulation=[(r.source, [MappingRow(c, _support(c, rows)) for c in r.clauses]) for r in mapping.sources],
        regulation_version=mapping.version,
        results_digest=digest(document),
        content_digest=digest({key: value for key, value in document.items() if key != "run"}),
        wording=_words.wording(),
        glossary=_words.glossary(),
        explanations=_words.explanations(),
        series=curves,
        reliability=_reliability.section(shown),
        sections=dict(_sections(with_series=curves is not None)),
        info_labels=INFO_LABELS,
    )


def _sections(*, with_series: bool) -> Iterator[tuple[int | str, tuple[str, str]]]:
    for number_, named in SECTIONS.items():
        yield number_, named
        yield from ((key, part) for key, part in INSERTED.get(number_, {}).items() if key != _SERIES or with_series)


def _row(place: int, doc: RequirementDoc, values: ValuesDoc | None, check: CheckText | None) -> Row:
    return Row(
        doc=doc,
        anchor=f"r{place}",
        word=result_word(doc),
        waived=waived(doc),
        check=check,
        explanation=_words.explanations().checks.get(doc.check, ""),
        figures=figures_for(doc, values),
        parameters=[(key, in_words(value)) for key, value in sorted(doc.parameters.items())],
        interventions=[_intervention(part) for part in doc.under],
        components=[group for group in doc.groups if not is_context(group)],
        recorded=_recorded(doc.details),
    )


def _intervention(attack: AttackDoc) -> str:
    given = attack.budget or parameters(attack)
    return f"{attack_name(attack)} ({given})" if given else attack_name(attack)


def _by_dimension(rows: Iterable[Row]) -> list[tuple[str, list[Row]]]:
    order = list(DIMENSIONS)
    places = {row.anchor: order.index(row.doc.dimension) if row.doc.dimension in order else len(order) for row in rows}
    ranked = sorted(rows, key=lambda row: (places[row.anchor], urgency(row.doc)))
    return [(DIMENSIONS.get(name, name), list(part)) for name, part in groupby(ranked, key=lambda row: row.doc.dimension)]


def _tried(row: Row, checks: Iterable[str]) -> bool:
    return row.doc.check in checks and row.doc.estimate.value is not None


def _support(clause: _words.Clause, rows: Iterable[Row]) -> list[tuple[str, int]]:
    measured = Counter(row.doc.dimension for row in rows if row.doc.estimate.value is not None)
    return [(DIMENSIONS[name].lower(), measured[name]) for name in clause.dimensions]


def _limitations(results: Results) -> list[str]:
    """Fixed ones, what this audit lacked, what the run added."""
    words = _words.limitations()
    models = {model.name for model in results.models}
    found = [*words.always, *(text for name, text in words.missing.items() if name not in models)]
    if "reference" in models:
        found.append(words.with_reference)
    nameless = [corpus.name for corpus in results.corpora if not corpus.has_subjects]
    if nameless:
        found.append(words.no_subjects.format(corpora=", ".join(nameless)))
    return [*found, *results.limitations]


def _recorded(details: Mapping[str, Mapping[str, Any]]) -> Table | None:
    """Whatever else a check recorded, one row a number and one column a model; what a figure shows is left out."""
    flat = {model: dict(_leaves({k: v for k, v in part.items() if k not in _DRAWN_DETAILS})) for model, part in details.items()}
    paths = list(dict.fromkeys(path for part in flat.values() for path in part))
    if not paths:
        return None
    rows = [(path, *(part.get(path, "") for part in flat.values())) for path in paths[:_DETAIL_ROWS]]
    if len(paths) > _DETAIL_ROWS:
        rows.append((f"{len(paths) - _DETAIL_ROWS} more in the values file", *("" for _ in flat)))
    return Table("Recorded by the check", ("Quantity", *flat), tuple(rows))


def _leaves(part: Any, path: str = "") -> Iterable[tuple[str, str]]:
    if not isinstance(part, Mapping):
        return [(path, in_words(part))]
    return [leaf for key, item in part.items() for leaf in _leaves(item, f"{path} › {key}" if path else str(key))]
