"""What the checks that look inside a model share: layers as groups, the same for all models, and one chosen on the original."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Annotated, Any, Literal

from pydantic import Field

from auditkit.checks._base import Values
from auditkit.checks._rows import mean
from auditkit.errors import ModelError

Layer = Annotated[int, Field(ge=0, le=10_000)]
Layers = Literal["all"] | Annotated[list[Layer], Field(min_length=1, max_length=1000)]


def group(layer: int) -> str:
    """A layer's name in results; 0 is the embeddings."""
    return f"layer {layer}"


def chosen_layers(asked: Literal["all"] | list[int], there: Sequence[int]) -> list[int]:
    """The layers to show, in order. Raises ModelError for one that the model does not have."""
    if asked == "all":
        return sorted(there)
    wrong = sorted(set(asked) - set(there))
    if wrong:
        raise ModelError(f"layers must be 0 to {max(there)} for this model; got {wrong[0]}")
    return sorted(set(asked))


def curve(layers: Iterable[int], *, chosen: int | None = None) -> dict[str, Any]:
    """Where each layer's group lies, for the figure."""
    return {"axis": "layer", "x": {group(layer): layer for layer in layers}, "chosen": chosen}


def alike(samples: Mapping[str, Values]) -> Mapping[str, Values]:
    """The samples as they are, or marked where models of different depth would be compared layer by layer."""
    found = {tuple(sorted(set(values.groups))) for values in samples.values() if values.ids}
    if len(found) < 2:
        return samples
    depths = ", ".join(f"{model} {len(values.details['curve']['x'])}" for model, values in samples.items() if values.ids)
    reason = f"models of different depth cannot be compared layer by layer (layers measured: {depths})"
    return {model: replace(values, inconclusive=values.inconclusive or reason) for model, values in samples.items()}


def on_the_original(samples: Mapping[str, Values]) -> Mapping[str, Values]:
    """The samples with one layer left to decide: of those that could, the one with the original's largest mean.

    Chosen on the original and never on the candidate: the best of many layers of the model under audit would be a selected
    maximum. Without an original that could be measured all of them stay.
    """
    original = samples.get("original")
    means = {} if original is None or original.inconclusive else _means(original)
    if not means:
        return samples
    best = max(means, key=lambda name: means[name])
    return {model: _only(values, best) for model, values in samples.items()}


def _means(values: Values) -> dict[str, float]:
    """By decisive group; those without any number left out."""
    found: dict[str, float] = {}
    for name in dict.fromkeys(values.groups):
        if name not in values.shown_only:
            own = mean(value for value, other in zip(values.values, values.groups, strict=True) if other == name)
            found |= {} if own is None else {name: own}
    return found


def _only(values: Values, best: str) -> Values:
    place = values.details["curve"]["x"].get(best)
    return replace(
        values,
        shown_only=tuple(name for name in dict.fromkeys(values.groups) if name != best),
        details={**values.details, "curve": {**values.details["curve"], "chosen": place}},
    )
