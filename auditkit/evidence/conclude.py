"""Values → requirement documents and the verdict: the one path, for a fresh run and for a re-decision from a bundle."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any

from auditkit.decisions.types import Estimate, Judgement, Result, Verdict
from auditkit.evidence.classify import outcome_of
from auditkit.evidence.least import least_seen
from auditkit.evidence.reached import before_attack, curves, estimate_doc, recovered
from auditkit.evidence.results import (
    AttackDoc,
    BoundDoc,
    ControlDoc,
    EstimateDoc,
    GroupDoc,
    MetricDoc,
    OutcomeDoc,
    PointDoc,
    RequirementDoc,
    WaiverDoc,
)
from auditkit.evidence.values import plain_json
from auditkit.evidence.variants import is_kept, under_attack

if TYPE_CHECKING:
    from auditkit.checks._base import Check, Values
    from auditkit.decisions.verdict import AppliedWaiver
    from auditkit.spec.bounds import Bound
    from auditkit.spec.model import Requirement, Spec
    from auditkit.spec.steps import Point

IDENTITY = "identical_weights"
"""Check name of the requirement that no bound can change."""
_NOTHING = Estimate(None, None, None, 0, 0, "subject", "", "not measured")


@dataclass(frozen=True)
class Item:
    """One requirement with what was measured for it, or why it was not."""

    requirement: Requirement
    slug: str
    check: Check[Any]
    corpus: str
    line: int
    samples: Mapping[str, Values]
    """Values by model; empty where nothing was measured."""
    parameters: Mapping[str, Any]
    not_checked: str = ""
    """Why it was not measured at all."""
    not_applicable: str = ""
    """Why its attack has nothing to act on."""
    error: str = ""
    """How the check broke."""
    point: Point | None = None
    """Its place on a curve of a scale or sequence."""
    attacks: Sequence[AttackDoc] = ()
    """What was done to every model first."""
    before: Mapping[str, Values] = field(default_factory=dict)
    """Under attack: values by model of the same rows without it."""
    stopped: int | None = None
    """Number of subjects after which a sequential requirement was decided."""


@dataclass(frozen=True)
class Conclusion:
    """What the audit came to."""

    requirements: list[RequirementDoc]
    waivers: list[WaiverDoc]
    verdict: Verdict
    summary: str
    outcome: OutcomeDoc


def conclude(
    items: Sequence[Item], spec: Spec, *, standing: Sequence[RequirementDoc], tainted: bool, as_of: dt.date
) -> Conclusion:
    """Judge every requirement, apply taint and waivers, and compute the verdict and its sentence.

    ``standing`` are results that no bound can change (identical weights).
    """
    from auditkit.decisions.verdict import apply_waivers, summarise, taint, verdict

    judged = [(item, _judgement(item, spec)) for item in items]
    if tainted:
        judged = [(item, taint(judgement)) for item, judgement in judged]
    recoveries = {item.slug: recovered(item, judgement, spec) for item, judgement in judged}
    applied = apply_waivers(spec.waivers, [(_name(item), judgement) for item, judgement in judged], as_of=as_of)
    waivers = [_waiver(one) for one in applied]
    documents = [*standing, *(_document(item, judgement, waivers, recoveries, spec) for item, judgement in judged)]
    rows = [(doc.level, Result(doc.result), doc.waiver is not None and doc.waiver.state == "applied") for doc in documents]
    word = verdict(rows)
    waived = {doc.name for doc in documents if doc.waiver is not None and doc.waiver.state == "applied"}
    outcome = outcome_of(judged, recoveries, spec, standing=standing, waived=waived, as_of=as_of)
    return Conclusion(documents, waivers, word, summarise(word, rows), outcome)


def _waiver(applied: AppliedWaiver) -> WaiverDoc:
    return WaiverDoc(**applied.waiver.model_dump(mode="json"), state=applied.state)


def _name(item: Item) -> str:
    return item.requirement.name or item.requirement.check


def _judgement(item: Item, spec: Spec) -> Judgement:
    from auditkit.decisions.judge import judge
    from auditkit.decisions.verdict import indicative

    if item.not_checked:
        return Judgement(Result.NOT_CHECKED, item.not_checked, _NOTHING)
    if item.not_applicable:
        return Judgement(Result.NOT_APPLICABLE, item.not_applicable, _NOTHING)
    if item.error:
        return Judgement(Result.ERROR, item.error, _NOTHING)
    params = item.check.params.model_validate(item.requirement.with_)
    samples = as_candidate(item.samples, item.requirement.of)
    veto = item.check.veto(params, samples)
    if veto and not samples["candidate"].inconclusive:
        samples["candidate"] = replace(samples["candidate"], inconclusive=veto)
    found = judge(
        metric=item.check.metric_for(params),
        statistic=under_attack(item.check, params, attacks=bool(item.requirement.under)),
        bounds=item.requirement.bounds,
        samples=samples,
        decide=spec.decide,
        rng_seed=spec.seed,
        leak=not is_kept(item.requirement, item.check),
    )
    return indicative(found) if item.attacks and all(attack.indicative for attack in item.attacks) else found


def as_candidate(samples: Mapping[str, Values], of: str) -> dict[str, Values]:
    """Values by model, with those of the model ``of``, which the requirement is about, in the candidate's place."""
    renamed = {"candidate" if name == of else name: values for name, values in samples.items()}
    first = [name for name in ("candidate", "original", "reference") if name in renamed]
    # One order whatever the samples came from: the plan's of a run, the alphabet's of a bundle.
    return {name: renamed[name] for name in [*first, *sorted(set(renamed) - set(first))]}


def identity_requirement(spec: Spec, *, same: bool, adapter_alone: bool = False) -> list[RequirementDoc]:
    """Weights that are the original's, or the original's under an adapter that comes off: under ``intent: removal`` a failed
    requirement of its own, whatever was measured, found before any model runs.

    Where they differ nothing is added: a difference alone shows nothing and must not count as a pass.
    """
    if not (same or adapter_alone) or spec.intent != "removal":
        return []
    estimate = EstimateDoc(value=1.0, lower=1.0, upper=1.0, n=1, rows=1, unit="checkpoint", method="sha256 of every file")
    reason = (
        "The candidate's weights and adapter are those of the original, bit for bit: nothing was unlearned."
        if same
        else "The candidate is the original, bit for bit, with an adapter on it: whoever takes it off has the original again."
    )
    return [
        RequirementDoc(
            name="the weights differ from the original's",
            slug=IDENTITY,
            check=IDENTITY,
            title="Identical weights",
            dimension="forgetting",
            corpus="",
            level="required",
            severity="critical",
            bound=BoundDoc(text="at most 0", upper=0.0, upper_value=0.0),
            because="intent: removal",
            sentence="The candidate's weights must differ from those of the original.",
            result="fail",
            reason=reason,
            estimate=estimate,
            metric=MetricDoc(name="identical weights", unit="checkpoint", low=0, high=1, better="lower"),
        )
    ]


def bound_text(requirement: Requirement) -> str:
    """``at most reference + 0.05``; empty where there is no bound."""
    if requirement.between is not None:
        return f"between {requirement.between[0]} and {requirement.between[1]}"
    if requirement.at_most is not None:
        return f"at most {requirement.at_most}"
    return f"at least {requirement.at_least}" if requirement.at_least is not None else ""


def _bound(requirement: Requirement, models: Mapping[str, Estimate]) -> BoundDoc:
    lower, upper = requirement.bounds
    named = next((bound for bound in (lower, upper) if bound is not None and bound.model is not None), None)
    return BoundDoc(
        text=bound_text(requirement),
        lower=lower.offset if lower else None,
        upper=upper.offset if upper else None,
        model=named.model if named else None,
        scale=named.scale if named else 1.0,
        lower_value=_on_scale(lower, models),
        upper_value=_on_scale(upper, models),
    )


def _on_scale(bound: Bound | None, models: Mapping[str, Estimate]) -> float | None:
    """The bound on the metric's own scale, from the point estimate of its model."""
    if bound is None:
        return None
    if bound.model is None:
        return bound.offset
    estimate = models.get(bound.model)
    return None if estimate is None or estimate.value is None else bound.scale * estimate.value + bound.offset


def _document(
    item: Item, judgement: Judgement, waivers: Iterable[WaiverDoc], recoveries: Mapping[str, Estimate | None], spec: Spec
) -> RequirementDoc:
    requirement, check = item.requirement, item.check
    name = _name(item)
    notes = list(dict.fromkeys(note for values in item.samples.values() for note in values.notes))
    before = before_attack(item, judgement, spec)
    return RequirementDoc(
        name=name,
        slug=item.slug,
        check=check.name,
        title=check.title,
        dimension=check.dimension,
        corpus=item.corpus,
        level=requirement.level,
        severity=requirement.severity,
        bound=_bound(requirement, judgement.models),
        because=requirement.because or "",
        sentence=sentence(requirement, check, item.corpus),
        result=judgement.result.value,
        reason=judgement.reason,
        estimate=estimate_doc(judgement.estimate),
        difference=estimate_doc(judgement.difference) if judgement.difference else None,
        worst_group=judgement.worst_group,
        models={model: estimate_doc(estimate) for model, estimate in judgement.models.items()},
        groups=[GroupDoc.model_validate(asdict(group)) for group in judgement.groups],
        controls=[ControlDoc.model_validate(asdict(control)) for control in judgement.controls],
        needed=judgement.needed,
        detectable=least_seen(item, spec),
        metric=MetricDoc(**asdict(check.metric_for(check.params.model_validate(requirement.with_)))),
        parameters=dict(item.parameters),
        under=list(item.attacks),
        before={model: estimate_doc(found) for model, found in before.items()},
        recovery=None if (share := recoveries[item.slug]) is None else estimate_doc(share),
        curves=curves(item, judgement, before),
        stopped_early=item.stopped,
        notes=notes,
        details={
            model: plain_json(values.details) for model, values in as_candidate(item.samples, item.requirement.of).items()
        },
        waiver=_chosen(waiver for waiver in waivers if waiver.requirement == name),
        line=item.line,
        of=requirement.of,
        point=None if item.point is None else PointDoc(**asdict(item.point)),
        values_file=f"values/{item.slug}.json" if item.samples else "",
    )


def _chosen(waivers: Iterable[WaiverDoc]) -> WaiverDoc | None:
    """The waiver shown beside a result: one that counts before one that does not."""
    return min(waivers, key=lambda waiver: waiver.state != "applied", default=None)


def sentence(requirement: Requirement, check: Check[Any], corpus: str) -> str:
    """The requirement in plain words."""
    whose = "" if requirement.of == "candidate" else f" of {requirement.of}"
    subject = f"{check.title}{whose} on {corpus}"
    if requirement.under:
        subject += " under " + ", ".join(intervention.name for intervention in requirement.under)
    bound = bound_text(requirement)
    return f"{subject} must be {bound}." if bound else f"{subject} is reported; no bound is set."
