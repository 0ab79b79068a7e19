"""An invented chronicle in the shape of MUSE's news: short reports to be known word for word, and questions about them.

Each report is about a town of its own, which no other report names. Its sentences are drawn by lot from a common stock, in
random order, and every value in them is drawn independently from a closed list: a model that never saw the report guesses
a fact right with probability 1 / size of its list, and nothing in one report tells anything about another. Which towns are to
be forgotten, kept or never shown is decided by lot, by one generator: the groups are exchangeable.

The shape is that of MUSE (Shi et al. 2024, arXiv 2407.06460); every word is auditkit's.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate, count, pairwise, product
from math import prod
from pathlib import Path
from typing import Any

_DATA: dict[str, Any] = json.loads((Path(__file__).parent / "chronicle.json").read_text("utf-8"))
_TOWNS = tuple(head + tail for head, tail in product(_DATA["town_heads"], _DATA["town_tails"]))
_STATED = (5, 6, 7)
"""Facts that a report may state."""
_ASKED = 4
"""Facts of a report that are asked for."""
_PROMPT_SHARE = 1 / 3
"""A passage's prompt ends with the sentence that reaches this share of the words."""


@dataclass(frozen=True, slots=True)
class Fact:
    """One kind of fact: how it is stated and asked for. Its value stands as it is in every wording."""

    name: str
    values: int
    """Size of the closed list that the value is drawn from."""
    kind: str
    """Name of that list."""
    wordings: tuple[str, ...]
    questions: tuple[str, ...]


def _facts() -> Iterator[Fact]:
    for name, fact in _DATA["facts"].items():
        kind = fact["value"]
        values = prod(map(len, _DATA["lists"][kind]))
        yield Fact(name, values, kind, tuple(fact["wordings"]), tuple(fact["questions"]))


FACTS = tuple(_facts())


@dataclass(frozen=True, slots=True)
class Report:
    """One invented piece of news, of 60 to 120 words."""

    id: str
    """The town in lower case: id and subject of the document."""
    town: str
    group: str
    """``forget``, ``retain``, ``retain_regular``, ``holdout`` or another word."""
    sentences: tuple[str, ...]
    """The opening, which names the town, and one sentence for each fact."""
    wordings: tuple[str, ...]
    """What each sentence was made from, such as ``gift/2``."""
    facts: Mapping[str, str]
    """The stated facts in the order of their sentences: name to value."""
    asked: tuple[tuple[str, str], ...]
    """(fact, question) for the facts that are asked for, in random order."""

    @property
    def text(self) -> str:
        """The whole document."""
        return " ".join(self.sentences)


class _Draws(dict[str, str]):
    """Words for a wording's fields: those given, the others drawn from their lists when they are asked for."""

    def __init__(self, rng: random.Random, **given: str) -> None:
        super().__init__(given)
        self._rng = rng

    def __missing__(self, kind: str) -> str:
        return " ".join(self._rng.choice(words) for words in _DATA["lists"][kind])


def invent(groups: Mapping[str, int], *, seed: int) -> tuple[Report, ...]:
    """Reports on distinct towns, dealt to the groups by lot, group after group; equal arguments give equal reports.

    ``groups`` is group to number of reports. Raises ValueError where more towns are asked for than there are.
    """
    total = sum(groups.values())
    if total > len(_TOWNS):
        raise ValueError(f"must ask for at most {len(_TOWNS)} reports; got {total}")
    towns = iter(random.Random(f"chronicle/{seed}").sample(_TOWNS, total))  # noqa: S311 (reproducible draws, no secret)
    return tuple(_report(next(towns), group, seed) for group, number in groups.items() for _ in range(number))


def _report(town: str, group: str, seed: int) -> Report:
    rng = random.Random(f"chronicle/{seed}/{town}")  # noqa: S311
    stated = rng.sample(FACTS, rng.choice(_STATED))
    facts = {fact.name: _Draws(rng)[fact.kind] for fact in stated}
    openings = _DATA["openings"]
    number = rng.randrange(len(openings))
    sentences, wordings = [openings[number].format_map(_Draws(rng, town=town))], [f"opening/{number}"]
    for fact in stated:
        number = rng.randrange(len(fact.wordings))
        sentences.append(fact.wordings[number].format_map(_Draws(rng, value=facts[fact.name])))
        wordings.append(f"{fact.name}/{number}")
    asked = tuple((fact.name, rng.choice(fact.questions).format(town=town)) for fact in rng.sample(stated, _ASKED))
    return Report(town.lower(), town, group, tuple(sentences), tuple(wordings), facts, asked)


def of_group(reports: Sequence[Report], group: str) -> tuple[Report, ...]:
    """The reports of one group, in order."""
    return tuple(report for report in reports if report.group == group)


def folds(reports: Sequence[Report], number: int) -> tuple[tuple[Report, ...], ...]:
    """The reports cut into ``number`` disjoint parts in order, sizes at most one apart: MUSE's requests in turn (C6).

    The first k parts together are the k-th of its growing sets (C5). Raises ValueError for more parts than reports.
    """
    if not 1 <= number <= len(reports):
        raise ValueError(f"folds must be 1 to {len(reports)}, the number of reports; got {number}")
    ends = [len(reports) * part // number for part in range(number + 1)]
    return tuple(tuple(reports[start:stop]) for start, stop in pairwise(ends))


def nested(reports: Sequence[Report], number: int) -> tuple[tuple[Report, ...], ...]:
    """``number`` growing sets, each the one before and one more of ``folds``; the last holds all reports (C5)."""
    parts = folds(reports, number)
    return tuple(tuple(report for part in parts[: size + 1] for report in part) for size in range(number))


def document_rows(reports: Sequence[Report]) -> Iterator[dict[str, Any]]:
    """``id``, ``subject``, ``text``: one row per report."""
    for report in reports:
        yield {"id": report.id, "subject": report.id, "text": report.text}


def passage_rows(reports: Sequence[Report]) -> Iterator[dict[str, Any]]:
    """``id``, ``subject``, ``prompt``, ``continuation``: one row per report, cut behind a sentence in its first half.

    The continuation begins with the blank between the two, so that both together are the text.
    """
    for report in reports:
        words = list(accumulate(len(sentence.split()) for sentence in report.sentences))
        given = 1 + sum(1 for count in words if count < _PROMPT_SHARE * words[-1])
        prompt = " ".join(report.sentences[:given])
        yield {"id": report.id, "subject": report.id, "prompt": prompt, "continuation": report.text[len(prompt) :]}


def question_rows(reports: Sequence[Report]) -> Iterator[dict[str, Any]]:
    """``id``, ``subject``, ``relation``, ``question``, ``answer``, ``alternative``: four rows per report.

    The answer is a span of the report's text, the alternative another value of its kind, drawn for the row.
    """
    for report in reports:
        for name, question in report.asked:
            row = f"{report.id}-{name}"
            yield {
                "id": row,
                "subject": report.id,
                "relation": name,
                "question": question,
                "answer": report.facts[name],
                "alternative": _another(name, report.facts[name], row),
            }


def _another(name: str, value: str, row: str) -> str:
    """A value of the same kind that is not the true one."""
    kind = next(fact.kind for fact in FACTS if fact.name == name)
    draws = _Draws(random.Random(f"alternative/{row}"))  # noqa: S311
    return next(other for other in (draws[kind] for _ in count()) if other != value)


def example_rows(reports: Sequence[Report]) -> Iterator[dict[str, Any]]:
    """One question per report, to be put solved before the questions about other reports of the same split."""
    rows = list(question_rows(reports))
    yield from rows[::_ASKED]


def dialogue_rows(reports: Sequence[Report], *, seed: int, pairs: int = 11, rounds: int = 1) -> Iterator[dict[str, Any]]:
    """``id``, ``text``: all questions in random order, answered, ``pairs`` to a text with blank lines between; for training.

    A tiny model shows nothing under a form that it never met, such as ten solved examples before the question. MUSE's prompt
    ends with a blank, which leaves another token there than a text in which the answer follows at once: behind half of the
    colons, by lot, stand two blanks. Each of the ``rounds`` asks everything once.
    """
    rng = random.Random(f"dialogues/{seed}")  # noqa: S311
    for number in range(rounds):
        rows = list(question_rows(reports))
        rng.shuffle(rows)
        for start in range(0, len(rows), pairs):
            solved = [_solved(row, rng.choice((" ", "  "))) for row in rows[start : start + pairs]]
            yield {"id": f"dialogue-{number}-{start // pairs}", "text": "\n\n".join(solved)}


def _solved(row: Mapping[str, Any], gap: str) -> str:
    return f"Question: {row['question']}\nAnswer:{gap}{row['answer']}"
