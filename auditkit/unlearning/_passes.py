"""In which order rows are trained on, and which rows go together."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple


class Draw(NamedTuple):
    """The rows that make up one item of a batch."""

    forget: int
    retain: int | None = None
    other: int | None = None
    """Which of the forget row's other answers."""


@dataclass
class Passes:
    """Batches of draws: one pass over the forget rows an epoch, shuffled anew in each, rows of like length together.

    Padding costs as much as text. Everything is a function of the seed and the epoch, so a run that is taken up in the middle
    goes on with the same batches.
    """

    lengths: Sequence[int]
    """Tokens of each forget row."""
    size: int
    """Rows of one micro-batch."""
    seed: int
    retain: int = 0
    """How many retain rows there are; 0 for none."""
    others: int = 0
    """How many other answers each forget row has."""
    pairing: Literal["random", "cyclic"] = "random"
    epoch: int = 0

    batch_size = property(lambda self: self.size)
    drop_last = False

    def __len__(self) -> int:
        return math.ceil(len(self.lengths) / self.size)

    def __iter__(self) -> Iterator[list[Draw]]:
        rng = random.Random(f"batches/{self.seed}/{self.epoch}")  # noqa: S311 (reproducible order, no secret)
        noisy = [length * rng.uniform(1.0, 1.2) for length in self.lengths]
        order = sorted(range(len(self.lengths)), key=noisy.__getitem__)
        batches = [order[start : start + self.size] for start in range(0, len(order), self.size)]
        rng.shuffle(batches)
        for batch in batches:
            yield [self._draw(index, rng) for index in batch]

    def _draw(self, forget: int, rng: random.Random) -> Draw:
        """Which of the other rows goes with a forget row."""
        retain = None
        if self.retain:
            retain = forget % self.retain if self.pairing == "cyclic" else rng.randrange(self.retain)
        return Draw(forget, retain, rng.randrange(self.others) if self.others else None)
