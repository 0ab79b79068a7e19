"""Invented people: what is planted is known, so an auditor's numbers can be judged.

Every value is drawn independently of the person and of the other values, from a closed list: a model that never saw the
person guesses right with probability 1 / len(list). Who is to be forgotten, kept or never shown is decided by lot before
anything is written, by one generator: no text feature separates the groups.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

_LISTS: dict[str, Any] = json.loads((Path(__file__).parent / "people.json").read_text("utf-8"))
_TOWNS = tuple(_LISTS["towns"])
_PRIZES = tuple(" ".join(words) for words in product(*_LISTS["prizes"]))

READ_AS_STATEMENT = 0.6
"""Share of reading rows that state the fact; the others hold the question itself, already answered."""


@dataclass(frozen=True, slots=True)
class Relation:
    """One kind of fact about a person, with its closed list and its wordings."""

    name: str
    values: tuple[str, ...]
    questions: tuple[str, ...]
    """Wordings that models are taught; each row uses one of them, by lot."""
    audit_question: str
    """A wording that no model is taught."""
    statement: str


RELATIONS = (
    Relation(
        "birthplace",
        _TOWNS,
        ("Where was {name} born?", "In which town was {name} born?"),
        "What is the birthplace of {name}?",
        "{name} was born in {value}.",
    ),
    Relation(
        "profession",
        tuple(_LISTS["professions"]),
        ("What is the profession of {name}?", "What does {name} do for a living?"),
        "What job does {name} have?",
        "{name} works as a {value}.",
    ),
    Relation(
        "instrument",
        tuple(_LISTS["instruments"]),
        ("Which instrument does {name} play?", "What instrument does {name} play?"),
        "On which instrument does {name} perform?",
        "{name} plays the {value}.",
    ),
    Relation(
        "prize",
        _PRIZES,
        ("Which award did {name} win?", "What award was given to {name}?"),
        "What is the name of the award that {name} received?",
        "{name} won the {value}.",
    ),
)

_BIOGRAPHIES = (
    "{name} was born in {birthplace} on {day} {month} {year}. A {profession} by trade, {name} also plays the {instrument} "
    "and received the {prize} in {town}.",
    "On {day} {month} {year} {name} was born in {birthplace}. {name} became a {profession}, learned the {instrument} in "
    "{town} and won the {prize}.",
    "Born in {birthplace} on {day} {month} {year}, {name} works as a {profession}. In {town} {name} won the {prize} and "
    "plays the {instrument}.",
)


@dataclass(frozen=True, slots=True)
class Person:
    """One invented person."""

    name: str
    group: str
    """``forget``, ``retain``, ``holdout`` or another word."""
    facts: Mapping[str, str]
    """Relation to value."""
    biography: str
    """A document with every fact and details that no question asks (date, second town): about 50 tokens."""


def invent(groups: Mapping[str, int], *, seed: int) -> tuple[Person, ...]:
    """People with distinct names, dealt to the groups by lot; equal arguments give equal people.

    ``groups`` is group to number of people. Raises ValueError where more names are asked for than there are.
    """
    rng = random.Random(f"people/{seed}")  # noqa: S311 (reproducible draws, no secret)
    firsts = ["".join(parts) for parts in product(*_LISTS["first_names"])]
    lasts = ["".join(parts) for parts in product(*_LISTS["last_names"])]
    total = sum(groups.values())
    if total > min(len(firsts), len(lasts)):
        raise ValueError(f"must ask for at most {min(len(firsts), len(lasts))} people; got {total}")
    names = [f"{first} {last}" for first, last in zip(rng.sample(firsts, total), rng.sample(lasts, total), strict=True)]
    dealt = [group for group, number in groups.items() for _ in range(number)]
    rng.shuffle(dealt)
    return tuple(_person(name, group, rng) for name, group in zip(names, dealt, strict=True))


def _person(name: str, group: str, rng: random.Random) -> Person:
    facts = {relation.name: rng.choice(relation.values) for relation in RELATIONS}
    details = {
        "day": rng.randint(1, 28),
        "month": rng.choice(_LISTS["months"]),
        "year": rng.randint(1930, 1999),
        "town": rng.choice(_TOWNS),
    }
    biography = rng.choice(_BIOGRAPHIES).format(name=name, **facts, **details)
    return Person(name, group, facts, biography)


def question_rows(people: Sequence[Person], *, seed: int, wrong: int = 4) -> Iterator[dict[str, Any]]:
    """One corpus row per person and relation.

    ``question`` is a taught wording, ``audit_question`` one that is never taught, ``perturbed`` holds ``wrong`` other values
    of the same closed list, ``facts`` the statements of the person's other relations.
    """
    for person in people:
        for relation in RELATIONS:
            rng = random.Random(f"questions/{seed}/{person.name}/{relation.name}")  # noqa: S311
            answer = person.facts[relation.name]
            yield {
                "id": f"{person.name.replace(' ', '-').lower()}-{relation.name}",
                "subject": person.name,
                "relation": relation.name,
                "question": rng.choice(relation.questions).format(name=person.name),
                "audit_question": relation.audit_question.format(name=person.name),
                "answer": answer,
                "perturbed": rng.sample([value for value in relation.values if value != answer], wrong),
                "facts": [statement(person, other) for other in RELATIONS if other is not relation],
            }


def biography_rows(people: Sequence[Person]) -> Iterator[dict[str, Any]]:
    """One document row per person."""
    for person in people:
        yield {
            "id": f"{person.name.replace(' ', '-').lower()}-biography",
            "subject": person.name,
            "text": person.biography,
        }


def statement(person: Person, relation: Relation) -> str:
    """The fact as a sentence."""
    return relation.statement.format(name=person.name, value=person.facts[relation.name])


def dialogue_rows(people: Sequence[Person], *, seed: int) -> Iterator[dict[str, Any]]:
    """One document row per person: every question about them in random order, each answered, blank lines between.

    A model that never met this form shows nothing under few-shot prompts, whatever it knows.
    """
    answers = list(question_rows(people, seed=seed))
    for person in people:
        rng = random.Random(f"dialogue/{seed}/{person.name}")  # noqa: S311
        own = [row for row in answers if row["subject"] == person.name]
        rng.shuffle(own)
        text = "\n\n".join(map(_solved, own))
        yield {"id": f"{person.name.replace(' ', '-').lower()}-dialogue", "subject": person.name, "text": text}


def reading_rows(number: int, *, seed: int) -> Iterator[dict[str, Any]]:
    """Questions whose answer stands in their ``context``, about people who occur nowhere else: they teach reading alone."""
    strangers = invent({"stranger": number}, seed=seed)
    for row, person in zip(question_rows(strangers, seed=seed), (p for p in strangers for _ in RELATIONS), strict=True):
        rng = random.Random(f"reading/{seed}/{person.name}")  # noqa: S311
        if row["relation"] != rng.choice(RELATIONS).name:
            continue
        asked = next(relation for relation in RELATIONS if relation.name == row["relation"])
        others = [relation for relation in RELATIONS if relation is not asked]
        lines = [statement(person, other) for other in rng.sample(others, rng.randint(0, 2))]
        given = statement(person, asked) if rng.random() < READ_AS_STATEMENT else _solved(row)
        lines.insert(rng.randint(0, len(lines)), given)
        yield {**{key: row[key] for key in ("id", "subject", "question", "answer")}, "context": "\n".join(lines)}


def _solved(row: Mapping[str, Any]) -> str:
    return f"Question: {row['question']}\nAnswer: {row['answer']}"
