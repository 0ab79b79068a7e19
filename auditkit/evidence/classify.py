"""All requirements → the outcome class and the level of claim, for the results."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

from auditkit.evidence.results import OutcomeDoc
from auditkit.evidence.variants import is_kept

if TYPE_CHECKING:
    from auditkit.decisions.findings import Finding
    from auditkit.decisions.types import Estimate, Judgement
    from auditkit.evidence.conclude import Item
    from auditkit.evidence.results import RequirementDoc
    from auditkit.spec.model import Spec


def outcome_of(
    judged: Sequence[tuple[Item, Judgement]],
    recoveries: Mapping[str, Estimate | None],
    spec: Spec,
    *,
    standing: Sequence[RequirementDoc],
    waived: Collection[str],
    as_of: dt.date,
) -> OutcomeDoc:
    """Of the candidate: requirements of other models say nothing about it."""
    from auditkit.decisions.findings import Finding
    from auditkit.decisions.outcome import outcome
    from auditkit.decisions.types import Result
    from auditkit.spec.intent import omitted

    findings = [
        Finding(doc.name, doc.check, doc.dimension, required=True, result=Result(doc.result), identical=True)
        for doc in standing
    ]
    findings += [
        _finding(item, judgement, recoveries[item.slug], spec, waived)
        for item, judgement in judged
        if item.requirement.of == "candidate"
    ]
    left_out = omitted(spec, [item.requirement for item, _ in judged], as_of=as_of)
    found = outcome(findings, intent=spec.intent, epsilon=spec.decide.recovery, omitted=left_out)
    return OutcomeDoc(**asdict(found))


def _finding(item: Item, judgement: Judgement, recovery: Estimate | None, spec: Spec, waived: Collection[str]) -> Finding:
    from auditkit.decisions.findings import Attack, Finding, below_reference

    name = item.requirement.name or item.requirement.check
    params = item.check.params.model_validate(item.requirement.with_)
    source = spec.corpora.get(item.corpus)
    forgotten = source is not None and (source.role or item.corpus).startswith("forget")
    kept = is_kept(item.requirement, item.check) and not forgotten
    return Finding(
        name=name,
        check=item.check.name,
        dimension="utility" if kept else item.check.dimension,
        required=item.requirement.level == "required",
        result=judgement.result,
        attacks=tuple(
            Attack(one.name, one.family, one.budget, indicative=one.indicative, kinds=tuple(one.kinds), title=one.title)
            for one in item.attacks
        ),
        recovery=recovery,
        better=item.check.metric_for(params).better,
        missed=judgement.missed,
        below_reference=below_reference(item.check.name, judgement.models),
        waived=name in waived,
        title=item.check.title,
    )
