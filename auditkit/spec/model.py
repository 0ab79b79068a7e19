"""The spec as data: strict pydantic models, a sentence for every field.

The sentences feed the JSON Schema, editors and the reference page. Nothing here reads a file or knows which checks exist:
text becomes a Spec in ``spec.load``, which also sees to it that every name used is a name given.
"""

from __future__ import annotations

import datetime as dt
import re
from typing import Annotated, Any, ClassVar, Literal, get_args

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    ValidationInfo,
    WithJsonSchema,
    field_validator,
    model_validator,
)

from auditkit.spec.bounds import BOUND_PATTERN, Bound, parse_bound

NAME_PATTERN = r"^[A-Za-z_][A-Za-z0-9_.-]*$"
MODEL_PATTERN = r"^[A-Za-z_][A-Za-z0-9_]*$"
MOST_MODELS = 100
DEVICE_PATTERN = r"^(auto|cpu|mps|(cuda|xpu)(:[0-9]{1,3})?)$"

Name = Annotated[str, Field(pattern=NAME_PATTERN, max_length=64)]
ModelName = Annotated[str, Field(pattern=MODEL_PATTERN, max_length=64)]
"""Without dot and dash, so that ``a-0.1`` in a bound can only mean a minus 0.1."""
Scalar = str | int | float | bool | None


class Part(BaseModel):
    """Base of every part of a spec: unknown keys are errors, types are not coerced, values do not change."""

    model_config = ConfigDict(
        extra="forbid", strict=True, frozen=True, populate_by_name=True, protected_namespaces=(), allow_inf_nan=False
    )
    unknown_key_hint: ClassVar[str] = ""
    """Where a key that is no field of this part, nor close to one, most likely belongs."""


def _iso_date(value: Any) -> Any:
    """Text such as 2026-11-24 → date; pydantic's own lax mode would also take a number for seconds since 1970."""
    if isinstance(value, dt.date) and not isinstance(value, dt.datetime):
        return value
    try:
        if isinstance(value, str) and re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", value):
            return dt.date.fromisoformat(value)
    except ValueError:
        pass
    got = repr(value) if isinstance(value, str | int | float) else f"a {type(value).__name__}"
    raise ValueError(f'must be a date in quotes, such as "2026-11-24"; got {got}')


IsoDate = Annotated[dt.date, BeforeValidator(_iso_date)]

BoundField = Annotated[
    Bound,
    BeforeValidator(parse_bound),
    PlainSerializer(str, return_type=str),
    WithJsonSchema({"anyOf": [{"type": "number"}, {"type": "string", "pattern": BOUND_PATTERN}]}),
]


class Lora(Part):
    """Low-rank adaptation, for models made by the spec."""

    rank: int = Field(8, ge=1, le=1024, description="Rank of the update matrices.")
    alpha: float = Field(16, gt=0, description="Scale of the update: alpha / rank.")
    dropout: float = Field(0.0, ge=0, lt=1, description="Dropout on the adapter's input.")
    targets: list[str] = Field(
        default_factory=lambda: ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"],
        description="Names of the linear layers that receive an adapter.",
    )


class Finetune(Part):
    """How a model is taught the named corpora (loss on answers, or on the whole text of rows without question)."""

    corpora: list[Name] = Field(min_length=1, description="Corpora to train on, by name.")
    epochs: float = Field(5, gt=0, le=1000, description="Passes over the rows.")
    lr: float = Field(1e-4, gt=0, lt=1, description="Peak learning rate of AdamW, after a linear warm-up, then linear decay.")
    batch: int = Field(16, ge=1, description="Rows per optimiser step.")
    lora: Lora | bool = Field(False, description="true or a mapping trains a LoRA adapter; false trains all weights.")
    seed: int = Field(0, ge=0, description="Seed of the order of rows and of the adapter's initial weights.")


class Model(Part):
    """One subject model: a checkpoint to load, or one that the spec makes from another."""

    checkpoint: str | None = Field(
        None,
        description=(
            "A folder or .gguf file (./path), a hub id (owner/name, with revision), "
            "builtin:NAME, or the name of another model of this spec."
        ),
    )
    revision: str | None = Field(None, description="Commit of the hub repository; compulsory for a hub id.")
    adapter: str | None = Field(None, description="Folder of a PEFT adapter that is loaded onto the checkpoint.")
    from_: str | None = Field(None, alias="from", description="The model of this spec that the new one starts from.")
    finetune: Finetune | None = Field(None, description="Teach the model of `from` these corpora.")
    unlearn: dict[str, Any] | None = Field(None, description="Make the model of `from` forget: {method: NAME, ...}.")
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = Field(
        "auto", description="Precision of the weights; auto is bfloat16 on cuda and float32 elsewhere."
    )
    device: str = Field(
        "auto", pattern=DEVICE_PATTERN, description="auto (cuda, then mps, then cpu), or a torch device such as cuda:1."
    )
    chat: Literal["template", "plain"] = Field(
        "plain", description="template: questions go through the tokenizer's chat template; plain: text as it stands."
    )
    system: str | None = Field(None, description="System prompt put before every question; needs chat: template.")
    allow_pickle: bool = Field(False, description="Accept .bin weights (loaded with weights_only); stated in the report.")

    @model_validator(mode="after")
    def _one_origin(self) -> Model:
        if (self.checkpoint is None) == (self.from_ is None):
            raise ValueError(f"must have either checkpoint or from; got {'neither' if self.from_ is None else 'both'}")
        if self.from_ is not None and (self.finetune is None) == (self.unlearn is None):
            raise ValueError(f"from needs either finetune or unlearn; got {'neither' if self.unlearn is None else 'both'}")
        if self.checkpoint is not None and (self.finetune is not None or self.unlearn is not None):
            raise ValueError("finetune and unlearn need from; got checkpoint")
        if self.from_ is not None and (self.adapter is not None or self.revision is not None):
            raise ValueError("adapter and revision need checkpoint; got from")
        if self.system is not None and self.chat != "template":
            raise ValueError("system needs chat: template; got chat: plain")
        return self


class Sample(Part):
    """A random part of a corpus."""

    n: int = Field(ge=1, description="Rows to keep; all rows of a drawn subject stay together where rows name subjects.")
    seed: int = Field(0, ge=0, description="Seed of the draw.")


class CorpusSource(Part):
    """Where a corpus comes from and what its rows mean."""

    file: str | None = Field(None, description="A .jsonl, .json, .csv or .parquet file, relative to the spec.")
    dataset: str | None = Field(None, description="A local folder made by datasets.save_to_disk (./path) or a hub id.")
    revision: str | None = Field(None, description="Commit of the hub data set; compulsory for a hub id.")
    config: str | None = Field(None, description="Configuration of the data set.")
    split: str | None = Field(None, description="Split of the data set; default train.")
    columns: dict[str, str] = Field(
        default_factory=dict,
        description="Field to column where the names differ: {question: q, answer: a, subject: author}.",
    )
    where: dict[str, Scalar | list[Scalar]] = Field(
        default_factory=dict, description="Keep rows whose column equals this value, or one of these values."
    )
    sample: Sample | None = Field(None, description="Keep a seeded random part.")
    role: str | None = Field(
        None, description="forget, retain, holdout (never trained on) or another word; default: the corpus's own name."
    )

    @model_validator(mode="after")
    def _one_source(self) -> CorpusSource:
        if (self.file is None) == (self.dataset is None):
            raise ValueError(f"must have either file or dataset; got {'neither' if self.file is None else 'both'}")
        given = [key for key in ("revision", "config", "split") if getattr(self, key) is not None]
        if self.file is not None and given:
            raise ValueError(f"{' and '.join(given)} {'needs' if len(given) == 1 else 'need'} dataset; got file")
        return self


class Target(Part):
    """What had to be forgotten: described, never quoted."""

    name: str = Field(min_length=1, description="A description that may be printed, such as: the 64 people of request 114.")
    corpus: Name = Field(description="The corpus that holds it.")
    ground: str | None = Field(None, description="The ground on which it is asked, such as GDPR 17(1)(b).")
    reference: str | None = Field(None, description="The request's own reference number.")


class Intervention(Part):
    """Something done to a model or a prompt before it is measured: an attack or a guard."""

    name: str = Field(min_length=1, description="The attack's or guard's name.")
    params: dict[str, Any] = Field(default_factory=dict, description="Its parameters.")


def _interventions(value: Any) -> Any:
    """``relearn``, ``{relearn: {...}}`` or a list of these → a list of Intervention."""
    items = value if isinstance(value, list) else [value]
    out: list[Any] = []
    for item in items:
        if isinstance(item, str):
            out.append({"name": item})
        elif isinstance(item, dict) and len(item) == 1 and all(isinstance(key, str) for key in item):
            ((name, params),) = item.items()
            if params is not None and not isinstance(params, dict):
                raise ValueError(f"must be {{{name}: {{parameters}}}}; got {params!r:.60} in place of the parameters")
            out.append({"name": name, "params": params or {}})
        elif isinstance(item, Intervention) or (isinstance(item, dict) and set(item) == {"name", "params"}):
            out.append(item)
        else:
            got = "a mapping of several keys" if isinstance(item, dict) else repr(item)[:60]
            raise ValueError(f"must be an attack's name, {{name: {{parameters}}}}, or a list of these; got {got}")
    return out


_UNDER_SCHEMA = {
    "anyOf": [
        {"type": "string"},
        {"type": "object", "minProperties": 1, "maxProperties": 1},
        {"type": "array", "items": {"anyOf": [{"type": "string"}, {"type": "object"}]}},
    ]
}


class Requirement(Part):
    """One required property of the candidate."""

    unknown_key_hint: ClassVar[str] = "parameters of the check stand under `with`"

    check: str = Field(min_length=1, description="What is measured; `auditkit list checks` names all.")
    name: str | None = Field(
        None, min_length=1, max_length=120, description="The row's name in the report; default: check and corpus."
    )
    corpus: Name | None = Field(None, description="The corpus measured; default: the one with the check's usual role.")
    of: ModelName = Field("candidate", description="The model that the property is required of.")
    with_: dict[str, Any] = Field(default_factory=dict, alias="with", description="Parameters of the check.")
    under: Annotated[list[Intervention], BeforeValidator(_interventions), WithJsonSchema(_UNDER_SCHEMA)] = Field(
        default_factory=list, description="Interventions applied to every model first: one or a list."
    )
    at_most: BoundField | None = Field(None, description="A number, or M, M + x, M - x, x * M with M a model of the spec.")
    at_least: BoundField | None = Field(None, description="Like at_most, for properties that must be kept.")
    between: list[BoundField] | None = Field(
        None, min_length=2, max_length=2, description="[low, high]: both ends as in at_most."
    )
    because: str | None = Field(None, description="Why this bound, and who set it; printed beside it.")
    sequential: bool = Field(
        False,
        description=(
            "Ask the subjects in random order, and stop early with a failure where a gross leak is shown. A pass is decided "
            "once, on all subjects. Needs at_most and with: {statistic: leaking_subjects}."
        ),
    )
    level: Literal["required", "advisory"] = Field("required", description="advisory: reported, but not part of the verdict.")
    severity: Literal["info", "low", "medium", "high", "critical"] = Field("high", description="How bad a failure is.")

    @field_validator("between", mode="before")
    @classmethod
    def _two_ends(cls, value: Any) -> Any:
        if value is None or (isinstance(value, list) and len(value) == 2):
            return value
        got = f"{len(value)} of them" if isinstance(value, list) else str(value)[:60]
        raise ValueError(f"must be [low, high]; got {got}")

    @model_validator(mode="after")
    def _one_bound(self) -> Requirement:
        given = [key for key in ("at_most", "at_least", "between") if getattr(self, key) is not None]
        if len(given) > 1:
            raise ValueError(f"must have one bound only; got {' and '.join(given)}")
        if not given and self.level == "required":
            raise ValueError("must have a bound (at_most, at_least or between), or level: advisory; got neither")
        low, high = self.bounds
        same_kind = low is not None and high is not None and (low.model, low.scale) == (high.model, high.scale)
        if low is not None and high is not None and same_kind and low.offset > high.offset:
            raise ValueError(f"between must be [low, high]; got [{low}, {high}]")
        return self

    @property
    def bounds(self) -> tuple[Bound | None, Bound | None]:
        """(lower end, upper end); None where that side is open."""
        if self.between is not None:
            return self.between[0], self.between[1]
        return self.at_least, self.at_most


class StepSource(Part):
    """What is forgotten in one step of a scale or a sequence."""

    forget: list[Name] = Field(min_length=1, description="Corpora to forget in this step.")
    ask: Name | None = Field(
        None, description="The corpus that `corpus: step` stands for in this step; default: the one that is forgotten."
    )

    @property
    def asked(self) -> str:
        """The corpus that stands for the step."""
        return self.ask or self.forget[0]


def _step(value: Any) -> Any:
    """``fold_1``, ``[fold_1, fold_2]`` or ``{forget: …, ask: …}`` → StepSource's fields."""
    if isinstance(value, str):
        return {"forget": [value]}
    if isinstance(value, list):
        return {"forget": value}
    if isinstance(value, dict) and isinstance(value.get("forget"), str):
        return {**value, "forget": [value["forget"]]}
    return value


StepField = Annotated[StepSource, BeforeValidator(_step)]


class Scale(Part):
    """Forget sets of growing size, each unlearned from the same model by the candidate's method (MUSE's C5)."""

    sizes: list[StepField] = Field(
        min_length=2,
        max_length=20,
        description="The forget sets, smallest first: a corpus, a list of corpora, or {forget, ask}.",
    )
    require: list[Requirement] = Field(
        default_factory=list,
        max_length=50,
        description="What must hold at every size, beside the profile's; `corpus: step` is the corpus of the size.",
    )


class Sequence(Part):
    """Requests that are unlearned one after another, each from the model that the one before left (MUSE's C6)."""

    requests: list[StepField] = Field(
        min_length=2, max_length=20, description="The requests in order: a corpus, a list of corpora, or {forget, ask}."
    )
    orders: list[list[int]] = Field(
        default_factory=list,
        max_length=10,
        description="Other orders of the same requests, such as [3, 1, 2]: the order effect.",
    )
    one_shot: bool = Field(False, description="Also forget all requests at once: the gap to doing it in steps.")
    require: list[Requirement] = Field(
        default_factory=list,
        max_length=50,
        description=(
            "What must hold after every request, beside the profile's. `corpus: step` is the corpus of the request; with it, a "
            "bound that names `then` (the model right after that request) is asked again after every later request."
        ),
    )

    @field_validator("orders", mode="after")
    @classmethod
    def _orders_are_permutations(cls, orders: list[list[int]], info: ValidationInfo) -> list[list[int]]:
        wanted = list(range(1, len(info.data.get("requests", ())) + 1))
        for order in orders if wanted else ():
            if sorted(order) != wanted or order == wanted:
                raise ValueError(f"must hold each of {wanted} once, and not as they stand; got {order!s:.60}")
        return orders


class Decide(Part):
    """How numbers become results."""

    confidence: float = Field(0.95, gt=0.5, lt=1, description="One-sided confidence of every bound: 1 - alpha.")
    resamples: int = Field(2000, ge=200, le=100_000, description="Bootstrap resamples where a bootstrap is used.")
    min_subjects: int = Field(10, ge=2, description="Fewer subjects than this: inconclusive, unless the bound is exact.")
    recovery: float = Field(
        0.10,
        gt=0,
        lt=1,
        description="Share of the gap between reference and original that an attack may bring back at most (SoK, epsilon).",
    )


Access = Literal["api", "api+sampling", "api+finetune", "weights"]


_ACCESS_WORD: dict[str, Any] = {"type": "string", "enum": list(get_args(Access))}
_ACCESS_SCHEMA: dict[str, Any] = {"anyOf": [_ACCESS_WORD, {"type": "array", "items": _ACCESS_WORD}]}


def _access(value: Any) -> Any:
    """One word or a list → the list."""
    return [value] if isinstance(value, str) else value


class Omission(Part):
    """Something that the intent asks for and the spec leaves out, and who answers for it. It is printed with the verdict."""

    item: str = Field(min_length=1, description="The item's name, as the error for its absence gives it; all: every one.")
    justification: str = Field(min_length=1, description="Why it is left out.")
    approver: str = Field(min_length=1, description="Who accepted it.")
    expires_on: IsoDate = Field(description="The last day on which it counts, as a quoted date; compulsory.")


class Limits(Part):
    """What an audit may cost at most. A spec that asks for more is refused before anything runs."""

    training_steps: int = Field(
        20_000, ge=0, description="Optimiser steps of all attacks together, on every model that they are carried out on."
    )
    attacked_models: int = Field(500, ge=0, description="Models that attacks make: each is loaded once.")


class Waiver(Part):
    """An accepted failure. It stands beside the result and never changes it."""

    requirement: str = Field(description="Name of the requirement.")
    justification: str = Field(min_length=1, description="Why the failure is accepted.")
    approver: str = Field(min_length=1, description="Who accepted it.")
    approved_on: IsoDate = Field(description='Quoted date, such as "2026-11-24".')
    expires_on: IsoDate = Field(description="The last day on which it counts, as a quoted date; compulsory.")
    ceiling: float | None = Field(None, description="The worst measured value that is covered.")

    @model_validator(mode="after")
    def _in_order(self) -> Waiver:
        if self.expires_on < self.approved_on:
            raise ValueError(f"expires_on must not be before approved_on; got {self.expires_on} before {self.approved_on}")
        return self


class ReportInfo(Part):
    """What the report's cover and sign-off say."""

    organisation: str | None = Field(None, description="Who asked for the audit.")
    responsible: str | None = Field(None, description="The party responsible for the model.")
    auditor: str | None = Field(None, description="Who signs.")
    readers: str | None = Field(None, description="For whom the report is meant.")
    period: str | None = Field(None, description="The period that the audit covers.")
    excluded: str | None = Field(None, description="What was left out, and why.")


class Spec(Part):
    """One audit: models, what they had to forget, what must hold."""

    auditkit: Literal[1] = Field(description="Version of this format; write 1.")
    title: str = Field(min_length=1, max_length=200, description="The audit's title.")
    intent: Literal["removal", "suppression"] = Field(
        description="removal: gone from the weights; suppression: not shown in behaviour. There is no default."
    )
    access: Annotated[list[Access], BeforeValidator(_access), WithJsonSchema(_ACCESS_SCHEMA)] = Field(
        default_factory=list,
        description=(
            "What whoever might bring the knowledge back can reach: api, api+sampling, api+finetune, weights; one or a list. "
            "intent: removal needs weights."
        ),
    )
    omissions: list[Omission] = Field(
        default_factory=list,
        max_length=100,
        description="What the intent asks for and this audit leaves out, each with approver.",
    )
    limits: Limits = Field(default_factory=Limits, description="What the audit may cost at most.")
    seed: int = Field(0, ge=0, description="Every random draw of the audit comes from this seed.")
    models: dict[ModelName, Model] = Field(
        max_length=MOST_MODELS, description="Subject models by role: candidate, original, reference, or another name."
    )
    targets: list[Target] = Field(default_factory=list, max_length=1000, description="What had to be forgotten.")
    corpora: dict[Name, CorpusSource] = Field(min_length=1, max_length=100, description="Named sets of examples.")
    scale: Scale | None = Field(None, description="Forget sets of growing size; needs a candidate with from and unlearn.")
    sequence: Sequence | None = Field(None, description="Requests one after another; needs a candidate with from and unlearn.")
    methods: dict[ModelName, dict[str, Any]] = Field(
        default_factory=dict,
        max_length=100,
        description=(
            "Candidates to make and audit in one run, by name: {method: NAME, parameters}; the method is the candidate's name "
            "where it is left out. What they share stands in the candidate's own `unlearn`."
        ),
    )
    grid: dict[str, Annotated[list[Any], Field(min_length=1)]] = Field(
        default_factory=dict,
        max_length=10,
        description="Parameter to values: every combination makes a candidate, of each of `methods` or of the one `unlearn`.",
    )
    profile: str | list[str] | None = Field(None, description="Ready-made lists of requirements, put before `require`.")
    require: list[Requirement] = Field(default_factory=list, max_length=1000, description="The required properties.")
    decide: Decide = Field(default_factory=Decide, description="Confidence and resampling.")
    waivers: list[Waiver] = Field(
        default_factory=list, max_length=1000, description="Accepted failures, each with approver and expiry."
    )
    report: ReportInfo = Field(default_factory=ReportInfo, description="Words for the report's cover and sign-off.")
    allow_task_code: bool = Field(False, description="Permit lm-eval task folders, whose YAML may name Python code.")

    @field_validator("models", mode="after")
    @classmethod
    def _has_candidate(cls, models: dict[str, Model]) -> dict[str, Model]:
        if "candidate" not in models:
            raise ValueError(f"must name a candidate, the model under audit; got {', '.join(models) or 'no model'}")
        return models

    @field_validator("scale", "sequence", "methods", "grid", mode="after")
    @classmethod
    def _candidate_is_made(cls, value: Any, info: ValidationInfo) -> Any:
        candidate = info.data.get("models", {}).get("candidate")
        if value and candidate is not None and candidate.unlearn is None:
            made = "{from: original, unlearn: {method: NAME, ...}}"
            raise ValueError(f"must stand beside a candidate that the spec makes, {made}; got another candidate")
        return value

    @model_validator(mode="after")
    def _something_to_do(self) -> Spec:
        steps = [part for part in (self.scale, self.sequence) if part is not None]
        if not self.require and not self.profile and not any(part.require for part in steps):
            raise ValueError("must require something; got neither require nor profile")
        return self
