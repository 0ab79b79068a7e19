"""What an attack came to: the quantity before it, the share that it brought back, and its curves. Pure functions of values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from auditkit.evidence.results import CurveDoc, EstimateDoc

if TYPE_CHECKING:
    from auditkit.decisions.types import Estimate, Judgement
    from auditkit.evidence.conclude import Item
    from auditkit.spec.model import Spec

HALF = 0.5
"""Relearning speed: the share of the original's own value at which knowledge counts as back."""


def estimate_doc(estimate: Estimate) -> EstimateDoc:
    """For the results."""
    return EstimateDoc(**asdict(estimate))


def before_attack(item: Item, judgement: Judgement, spec: Spec) -> dict[str, Estimate]:
    """The quantity that decided, on every model without the attack; {} where there was none."""
    from auditkit.decisions.shown import shown
    from auditkit.evidence.conclude import as_candidate
    from auditkit.evidence.variants import is_kept

    if not item.before:
        return {}
    params = item.check.params.model_validate(item.requirement.with_)
    return shown(
        as_candidate(item.before, item.requirement.of),
        metric=item.check.metric_for(params),
        statistic=item.check.statistic(params),
        decide=spec.decide,
        rng_seed=spec.seed,
        leak=not is_kept(item.requirement, item.check),
        like=judgement.worst_group,
    )


def recovered(item: Item, judgement: Judgement, spec: Spec) -> Estimate | None:
    """(candidate - reference) / (original - reference) under the attack, or by a check that looks behind the answer by itself;
    None without either or without these models."""
    from auditkit.decisions.findings import PROBES
    from auditkit.decisions.recovery import recovery
    from auditkit.decisions.samples import decisive_groups
    from auditkit.evidence.conclude import as_candidate
    from auditkit.evidence.variants import is_kept, under_attack

    samples = as_candidate(item.samples, item.requirement.of)
    probing = bool(item.attacks) or item.check.name in PROBES
    if not probing or is_kept(item.requirement, item.check) or not {"candidate", "original", "reference"} <= set(samples):
        return None
    params = item.check.params.model_validate(item.requirement.with_)
    worst = judgement.worst_group
    return recovery(
        samples,
        metric=item.check.metric_for(params),
        statistic=under_attack(item.check, params, attacks=bool(item.attacks)),
        decide=spec.decide,
        rng_seed=spec.seed,
        component=(worst,) if worst else decisive_groups(samples["candidate"]),
    )


def curves(item: Item, judgement: Judgement, before: Mapping[str, Estimate]) -> list[CurveDoc]:
    """The quantity along an attack's budget, or along the layers, of every model; [] where the values name no axis."""
    out = []
    original = before.get("original")
    half = None if original is None or original.value is None else HALF * original.value
    for model, details in _details(item).items():
        curve = details.get("curve")
        places: Mapping[str, float] = curve["x"] if curve else {}
        points = {place: _of_group(judgement, model, label) for label, place in places.items()}
        if curve and curve.get("start") is not None and model in before:
            points[curve["start"]] = before[model]
        known = {place: points[place] for place in sorted(points) if points[place] is not None}
        if len(known) > 1:
            out.append(_curve(model, curve, known, half))
    return out


def _details(item: Item) -> dict[str, Mapping[str, Any]]:
    from auditkit.evidence.conclude import as_candidate

    return {model: values.details for model, values in as_candidate(item.samples, item.requirement.of).items()}


def _of_group(judgement: Judgement, model: str, label: str) -> Any:
    return next((one.estimate for one in judgement.groups if one.model == model and one.group == label), None)


def _curve(model: str, curve: Any, points: Mapping[float, Estimate], half: float | None) -> CurveDoc:
    back = [place for place, found in points.items() if half is not None and found.value is not None and found.value >= half]
    return CurveDoc(
        model=model,
        axis=curve["axis"],
        x=list(points),
        estimates=[estimate_doc(found) for found in points.values()],
        chosen=curve.get("chosen"),
        reached=min(back, default=None) if half else None,
    )
