"""What an attack is: something done to a model, or to what it is asked, before it is measured.

::

    ModelAttack    settings(params)  → what is tried (bit widths, strengths, seeds)
                   apply(target, …)  → the target with one more step, which is carried out when the model is loaded
    PromptAttack   wordings(…)       → ways in which every question is put

Both go with any check, alone or in a list: a check sees other answers, or other rows, and knows nothing of it. Every attack is
applied to candidate, original and reference alike, so that evidence is a difference and never a level alone.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Literal, TypeVar

from auditkit.files import digest
from auditkit.spec.model import Part

if TYPE_CHECKING:
    import numpy as np

    from auditkit.corpora.example import Corpus, Example
    from auditkit.models.loading import Loaded
    from auditkit.models.protocol import Request
    from auditkit.models.source import Source
    from auditkit.unlearning import Manner

Family = Literal["prompt", "sampling", "construction", "precision", "weights", "relearning", "representation"]
"""prompt: asked otherwise. sampling: asked many times. construction: what was put around the model is taken off. precision:
quantised. weights: pruned, disturbed, moved towards the original. relearning: trained further. representation: hidden states
are altered, or inputs that are no text."""

FAMILIES: dict[Family, str] = {
    "prompt": "asked in other words",
    "sampling": "asked many times",
    "construction": "adapters and prompts taken off",
    "precision": "weights rounded",
    "weights": "weights disturbed",
    "relearning": "trained further",
    "representation": "hidden states altered",
}

P = TypeVar("P", bound=Part)


@dataclass(frozen=True)
class Setting:
    """One way in which an attack is carried out. All are measured; the worst one that decides counts."""

    label: str = ""
    """Names the group in results: ``4 bit``. '' where there is one setting only."""
    values: Mapping[str, Any] = field(default_factory=dict)
    """What the attack needs to carry it out; plain JSON."""
    repeat: int = 0
    """Repeats of a label (other seeds) are pooled: more rows of the same subjects."""
    shown_only: bool = False
    """Reported and not decided: a point of a curve, a control."""
    x: float | None = None
    """Its place on the attack's ``axis``."""


@dataclass(frozen=True)
class Step:
    """One intervention on a loaded model, carried out whenever the model is loaded."""

    digest: str
    """Of everything that the altered model depends on besides the model before the step."""
    apply: Callable[[Loaded], Loaded]
    """May change the model in place; the same model and digest always give the same weights or hooks."""


@dataclass(frozen=True)
class Target:
    """A model of the spec and what is done to it before it is measured."""

    name: str
    """In the spec."""
    source: Source
    """On disk."""
    manner: Manner
    """How it is asked: chat, system prompt, precision, device."""
    steps: tuple[Step, ...] = ()
    remarks: tuple[str, ...] = ()
    """What attacks found before anything ran, as sentences for the result."""

    def load(self, *, dtype: str | None = None) -> Loaded:
        """The model with every step carried out; ``dtype`` instead of its own. Raises ModelError."""
        from auditkit.models.device import resolve_device, resolve_dtype
        from auditkit.models.loading import load_causal_lm

        device = resolve_device(self.manner.device)
        loaded = load_causal_lm(self.source, dtype=resolve_dtype(dtype or self.manner.dtype, device=device), device=device)
        for step in self.steps:
            loaded = step.apply(loaded)
        return loaded

    def then(self, step: Step, *remarks: str) -> Target:
        """With one more step."""
        return replace(self, steps=(*self.steps, step), remarks=(*self.remarks, *remarks))

    @property
    def interventions(self) -> str:
        """Digest of the steps for the store's key; '' where there are none."""
        return digest([step.digest for step in self.steps]) if self.steps else ""


@dataclass(frozen=True)
class Scene:
    """What an attack may look at besides the model: the data and the audit's seed."""

    corpus: Corpus
    """The one that the requirement measures."""
    corpora: Mapping[str, Corpus]
    seed: int
    chat: bool = False
    """The models are asked through their chat template."""
    models: Mapping[str, Callable[[], Target]] = field(default_factory=dict)
    """Other models of the spec, unattacked and on disk, by name: what ``needs`` asks for is there."""
    note: Callable[[str], None] = lambda _: None
    """Told what takes long."""

    def role(self, role: str) -> Corpus | None:
        """The first corpus with that role, or None."""
        return next((corpus for corpus in self.corpora.values() if corpus.role == role), None)

    def rng(self, *label: object) -> np.random.Generator:
        """A generator that depends on the audit's seed and the label alone."""
        import numpy as np

        return np.random.default_rng(int(digest([self.seed, *map(str, label)])[:16], 16))


@dataclass(frozen=True)
class Wording:
    """One way of putting every question. Rows and requests that it does not concern come back as they are."""

    label: str
    """Names the group in results: ``role play``."""
    example: Callable[[Example], Example | None] = lambda example: example
    """The row as it is asked: same id and subject, and an answer that fits. None where the wording has none for this row."""
    request: Callable[[Request], Request] = lambda request: request
    """The request as it is asked, after the check made it."""


class Attack(ABC, Generic[P]):
    """Base of every attack. The module defines ``ATTACK = MyAttack()``."""

    name: ClassVar[str]
    """The module's name."""
    title: ClassVar[str]
    summary: ClassVar[str]
    """One plain sentence: what is done."""
    attacker: ClassVar[str]
    """What somebody needs to do this, in two or three plain sentences for a reader who is no engineer: access, skill, cost."""
    source: ClassVar[str]
    """Paper and code."""
    limits: ClassVar[str]
    """What it cannot show."""
    family: ClassVar[Family]
    params: ClassVar[type[Any]]
    needs: ClassVar[tuple[str, ...]] = ()
    """Models that the spec must have, such as ``original``."""
    indicative: ClassVar[bool] = False
    """A failure under it alone proves nothing: it is never the only reason for a FAIL."""

    def measured(self, params: P, corpus: Corpus, seed: int) -> Corpus:
        """The rows of the requirement's corpus that are measured, the same for every model; by default all."""
        return corpus

    def budget(self, params: P) -> str:
        """What was tried, in a few words for the verdict: ``4 bit``, ``200 steps at 3 learning rates``."""
        return ""

    def kinds(self, params: P, scene: Scene) -> Sequence[str]:
        """Ways of several that are really tried here, which a claim may rest on: ``paraphrase``, ``role_play``."""
        return ()

    def training_steps(self, params: P) -> int:
        """Optimiser steps for each model."""
        return 0

    def problems(self, params: P, scene: Scene) -> Iterable[str]:
        """Faults that only the data shows, in words. No model is loaded, torch is not imported."""
        return ()


class ModelAttack(Attack[P], ABC):
    """Something done to a model."""

    axis: ClassVar[str] = ""
    """What the settings' ``x`` counts, where they lie on a curve: ``training steps``."""
    start: ClassVar[float | None] = None
    """Where on the axis the model lies to which nothing was done; None: nowhere."""
    chooses: ClassVar[bool] = False
    """One setting decides, chosen for each model by ``chosen`` on data that is not measured; the others are shown."""

    def settings(self, params: P) -> Sequence[Setting]:
        """What is tried, the same for every model; at least one."""
        return [Setting()]

    def concerns(self, target: Target) -> str:
        """Why there is nothing to attack in this model (no adapter to take off), in words; '' where there is."""
        return ""

    def unfit(self, source: Source) -> str:
        """Why this checkpoint, on disk, cannot be attacked so, by its files alone; '' where it can."""
        return ""

    def chosen(self, target: Target, params: P, scene: Scene) -> str:
        """The label of the setting that decides on this model. Only where ``chooses``; may train."""
        raise NotImplementedError

    def account(self, target: Target, params: P, scene: Scene) -> Mapping[str, Any]:
        """What is known of the attack on this model once it was carried out (what was chosen, what it cost); plain JSON."""
        return {}

    @abstractmethod
    def apply(self, target: Target, setting: Setting, params: P, scene: Scene) -> Target:
        """The attacked target. Loads nothing: what takes time happens in the step that is added."""


class PromptAttack(Attack[P], ABC):
    """Something done to what is asked."""

    def summarised(self, params: P) -> Literal["worst_question", "worst_wording", "mean"]:
        """What decides: per row the worst wording; the worst wording over all rows; the mean over wordings."""
        return "worst_question"

    @abstractmethod
    def wordings(self, params: P, scene: Scene) -> Sequence[Wording]:
        """What is tried, the same for every model; at least one."""
