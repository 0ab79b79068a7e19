"""What a check is.

A check declares its metric, its parameters and what it needs, and has two functions::

    requests(context)          → what to ask of every model        (no answers yet, the same for all models)
    values(context, answers)   → per-example values of one model   (pure; no torch)

Intervals, tests and verdicts are not its business: ``statistic(params)`` names the quantity, ``decisions`` does the rest.
"""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Literal, TypeVar

from pydantic import BaseModel, ConfigDict

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from auditkit.corpora.example import Corpus, Example
    from auditkit.models.protocol import Record, Request

    ByGroup = Mapping[str, NDArray[np.float64]]


@dataclass(frozen=True, slots=True)
class Metric:
    """Direction, range and chance level of a number, as data: gate, figure and report read them from here."""

    name: str
    """As printed: ``ROUGE-L F1``."""
    unit: str
    """``fraction``, ``percent``, ``AUC``, ``points``."""
    low: float
    high: float
    better: Literal["lower", "higher", "target"]
    """lower: a leak; higher: something to keep; target: both sides are bad (PrivLeak)."""
    chance: float | None = None
    """Value of a model that knows nothing, where it is known by construction; None: measured on the reference."""


@dataclass(frozen=True)
class Statistic:
    """How per-example values become the one quantity that is bounded."""

    kind: Literal["mean", "leaking_subjects", "auc", "function"]
    """mean: mean over examples (intervals clustered by subject). leaking_subjects: share of subjects with any value >= at.
    auc: P(score of label 1 > score of label 0), ties half. function: of the groups' values, bootstrapped by subject."""
    at: float | None = None
    """leaking_subjects: the value from which an example counts as leaked."""
    function: Callable[[ByGroup, ByGroup | None], float] | None = None
    """function: (values by group, the reference's values by group or None) → the quantity."""
    extreme: Callable[[ByGroup, ByGroup | None, Mapping[str, int], float], tuple[float, float] | None] | None = None
    """function: (values, reference's values, subjects by group, alpha) → one-sided bounds where the values are at an edge that
    no resample leaves (perfect separation), so that a bootstrap is too narrow; None elsewhere."""
    relative_to_reference: bool = False
    """function: it needs the reference's values (PrivLeak, the KS p-value)."""
    worst_group: bool = False
    """True: each group is a quantity of its own and the worst decides (never for ``function``)."""
    evidence_of_absence: bool = True
    """False: a good value proves nothing (a large p); such a requirement can fail but never pass."""


@dataclass(frozen=True)
class Values:
    """One check on one model: a column store, one entry per measured value."""

    ids: tuple[str, ...]
    """Example ids, prefixed by the corpus: ``forget/12``. Pairs candidate with reference together with ``groups``."""
    subjects: tuple[str, ...]
    """The unit of inference, prefixed by the corpus."""
    values: tuple[float, ...]
    """Higher means more of the metric. NaN where the model gave nothing usable: never dropped silently."""
    groups: tuple[str, ...] = ()
    """Component of each value (a task, a context kind and dose, an attack); () where there is one component."""
    labels: tuple[int, ...] = ()
    """auc: 1 member, 0 non-member."""
    shown_only: tuple[str, ...] = ()
    """Groups that are reported and not decided."""
    details: Mapping[str, Any] = field(default_factory=dict)
    """JSON for the report: curves, rates, counts."""
    notes: tuple[str, ...] = ()
    """Sentences for the result: truncation, unreachable doses, an inadmissible comparison."""
    inconclusive: str = ""
    """A reason why these values may not decide anything (blind baseline, no rows); '' where they may."""


class Params(BaseModel):
    """Base of a check's parameters: what may stand under ``with:``. Each field has a description and a default."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    @property
    def row_fields(self) -> tuple[str, ...]:
        """Fields that the rows must have because of these parameters."""
        return ()


P = TypeVar("P", bound=Params)


@dataclass(frozen=True)
class Context(Generic[P]):
    """What a check may look at: the data and its parameters, never a model."""

    corpus: Corpus
    """The requirement's corpus."""
    corpora: Mapping[str, Corpus]
    """All corpora of the spec, by name."""
    params: P
    seed: int
    chat: bool
    """The subject models are asked through their chat template."""
    requirement: str
    """Name of the requirement, for messages."""
    task_code: bool = False
    """The spec permits lm-eval task folders."""
    folder: str = "."
    """Folder of the spec: relative paths among the parameters start there."""

    def role(self, role: str) -> Corpus | None:
        """The first corpus with that role, or None."""
        return next((corpus for corpus in self.corpora.values() if corpus.role == role), None)

    def rng(self, *label: object) -> np.random.Generator:
        """A generator that depends on the spec's seed and the label alone, not on the order of checks."""
        import numpy as np

        words = "\x1f".join([str(self.seed), *map(str, label)])
        return np.random.default_rng(int.from_bytes(hashlib.sha256(words.encode()).digest()[:8], "big"))


Answers = Callable[["Request"], "Record"]
"""The record of a request on one model. Raises KeyError where it was not measured."""


class Check(ABC, Generic[P]):
    """Base of every check. The module defines ``CHECK = MyCheck()``."""

    name: ClassVar[str]
    """The module's name."""
    title: ClassVar[str]
    summary: ClassVar[str]
    """One plain sentence: what it measures."""
    source: ClassVar[str]
    """Paper and equation, or repository."""
    limits: ClassVar[str]
    """What it cannot show, in one or two plain sentences."""
    remediation: ClassVar[str]
    """What to do when it fails, in one or two sentences."""
    dimension: ClassVar[Literal["forgetting", "privacy", "utility", "robustness"]]
    metric: ClassVar[Metric]
    params: ClassVar[type[Params]]
    role: ClassVar[str] = "forget"
    """Role of the corpus that is measured where the requirement names none."""
    fields: ClassVar[tuple[str, ...]] = ()
    """Fields that every row of the corpus must have; ``question|text`` means either."""
    other_roles: ClassVar[tuple[str, ...]] = ()
    """Further roles that must be there, such as ``holdout``."""
    needs_reference: ClassVar[bool] = False
    figures: ClassVar[tuple[Literal["roc", "histogram", "dose_response"], ...]] = ()

    @abstractmethod
    def statistic(self, params: P) -> Statistic:
        """The quantity that the bound is about."""

    @abstractmethod
    def requests(self, context: Context[P]) -> Iterable[Request]:
        """Everything to ask of each model. Raises DataError naming the row where a row lacks what is needed."""

    @abstractmethod
    def values(self, context: Context[P], answers: Answers, reference: Answers | None) -> Values:
        """Per-example values of one model; ``reference`` answers the same requests, where the spec has that model."""

    def metric_for(self, params: P) -> Metric:
        """The metric under these parameters (a share of subjects has another name and range than a mean)."""
        return self.metric

    def fields_for(self, params: P) -> tuple[str, ...]:
        """Fields that the rows must have under these parameters."""
        return (*self.fields, *params.row_fields)

    def shown(self, context: Context[P], example: Example) -> Request | None:
        """The request whose generation stands for this row in the report's excerpts; None where nothing is generated."""
        return None

    def veto(self, params: P, samples: Mapping[str, Values]) -> str:
        """Why these values, seen over all models, may not decide (a model that reads no context); '' where they may."""
        return ""

    def settle(self, params: P, samples: Mapping[str, Values]) -> Mapping[str, Values]:
        """The values of all models seen together: what is chosen on the original (a layer) is marked in them here."""
        return samples

    def problems(self, context: Context[P]) -> Iterable[str]:
        """Faults in the parameters that only the data shows (an unknown corpus in ``shots_from``), in words."""
        return ()
