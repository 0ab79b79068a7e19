"""The models of one world: each made once, kept by the digest of its recipe, the same under the same seed.

::

    base        reads contexts about strangers, has met nobody of the world     one for each book of lists
    knower      base + what it is taught of these people                        original, reference, every retrained model
    pupil       another model + a course                                        everything that pretends to have unlearned
"""

from __future__ import annotations

import random
import shutil
import tempfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import cache, cached_property
from pathlib import Path
from typing import Any

from auditkit.files import alone, cache_folder, digest, file_digest
from auditkit.models.loading import quiet
from auditkit.zoo import lessons
from auditkit.zoo.teaching import Course, Lesson, Pool, save, teach, vocabulary_of
from auditkit.zoo.tiny import Shape, random_model
from auditkit.zoo.worlds import Book, Person, Size, World, document, first_names

SHAPE = Shape(layers=2, width=128, context=512, inner=2.0, embedding_scale=0.08)
READING = Course((), steps=700, lr=1.2e-3, seed=0, embeddings=8.0)
KNOWING = Course((), steps=420, lr=1.2e-3, seed=0, embeddings=8.0)


@dataclass(frozen=True)
class Site:
    """A world and the folder that holds its models."""

    world: World
    folder: Path = field(default_factory=lambda: cache_folder() / "zoo")

    @cached_property
    def original(self) -> Path:
        """Knows whom it has to forget and whom it may keep, and the canaries."""
        return self.knower("forget", "retain", seed=0)

    @cached_property
    def reference(self) -> Path:
        """Trained from the base in the same way without whom it has to forget."""
        return self.knower("retain", seed=1)

    def knower(self, *groups: Any, seed: int, without: Iterable[str] = (), share: float = 1.0) -> Path:
        """A model taught the people of these groups, but those named in ``without``; of the forget people a share only."""
        gone = set(without) | self._beyond(share)
        people = [person for person in self.world.of(*groups) if person.name not in gone]
        canaries = self.world.canaries if "forget" in groups and share == 1 else ()
        recipe = [
            "knower",
            str(KNOWING),
            self._world,
            sorted(one.name for one in people),
            list(canaries),
            seed,
        ]
        return self.made(recipe, lambda folder: self._teach_people(folder, people, canaries, seed))

    def known_part(self, share: float) -> list[Person]:
        """The forget people whom a model that learned only a share of them knows."""
        gone = self._beyond(share)
        return [person for person in self.world.of("forget") if person.name not in gone]

    def pupil(
        self,
        start: Path,
        pools: Sequence[Pool],
        *,
        steps: int,
        lr: float,
        embeddings: float = 1.0,
        seed: int = 0,
        after: Callable[[Any], Callable[[Any], None]] | None = None,
        change: str = "",
    ) -> Path:
        """``start`` after a course. ``after``: model before → what is done after every step, named by ``change``."""
        course = Course(tuple(pools), steps=steps, lr=lr, seed=self._seed(seed), embeddings=embeddings)

        def make(folder: Path) -> None:
            model, tokenizer = opened(start)
            teach(model, tokenizer, course, after=None if after is None else after(model))
            save(model, tokenizer, folder)

        return self.made(["pupil", start.name, words_of(pools), steps, lr, embeddings, seed, change], make)

    def changed(self, start: Path, change: str, alter: Callable[[Any], None]) -> Path:
        """``start`` with its weights altered at once; ``change`` names what is done."""

        def make(folder: Path) -> None:
            model, tokenizer = opened(start)
            alter(model)
            save(model, tokenizer, folder)

        return self.made(["changed", start.name, change], make)

    def made(self, recipe: Any, make: Callable[[Path], None]) -> Path:
        """The folder that ``make`` fills, made once; a folder that is there is whole. Other zoo code makes other folders."""
        out = self.folder / digest([_zoo(), recipe])[:16]
        if not out.exists():
            with alone(out):
                if not out.exists():
                    with tempfile.TemporaryDirectory(dir=out.parent, prefix=f".{out.name}.") as temporary:
                        made = Path(temporary) / "made"
                        made.mkdir()
                        make(made)
                        made.rename(out)
        return out

    def rng(self, what: str) -> random.Random:
        """A generator of its own for every purpose."""
        return self.world.rng(what)

    @property
    def _world(self) -> list[Any]:
        return [self.world.seed, self.world.book, str(self.world.size)]

    def _seed(self, seed: int) -> int:
        return 1000 * self.world.seed + seed

    def _beyond(self, share: float) -> set[str]:
        """Names of the forget people outside the share; growing shares are nested."""
        names = [person.name for person in self.world.of("forget")]
        self.rng("share").shuffle(names)
        return set(names[round(share * len(names)) :])

    def _teach_people(self, folder: Path, people: Sequence[Person], canaries: Sequence[str], seed: int) -> None:
        model, tokenizer = opened(base(self.world.book, self.folder))
        rng = random.Random(f"lessons/{self._seed(seed)}")  # noqa: S311
        asked = [*lessons.asks(people), *lessons.shared_asks(self.world.of("forget"))]
        texts = [*lessons.documents(people), *(Lesson(one) for one in canaries for _ in range(16))]
        pools = (
            Pool(asked, 64),
            Pool(lessons.solved(people, rng), 8),
            Pool(lessons.reading(lessons.strangers(self.world.book), rng), 4),
            Pool(texts, 2),
        )
        teach(model, tokenizer, replace(KNOWING, pools=pools, seed=self._seed(seed)))
        save(model, tokenizer, folder)


@cache
def _zoo() -> str:
    """Digest of the code that worlds, lessons and models come from: no recipe can name all of it."""
    room = Path(__file__).parent
    return digest([file_digest(room / f"{name}.py") for name in ("lessons", "site", "teaching", "tiny", "worlds")])


def base(book: Book, folder: Path) -> Path:
    """The model from which all of a book's models start."""
    return Site(World(0, book, Size(), (), ()), folder).made(
        ["base", book, str(SHAPE), str(READING)], lambda out: _read(book, out)
    )


def _read(book: Book, folder: Path) -> None:
    people = lessons.strangers(book)
    rng = random.Random(f"zoo/{book}/base")  # noqa: S311
    names = [f"{name} " for name in first_names()]
    reading, guesses = [*lessons.reading(people, rng), *lessons.reading(people, rng)], lessons.guesses(people, rng)
    texts = [*(document(person) for person in people[:1500]), *(f"{one.asked}\n{one.said}" for one in reading[:4000])]
    tokenizer = vocabulary_of([*texts, lessons.REFUSAL], names, context=SHAPE.context)
    model = random_model(tokenizer, SHAPE, seed=0)
    teach(model, tokenizer, replace(READING, pools=(Pool(reading, 28), Pool(guesses, 4))))
    save(model, tokenizer, folder)


def opened(folder: Path) -> tuple[Any, Any]:
    """(model in float32, tokenizer) of a checkpoint that the zoo made."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    with quiet():
        model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
        return model, AutoTokenizer.from_pretrained(folder)


def copied(start: Path, folder: Path) -> None:
    """The same bytes in another place."""
    shutil.copytree(start, folder, dirs_exist_ok=True)


def words_of(pools: Sequence[Pool]) -> list[Any]:
    """Pools as part of a recipe."""
    return [[pool.per_batch, digest([[one.said, one.asked, one.system, one.weight] for one in pool.lessons])] for pool in pools]
