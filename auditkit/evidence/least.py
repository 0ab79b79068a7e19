"""The least that a requirement could have seen with the subjects that were measured, in words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from auditkit.evidence.variants import is_kept, under_attack

if TYPE_CHECKING:
    from auditkit.checks._base import Values
    from auditkit.evidence.conclude import Item
    from auditkit.spec.model import Spec


def least_seen(item: Item, spec: Spec) -> str:
    """The sentence that ``auditkit plan`` prints, for the subjects of this run; '' without a bound or a measurement."""
    from auditkit.decisions.power import detectable

    values = item.samples.get(item.requirement.of)
    if values is None or not values.ids or not any(item.requirement.bounds):
        return ""
    params = item.check.params.model_validate(item.requirement.with_)
    return detectable(
        metric=item.check.metric_for(params),
        statistic=under_attack(item.check, params, attacks=bool(item.requirement.under)),
        bounds=item.requirement.bounds,
        subjects=_subjects(values, label=1) if values.labels else len(set(values.subjects)),
        decide=spec.decide,
        leak=not is_kept(item.requirement, item.check),
        others=_subjects(values, label=0) if values.labels else None,
    ).sentence


def _subjects(values: Values, *, label: int) -> int:
    return len({subject for subject, mine in zip(values.subjects, values.labels, strict=True) if mine == label})
