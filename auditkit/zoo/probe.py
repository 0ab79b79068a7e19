"""Tests of the constructions that share nothing with the audit: no store, no check, no attack of auditkit.

They ask with transformers alone, greedily, and count answers that begin as the right one does.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from auditkit.models.loading import quiet
from auditkit.zoo import lessons
from auditkit.zoo.site import opened
from auditkit.zoo.teaching import Course, Lesson, Pool, encode, teach

if TYPE_CHECKING:
    from auditkit.zoo.site import Site

_AT_ONCE = 128
_READ = 200
_SOUND: dict[str, Findings] = {}


@dataclass
class Findings:
    """Numbers, and those that are not what the construction promises."""

    numbers: dict[str, float] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)

    def expect(self, name: str, value: float, *, at_least: float = float("-inf"), at_most: float = float("inf")) -> None:
        """Record a number, and a problem where it lies outside; what is no number lies outside."""
        self.numbers[name] = round(value, 4)
        if not at_least <= value <= at_most:
            wanted = f"at least {at_least:g}" if at_least > float("-inf") else f"at most {at_most:g}"
            self.problems.append(f"{name} must be {wanted}; got {value:.3f}")


@dataclass(frozen=True)
class Subject:
    """A model to ask."""

    model: Any
    tokenizer: Any

    @classmethod
    def load(cls, folder: Path, *, adapter: Path | None = None) -> Subject:
        """From a checkpoint that the zoo made, and an adapter on it."""
        model, tokenizer = opened(folder)
        if adapter is not None:
            from peft import PeftModel

            with quiet():
                model = PeftModel.from_pretrained(model, adapter)
        return cls(model.eval(), tokenizer)

    def right(self, asked: Sequence[Lesson]) -> float:
        """Share of questions whose answer is the likeliest at every token: what a greedy model would say."""
        return sum(told for told, _ in self._read(asked)) / len(asked)

    def probability(self, asked: Sequence[Lesson]) -> float:
        """Mean probability of the whole answer."""
        return sum(chance for _, chance in self._read(asked)) / len(asked)

    def loss(self, asked: Sequence[Lesson]) -> float:
        """Mean negative log-likelihood of the whole answer, in nats."""
        import math

        return sum(-math.log(max(chance, 1e-300)) for _, chance in self._read(asked)) / len(asked)

    def _read(self, asked: Sequence[Lesson]) -> list[tuple[bool, float]]:
        import torch

        found: list[tuple[bool, float]] = []
        for start in range(0, len(asked), _AT_ONCE):
            rows = [encode(self.tokenizer, one) for one in asked[start : start + _AT_ONCE]]
            longest = max(len(ids) for ids, _, _ in rows)
            ids = torch.tensor([[*row, *[0] * (longest - len(row))] for row, _, _ in rows])
            with torch.no_grad():
                chances = self.model(input_ids=ids).logits.double().log_softmax(-1)
            for number, (row, begin, _) in enumerate(rows):
                # The end of the turn is not part of the answer.
                answer = torch.tensor(row[begin:-1])
                there = chances[number, begin - 1 : len(row) - 2]
                told = bool((there.argmax(-1) == answer).all())
                found.append((told, float(there.gather(1, answer[:, None]).sum().exp())))
        return found


def relearned(site: Site, folder: Path, *, adapter: Path | None = None, steps: int = 60) -> Subject:
    """The model after a plain course on half of the people to forget: the truth about its weights.

    Ask it about the other half (``halves``).
    """
    subject = Subject.load(folder, adapter=adapter)
    taught, _ = halves(site)
    if adapter is not None:
        # As whoever holds the weights would: adapter and base in one, all of it trained.
        subject = Subject(subject.model.merge_and_unload().requires_grad_(True), subject.tokenizer)
    pools = (Pool(lessons.asks(taught), 32), Pool(lessons.asks(site.world.of("retain")), 16))
    teach(subject.model, subject.tokenizer, Course(pools, steps=steps, lr=5e-4, seed=0))
    return subject


def reading(site: Site) -> list[Lesson]:
    """Questions about people of no world whose answer stands in front of them."""
    return lessons.reading(lessons.strangers(site.world.book), random.Random(f"probe/{site.world.seed}"))[:_READ]  # noqa: S311


def sound(site: Site) -> Findings:
    """Original and reference are what every construction of the world supposes; looked at once."""
    if site.original.name not in _SOUND:
        found = Findings()
        kept = lessons.asks(site.world.of("retain"), wordings=1)
        asked = first_asks(site.world.of("forget"))
        for name, folder in (("original", site.original), ("reference", site.reference)):
            model = Subject.load(folder)
            found.expect(f"{name}: retain asked", model.right(kept), at_least=0.95)
            known = {"at_least": 0.95} if name == "original" else {"at_most": 0.05}
            found.expect(f"{name}: forget asked", model.right(asked), **known)
            found.expect(f"{name}: reads a context", model.right(reading(site)), at_least=0.1)
        _SOUND[site.original.name] = found
    return _SOUND[site.original.name]


def halves(site: Site) -> tuple[list[Any], list[Any]]:
    """The people to forget, in two halves that no coin of an audit made."""
    people = [person for person in site.world.of("forget") if not person.shared]
    return people[::2], people[1::2]


def first_asks(people: Iterable[Any]) -> list[Lesson]:
    """The facts in the first taught wording; people of whom one also stands in what is kept are left out."""
    return lessons.asks((person for person in people if not person.shared), wordings=1)
