"""What a model is retrained on: parameters, the parts of the corpora, and what speaks against them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from auditkit.attacks._split import leaks, split, without
from auditkit.attacks._words import distinct
from auditkit.corpora.typed import examples_digest
from auditkit.errors import did_you_mean
from auditkit.files import digest
from auditkit.spec.model import Lora, Name, Part

if TYPE_CHECKING:
    from auditkit.attacks._attack import Scene
    from auditkit.corpora.example import Corpus


class RelearnParams(Part):
    """On what, how hard and how often."""

    corpus: Name | None = Field(
        None,
        description=(
            "The corpus trained on, by its name or role. Default: a part of the measured one. Another one is trained on whole, "
            "and all measured rows are asked: text near the topic without the answers (benign relearning), or the corpus to be "
            "kept (unrelated)."
        ),
    )
    split: Literal["subject", "row", "none"] = Field(
        "subject",
        description=(
            "How the measured corpus is divided. subject: some subjects are trained on and the others measured. row: some rows "
            "(facts of one subject can be told from each other). none: all are trained on and measured; only the speed counts, "
            "at the first number of steps."
        ),
    )
    fraction: float = Field(0.5, gt=0, lt=1, description="Share of the subjects or rows that is trained on.")
    rows: int | None = Field(None, ge=1, description="At most so many rows are trained on, drawn with the seed; 10 to 1,000.")
    validation: float = Field(
        0.2, gt=0, lt=1, description="Share of what is trained on that is kept apart, to choose learning rate and steps by."
    )
    steps: Annotated[list[int], AfterValidator(distinct)] = Field(
        default_factory=lambda: [10, 50, 200], min_length=1, max_length=20, description="Optimiser steps that are looked at."
    )
    lr: Annotated[list[float], AfterValidator(distinct)] = Field(
        default_factory=lambda: [1e-5, 5e-5, 1e-4], min_length=1, max_length=10, description="Learning rates that are tried."
    )
    seeds: int = Field(3, ge=1, le=20, description="Trainings of each learning rate, with other orders of rows.")
    batch: int = Field(4, ge=1, description="Rows per step.")
    lora: Lora | bool = Field(False, description="true or a mapping trains a LoRA adapter; false trains all weights.")

    @model_validator(mode="after")
    def _positive(self) -> RelearnParams:
        if min(self.steps) < 1:
            raise ValueError(f"steps must be 1 or more; got {min(self.steps)}; what was there before is always shown")
        if not all(0 < lr < 1 for lr in self.lr):
            raise ValueError(f"lr must lie between 0 and 1; got {self.lr}")
        return self

    def elsewhere(self, measured: Corpus) -> bool:
        """Another corpus than the measured one is trained on."""
        return self.corpus is not None and self.corpus != measured.name


@dataclass(frozen=True)
class Lesson:
    """What one model is trained on, and what its learning rate and steps are chosen by."""

    train: Corpus
    validation: Corpus


_LESSONS: dict[str, Lesson] = {}
_KEPT = 32


def parts(params: RelearnParams, corpus: Corpus, seed: int) -> tuple[Corpus, Corpus]:
    """(T, V) of the measured corpus, before the answer-leak filter; T is the whole where another corpus is trained on."""
    if params.elsewhere(corpus) or params.split == "none":
        return corpus, corpus
    if params.split == "subject":
        return split(corpus, params.fraction, seed)
    by_row = replace(corpus, examples=tuple(replace(row, subject=row.id) for row in corpus.examples))
    train, rest = split(by_row, params.fraction, seed)
    return _rows(corpus, {row.id for row in train.examples}), _rows(corpus, {row.id for row in rest.examples})


def _rows(corpus: Corpus, ids: set[str]) -> Corpus:
    rows = [row for row in corpus.examples if row.id in ids]
    return replace(corpus, examples=tuple(rows), digest=examples_digest(rows))


def lesson_of(params: RelearnParams, scene: Scene) -> Lesson:
    """What is trained on, the rows that state a measured answer left out, and the part kept apart for choosing."""
    # Asked for at every dose of every model, and slow: each row is looked through for every measured answer.
    data = sorted((corpus.name, corpus.role, corpus.digest) for corpus in scene.corpora.values())
    key = digest([params.model_dump(mode="json"), scene.seed, scene.corpus.name, scene.corpus.digest, data])
    if key not in _LESSONS:
        while len(_LESSONS) >= _KEPT:
            _LESSONS.pop(next(iter(_LESSONS)))
        _LESSONS[key] = _lesson(params, scene)
    return _LESSONS[key]


def _lesson(params: RelearnParams, scene: Scene) -> Lesson:
    validation, train = split(_usable(params, scene)[0], params.validation, scene.seed, "validation")
    if params.rows is not None and len(train.examples) > params.rows:
        order = scene.rng("relearn", "rows").permutation(len(train.examples))[: params.rows]
        train = _rows(train, {train.examples[index].id for index in order})
    return Lesson(train, validation)


def _other(params: RelearnParams, scene: Scene) -> Corpus | None:
    """The other corpus that is trained on, by its name or else its role; None where it is the measured one."""
    if params.corpus is None or not params.elsewhere(scene.corpus):
        return None
    return scene.corpora.get(params.corpus) or scene.role(params.corpus)


def _usable(params: RelearnParams, scene: Scene) -> tuple[Corpus, int]:
    """What may be trained on, and how many rows were left out because a measured answer stands in them."""
    train, measured = parts(params, scene.corpus, scene.seed)
    other = _other(params, scene)
    if other is not None:
        train = other
    elif params.split == "none":
        return train, 0
    left = without(train, leaks(train, measured))
    return left, len(train.examples) - len(left.examples)


def problems_of(params: RelearnParams, scene: Scene) -> Iterator[str]:
    """Too few subjects for the parts, an unknown corpus, nothing left to train on."""
    corpus = scene.corpus
    if params.corpus is not None and params.elsewhere(corpus) and _other(params, scene) is None:
        yield f"corpus must be a corpus of the spec; got {params.corpus!r}; {did_you_mean(params.corpus, scene.corpora)}"
        return
    if not params.elsewhere(corpus) and params.split != "none":
        units = len(corpus.subjects()) if params.split == "subject" else len(corpus.examples)
        trained = min(max(round(params.fraction * units), 1), units - 1)
        if min(trained, units - trained) < 2:
            yield (
                f"a split by {params.split} needs at least 2 {params.split}s on each side; got {trained} to train on and "
                f"{units - trained} to measure, of {units} in {corpus.name}"
            )
            return
    left, dropped = _usable(params, scene)
    if len(left.subjects()) < 2:
        yield (
            f"at least 2 subjects must be left to train on; got {len(left.subjects())}: {dropped} rows of {left.name} were "
            "left out, because an answer stands in them that is measured"
        )
