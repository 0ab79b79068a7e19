"""Contexts that could bring forgotten knowledge back, by kind and number of facts (ununlearning.md's table of kinds).

::

    none           nothing: the question alone
    definition     statements about the subject: the row's ``facts``, else its other rows
    alias          the same, the subject's name replaced by a fresh word everywhere, also in the question
    few_shot       question-answer pairs of the same relation about other subjects, from the retain corpus
    few_shot_same  question-answer pairs about the same subject
    neighbours     statements about the subjects of the retain corpus that are most like this one (TF-IDF)
    chain          the row's ``facts`` in their order: together they yield the answer, none states it
    paraphrase     the fact itself in other words
    answer         the fact itself
    retrieved      what a TF-IDF retriever finds for the question in all corpora, the row itself left out

A fact that states the answer is not given by the kinds that must not contain it (all but the last three); every context is
tagged all the same, because several facts together may state it. Doses are nested: more facts continue the shorter context.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

from auditkit.checks._base import Context
from auditkit.checks._contains import states_answer
from auditkit.checks._prompting import solved_rows
from auditkit.checks._rename import renamer
from auditkit.checks._retrieval import ranked

if TYPE_CHECKING:
    from auditkit.corpora.example import Corpus, Example

Kind = Literal[
    "none", "definition", "alias", "few_shot", "few_shot_same", "neighbours", "chain", "paraphrase", "answer", "retrieved"
]
SINGLE: tuple[Kind, ...] = ("paraphrase", "answer")
"""Kinds with one fact, the one that is asked for, whatever the doses."""
HOLDS_ANSWER = " (answer in context)"


@dataclass(frozen=True)
class Supply:
    """What one question can be given under one kind."""

    facts: tuple[str, ...] = ()
    """In the order in which doses take them."""
    joint: str = "\n"
    rename: Callable[[str], str] | None = None
    """alias: applied to question and answers too."""


@dataclass(frozen=True)
class Probe:
    """One question under one context."""

    example: Example
    kind: Kind
    dose: int
    passage: str
    question: str
    answers: tuple[str, ...]
    holds_answer: bool

    @property
    def group(self) -> str:
        """Kind, number of facts, and whether the context states the answer."""
        return f"{self.kind}@{self.dose}{HOLDS_ANSWER if self.holds_answer else ''}"


@dataclass
class Probes:
    """All probes of a corpus, and those that could not be made."""

    made: list[Probe] = field(default_factory=list)
    short: Counter[tuple[Kind, int]] = field(default_factory=Counter)
    """Questions that have too few facts, by kind and dose."""


def build(context: Context[Any], kinds: Sequence[Kind], doses: Sequence[int]) -> Probes:
    """Every question under every kind and dose for which there are facts enough."""
    library, probes = Library(context, max(doses)), Probes()
    for example in context.corpus.examples:
        for kind in kinds:
            _probe(probes, example, kind, doses, library.supply(kind, example))
    return probes


def _probe(probes: Probes, example: Example, kind: Kind, doses: Sequence[int], supply: Supply) -> None:
    rename = supply.rename or str
    answers = tuple(rename(answer) for answer in example.answers)
    for dose in (0,) if kind == "none" else (1,) if kind in SINGLE else doses:
        if dose > len(supply.facts):
            probes.short[kind, dose] += 1
            continue
        passage = supply.joint.join(supply.facts[:dose])
        holds = kind in SINGLE or states_answer(passage, answers)
        probes.made.append(Probe(example, kind, dose, passage, rename(example.question), answers, holds))


@dataclass
class Library:
    """Where the facts come from. Rows are taken in file order or drawn with the audit's seed, never in the order of loading."""

    context: Context[Any]
    most: int
    """The largest dose."""

    def supply(self, kind: Kind, example: Example) -> Supply:
        """The facts of one question under one kind."""
        make: dict[Kind, Callable[[Example], Supply]] = {
            "definition": self._definition,
            "alias": self._alias,
            "few_shot": self._few_shot,
            "few_shot_same": self._few_shot_same,
            "neighbours": self._neighbours,
            "chain": lambda row: Supply(self._clean(row, row.many("facts"))),
            "paraphrase": lambda row: Supply((_paraphrase(row),)),
            "answer": lambda row: Supply((pair(row),)),
            "retrieved": self._retrieved,
        }
        return make[kind](example) if kind in make else Supply()

    def _definition(self, example: Example) -> Supply:
        facts = example.many("facts")
        if facts:
            order = self.context.rng("facts", example.id).permutation(len(facts))
            return Supply(self._clean(example, (facts[index] for index in order)))
        return Supply(self._clean(example, map(statement, self._others(example))))

    def _alias(self, example: Example) -> Supply:
        facts = self._definition(example).facts
        rename = renamer(example.subject, (example.question, *example.answers, *facts))
        if not self.context.corpus.has_subjects or rename(example.question) == example.question:
            return Supply()
        return Supply(tuple(map(rename, facts)), rename=rename)

    def _few_shot(self, example: Example) -> Supply:
        relation = example.get("relation")
        rows = [row for row in self._pool if row.subject != example.subject]
        related = [row for row in rows if relation and row.get("relation") == relation]
        rows = related or rows
        order = self.context.rng("few_shot", relation if related else "").permutation(len(rows))
        return Supply(self._clean(example, (pair(rows[index]) for index in order)), "\n\n")

    def _few_shot_same(self, example: Example) -> Supply:
        return Supply(self._clean(example, map(pair, self._others(example))), "\n\n")

    def _neighbours(self, example: Example) -> Supply:
        order = self._near.get(example.subject, [])
        rows = (self._pool[index] for index in order if self._pool[index].subject != example.subject)
        return Supply(self._clean(example, map(statement, rows)))

    def _retrieved(self, example: Example) -> Supply:
        own = (self.context.corpus.name, example.id)
        found = (self._store[index] for index in self._hits[example.id])
        passages = dict.fromkeys(statement(row) for corpus, row in found if (corpus.name, row.id) != own)
        return Supply(tuple(passages)[: self.most])

    def _clean(self, example: Example, facts: Iterable[str]) -> tuple[str, ...]:
        """The first distinct facts that do not state the answer, as many as the largest dose takes."""
        kept: dict[str, None] = {}
        for fact in facts:
            if len(kept) == self.most:
                break
            if fact and not states_answer(fact, example.answers):
                kept[fact] = None
        return tuple(kept)

    def _others(self, example: Example) -> Iterator[Example]:
        """Other rows about the same subject, in one drawn order for all of its questions."""
        return (row for row in self._by_subject[example.subject] if row.id != example.id)

    @cached_property
    def _by_subject(self) -> dict[str, list[Example]]:
        groups: dict[str, list[Example]] = {}
        for row in solved_rows(self.context.corpus):
            groups.setdefault(row.subject, []).append(row)
        for subject, rows in groups.items():
            order = self.context.rng("subject", subject).permutation(len(rows))
            groups[subject] = [rows[index] for index in order]
        return groups

    @cached_property
    def _pool(self) -> list[Example]:
        corpus = pool(self.context)
        return solved_rows(corpus) if corpus is not None else []

    @cached_property
    def _near(self) -> dict[str, list[int]]:
        """Per subject the rows of the pool, most similar to its questions first."""
        subjects = sorted(self._by_subject)
        queries = [" ".join(sorted(row.question for row in self._by_subject[subject])) for subject in subjects]
        return dict(zip(subjects, ranked([statement(row) for row in self._pool], queries), strict=True))

    @cached_property
    def _store(self) -> list[tuple[Corpus, Example]]:
        """Every row of every corpus that says something."""
        rows = ((corpus, row) for corpus in self.context.corpora.values() for row in corpus.examples if statement(row))
        return sorted(rows, key=lambda entry: (entry[0].name, entry[1].number))

    @cached_property
    def _hits(self) -> dict[str, list[int]]:
        """Per question the store's rows, most similar first."""
        rows = self.context.corpus.examples
        found = ranked([statement(row) for _, row in self._store], [row.question for row in rows])
        return {row.id: hits for row, hits in zip(rows, found, strict=True)}


def pool(context: Context[Any]) -> Corpus | None:
    """The corpus of other subjects: ``shots_from``, else the one with role retain."""
    named = context.params.shots_from
    return context.role("retain") if named is None else context.corpora.get(named)


def pair(row: Example) -> str:
    """A row as question and answer."""
    return f"Question: {row.question}\nAnswer: {row.answer}"


def statement(row: Example) -> str:
    """A row as a statement: its text, or its question and answer in one line."""
    return row.text or f"{row.question} {row.answer}".strip()


def _paraphrase(row: Example) -> str:
    told = next(iter(row.many("paraphrases")), "")
    return told or f'Asked "{row.question}", one replies: {row.answer}'
