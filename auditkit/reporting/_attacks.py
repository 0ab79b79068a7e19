"""The section on attacks: what was tried, who could do it, and what came back."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from auditkit.reporting import _probing
from auditkit.reporting._numbers import counted, in_cell, signed
from auditkit.reporting._words import explanations, wording
from auditkit.reporting.figures._attacked import attacked_figure
from auditkit.reporting.figures._budget import budget_figures
from auditkit.reporting.figures._heat import heat_figure
from auditkit.reporting.figures._parts import ordered

if TYPE_CHECKING:
    from auditkit.evidence.results import AttackDoc, EstimateDoc, RequirementDoc, Results
    from auditkit.reporting.figures import Figure

_CHOSEN = "chosen"
"""Group of the setting that an attack chooses for each model."""
Line = tuple[str, str, str, str]
"""(model, before, under the attack, change)."""


@dataclass(frozen=True)
class Tried:
    """One requirement under an attack."""

    doc: RequirementDoc
    anchor: str
    word: str
    lines: list[Line]
    difference: str
    recovery: str
    decided_by: str
    """The setting that decided, and where it stopped early; '' where there was one setting."""


@dataclass(frozen=True)
class Attempt:
    """One attack, or several in a row, and every requirement that was measured under it."""

    title: str
    attacks: list[tuple[AttackDoc, str, str]]
    """(attack, its name, its parameters in words)."""
    tried: list[Tried]
    curves: list[Figure]
    compared: bool
    """Something was measured without the attack as well."""


@dataclass(frozen=True)
class Family:
    """Attacks of one kind."""

    key: str
    title: str
    meaning: str
    figure: Figure | None
    attempts: list[Attempt]


@dataclass(frozen=True)
class Section:
    """What the section prints."""

    attacked: bool
    """Something was done to a model or to what it was asked."""
    heat: Figure | None
    families: list[Family]


def section(results: Results, anchors: Mapping[str, str]) -> Section:
    """``anchors``: of each requirement in the page, by slug."""
    docs = _by_family([doc for doc in results.requirements if _probing.probing(doc)])
    return Section(
        attacked=bool(docs),
        heat=heat_figure([doc for part in docs.values() for doc in part]),
        families=[_family(key, part, anchors) for key, part in docs.items()],
    )


def _by_family(docs: Sequence[RequirementDoc]) -> dict[str, list[RequirementDoc]]:
    """In the order of the families, from what anyone can do to what takes the weights; each in the order of the spec."""
    order = list(explanations().families)
    keys = sorted({_probing.family(doc) for doc in docs}, key=order.index)
    return {key: [doc for doc in docs if _probing.family(doc) == key] for key in keys}


def _family(key: str, docs: Sequence[RequirementDoc], anchors: Mapping[str, str]) -> Family:
    words = explanations().families[key]
    attempts: dict[str, list[RequirementDoc]] = {}
    for doc in docs:
        attempts.setdefault(_probing.attack_key(doc), []).append(doc)
    return Family(
        key, words.term, words.text, attacked_figure(words.term, docs), [_attempt(part, anchors) for part in attempts.values()]
    )


def _attempt(docs: Sequence[RequirementDoc], anchors: Mapping[str, str]) -> Attempt:
    first = docs[0]
    return Attempt(
        title=_probing.attack_title(first),
        attacks=[(attack, _probing.attack_name(attack), _probing.parameters(attack)) for attack in first.under],
        tried=[_tried(doc, anchors[doc.slug]) for doc in docs],
        curves=[figure for doc in docs for figure in budget_figures(doc)],
        compared=any(doc.before for doc in docs),
    )


def _tried(doc: RequirementDoc, anchor: str) -> Tried:
    return Tried(
        doc=doc,
        anchor=anchor,
        word=_probing.word(doc),
        lines=list(_lines(doc)),
        difference=_probing.gap_text(doc),
        recovery=_probing.recovery_text(doc),
        decided_by="; ".join(_deciding(doc)),
    )


def _deciding(doc: RequirementDoc) -> Iterator[str]:
    if doc.worst_group:
        yield wording().attacks.chosen if doc.worst_group == _CHOSEN else doc.worst_group
    if doc.stopped_early is not None:
        yield f"stopped after {counted(doc.stopped_early, 'subject')}, since a gross leak was already shown"


def _lines(doc: RequirementDoc) -> Iterator[Line]:
    unit = doc.metric.unit
    for name in ordered({*doc.before, *doc.models}):
        before, under = doc.before.get(name), doc.models.get(name)
        yield name, in_cell(before, unit), in_cell(under, unit), _change(before, under, unit)


def _change(before: EstimateDoc | None, under: EstimateDoc | None, unit: str) -> str:
    """'' where one of them was not measured."""
    if before is None or under is None or before.value is None or under.value is None:
        return ""
    return signed(under.value - before.value, unit)
