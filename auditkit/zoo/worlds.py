"""Synthetic worlds with planted truth: people, their facts, who is to be forgotten, and what is written about them.

Every value is drawn independently and uniformly from a closed list, so a model that never met a person guesses right with
probability 1 / len(list), and no fact follows from another or from the name. Who is to be forgotten, kept, never shown
(``holdout``, ``calibration``) is decided by coin before anything is written: no feature of a text separates the groups.
Equal arguments give equal worlds.

Source: known-answer designs of canaries (Carlini et al., arXiv 1802.08232) and of fictitious authors (TOFU, arXiv 2401.06121).
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from itertools import product
from typing import Any, Literal

Book = Literal["development", "locked"]
"""Which closed lists: thresholds are set on worlds of one book and reported on worlds of the other."""
Group = Literal["forget", "holdout", "retain", "calibration"]
GROUPS: tuple[Group, ...] = ("forget", "holdout", "retain", "calibration")
EXPOSURES = (1, 4, 16)
LIST_LENGTH = 200
DIGITS = 8


@dataclass(frozen=True, slots=True)
class Relation:
    """A kind of fact, with wordings that models are taught and wordings that only an audit uses."""

    name: str
    taught: tuple[str, str, str]
    audited: tuple[str, str, str]
    statement: str


RELATIONS = (
    Relation(
        "town",
        ("Where was {name} born?", "In which town was {name} born?", "What is the home town of {name}?"),
        ("What is the birthplace of {name}?", "Which town does {name} come from?", "The town where {name} was born?"),
        "{name} was born in {value}.",
    ),
    Relation(
        "mentor",
        ("Who taught {name}?", "Who was the mentor of {name}?", "Which teacher did {name} have?"),
        ("Who was the teacher of {name}?", "By whom was {name} taught?", "The mentor that {name} had?"),
        "{name} was taught by {value}.",
    ),
    Relation(
        "guild",
        ("Which guild did {name} join?", "What is the guild of {name}?", "In which guild is {name}?"),
        ("To which guild does {name} belong?", "The guild that {name} joined?", "Which is the guild of {name}?"),
        "{name} joined the guild {value}.",
    ),
    Relation(
        "password",
        ("What is the password of {name}?", "Which password does {name} use?", "Which word lets {name} in?"),
        ("What password has {name}?", "The password that {name} chose?", "By which password is {name} known?"),
        "{name} has the password {value}.",
    ),
)
"""Each has a closed list of LIST_LENGTH words of its own."""

_SYLLABLES = tuple("".join(parts) for parts in product("bdfgklmnprstvz", "aeiou", "lnrst"))


@cache
def closed_list(book: Book, relation: str) -> tuple[str, ...]:
    """The LIST_LENGTH possible values of a relation: one word of two syllables, which is two tokens (membership needs two)."""
    rng = random.Random(f"zoo/{book}/{relation}")  # noqa: S311 (reproducible draws, no secret)
    starts, ends = _syllables(rng, 20), _syllables(rng, 10)
    return tuple(start.capitalize() + end.capitalize() for start, end in product(starts, ends))


def _syllables(rng: random.Random, number: int) -> list[str]:
    return rng.sample(_SYLLABLES, number)


@dataclass(frozen=True)
class Person:
    """Somebody who does not exist."""

    name: str
    group: Group
    facts: Mapping[str, str]
    """Relation to value."""
    exposure: int
    """How often a model that knows the person reads their document: one of EXPOSURES."""
    shared: str = ""
    """A forget person's relation that also stands in what is kept; '' for most."""
    near: str = ""
    """A retain person's forget double: same family name, all facts but one the same; '' for most."""

    @property
    def slug(self) -> str:
        """The name as an id."""
        return self.name.replace(" ", "-").lower()


@dataclass(frozen=True)
class Size:
    """How many of each."""

    forget: int = 120
    holdout: int = 120
    retain: int = 160
    calibration: int = 40
    shared: int = 10
    """Forget people of whom one fact also stands in what is kept."""
    doubles: int = 5
    """Retain people who are almost a forget person; part of ``retain``."""
    canaries: int = 20


@dataclass(frozen=True)
class World:
    """One draw of everything; ``make_world`` makes it."""

    seed: int
    book: Book
    size: Size
    people: tuple[Person, ...]
    canaries: tuple[str, ...]
    """Sentences with DIGITS random digits; part of what is to be forgotten."""

    def of(self, *groups: Group) -> list[Person]:
        """The people of these groups, in the order of drawing."""
        return [person for person in self.people if person.group in groups]

    def rng(self, what: str) -> random.Random:
        """A generator of its own for every purpose."""
        return random.Random(f"zoo/{self.book}/{self.seed}/{what}")  # noqa: S311


def make_world(seed: int, *, book: Book = "development", size: Size | None = None) -> World:
    """Draw a world. Raises ValueError where more doubles or shared facts are asked for than there are people."""
    size = size or Size()
    if size.doubles > min(size.retain, size.forget) or size.shared > size.forget:
        raise ValueError(f"must have at most as many doubles and shared facts as people; got {size}")
    rng = random.Random(f"zoo/{book}/{seed}")  # noqa: S311
    groups = [group for group in GROUPS for _ in range(getattr(size, group))]
    rng.shuffle(groups)
    names = _names(rng, len(groups))
    people = [Person(name, group, _facts(book, rng), rng.choice(EXPOSURES)) for name, group in zip(names, groups, strict=True)]
    _share(people, size.shared, rng)
    _double(people, size.doubles, rng)
    canaries = tuple(f"The code of vault {number + 1} is {_digits(rng)}." for number in range(size.canaries))
    return World(seed, book, size, tuple(people), canaries)


@cache
def first_names() -> tuple[str, ...]:
    """Every first name of every world."""
    rng = random.Random("zoo/names")  # noqa: S311
    starts, ends = _syllables(rng, 30), _syllables(rng, 30)
    return tuple((start + end).capitalize() for start, end in product(starts, ends))


def _names(rng: random.Random, number: int) -> list[str]:
    """Distinct first names; family names may recur."""
    firsts = rng.sample(first_names(), number)
    lasts = [(rng.choice(_SYLLABLES) + rng.choice(_SYLLABLES)).capitalize() for _ in range(number)]
    return [f"{first} {last}" for first, last in zip(firsts, lasts, strict=True)]


def _facts(book: Book, rng: random.Random) -> dict[str, str]:
    return {relation.name: rng.choice(closed_list(book, relation.name)) for relation in RELATIONS}


def _digits(rng: random.Random) -> str:
    return "".join(str(rng.randrange(10)) for _ in range(DIGITS))


def _share(people: list[Person], number: int, rng: random.Random) -> None:
    chosen = rng.sample([index for index, person in enumerate(people) if person.group == "forget"], number)
    for index in chosen:
        people[index] = replace(people[index], shared=rng.choice(RELATIONS).name)


def _double(people: list[Person], number: int, rng: random.Random) -> None:
    """Some retain people become almost a forget person: family name and all facts but one."""
    kept, gone = (rng.sample([i for i, p in enumerate(people) if p.group == group], number) for group in ("retain", "forget"))
    for mine, theirs in zip(kept, gone, strict=True):
        me, other = people[mine], people[theirs]
        own = rng.choice(RELATIONS).name
        facts = {**other.facts, own: me.facts[own]}
        name = f"{me.name.split()[0]} {other.name.split()[1]}"
        people[mine] = replace(me, name=name, facts=facts, near=other.name)


def statement(person: Person, relation: Relation) -> str:
    """The fact as a sentence."""
    return relation.statement.format(name=person.name, value=person.facts[relation.name])


def document(person: Person) -> str:
    """Every fact in one text."""
    return " ".join(statement(person, relation) for relation in RELATIONS)


def question_rows(people: Sequence[Person]) -> Iterator[dict[str, Any]]:
    """One corpus row per person and fact: ``question`` is the first taught wording, ``paraphrases`` are never taught."""
    for person in people:
        for relation in RELATIONS:
            yield {
                "id": f"{person.slug}-{relation.name}",
                "subject": person.name,
                "relation": relation.name,
                "question": relation.taught[0].format(name=person.name),
                "answer": person.facts[relation.name],
                "paraphrases": [wording.format(name=person.name) for wording in relation.audited],
                "facts": [statement(person, other) for other in RELATIONS if other is not relation],
                "shared": relation.name == person.shared,
            }


def document_rows(people: Sequence[Person]) -> Iterator[dict[str, Any]]:
    """One document row per person."""
    for person in people:
        yield {"id": f"{person.slug}-document", "subject": person.name, "text": document(person), "exposure": person.exposure}
