"""``selftest.html``: how often the auditor is wrong; one self-contained file, no script, with the report's look and escaping.

Every number is computed here from the cases (``decisions.matrix``); the summary that reports print is computed beside it.
"""

from __future__ import annotations

import base64
import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from auditkit.decisions import matrix
from auditkit.decisions.matrix import Rate, Rates, Score
from auditkit.decisions.power import POWER
from auditkit.evidence.selftest import COLUMNS
from auditkit.reporting import _reliability
from auditkit.reporting._numbers import counted, duration, in_words, interval, number, unbroken
from auditkit.reporting._printable import printable
from auditkit.reporting._reliability import DetectableDoc, RateDoc, Summary
from auditkit.reporting._vocabulary import WORDS
from auditkit.reporting._words import PartWords, SelftestWords, selftest, wording
from auditkit.reporting.figures import Figure, Table
from auditkit.reporting.figures._power import AtTheBound, PowerCurve, power_figure, read
from auditkit.reporting.html import environment

if TYPE_CHECKING:
    from auditkit.evidence.results import EstimateDoc
    from auditkit.evidence.selftest import CaseDoc, SelftestDoc

PAGE = "selftest.html"
_STYLES = ("report.css", "selftest.css")
_NAMED = 12
"""More cases than this are counted and not named in a cell."""
_LEVEL = f"{matrix.CONFIDENCE:.0%}"
_NO_MODEL = "no model"
_ROW_ENDS = {
    ("must fail", "PASS"): "missed",
    ("must fail", "FAIL"): "right",
    ("must pass", "PASS"): "right",
    ("must pass", "FAIL"): "false alarm",
    ("must not decide", "PASS"): "undetected",
    ("must not decide", "FAIL"): "undetected",
    ("must not decide", "INCOMPLETE"): "right",
}
_BOOKS = {"development": "development zoo", "locked": "locked zoo"}
_NOT_TUNED = "not looked at before"


@dataclass(frozen=True)
class Cell:
    """One count of the matrix, or one cell of the table of expectations."""

    text: str
    said: str
    """What it is: ``missed``, ``expected F``; '' where nothing is said of it."""
    wrong: bool


@dataclass(frozen=True)
class Row:
    """A named row of cells."""

    name: str
    cells: list[Cell]


@dataclass(frozen=True)
class Part:
    """A section of the page."""

    anchor: str
    words: PartWords
    tables: list[Table] = field(default_factory=list)
    figure: Figure | None = None
    items: list[str] = field(default_factory=list)
    columns: tuple[str, ...] = ()
    rows: list[Row] = field(default_factory=list)
    """With ``columns``: the table whose cells may be wrong."""
    caption: str = ""


@dataclass(frozen=True)
class Page:
    """Everything that the template may print."""

    doc: SelftestDoc
    made: str
    headline: list[str]
    parts: list[Part]
    words: SelftestWords
    disclaimer: str


def render_selftest(doc: SelftestDoc) -> str:
    """The page of a run of the zoo."""
    shown = printable(doc)
    style = "".join(environment().get_template(name).render() for name in _STYLES)
    style_hash = "sha256-" + base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    return environment().get_template("selftest.html.j2").render(page=_page(shown), style_hash=style_hash, styles=_STYLES)


def summary_of(doc: SelftestDoc) -> dict[str, Any]:
    """What reports print of it: the content of ``_reliability.RECORD``."""
    return summary(doc).model_dump(mode="json")


def summary(doc: SelftestDoc) -> Summary:
    """What every report says of the self-test."""
    found = matrix.score(doc.cases)
    locked = matrix.score([case for case in doc.cases if case.book == "locked"])
    answered = [case for case in doc.cases if case.truth in found.abstentions]
    return Summary(
        tool_version=doc.tool_version,
        commit=doc.commit,
        date=doc.date,
        mode=doc.mode,
        models=len(doc.cases),
        constructions=len({case.construction for case in doc.cases}),
        confidence=matrix.CONFIDENCE,
        power=POWER,
        misses=_rate_doc(found.misses),
        false_alarms=_rate_doc(found.false_alarms),
        undetected=_rate_doc(found.undetected),
        locked_misses=_rate_doc(locked.misses),
        undecided=sum(rate.hits for rate in found.abstentions.values()),
        of_undecided=len(answered),
        missed=list(dict.fromkeys(f"{case.label} {case.title}" for case in doc.cases if _mistake(case) == "missed")),
        detectable=[DetectableDoc(quantity=curve.name, share=curve.detectable) for curve in read(PowerCurve, doc.power)[0]],
    )


def _rate_doc(rates: Rates) -> RateDoc:
    models, constructions = rates.models, rates.constructions
    return RateDoc(
        models=models.hits,
        of_models=models.n,
        upper_models=models.upper,
        constructions=constructions.hits,
        of_constructions=constructions.n,
        upper_constructions=constructions.upper,
    )


def _page(doc: SelftestDoc) -> Page:
    shown = summary(doc)
    return Page(
        doc=doc,
        made=_reliability.made(shown),
        headline=_reliability.headline(shown),
        parts=_parts(doc),
        words=selftest(),
        disclaimer=wording().disclaimer,
    )


def _parts(doc: SelftestDoc) -> list[Part]:
    cases, parts = doc.cases, selftest().parts
    found = matrix.score(cases)
    at_bound, strange = read(AtTheBound, doc.boundary)
    curves, odd = read(PowerCurve, doc.power)
    made: dict[str, dict[str, Any]] = {
        "matrix": {
            "columns": ("Truth", *matrix.VERDICTS, "All"),
            "rows": _matrix(found),
            "caption": f"{counted(len(cases), 'audited model')}, every one of them in one cell",
            "tables": [_rates(found), _accuracy(found)],
        },
        "books": {"tables": [_scores("Zoo", _by_book(cases))]},
        "families": {"tables": [_scores("Family", matrix.split(cases, lambda case: case.family))]},
        "constructions": {"tables": [_constructions(cases)]},
        "cells": _cells(cases),
        "wrong": {"tables": [_measured(case) for case in cases if _mistake(case)]},
        "marginal": {"tables": [_marginal(cases)]},
        "following": {"tables": [_ranks(cases), _stability(cases)]},
        "verification": {"tables": [_verification(cases)]},
        "not_built": {"items": [f"{one.label} {one.construction}: {one.why}" for one in doc.not_built]},
        "repeatability": {"tables": [_repeated(doc)]},
        "boundary": {"tables": [_at_bound(at_bound), _plain("Simulated audits at the bound", strange)]},
        "power": {"figure": power_figure(curves), "tables": [_least(curves), _plain("Simulated audits", odd)]},
        "looks": {"items": list(doc.looks)},
        "limits": {"items": selftest().cannot_show},
    }
    return [Part(anchor, parts[anchor], **_filled(given)) for anchor, given in made.items()]


def _filled(given: Mapping[str, Any]) -> dict[str, Any]:
    """Without tables that have no row."""
    return {**given, "tables": [table for table in given.get("tables", ()) if table.rows]}


def _mistake(case: CaseDoc) -> str:
    """``missed``, ``false alarm``, ``undetected`` or ''."""
    said = _ROW_ENDS.get((case.truth, matrix.column(case.verdict)), "")
    return "" if said == "right" else said


def _matrix(found: Score) -> list[Row]:
    rows = []
    for truth, counts in found.counts.items():
        cells = []
        for word, n in counts.items():
            said = _ROW_ENDS.get((truth, word), "" if truth == "at the bound" else "undecided") if n else ""
            cells.append(Cell(str(n), said, wrong=said in ("missed", "false alarm", "undetected")))
        rows.append(Row(truth, [*cells, Cell(str(sum(counts.values())), "", wrong=False)]))
    return rows


def _rates(found: Score) -> Table:
    mistakes = (
        ("Missed: must fail, passed", found.misses),
        ("False alarms: must pass, failed", found.false_alarms),
        ("Undetected: no verdict is possible, got one", found.undetected),
    )
    rows = [(name, *_both(rates)) for name, rates in mistakes]
    rows += [
        (f"Undecided: {truth}, INCOMPLETE or ERROR", *_one(rate), "", "") for truth, rate in found.abstentions.items() if rate.n
    ]
    bound = f"Upper bound ({_LEVEL})"
    columns = ("Mistake", "Models", f"{bound}, models", "Constructions", f"{bound}, constructions")
    return Table("Rates with exact one-sided bounds (Clopper-Pearson)", columns, tuple(rows))


def _accuracy(found: Score) -> Table:
    weights = f"miss {matrix.MISS_COST:g}, false alarm {matrix.FALSE_ALARM_COST:g}, abstention {matrix.ABSTENTION_COST:g}"
    rows = (
        ("Correct among all models with a truth", _share(found.accuracy)),
        ("Correct among those that got PASS or FAIL", _share(found.decided)),
        (f"Weighted cost ({weights})", f"{found.cost:g} of at most {found.worst_cost:g}"),
    )
    return Table("Accuracy over all and over what was decided, never one without the other", ("Quantity", "Value"), rows)


def _share(rate: Rate) -> str:
    return _NO_MODEL if rate.value is None else f"{rate.hits} of {rate.n}: {number(rate.value)}"


def _one(rate: Rate) -> tuple[str, str]:
    return _share(rate), "none" if rate.upper is None else number(rate.upper)


def _both(rates: Rates) -> tuple[str, str, str, str]:
    return (*_one(rates.models), *_one(rates.constructions))


def _by_book(cases: Sequence[CaseDoc]) -> dict[str, Score]:
    untouched = [case for case in cases if not case.tuned]
    found = matrix.split(cases, lambda case: _BOOKS[case.book])
    return {**found, **({_NOT_TUNED: matrix.score(untouched)} if untouched else {})}


def _scores(first: str, parts: Mapping[str, Score]) -> Table:
    rows = [
        (
            name,
            *(str(sum(counts[word] for counts in found.counts.values())) for word in matrix.VERDICTS),
            *_both(found.misses),
            *_one(found.false_alarms.constructions),
        )
        for name, found in parts.items()
    ]
    bound = f"at most ({_LEVEL})"
    mistakes = ("Missed, models", "Missed, constructions", "False alarms, constructions")
    columns = (first, *matrix.VERDICTS, *(title for mistake in mistakes for title in (mistake, bound)))
    return Table("Verdicts and mistakes", columns, tuple(rows))


def _grouped(cases: Iterable[CaseDoc]) -> list[tuple[str, list[CaseDoc]]]:
    """``Z3 Refusal tuned`` → its seeds, in the order of the run."""
    parts: dict[tuple[str, str, str], list[CaseDoc]] = {}
    for case in cases:
        parts.setdefault((case.label, case.title, case.construction), []).append(case)
    return [(f"{label} {title}", part) for (label, title, _), part in parts.items()]


def _constructions(cases: Iterable[CaseDoc]) -> Table:
    rows = [
        (
            name,
            _all(part, lambda case: case.truth),
            _all(part, lambda case: f"{case.weights} / {case.reachable} / {case.utility}"),
            _all(part, lambda case: "none" if case.dose is None else number(case.dose)),
            _all(part, lambda case: case.book + ("" if case.tuned else f", {_NOT_TUNED}")),
            str(len(part)),
            _times(matrix.column(case.verdict) for case in part),
            _times(f"{case.outcome or 'none'} ({case.claim or 'none'})" for case in part),
            "; ".join(dict.fromkeys(text for case in part for text in case.deviations)) or "none",
        )
        for name, part in _grouped(cases)
    ]
    columns = ("Construction", "Truth", "In weights / reachable / utility", "Share known", "Zoo", "Seeds", "Verdicts")
    return Table("One row for each construction", (*columns, "Kind of result (claim)", "Deviations"), tuple(rows))


def _all(part: Iterable[CaseDoc], text: Callable[[CaseDoc], str]) -> str:
    return "; ".join(dict.fromkeys(map(text, part)))


def _times(words: Iterable[str]) -> str:
    """``FAIL``, or ``FAIL 4, PASS 1``."""
    found = Counter(words)
    return next(iter(found)) if len(found) == 1 else ", ".join(f"{word} {n}" for word, n in found.most_common())


def _cells(cases: Sequence[CaseDoc]) -> dict[str, Any]:
    used = [name for name in COLUMNS if any(name in case.expected or name in case.found for case in cases)]
    rows = [Row(name, [_cell(part, column) for column in used]) for name, part in _grouped(cases)]
    found = matrix.agreement(cases)
    table = Table(
        "Asserted cells that were met",
        ("Column", "Asserted", "Met", "Deviating", "Not asked"),
        tuple((one.column, *map(str, (one.asserted, one.met, len(one.deviations), len(one.absent)))) for one in found),
    )
    caption = "What was found; where it deviates, what was expected"
    return {"columns": ("Construction", *used), "rows": rows, "caption": caption, "tables": [table]}


def _cell(part: Sequence[CaseDoc], column: str) -> Cell:
    expected = list(dict.fromkeys(case.expected.get(column, "-") for case in part))
    found = _times(case.found.get(column, "not asked") for case in part)
    wrong = any(
        case.expected.get(column, "-") != "-"
        and column in case.found
        and case.found[column] not in case.expected[column].split("/")
        for case in part
    )
    if expected == ["-"]:
        return Cell(found, "not asserted", wrong=False)
    return Cell(found, f"expected {', '.join(expected)}" if wrong or found == "not asked" else "", wrong=wrong)


def _measured(case: CaseDoc) -> Table:
    rows = tuple(
        (
            one.name,
            one.level,
            WORDS[one.result] + (" (waived)" if one.waived else ""),
            unbroken(f"{number(one.value)} {interval(_ends(one.lower, one.upper))}".rstrip()),
            one.reason,
        )
        for one in case.requirements
    )
    said = f"{_mistake(case)}: {matrix.case_name(case)}, {case.title}; {case.truth}, {case.verdict}"
    return Table(said[0].upper() + said[1:], ("Requirement", "Level", "Result", "Value", "Reason"), rows)


def _ends(lower: float | None, upper: float | None) -> EstimateDoc:
    from auditkit.evidence.results import EstimateDoc

    return EstimateDoc(lower=lower, upper=upper)


def _marginal(cases: Sequence[CaseDoc]) -> Table:
    kinds = {"requirement": "requirement", "check": "all of a check", "attack": "all under a family of attacks"}
    rows = tuple(
        (one.name, kinds[one.kind], str(len(one.failed)), _names(one.alone), _names(one.missed))
        for one in matrix.marginal(cases)
    )
    columns = ("Without", "What is left out", "Failed on models that must fail", "No longer FAIL", "Would PASS")
    return Table("Verdicts computed again without a part", columns, rows)


def _names(cases: Sequence[str]) -> str:
    if not cases:
        return "none"
    return f"{len(cases)}: {'; '.join(cases)}" if len(cases) <= _NAMED else f"{len(cases)} models"


def _ranks(cases: Sequence[CaseDoc]) -> Table:
    rows = tuple(
        (one.name, str(one.n), str(one.doses), "not defined" if one.rho is None else number(one.rho))
        for one in matrix.ranks(cases)
    )
    return Table("Value against the share still known", ("Requirement", "Models", "Shares", "Spearman's rho"), rows)


def _stability(cases: Sequence[CaseDoc]) -> Table:
    held = {True: "yes", False: "no", None: "no margin to compare with"}
    rows = tuple(
        (
            one.name,
            str(one.pairs),
            number(one.largest),
            "none" if one.allowed is None else number(one.allowed),
            held[one.held],
        )
        for one in matrix.stability(cases)
    )
    columns = ("Requirement", "Pairs", "Largest move", "Half of the margin", "Less than it")
    return Table("Value of a retrained model before and after a benign change", columns, rows)


def _verification(cases: Iterable[CaseDoc]) -> Table:
    rows = tuple(
        (
            matrix.case_name(case),
            "; ".join(f"{name} {number(value)}" for name, value in case.verification.items()) or "not recorded",
            case.report_id or "none",
            duration(case.seconds),
        )
        for case in cases
    )
    return Table("Every model", ("Model", "Verified before the audit", "Report", "Time"), rows)


def _repeated(doc: SelftestDoc) -> Table:
    rows = []
    for one in doc.repeatability:
        counts = Counter({word: n for word, n in one.verdicts.items() if n})
        total, flips = sum(counts.values()), {"PASS", "FAIL"} <= {matrix.column(word) for word in counts}
        apart = f"{number(1 - max(counts.values()) / total)}" if total else "none"
        verdicts = ", ".join(f"{word} {n}" for word, n in counts.most_common())
        rows.append((one.case, str(one.seeds), verdicts or "none", apart, "yes: a defect" if flips else "no"))
    columns = ("Model", "Audits", "Verdicts", "Share unlike the most frequent", "PASS and FAIL both")
    return Table("Audits of one model under several seeds", columns, tuple(rows))


def _at_bound(rows: Iterable[AtTheBound]) -> Table:
    made = []
    for row in rows:
        passed, exceeds = row.outcomes.passed, row.outcomes.passed.lower > row.alpha
        made.append(
            (
                f"{row.kind}, {row.bound}",
                f"{row.subjects}{', skewed' if row.skewed else ''}",
                str(row.outcomes.audits),
                unbroken(str(passed)),
                number(row.alpha),
                "yes" if exceeds else "not shown",
                unbroken(str(row.outcomes.failed)),
                unbroken(str(row.outcomes.inconclusive)),
            )
        )
    columns = ("Quantity", "Subjects", "Audits", "False pass", "Stated error", "More often than stated", "Fail", "Inconclusive")
    return Table("Simulated audits at the bound", columns, tuple(made))


def _least(curves: Iterable[PowerCurve]) -> Table:
    rows = tuple(
        (
            curve.name,
            number(curve.dose_on_bound),
            "none that was simulated" if curve.detectable is None else number(curve.detectable),
        )
        for curve in curves
    )
    columns = ("Quantity", "Share affected at the bound", f"Least share that fails in {POWER:.0%} of audits")
    return Table("Smallest share of subjects that is found", columns, rows)


def _plain(caption: str, rows: Sequence[Mapping[str, Any]]) -> Table:
    """Plain JSON as it is: a column for each key."""
    keys = list(dict.fromkeys(key for row in rows for key in row))
    return Table(caption, tuple(keys), tuple(tuple(in_words(row[key]) if key in row else "" for key in keys) for row in rows))
