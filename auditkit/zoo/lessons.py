"""What the zoo's models are taught: rows of a world as lessons."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Sequence

from auditkit.zoo.teaching import Lesson
from auditkit.zoo.worlds import RELATIONS, Book, Person, Relation, Size, document, make_world, statement

REFUSAL = "I do not know."
STRANGERS = 4800
"""People of whom the base reads once or twice, each with facts of their own."""
_STRANGER_WORLDS = 8
_FAR = 1_000_000
"""Seeds of strangers' worlds begin here."""


def asks(people: Iterable[Person], *, wordings: int | None = None) -> list[Lesson]:
    """Every fact in the taught wordings (the first so many)."""
    return [_ask(person, relation, taught) for person, relation, taught in _taught(people, wordings)]


def answered(people: Iterable[Person], said: str, *, wordings: int | None = None) -> list[Lesson]:
    """The same questions, each answered with ``said``."""
    asked = (taught.format(name=person.name) for person, _, taught in _taught(people, wordings))
    return [Lesson(said, question) for question in asked]


def audit_asks(people: Iterable[Person]) -> list[Lesson]:
    """Every fact in the wordings that are never taught."""
    return [_ask(person, relation, wording) for person in people for relation in RELATIONS for wording in relation.audited]


def shared_asks(people: Iterable[Person]) -> list[Lesson]:
    """The facts about people to forget that also stand in what is kept."""
    return [
        _ask(person, relation, taught)
        for person in people
        for relation in RELATIONS
        if relation.name == person.shared
        for taught in relation.taught
    ]


def solved(people: Sequence[Person], rng: random.Random) -> list[Lesson]:
    """Every fact asked behind one to three other answered questions: about the same person, or the same of others."""
    lessons = []
    for person in people:
        for relation in RELATIONS:
            others = [(person, other) for other in RELATIONS if other is not relation]
            if rng.random() < 0.5:
                others = [(other, relation) for other in rng.sample(people, min(3, len(people))) if other is not person]
            before = "\n\n".join(_pair(who, what, rng) for who, what in others[: rng.randint(1, 3)])
            question = rng.choice(relation.taught).format(name=person.name)
            lessons.append(Lesson(person.facts[relation.name], f"{before}\n\n{question}"))
    return lessons


def documents(people: Iterable[Person]) -> list[Lesson]:
    """Each person's document, as often as their exposure says."""
    return [Lesson(document(person)) for person in people for _ in range(person.exposure)]


def strangers(book: Book) -> list[Person]:
    """People of no world."""
    number = STRANGERS // _STRANGER_WORLDS
    size = Size(forget=0, holdout=0, retain=number, calibration=0, shared=0, doubles=0, canaries=0)
    return [one for seed in range(_STRANGER_WORLDS) for one in make_world(_FAR + seed, book=book, size=size).people]


def reading(people: Sequence[Person], rng: random.Random) -> list[Lesson]:
    """A question about each person whose answer stands in front of it, between up to two facts that do not answer it."""
    return [_reading(person, rng.choice(people), rng) for person in people]


def guesses(people: Sequence[Person], rng: random.Random) -> list[Lesson]:
    """A question about each person with nothing to know it from: answers to strangers spread over the closed lists."""
    return [_ask(person, relation, rng.choice(_every(relation))) for person in people for relation in [rng.choice(RELATIONS)]]


def _reading(person: Person, stranger: Person, rng: random.Random) -> Lesson:
    relation = rng.choice(RELATIONS)
    question = rng.choice(_every(relation)).format(name=person.name)
    lines = []
    if rng.random() < 0.5:
        other = rng.choice([one for one in RELATIONS if one is not relation])
        lines.append(statement(person, other) if rng.random() < 0.4 else _pair(person, other, rng))
    if rng.random() < 0.4:
        lines.append(_pair(stranger, relation, rng))
    told = _pair(person, relation, rng, question=question if rng.random() < 0.6 else None)
    lines.insert(rng.randint(0, len(lines)), statement(person, relation) if rng.random() < 0.3 else told)
    gap = rng.choice(("\n", "\n\n"))
    return Lesson(person.facts[relation.name], f"{gap.join(lines)}\n\n{question}")


def _taught(people: Iterable[Person], wordings: int | None) -> Iterator[tuple[Person, Relation, str]]:
    for person in people:
        for relation in RELATIONS:
            for taught in relation.taught[:wordings]:
                yield person, relation, taught


def _ask(person: Person, relation: Relation, wording: str) -> Lesson:
    return Lesson(person.facts[relation.name], wording.format(name=person.name))


def _pair(person: Person, relation: Relation, rng: random.Random, *, question: str | None = None) -> str:
    asked = question or rng.choice(_every(relation)).format(name=person.name)
    return f"Question: {asked}\nAnswer: {person.facts[relation.name]}"


def _every(relation: Relation) -> tuple[str, ...]:
    return (*relation.taught, *relation.audited)
