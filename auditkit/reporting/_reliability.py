"""How often the auditor is wrong, as its last recorded self-test counted it, and what this audit's own controls add.

The record is a file that ships with the package. Where it is missing, or anything else than expected, the report says that none
is recorded: a report never fails for want of it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pydantic import Field, ValidationError

from auditkit.evidence.results import Document
from auditkit.reporting import _words
from auditkit.reporting._numbers import counted, number
from auditkit.reporting._printable import printable

if TYPE_CHECKING:
    from auditkit.evidence.results import RequirementDoc, Results

RECORD = Path(__file__).parent / "data" / "selftest.json"


class RateDoc(Document):
    """A mistake among the models, and among the constructions, on which it could be made."""

    models: int
    of_models: int
    upper_models: float | None
    """Bound on the rate; null where there is no model."""
    constructions: int
    of_constructions: int
    upper_constructions: float | None


class DetectableDoc(Document):
    """The least share of subjects, still known or lost, that is found often enough in simulated audits."""

    quantity: str
    """With its bound and its number of subjects."""
    share: float | None
    """Null: none of those simulated does."""


class Summary(Document):
    """What a report says of a self-test."""

    kind: Literal["auditkit self-test summary"] = "auditkit self-test summary"
    schema_version: Literal[1] = 1
    tool_version: str
    commit: str
    date: str
    mode: Literal["quick", "full"]
    models: int
    constructions: int
    confidence: float
    """One-sided, of every bound."""
    power: float
    """What counts as often enough."""
    misses: RateDoc
    false_alarms: RateDoc
    undetected: RateDoc
    locked_misses: RateDoc
    """The misses on the locked zoo alone."""
    undecided: int
    """Of the models that must fail or must pass."""
    of_undecided: int
    missed: list[str]
    """Constructions with a miss, in words."""
    detectable: list[DetectableDoc] = Field(default_factory=list)


@dataclass(frozen=True)
class Section:
    """The report's section."""

    made: str
    """``auditkit 1.2.0, commit 5f0c2a9, 2026-12-01, full run``; '' where no self-test is recorded."""
    notes: list[str]
    headline: list[str]
    simulated: list[str]
    """The least share that simulated audits find, by quantity."""
    least: list[tuple[RequirementDoc, str]]
    """Requirement → the least that it could have seen."""
    words: _words.SelftestWords


def section(results: Results) -> Section:
    """For results that are fit to print."""
    words = _words.selftest()
    summary = recorded()
    least = [(doc, least_seen(doc)) for doc in results.requirements]
    if summary is None:
        return Section("", [words.none_recorded], [], [], least, words)
    other = summary.tool_version != results.tool_version
    notes = [words.other_version.format(made=summary.tool_version, here=results.tool_version)] if other else []
    notes += [words.quick] if summary.mode == "quick" else []
    return Section(made(summary), notes, headline(summary), simulated(summary), least, words)


def recorded() -> Summary | None:
    """The self-test that ships with the package, fit to print; None where there is none that this version reads."""
    try:
        return printable(Summary.model_validate_json(RECORD.read_bytes()))
    except (OSError, ValidationError):
        return None


def least_seen(doc: RequirementDoc) -> str:
    """In words, from the results; else the number of subjects, from which a reader may judge."""
    if doc.detectable:
        return doc.detectable
    n = counted(doc.estimate.n, doc.estimate.unit)
    return f"not computed; {n} measured" if doc.estimate.value is not None else "nothing was measured"


def made(summary: Summary) -> str:
    """What was tested, and when."""
    commit = [f"commit {summary.commit[:12]}"] if summary.commit else []
    return ", ".join([f"auditkit {summary.tool_version}", *commit, summary.date, f"{summary.mode} run"])


def headline(summary: Summary) -> list[str]:
    """The rates in sentences, misses first; whoever prints one of them prints all."""
    return list(_sentences(summary))


def simulated(summary: Summary) -> list[str]:
    """The least share that simulated audits find, by quantity, in sentences."""
    often = f"{summary.power:.0%}"
    return [
        f"{one.quantity}: no share of subjects that was simulated is found in at least {often} of audits."
        if one.share is None
        else f"{one.quantity}: found in at least {often} of simulated audits from {number(one.share)} of the subjects on."
        for one in summary.detectable
    ]


def _sentences(summary: Summary) -> Iterator[str]:
    level = f"{summary.confidence:.0%}"
    yield _rate(summary.misses, "that must fail passed", "miss rate", level)
    if summary.missed:
        yield f"Missed: {'; '.join(summary.missed)}."
    locked = summary.locked_misses.of_models
    if locked == summary.misses.of_models > 0:
        yield "All models that must fail come from worlds that were not used to set any bound."
    elif locked:
        yield f"On the locked zoo alone: {_rate(summary.locked_misses, 'that must fail passed', 'miss rate', level)}"
    yield _rate(summary.false_alarms, "that must pass failed", "false alarm rate", level)
    if summary.undetected.of_models:
        yield _rate(summary.undetected, "on which no verdict is possible got one", "rate", level)
    yield (
        f"{summary.undecided} of {counted(summary.of_undecided, 'model')} that must pass or fail ended without a decision, "
        "which is neither right nor wrong."
    )


def _rate(rate: RateDoc, what: str, name: str, level: str) -> str:
    """``1 of 8 models that must fail passed: miss rate 0.125, at 95% confidence at most …``."""
    if not rate.of_models:
        return f"0 of 0 models {what}: there was none."
    return (
        f"{rate.models} of {counted(rate.of_models, 'model')} {what}: {name} "
        f"{number(rate.models / rate.of_models)}, at {level} confidence at most {number(rate.upper_constructions)} by "
        f"constructions ({rate.constructions} of {rate.of_constructions}) and at most {number(rate.upper_models)} by models."
    )
