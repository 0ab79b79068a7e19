"""Bounds that every model meets: ``at_most: 1`` of a share, ``at_least: 0``, ``reference + 1``. They require nothing."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from auditkit.checks._base import Check, Metric
    from auditkit.errors import Problem
    from auditkit.spec.bounds import Bound
    from auditkit.spec.load import Loaded
    from auditkit.spec.profiles import Entry


def hollow(loaded: Loaded, entry: Entry, check: Check[Any]) -> Iterator[Problem]:
    """A required bound of which no end can be missed, whatever the candidate and the bound's model are."""
    requirement = entry.requirement
    metric = check.metric_for(check.params.model_validate(requirement.with_))
    ends = [(end, upper) for end, upper in zip(requirement.bounds, (False, True), strict=True) if end is not None]
    if requirement.level != "required" or not ends or not all(_always_met(end, metric, upper=upper) for end, upper in ends):
        return
    field = next(name for name in ("between", "at_most", "at_least") if getattr(requirement, name) is not None)
    bounds = " and ".join(str(end) for end, _ in ends)
    message = f"must be a bound that a model can miss; got {bounds}, and {metric.name} is always {_range(metric)}"
    yield loaded.problem((*entry.path, field), message, "tighten it, or say level: advisory")


def _always_met(end: Bound, metric: Metric, *, upper: bool) -> bool:
    """The threshold is at or beyond the end of the range of value minus scale times the model's value."""
    low, high = metric.low, metric.high
    if end.model is not None:
        low, high = low - end.scale * high, high - end.scale * low
    return end.offset >= high if upper else end.offset <= low


def _range(metric: Metric) -> str:
    if math.isfinite(metric.high):
        return f"{metric.low:g} to {metric.high:g}"
    return f"{metric.low:g} or more"
