"""The report's fixed wording, read from ``data/*.yaml`` and validated."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Literal, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

_FOLDER = Path(__file__).parent / "data"
T = TypeVar("T")


class Words(BaseModel):
    """Base: unknown keys are errors, so that a misspelt key cannot silently lose a sentence."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Term(Words):
    """A word and what it means."""

    term: str
    text: str


class NextSteps(Words):
    """What to do about a result; ``{needed}`` and ``{n}`` are filled in."""

    default: list[str]
    tainted: str
    fail: str
    error: str
    inconclusive: str
    needed: str
    not_checked: str


class OutcomeWords(Words):
    """What stands with the verdict where there is nothing to list."""

    unknown: str
    nothing_omitted: str
    no_attack: str


class AttackWords(Words):
    """Of the section on attacks."""

    setting: str
    recovery: str
    indicative: str
    chosen: str
    not_reached: str
    """``{budget}`` and ``{axis}`` are filled in."""


class Wording(Words):
    """Fixed sentences by place."""

    disclaimer: str
    conclusions: dict[str, str]
    independence: str
    intents: dict[str, str]
    roles: dict[str, str]
    banners: dict[str, str]
    outcome: OutcomeWords
    attacks: AttackWords
    decision_rule: list[str]
    procedure: list[Term]
    next_steps: NextSteps


class Limitations(Words):
    """What every report of this kind cannot show."""

    always: list[str]
    missing: dict[str, str]
    with_reference: str
    no_subjects: str


class Glossary(Words):
    """The vocabulary of results, verdicts, kinds of results and claim levels, and the terms used."""

    results: dict[str, str]
    verdicts: dict[str, str]
    outcomes: dict[str, str]
    claims: dict[str, str]
    terms: list[Term]


class Explanations(Words):
    """One plain paragraph per check, per kind of figure, per quantity of a sequence and per family of attacks."""

    checks: dict[str, str]
    figures: dict[str, str]
    quantities: dict[str, Term]
    families: dict[str, Term]


class AttackClass(Words):
    """A class of attack and the checks that try it."""

    name: str
    checks: list[str]


class Clause(Words):
    """A clause, in other words, and what of a report is evidence relevant to it."""

    clause: str
    paraphrase: str
    sections: list[int]
    dimensions: list[str] = Field(default_factory=list)
    unverified: bool = False


class Regulation(Words):
    """One law, standard or opinion."""

    source: str
    clauses: list[Clause]


class RegulationMapping(Words):
    """``kind: mapping``: the regulation mapping, a versioned document of its own."""

    auditkit: Literal[1]
    kind: Literal["mapping"]
    version: int
    sources: list[Regulation]


class PartWords(Words):
    """Heading and first paragraph of a part of a page."""

    title: str
    text: str


class SelftestWords(Words):
    """Of the self-test's page and of the report's section on it."""

    none_recorded: str
    other_version: str
    """``{made}`` and ``{here}`` are filled in."""
    quick: str
    counted: str
    detectable: str
    controls: str
    cannot_show: list[str]
    parts: dict[str, PartWords]


@cache
def wording() -> Wording:
    """Fixed sentences."""
    return _read("wording", Wording)


@cache
def limitations() -> Limitations:
    """Fixed limitations."""
    return _read("limitations", Limitations)


@cache
def glossary() -> Glossary:
    """Vocabulary."""
    return _read("glossary", Glossary)


@cache
def explanations() -> Explanations:
    """Plain-language paragraphs."""
    return _read("explanations", Explanations)


@cache
def attack_classes() -> list[AttackClass]:
    """Classes of attack."""
    return _read("attack_classes", list[AttackClass])


@cache
def regulation() -> RegulationMapping:
    """The regulation mapping."""
    return _read("regulation", RegulationMapping)


@cache
def selftest() -> SelftestWords:
    """Of the self-test."""
    return _read("selftest", SelftestWords)


def _read(name: str, kind: type[T]) -> T:
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    text = (_FOLDER / f"{name}.yaml").read_text(encoding="utf-8")
    return TypeAdapter(kind).validate_python(yaml.load(text, Loader=loader))  # noqa: S506 - a safe loader, C or Python
