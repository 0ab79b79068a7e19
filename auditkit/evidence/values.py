"""``values/<slug>.json``: the per-example values of one requirement, per model, from which its verdict can be replayed."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, PlainSerializer

from auditkit.checks._base import Values
from auditkit.evidence.results import Document
from auditkit.text import keyed_digest


def _to_json(value: float) -> float | str | None:
    """NaN → null, an infinity → its name: JSON has neither, and a replay must rank as the run did."""
    if math.isnan(value):
        return None
    return value if math.isfinite(value) else ("inf" if value > 0 else "-inf")


def _from_json(value: Any) -> Any:
    return math.nan if value is None else value


Number = Annotated[float, BeforeValidator(_from_json), PlainSerializer(_to_json, return_type=float | str | None)]


class ModelValues(Document):
    """The columns of one model; see ``checks._base.Values``. Ids and subjects are keyed digests unless text is shown."""

    ids: list[str]
    subjects: list[str]
    values: list[Number]
    groups: list[str] = Field(default_factory=list)
    labels: list[int] = Field(default_factory=list)
    shown_only: list[str] = Field(default_factory=list)
    details: dict[str, Any] = Field(default_factory=dict)
    notes: list[str] = Field(default_factory=list)
    inconclusive: str = ""

    @classmethod
    def of(cls, values: Values, *, key: bytes | None) -> ModelValues:
        """The values as they are kept; with a key, ids and subjects become keyed digests behind their corpus."""
        return cls(
            ids=[_concealed(name, key) for name in values.ids],
            subjects=[_concealed(name, key) for name in values.subjects],
            values=[float(value) for value in values.values],
            groups=list(values.groups),
            labels=[int(label) for label in values.labels],
            shown_only=list(values.shown_only),
            details=plain_json(values.details),
            notes=list(values.notes),
            inconclusive=values.inconclusive,
        )

    def to_values(self) -> Values:
        """The check's own type again."""
        return Values(
            ids=tuple(self.ids),
            subjects=tuple(self.subjects),
            values=tuple(self.values),
            groups=tuple(self.groups),
            labels=tuple(self.labels),
            shown_only=tuple(self.shown_only),
            details=self.details,
            notes=tuple(self.notes),
            inconclusive=self.inconclusive,
        )


class ValuesDoc(Document):
    """One requirement on every model."""

    schema_version: Literal[1] = 1
    slug: str
    models: dict[str, ModelValues]
    before: dict[str, ModelValues] = Field(default_factory=dict)
    """Under attack: the same rows without the attack."""

    @classmethod
    def of(
        cls, slug: str, models: Mapping[str, Values], *, key: bytes | None, before: Mapping[str, Values] | None = None
    ) -> ValuesDoc:
        """The document of one requirement. ``key`` None keeps ids and subjects readable (``--show-text``)."""
        kept = [{name: ModelValues.of(values, key=key) for name, values in part.items()} for part in (models, before or {})]
        return cls(slug=slug, models=kept[0], before=kept[1])

    def samples(self) -> dict[str, Values]:
        """Values by model, as ``decisions`` takes them."""
        return {name: values.to_values() for name, values in self.models.items()}

    def samples_before(self) -> dict[str, Values]:
        """Likewise, without the attack."""
        return {name: values.to_values() for name, values in self.before.items()}


def _concealed(name: str, key: bytes | None) -> str:
    """``forget/Jane Doe`` → ``forget/5d0c…``: the corpus stays, the rest is digested with it."""
    if key is None:
        return name
    corpus, separator, _ = name.partition("/")
    return f"{corpus if separator else ''}{separator}{keyed_digest(name, key)}"


def plain_json(value: Any) -> Any:
    """Plain JSON: arrays and tuples become lists, what is not finite becomes null."""
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): plain_json(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain_json(item) for item in value]
    return plain_json(value.tolist())  # numpy arrays and scalars
