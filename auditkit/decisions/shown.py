"""A quantity on every model for the reader, decided by nothing: what it was before an attack."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from auditkit.decisions.bench import Bench
from auditkit.decisions.estimate import Rule
from auditkit.decisions.samples import content_order, decisive_groups

if TYPE_CHECKING:
    from auditkit.checks._base import Metric, Statistic, Values
    from auditkit.decisions.types import Estimate
    from auditkit.spec.model import Decide


def shown(
    samples: Mapping[str, Values],
    *,
    metric: Metric,
    statistic: Statistic,
    decide: Decide,
    rng_seed: int,
    leak: bool,
    like: str = "",
) -> dict[str, Estimate]:
    """The quantity by model, each with its interval at the audit's confidence.

    ``like`` names the group under attack whose counterpart is wanted (``4 bit: definition@4``): the check's own group behind
    the last colon, or all decisive groups where there is none of that name.
    """
    rule = Rule(metric, statistic, decide.min_subjects, decide.resamples, rng_seed, leak)
    found = {}
    for name, values in samples.items():
        own = like.rpartition(": ")[2]
        component = (own,) if own and own in values.groups else decisive_groups(values)
        bench = Bench(samples, rule, (), (component,), 1 - decide.confidence, content_order(samples))
        found[name] = bench.shown(name, component)
    return found
