"""One sample → an Estimate; two paired samples → the Estimate of their difference. Which interval, and when there is none.

No interval, and so nothing to decide, where a value is not a finite number, lies outside the metric's range, or where there
are fewer subjects than ``min_subjects`` (but for the exact bounds on subject bits, which hold for any number).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from auditkit.decisions import auc, bootstrap, intervals
from auditkit.decisions.samples import Sample, require_paired, strata
from auditkit.decisions.types import Estimate

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from auditkit.checks._base import Metric, Statistic

COVERS = "The interval covers which subjects were drawn, not another training run, wording or decoding."
PAIRED_BITS = "Gaffke's distribution-free bound on paired subject differences"
_RANGE_TOLERANCE = 1e-9
_RESAMPLES_WITHOUT_PROOF = 500
"""For a quantity that can never pass: its far percentile needs no more."""


@dataclass(frozen=True)
class Rule:
    """How numbers become estimates, for one requirement."""

    metric: Metric
    statistic: Statistic
    min_subjects: int
    resamples: int
    seed: int
    leak: bool
    """The quantity is leakage, and not what has to be kept."""
    draws: dict[int, bootstrap.Replicates] = field(default_factory=dict, compare=False, repr=False)
    """Bootstrap replicates by sample, so that no bootstrap runs twice."""


def estimate(sample: Sample, rule: Rule, *, alpha: float, reference: Sample | None = None) -> Estimate:
    """The quantity of one model. ``reference``: the same rows on the reference, for functions that need it."""
    unusable = refused_rows(sample, rule) or _without_reference(sample, reference, rule)
    if unusable:
        return _none(sample, unusable)
    value = _value(sample, rule, reference)
    few = too_few(sample, rule)
    if few or value is None:
        return _none(sample, few or "the quantity has no finite value on these rows", value)
    return _made(sample, _interval(sample, rule, alpha=alpha, value=value, reference=reference))


def difference(
    sample: Sample, model: Sample, scale: float, rule: Rule, *, alpha: float, reference: Sample | None = None
) -> Estimate:
    """The quantity of ``sample`` minus ``scale`` times that of ``model``, paired by row. Raises UnpairedError."""
    require_paired(sample, model)
    unusable = refused_rows(sample, rule) or refused_rows(model, rule) or _without_reference(sample, reference, rule)
    if unusable:
        return _none(sample, unusable)
    mine, theirs = _value(sample, rule, reference), _value(model, rule, reference)
    value = None if mine is None or theirs is None else mine - scale * theirs
    few = too_few(sample, rule)
    if few or value is None:
        return _none(sample, few or "the quantity has no finite value on these rows", value)
    return _made(sample, _paired_interval(sample, model, scale, rule, alpha=alpha, value=value, reference=reference))


def refused_rows(sample: Sample, rule: Rule) -> str:
    """Why these values cannot be used at all, in words; '' where they can."""
    if not len(sample.values):
        return "no values were measured"
    if sample.broken:
        return f"{sample.broken} of {len(sample.values)} values are not finite numbers"
    if rule.statistic.kind == "auc":
        both = auc.in_both_classes(sample)
        return f"{both} subjects are both member and non-member" if both else ""
    low, high = rule.metric.low, rule.metric.high
    slack = _RANGE_TOLERANCE * max([1.0, *(abs(end) for end in (low, high) if math.isfinite(end))])
    if rule.statistic.kind == "mean" and (sample.values.min() < low - slack or sample.values.max() > high + slack):
        return f"a value lies outside the metric's range, {low:g} to {high:g}"
    return ""


def too_few(sample: Sample, rule: Rule) -> str:
    """Why there are too few subjects for an interval, in words; '' where there are enough, or the bound is exact."""
    if rule.statistic.kind == "leaking_subjects":
        return ""
    subjects = independent_subjects(sample, rule)
    if subjects >= rule.min_subjects:
        return ""
    where = {"auc": " in the smaller class", "function": " in the smallest corpus"}.get(rule.statistic.kind, "")
    return f"only {subjects} {sample.unit}{'' if subjects == 1 else 's'}{where}; at least {rule.min_subjects} are needed"


def independent_subjects(sample: Sample, rule: Rule) -> int:
    """Subjects that limit the inference: all of them, the smaller class of an AUC, the smallest corpus of a function."""
    if rule.statistic.kind == "auc":
        return auc.classes(sample).fewer
    if rule.statistic.kind == "function":
        return min(len(layer) for layer in strata(sample))
    return len(sample.subjects)


def _interval(sample: Sample, rule: Rule, *, alpha: float, value: float, reference: Sample | None) -> intervals.Interval:
    kind, metric = rule.statistic.kind, rule.metric
    if kind == "leaking_subjects":
        bits = sample.bits(_at(rule))
        return intervals.proportion(int(bits.sum()), len(bits), alpha=alpha)
    if kind == "mean":
        return intervals.mean(*_clipped(sample, rule), low=metric.low, high=metric.high, alpha=alpha)
    if kind == "auc":
        return auc.auc_interval(sample, alpha=alpha)
    if sample is reference:
        return intervals.Interval(value, None, None, "none", "The reference compared with itself.")
    found = bootstrap.bootstrap_interval(value, _replicates(sample, rule, reference), alpha=alpha)
    return _in_range(_at_the_edge(found, sample, rule, alpha=alpha, reference=reference), metric)


def _in_range(found: intervals.Interval, metric: Metric) -> intervals.Interval:
    """Cut to the metric's range: a bootstrap of deviations does not know that there is one. A value outside is left alone."""
    if not metric.low <= found.value <= metric.high:
        return found
    lower = None if found.lower is None else max(found.lower, metric.low)
    upper = None if found.upper is None else min(found.upper, metric.high)
    return replace(found, lower=lower, upper=upper)


def _at_the_edge(
    found: intervals.Interval, sample: Sample, rule: Rule, *, alpha: float, reference: Sample | None
) -> intervals.Interval:
    """Widened to what the statistic knows of values that no resample can change."""
    if rule.statistic.extreme is None:
        return found
    groups = {key[1] for key in sample.keys}
    rows = {group: [index for index, key in enumerate(sample.keys) if key[1] == group] for group in groups}
    subjects = {group: len(set(sample.codes[index].tolist())) for group, index in rows.items()}
    theirs = None if reference is None else {group: reference.values[index] for group, index in rows.items()}
    bounds = rule.statistic.extreme({group: sample.values[index] for group, index in rows.items()}, theirs, subjects, alpha)
    if bounds is None:
        return found
    lower = bounds[0] if found.lower is None else min(bounds[0], found.lower)
    upper = bounds[1] if found.upper is None else max(bounds[1], found.upper)
    return intervals.Interval(found.value, lower, upper, f"{found.method}, and to the bound for perfect separation")


def _paired_interval(
    sample: Sample, model: Sample, scale: float, rule: Rule, *, alpha: float, value: float, reference: Sample | None
) -> intervals.Interval:
    kind, low, high = rule.statistic.kind, rule.metric.low, rule.metric.high
    if kind == "leaking_subjects":
        bits = sample.bits(_at(rule)) - scale * model.bits(_at(rule))
        return intervals.free_mean(bits, np.ones_like(bits), low=-scale, high=1.0, alpha=alpha, method=PAIRED_BITS)
    if kind == "mean":
        (totals, sizes), (others, _) = _clipped(sample, rule), _clipped(model, rule)
        # A scale of 0 leaves the model out, and 0 * inf is not a number.
        ends = (low - scale * high, high - scale * low) if scale else (low, high)
        return intervals.mean(totals - scale * others, sizes, low=ends[0], high=ends[1], alpha=alpha)
    if kind == "auc":
        return auc.auc_difference(sample, model, scale, alpha=alpha)
    apart = _replicates(sample, rule, reference).minus(_replicates(model, rule, reference), scale)
    return bootstrap.bootstrap_interval(value, apart, alpha=alpha)


def _value(sample: Sample, rule: Rule, reference: Sample | None) -> float | None:
    """The point estimate; None where it does not exist."""
    kind = rule.statistic.kind
    if kind == "leaking_subjects":
        return float(sample.bits(_at(rule)).mean())
    if kind == "mean":
        return float(sample.values.mean())
    if kind == "auc":
        return auc.auc(sample.values, sample.labels) if auc.classes(sample).fewer else None
    value = bootstrap.value_of(_function(rule), sample, reference)
    return value if math.isfinite(value) else None


def _without_reference(sample: Sample, reference: Sample | None, rule: Rule) -> str:
    if not rule.statistic.relative_to_reference:
        return ""
    if reference is None:
        return "it needs the reference's values, and there are none"
    require_paired(sample, reference)
    return refused_rows(reference, rule)


def _replicates(sample: Sample, rule: Rule, reference: Sample | None) -> bootstrap.Replicates:
    if id(sample) not in rule.draws:
        most = rule.resamples if rule.statistic.evidence_of_absence else min(rule.resamples, _RESAMPLES_WITHOUT_PROOF)
        rng = np.random.default_rng(rule.seed)
        rule.draws[id(sample)] = bootstrap.replicates(_function(rule), sample, reference, resamples=most, rng=rng)
    return rule.draws[id(sample)]


def _clipped(sample: Sample, rule: Rule) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Totals and sizes of the subjects, rounding at the ends of the range taken off."""
    inside = sample.with_values(np.clip(sample.values, rule.metric.low, rule.metric.high))
    return inside.totals(), inside.sizes()


def _at(rule: Rule) -> float:
    if rule.statistic.at is None:
        raise ValueError("leaking_subjects must name the value from which an example counts as leaked")
    return rule.statistic.at


def _function(rule: Rule) -> bootstrap.Function:
    if rule.statistic.function is None:
        raise ValueError("a function statistic must have a function")
    return rule.statistic.function


def _made(sample: Sample, interval: intervals.Interval) -> Estimate:
    return Estimate(
        value=interval.value,
        lower=interval.lower,
        upper=interval.upper,
        n=len(sample.subjects),
        rows=len(sample.values),
        unit=sample.unit,
        method=interval.method,
        note=" ".join(part for part in (interval.note, COVERS) if part),
    )


def _none(sample: Sample, reason: str, value: float | None = None) -> Estimate:
    return Estimate(value, None, None, len(sample.subjects), len(sample.values), sample.unit, "none", reason)
