"""A soft prompt: vectors in front of every question, trained so that the answers about other subjects come out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from pydantic import Field

from auditkit.attacks._attack import ModelAttack, Scene, Setting, Step, Target
from auditkit.attacks._split import leaks, split, without
from auditkit.corpora.example import Corpus
from auditkit.errors import DataError
from auditkit.files import digest
from auditkit.spec.model import Part
from auditkit.unlearning._rows import lesson

if TYPE_CHECKING:
    from auditkit.models.loading import Loaded

_FEWEST = 2
"""Subjects on each side."""


class SoftPromptParams(Part):
    """Size and training of the prompt; the same for every model."""

    tokens: int = Field(20, ge=1, le=200, description="Vectors put before every question.")
    steps: int = Field(100, ge=1, le=10_000, description="Training steps.")
    lr: float = Field(0.1, gt=0, le=10, description="Step size of Adam, in standard deviations of the model's own embeddings.")
    batch: int = Field(8, ge=1, le=1024, description="Rows per training step.")
    fraction: float = Field(
        0.5, gt=0, lt=1, description="Share of the subjects that the prompt is trained on; the others are measured."
    )


class SoftPrompt(ModelAttack[SoftPromptParams]):
    """One prompt of free vectors for all questions, trained on the answers about some subjects and measured on the others.

    Schwinn et al. train towards the beginning of an answer that says yes, and count a hit in any of many generations. Here the
    prompt never sees a measured subject: what it brings out was in the model, or is a habit of answers, which the reference
    has as well. Soft prompts can make a model say anything that they are trained on (arXiv 2502.15836), so this attack is
    indicative: it never is the only reason for a failure.
    """

    name = "soft_prompt"
    title = "Soft prompt"
    summary = "Puts trained vectors before every question, so that a model which holds the answers back gives them away."
    attacker = (
        "The weights, and the right answers about some of the people or things that had to be forgotten. It takes somebody who "
        "can run a published script, and minutes on a computer that runs the model."
    )
    source = (
        "Schwinn et al., arXiv 2402.09063, code SchwinnL/LLM_Embedding_Attack (20 vectors, 100 steps); its limits: arXiv "
        "2502.15836. Universal and split by subject as auditkit demands it."
    )
    limits = (
        "A prompt of free vectors is stronger than any text, and can teach the form and the frequency of answers: only what it "
        "brings back beyond the reference is a sign, and never a proof."
    )
    family = "representation"
    params = SoftPromptParams
    indicative = True
    version = 1

    def measured(self, params: SoftPromptParams, corpus: Corpus, seed: int) -> Corpus:
        """The subjects that the prompt is not trained on."""
        return _parts(corpus, params.fraction, seed).measured

    def budget(self, params: SoftPromptParams) -> str:
        """``20 vectors, 100 steps on 50% of the subjects``."""
        return f"{params.tokens} vectors, {params.steps} steps on {params.fraction:.0%} of the subjects"

    def training_steps(self, params: SoftPromptParams) -> int:
        """As the parameters say."""
        return params.steps

    def problems(self, params: SoftPromptParams, scene: Scene) -> Iterable[str]:
        """Too few subjects, rows that nothing can be trained on, nothing left to train on."""
        corpus = scene.corpus
        yield from _untrainable(corpus, chat=scene.chat)
        subjects = len(corpus.subjects())
        sides = [subjects, 0]
        if subjects > 1:
            parts = _parts(corpus, params.fraction, scene.seed)
            sides = [len(parts.train.subjects()), len(parts.measured.subjects())]
        if min(sides) < _FEWEST:
            yield (
                f"at least {_FEWEST} subjects are needed to train on and {_FEWEST} to measure; got {sides[0]} and {sides[1]} "
                f"of {subjects} in {corpus.name}, once rows that state a measured answer were left out"
            )

    def apply(self, target: Target, setting: Setting, params: SoftPromptParams, scene: Scene) -> Target:
        """The prompt is trained where the model is loaded. Raises DataError there for rows that do not fit the window."""
        parts = _parts(scene.corpus, params.fraction, scene.seed)
        seed = int(digest([self.name, scene.seed])[:15], 16)
        chat, system = scene.chat, target.manner.system

        def put(loaded: Loaded) -> Loaded:
            from auditkit.attacks import _soft
            from auditkit.models._encode import Encoder
            from auditkit.models.text import context_length
            from auditkit.unlearning._rows import encode_rows

            recipe = _soft.Recipe(params.tokens, params.steps, params.lr, params.batch, seed)
            roomy, embeddings = _soft.with_room(loaded, recipe)
            window = context_length(loaded.model.config, loaded.tokenizer)
            encoder = Encoder(loaded.tokenizer, context_length=window, system=system, lead=roomy.lead)
            _soft.train(loaded.model, embeddings, encode_rows([parts.train], encoder, chat=chat), recipe)
            return roomy

        words = [self.name, self.version, parts.train.digest, params.model_dump(mode="json"), seed, chat, system]
        remark = f"The soft prompt was not trained on {parts.dropped} rows in which an answer stands that is measured."
        return target.then(Step(digest(words), put), *([remark] if parts.dropped else []))


class _Parts(NamedTuple):
    """The measured corpus divided."""

    train: Corpus
    """T, without rows in which an answer of V stands."""
    measured: Corpus
    """V."""
    dropped: int
    """Rows of T that were left out."""


@lru_cache(maxsize=16)
def _parts(corpus: Corpus, fraction: float, seed: int) -> _Parts:
    train, measured = split(corpus, fraction, seed)
    found = leaks(train, measured)
    return _Parts(without(train, found), measured, len(found))


def _untrainable(corpus: Corpus, *, chat: bool) -> Iterator[str]:
    """One sentence for the first row that teaches nothing."""
    for row in corpus.examples:
        try:
            lesson(row, chat=chat)
        except DataError as error:
            yield f"row {row.number} of {corpus.source} {error.problems[0].message}"
            return


ATTACK = SoftPrompt()
