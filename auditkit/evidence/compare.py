"""Run folders → a comparison: every requirement on every candidate, paired with one of them, with cost and trade-off.

::

    folders ─► comparable.read_bundles   verified, and refused where they measure different things
            ─► paired.paired_difference  each candidate minus the baseline, subject by subject
            ─► Comparison                which comparison.write_comparison writes

No model is loaded: everything comes from the values that the runs recorded.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from auditkit import __version__
from auditkit.evidence.comparable import (
    ROLES,
    Bundle,
    baseline_of,
    having,
    read_bundles,
    requirement_names,
    role_differs,
)
from auditkit.evidence.comparison import (
    CandidateDoc,
    CellDoc,
    ComparedDoc,
    Comparison,
    PointDoc,
    TradeOffDoc,
)
from auditkit.evidence.conclude import IDENTITY
from auditkit.evidence.paired import paired_difference
from auditkit.evidence.results import EstimateDoc, MadeDoc, RequirementDoc

_PREFERRED = "knowledge_memorization"
"""Check of the trade-off's horizontal axis, where there is one: the quantity that unlearning papers plot."""


def compare(folders: Sequence[Path], *, names: Sequence[str] | None = None, baseline: str | None = None) -> Comparison:
    """Compare two or more run folders, or those inside one folder.

    ``names``: of the candidates, in the order of the folders; default: the folders' own. ``baseline``: the candidate that the
    others are compared with; default: the first. Raises UserError (exit 2) for bundles that measure different things or are
    fewer than two, IntegrityError (exit 4) for a changed byte.
    """
    bundles = read_bundles(folders, names)
    chosen = baseline_of(bundles, baseline)
    requirements = [_compared(bundles, chosen, name) for name in requirement_names(bundles)]
    return Comparison(
        tool_version=__version__,
        title=chosen.results.title,
        confidence=chosen.results.confidence,
        seed=chosen.results.seed,
        baseline=chosen.name,
        candidates=[_candidate(bundle, _reference_cost(bundles)) for bundle in bundles],
        requirements=requirements,
        reference_cost=_reference_cost(bundles),
        trade_off=_trade_off(requirements, [bundle.name for bundle in bundles], chosen.name),
        notes=list(_notes(bundles)),
    )


def _candidate(bundle: Bundle, reference: MadeDoc | None) -> CandidateDoc:
    results = bundle.results
    model = next(model for model in results.models if model.name == "candidate")
    cost = results.run.made.get("candidate")
    return CandidateDoc(
        name=bundle.name,
        verdict=results.verdict,
        summary=results.summary,
        source=model.source,
        fingerprint=model.fingerprint,
        report_id=results.report_id,
        manifest_sha256=bundle.manifest,
        tainted=results.tainted,
        cost=cost,
        cost_ratio=_ratio(cost, reference),
    )


def _reference_cost(bundles: Sequence[Bundle]) -> MadeDoc | None:
    """Of the first bundle whose spec made the reference; none where the bundles' references differ."""
    if role_differs(bundles, "reference"):
        return None
    return next((made for bundle in bundles if (made := bundle.results.run.made.get("reference")) is not None), None)


def _ratio(cost: MadeDoc | None, reference: MadeDoc | None) -> float | None:
    """Seconds on another kind of device are no measure of this one's."""
    if cost is None or reference is None or cost.device != reference.device or not reference.seconds:
        return None
    return cost.seconds / reference.seconds


def _compared(bundles: Sequence[Bundle], baseline: Bundle, name: str) -> ComparedDoc:
    found = having(bundles, name)
    first = found[0][1]
    return ComparedDoc(
        name=name,
        check=first.check,
        title=first.title,
        dimension=first.dimension,
        corpus=first.corpus,
        metric=first.metric,
        under=first.under,
        cells=[_cell(bundle, doc, baseline) for bundle, doc in found],
        missing=[bundle.name for bundle in bundles if bundle.requirement(name) is None],
        models={role: estimate for role in ROLES if (estimate := _of_role([doc for _, doc in found], role)) is not None},
    )


def _of_role(documents: Sequence[RequirementDoc], role: str) -> EstimateDoc | None:
    return next((doc.models[role] for doc in documents if role in doc.models), None)


def _cell(bundle: Bundle, doc: RequirementDoc, baseline: Bundle) -> CellDoc:
    beside = baseline.requirement(doc.name)
    other = bundle.name != baseline.name and beside is not None
    difference = paired_difference((bundle, doc), (baseline, beside)) if other and beside is not None else None
    return CellDoc(
        candidate=bundle.name,
        result=doc.result,
        waived=doc.result == "fail" and doc.waiver is not None and doc.waiver.state == "applied",
        level=doc.level,
        bound=doc.bound.text,
        reason=doc.reason,
        estimate=doc.estimate,
        worst_group=doc.worst_group,
        difference=None if difference is None else difference.estimate,
        difference_group="" if difference is None else difference.group,
        shown=None if difference is None else difference.shown,
    )


def _trade_off(requirements: Sequence[ComparedDoc], candidates: Sequence[str], baseline: str) -> TradeOffDoc | None:
    """On requirements that every candidate was asked: plain ones before those under interventions."""
    shared = [one for one in requirements if not one.missing and one.check != IDENTITY]
    ranked = sorted(shared, key=lambda one: (one.check != _PREFERRED, bool(one.under)))
    forgetting = next((one for one in ranked if one.dimension == "forgetting"), None)
    utility = next((one for one in shared if one.dimension == "utility"), None)
    if forgetting is None or utility is None:
        return None
    mine, theirs = ({cell.candidate: cell.estimate for cell in one.cells} for one in (forgetting, utility))
    points = [
        PointDoc(name=n, role="baseline" if n == baseline else "candidate", forgetting=mine[n], utility=theirs[n])
        for n in candidates
    ]
    points += [
        PointDoc(name=role, role=role, forgetting=forgetting.models[role], utility=utility.models[role])
        for role in ROLES
        if role in forgetting.models and role in utility.models
    ]
    return TradeOffDoc(forgetting=forgetting.name, utility=utility.name, points=points)


def _notes(bundles: Sequence[Bundle]) -> Iterator[str]:
    """Differences that do not forbid the comparison, in words."""
    for role in ROLES:
        if role_differs(bundles, role):
            yield f"The {role} is not the same model in all run folders: it is shown as the first that measured it has it."
    for what, of in (("dtype", "dtype"), ("device", "device"), ("way of asking", "chat")):
        found = {bundle.name: _candidate_fact(bundle, of) for bundle in bundles}
        if len(set(found.values())) > 1:
            listed = ", ".join(f"{name}: {fact}" for name, fact in found.items())
            yield f"The candidates were measured with another {what} each, which can move a difference: {listed}."
    for bundle in bundles:
        for reason in bundle.results.tainted:
            yield f"{bundle.name} is a limited run: {reason}."


def _candidate_fact(bundle: Bundle, of: str) -> str:
    return next(str(getattr(model, of)) for model in bundle.results.models if model.name == "candidate")
