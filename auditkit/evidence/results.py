"""``results.json``: the single source. Every other file of a bundle is a projection of it.

A run folder::

    results.json               this model, canonical JSON, no NaN
    report.html junit.xml summary.md
    spec.yaml                  the bytes that were given
    spec.resolved.json         the spec with its profile expanded and every default filled in
    values/<slug>.json         per-example values of one requirement, per model; ids are keyed digests
    measurements/*.parquet     recorded answers (numbers; generated text only with --show-text)
    environment.json           versions, machine, seeds, command
    checkpoints.json           sha256 of every file of every checkpoint
    MANIFEST.sha256            every file above, in the format of ``sha256sum -c``
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

SCHEMA_VERSION = 1

ResultWord = Literal["pass", "fail", "inconclusive", "error", "not_checked", "not_applicable", "informational"]
VerdictWord = Literal["PASS", "PASS WITH EXCEPTIONS", "FAIL", "INCOMPLETE"]


class Document(BaseModel):
    """Base of every part of the results."""

    model_config = ConfigDict(extra="forbid", frozen=True, ser_json_inf_nan="strings", protected_namespaces=())


class EstimateDoc(Document):
    """A number with its interval; null where it could not be computed, with the reason in ``note``."""

    value: float | None = None
    lower: float | None = None
    upper: float | None = None
    n: int = 0
    rows: int = 0
    unit: str = "subject"
    method: str = ""
    note: str = ""


class GroupDoc(Document):
    """One component (task, context kind and dose, attack) on one model."""

    group: str
    model: str
    estimate: EstimateDoc
    decisive: bool


class ControlDoc(Document):
    """The same requirement on a model whose answer is known."""

    model: str
    expected: str
    result: ResultWord
    held: bool
    estimate: EstimateDoc


class MetricDoc(Document):
    """The check's metric, copied so that the file stands alone."""

    name: str
    unit: str
    low: float
    high: float
    better: Literal["lower", "higher", "target"]
    chance: float | None = None


class BoundDoc(Document):
    """``lower <= x <= upper``; each end as the spec wrote it, and its value once models are measured."""

    text: str
    """As printed: ``at most reference + 0.05``."""
    lower: float | None = None
    upper: float | None = None
    model: str | None = None
    """The model that the bound refers to; the ends are then offsets of the difference."""
    scale: float = 1.0
    lower_value: float | None = None
    """The end on the metric's own scale, from the point estimate of the bound's model."""
    upper_value: float | None = None


class WaiverDoc(Document):
    """A waiver and whether it counted."""

    requirement: str
    justification: str
    approver: str
    approved_on: str
    expires_on: str
    ceiling: float | None = None
    state: Literal["applied", "expired", "unused", "above ceiling", "no such requirement"]


class PointDoc(Document):
    """Where on a curve of a scale or a sequence a requirement stands."""

    kind: Literal["size", "request", "order", "one_shot"]
    curve: str
    """All points of a curve have the same."""
    step: int
    """1-based number of the size, or of the last request applied."""
    of: int
    """How many steps there are."""
    asked: int | None = None
    """The request that is asked about, where it is not the last one applied."""
    order: int = 0
    """Which of the other orders; 0 is the spec's own."""


class AttackDoc(Document):
    """One intervention of a requirement."""

    name: str
    params: dict[str, Any] = Field(default_factory=dict)
    """As the spec has them."""
    title: str = ""
    family: str = ""
    """``prompt``, ``sampling``, ``construction``, ``precision``, ``weights``, ``relearning`` or ``representation``."""
    attacker: str = ""
    """What somebody needs to do this, in plain words."""
    budget: str = ""
    """What was tried, in a few words."""
    limits: str = ""
    kinds: list[str] = Field(default_factory=list)
    """Ways of several that were tried, which a claim may rest on: ``paraphrase``, ``role_play``."""
    indicative: bool = False
    """A failure under it alone proves nothing."""


class CurveDoc(Document):
    """A quantity along the budget of an attack, or along the layers of a model, on one model."""

    model: str
    axis: str
    """What ``x`` counts: ``training steps``, ``layer``."""
    x: list[float]
    estimates: list[EstimateDoc]
    chosen: float | None = None
    """The x that decides."""
    reached: float | None = None
    """Relearning: the first x at which half of the original's unattacked value is reached; null: not within the budget."""


class RequirementDoc(Document):
    """One requirement and its result."""

    name: str
    slug: str
    """File-safe, unique; names ``values/<slug>.json``."""
    check: str
    title: str
    dimension: str
    corpus: str
    level: Literal["required", "advisory"]
    severity: str
    bound: BoundDoc
    because: str = ""
    sentence: str
    """The requirement in plain words."""
    result: ResultWord
    reason: str
    estimate: EstimateDoc
    difference: EstimateDoc | None = None
    worst_group: str = ""
    models: dict[str, EstimateDoc] = Field(default_factory=dict)
    groups: list[GroupDoc] = Field(default_factory=list)
    controls: list[ControlDoc] = Field(default_factory=list)
    needed: int | None = None
    detectable: str = ""
    """The least that this requirement could have seen with its own number of subjects, in words; '' where not computed."""
    metric: MetricDoc
    parameters: dict[str, Any] = Field(default_factory=dict)
    under: list[AttackDoc] = Field(default_factory=list)
    """What was done to every model, or to what it was asked, first."""
    before: dict[str, EstimateDoc] = Field(default_factory=dict)
    """Under attack: the same estimate on the same rows of each model without the attack."""
    recovery: EstimateDoc | None = None
    """Under attack: (candidate - reference) / (original - reference); without a value where it is undefined, see its note."""
    curves: list[CurveDoc] = Field(default_factory=list)
    """Under attack: the estimate along the attack's budget, per model."""
    stopped_early: int | None = None
    """sequential: the number of subjects after which a gross leak was shown; null where all were asked."""
    notes: list[str] = Field(default_factory=list)
    details: dict[str, dict[str, Any]] = Field(default_factory=dict)
    """Per model: what the check wants shown (curves, rates)."""
    waiver: WaiverDoc | None = None
    of: str = "candidate"
    """The model that it is required of; the word candidate stands for it in ``models`` and ``groups``."""
    point: PointDoc | None = None
    line: int = 0
    """Line of the requirement in the spec; 0 where it comes from a profile."""
    values_file: str = ""


class OutcomeDoc(Document):
    """What kind of result the audit is, as one function reads it from all requirements."""

    kind: Literal[
        "not unlearned",
        "consistent with removal",
        "suppression",
        "inconclusive",
        "collapse",
        "over-unlearned",
    ]
    claim: Literal["none", "L0", "L1", "L2", "L3"]
    sentence: str
    """In plain words, with what was tried."""
    claim_sentence: str
    """What the claim level says, and what the next one would need."""
    attacks: list[str] = Field(default_factory=list)
    """Every attack with its budget."""
    omitted: list[str] = Field(default_factory=list)
    """What the intent asks for and the spec leaves out, with approver and expiry."""


class ModelDoc(Document):
    """One subject model."""

    name: str
    source: str
    """As the spec names it; home folders cut."""
    fingerprint: str
    parts: dict[str, str]
    """sha256 of weights, config, tokenizer, chat template, adapter."""
    dtype: str
    device: str
    chat: str
    identical_to: list[str] = Field(default_factory=list)
    """Other models of the spec with the same weights."""


class CorpusDoc(Document):
    """One corpus, described and never quoted."""

    name: str
    role: str
    rows: int
    subjects: int
    has_subjects: bool
    source: str
    digest: str


class TargetDoc(Document):
    """What had to be forgotten."""

    name: str
    corpus: str
    ground: str = ""
    reference: str = ""


class WorkDoc(Document):
    """What was asked of the models."""

    requests_asked_for: int
    requests_run: int
    """After merging equal requests of different checks."""
    tokens: int


class MadeDoc(Document):
    """What it cost to make one model that the spec makes."""

    method: str
    """``finetune``, or the name of the unlearning method."""
    parameters: dict[str, Any]
    """Of the method, every default filled in."""
    steps: int
    """Optimiser steps."""
    tokens: int
    """Of all passes, forward only or with gradients."""
    seconds: float
    """Wall time of making: fine-tuning or unlearning, without loading and without measuring."""
    peak_memory_bytes: int | None
    """Most memory in use on the device; null where the device does not tell."""
    device: str
    """Where it was made: ``cuda``, ``cpu``."""


class RunDoc(Document):
    """The only block that differs between two runs of the same audit."""

    id: str
    started: str
    """UTC, ISO 8601."""
    finished: str
    seconds: float
    seconds_by_model: dict[str, float] = Field(default_factory=dict)
    cached_requests: int = 0
    made: dict[str, MadeDoc] = Field(default_factory=dict)
    """Cost of each model that the spec makes, by the model's name."""
    host: str = ""
    command: str = ""
    waivers_as_of: str = ""


class Results(Document):
    """The audit."""

    schema_version: Literal[1] = 1
    verdict: VerdictWord
    summary: str
    """One sentence in plain language."""
    title: str
    intent: Literal["removal", "suppression"]
    access: list[str] = Field(default_factory=list)
    """What whoever might bring the knowledge back can reach."""
    outcome: OutcomeDoc | None = None
    """None in results of versions before it was computed."""
    report_id: str
    """Short digest of spec, data and weights."""
    tainted: list[str] = Field(default_factory=list)
    """Why nothing here may be better than inconclusive (--limit)."""
    confidence: float
    seed: int
    requirements: list[RequirementDoc]
    targets: list[TargetDoc]
    models: list[ModelDoc]
    attacked: dict[str, str] = Field(default_factory=dict)
    """Models that attacks made, by their name in ``measurements/``: sha256 over the model's files and what was done to it."""
    corpora: list[CorpusDoc]
    waivers: list[WaiverDoc] = Field(default_factory=list)
    limitations: list[str] = Field(default_factory=list)
    info: dict[str, str] = Field(default_factory=dict)
    """Cover and sign-off words."""
    spec_sha256: str
    overrides: list[str] = Field(default_factory=list)
    """``--set``, ``--seed`` and ``--device`` as ``path=value``."""
    work: WorkDoc
    measurement_version: int
    tool_version: str
    redaction: Literal["redacted", "full"] = "redacted"
    examples: list[ExampleDoc] = Field(default_factory=list)
    """Evidence excerpts; text only where redaction is ``full``."""
    run: RunDoc


class ExampleDoc(Document):
    """One excerpt: what was asked, expected and answered; redacted text is its length and keyed digest."""

    requirement: str
    example: str
    model: str
    value: float | None
    question: str
    expected: str
    answered: str


Results.model_rebuild()
