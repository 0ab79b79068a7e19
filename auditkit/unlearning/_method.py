"""What an unlearning method is.

A method declares its parameters, where they come from and what it acts on. Most are a loss::

    loss(step, params)   → one number to go down, from a step's batches and two models (in training, and as it was)

and are carried by one trainer (``_trainer``). Some build a model from others (task vector, retraining) and say how in
``make``. The formulas themselves are pure functions of log-probabilities, logits or activations, in the method's own file.
"""

from __future__ import annotations

import itertools
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Literal, TypeVar

from pydantic import Field, field_validator, model_validator

from auditkit.corpora.fitness import missing_fields, overlap
from auditkit.spec.model import BoundField, Lora, Name, Part

if TYPE_CHECKING:
    from pathlib import Path

    import torch

    from auditkit.corpora.example import Corpus
    from auditkit.models.source import Source
    from auditkit.spec.model import Finetune
    from auditkit.unlearning._pupil import Manner
    from auditkit.unlearning._step import Step

_STOP = re.compile(r"first epoch with ([A-Za-z_][A-Za-z0-9_.-]*) *<= *(\S.*)")

Intent = Literal["removal", "suppression"]
Level = Literal["data", "parameters", "adapters", "activations", "logits", "prompt", "filter"]
Convention = Literal["correct", "muse", "open-unlearning"]


class Stop(Part):
    """A rule that ends the training at the first epoch whose model meets a bound, measured as an audit measures it."""

    check: str = Field("knowledge_memorization", description="The check; MUSE's script looks at KnowMem.")
    corpus: Name = Field(description="The corpus that is measured.")
    with_: dict[str, Any] = Field(default_factory=dict, alias="with", description="Parameters of the check.")
    at_most: BoundField = Field(description="The bound: a number, or M, M + x, x * M with M a model of the spec.")

    @model_validator(mode="before")
    @classmethod
    def _in_words(cls, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        found = _STOP.fullmatch(value)
        if found is None:
            raise ValueError(f'must be "first epoch with CORPUS <= MODEL" or a mapping; got {value[:60]!r}')
        return {"corpus": found[1], "at_most": found[2]}


class Training(Part):
    """How any method trains. Defaults are those of MUSE's published runs unless a field says otherwise."""

    forget: list[Name] = Field(
        default_factory=lambda: ["forget"], min_length=1, description="Corpora to forget, by name; one name or a list."
    )
    epochs: float = Field(5, gt=0, le=1000, description="Passes over the forget rows. TOFU and open-unlearning: 5 to 10.")
    lr: float = Field(1e-5, gt=0, lt=1, description="Peak learning rate of AdamW; 1e-5 in MUSE, TOFU and open-unlearning.")
    batch: int = Field(32, ge=1, description="Forget rows per optimiser step (each with its retain row); 32 in MUSE.")
    accumulate: int = Field(1, ge=1, description="Parts in which a step's batch is computed, to save memory.")
    schedule: Literal["constant", "linear"] = Field(
        "constant", description="constant: MUSE. linear: decay to 0, as open-unlearning."
    )
    warmup: float = Field(0.0, ge=0, lt=1, description="Share of the steps in which the learning rate rises from 0.")
    weight_decay: float = Field(
        0.0, ge=0, lt=1, description="Of AdamW, on every weight that trains, biases and norms too; open-unlearning uses 0.01."
    )
    clip: float = Field(1.0, gt=0, description="Largest norm of the gradient; larger ones are scaled down. Trainer's default.")
    lora: Lora | bool = Field(False, description="true or a mapping trains a LoRA adapter; false trains all weights.")
    save: Literal["merged", "adapter"] = Field(
        "merged",
        description="merged: a whole checkpoint. adapter: the adapter alone, to be loaded onto the parent; needs lora.",
    )
    gradient_checkpointing: bool = Field(False, description="Compute activations twice to save memory.")
    checkpoint_every: int | None = Field(
        None, ge=1, description="Steps between saved states that a killed run goes on from; default: one epoch."
    )
    seed: int = Field(0, ge=0, description="Seed of the order of rows, of pairing and of the adapter's initial weights.")

    stop: Stop | None = Field(
        None,
        description=(
            'When to stop before the last epoch: "first epoch with CORPUS <= MODEL" (MUSE: knowledge of the forget corpus at '
            "most that of the reference), or {check, corpus, with, at_most}."
        ),
    )

    @field_validator("forget", mode="before")
    @classmethod
    def _one_or_more(cls, value: Any) -> Any:
        return [value] if isinstance(value, str) else value

    @model_validator(mode="after")
    def _adapter_needs_lora(self) -> Training:
        if self.save == "adapter" and not self.lora:
            raise ValueError("save: adapter needs lora; got all weights in training")
        return self

    @property
    def retained(self) -> list[str]:
        """Corpora that are kept, by name; none in a method without a retain term."""
        return []


class Retained(Training):
    """A method with a term that keeps what must be kept."""

    retain: list[Name] = Field(
        default_factory=lambda: ["retain"], min_length=1, description="Corpora to keep, by name; one name or a list."
    )
    retain_loss: Literal["none", "nll", "kl"] = Field(
        "nll",
        description=(
            "none; nll: cross-entropy on the retain rows (MUSE's GDR); "
            "kl: divergence of the parent's predictions on them from the model's (MUSE's KLR)."
        ),
    )
    retain_weight: float = Field(1.0, ge=0, description="Weight of the retain term; 1 in MUSE and open-unlearning.")
    pairing: Literal["random", "cyclic"] = Field(
        "random",
        description="Which retain row goes with a forget row. random: open-unlearning. cyclic: row i with i mod n, as MUSE.",
    )
    convention: Convention = Field(
        "correct",
        description=(
            "correct, or a published code's own form of the kl of retain_loss: muse takes it on raw logits, "
            "open-unlearning averages over every token, prompt included."
        ),
    )

    @field_validator("retain", mode="before")
    @classmethod
    def _one_or_more_retained(cls, value: Any) -> Any:
        return [value] if isinstance(value, str) else value

    @property
    def keeps(self) -> bool:
        """Whether there is a retain term; without one no retain rows are needed."""
        return self.retain_loss != "none" and self.retain_weight > 0

    @property
    def retained(self) -> list[str]:
        """See ``Training``."""
        return self.retain if self.retain_loss != "none" and self.retain_weight > 0 else []


P = TypeVar("P", bound=Part)
T = TypeVar("T", bound=Training)


@dataclass(frozen=True)
class Order:
    """One model to be made."""

    parent: Source
    corpora: Mapping[str, Corpus]
    made: Mapping[str, Any]
    """The recipe, which goes into the note."""
    out: Path
    """The folder that is to appear."""
    manner: Manner
    taught: Callable[[Finetune], Source]
    """The parent taught some corpora, made once and kept: what task vectors are the difference to."""
    examine: Callable[[Source], bool] | None = None
    """The stop rule; looks at the model of an epoch."""


class Method(ABC, Generic[P]):
    """One way to make a model forget. A file of this room defines ``METHOD``, an instance."""

    name: ClassVar[str]
    title: ClassVar[str]
    summary: ClassVar[str]
    """One line: what it does."""
    source: ClassVar[str]
    """Paper and code."""
    limits: ClassVar[str]
    """What is known to go wrong with it."""
    intent: ClassVar[Intent]
    """What it is meant as (SoK, arXiv 2506.09227)."""
    level: ClassVar[Level]
    """What it acts on."""
    params: ClassVar[type[Any]]
    teaches: ClassVar[bool] = False
    """Its corpora are taught, not forgotten."""

    @abstractmethod
    def make(self, order: Order, params: P) -> Source:
        """Make the model; its folder appears complete, with its note, or not at all."""

    @abstractmethod
    def corpora(self, params: P) -> list[str]:
        """Names of every corpus that it trains on."""

    def problems(self, params: P, corpora: Mapping[str, Corpus]) -> Iterable[str]:
        """Faults that only the data shows, in words; every corpus that is named is there."""
        return ()


class LossMethod(Method[T]):
    """A method that is a loss."""

    reference: ClassVar[Literal["none", "sums", "model"]] = "none"
    """What the loss asks of the parent. sums: the log-probability of each row, computed once before training, which costs no
    second copy. model: its logits or activations at every step (with an adapter, the adapter switched off; else a copy)."""
    second: ClassVar[Literal["", "refusal", "alternative"]] = ""
    """The forget questions come a second time, with another answer, as ``step.other``. refusal: one of ``params.refusals``,
    drawn anew for each row and epoch. alternative: the row's field ``alternative``."""

    @abstractmethod
    def loss(self, step: Step, params: T) -> torch.Tensor:
        """The scalar to minimise, differentiable, from one micro-batch."""

    def uses_parent(self, params: T) -> Literal["none", "sums", "model"]:
        """``reference``, raised to model where the retain term is a divergence from the parent."""
        kl = isinstance(params, Retained) and params.keeps and params.retain_loss == "kl"
        return "model" if kl else self.reference

    def trainable(self, name: str, params: T, layers: int) -> bool:
        """Whether the weight of that name is trained, in a model of so many layers (where no adapter is)."""
        return True

    def corpora(self, params: T) -> list[str]:
        """Forget and retain."""
        return [*params.forget, *params.retained]

    def problems(self, params: T, corpora: Mapping[str, Corpus]) -> Iterable[str]:
        """Rows that are to be forgotten and kept at once, rows without what the other answer needs."""
        yield from shared_rows(params.forget, params.retained, corpora)
        wanted = {"": (), "refusal": ("question", "answer"), "alternative": ("question", "alternative")}[self.second]
        for name in params.forget:
            yield from missing_fields(corpora[name], wanted)

    def make(self, order: Order, params: T) -> Source:
        """Train."""
        from auditkit.unlearning._unlearn import unlearn

        return unlearn(self, order, params)


def shared_rows(forget: Iterable[str], retain: Iterable[str], corpora: Mapping[str, Corpus]) -> Iterator[str]:
    """Rows that stand in a forget and in a retain corpus, in words."""
    for one, other in itertools.product(forget, retain):
        if one == other:
            yield f"what is forgotten must not be kept as well; got {one} on both sides; leave it out of one"
        else:
            yield from (f"{problem.message}; {problem.hint}" for problem in overlap(corpora[one], corpora[other]))
