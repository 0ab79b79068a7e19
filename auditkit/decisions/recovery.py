"""How much of what was unlearned an attack brings back: (candidate - reference) / (original - reference), all under attack.

0: as a model that never saw the data. 1: as before unlearning. Below 0 and above 1 are possible.

The interval is found by inverting a test (Fieller's idea, with the bounds of ``intervals`` in place of t alone): a ratio rho is
not refuted while the mean of ``(c - r) - rho (o - r)``, paired by row and clustered by subject, may be 0. The two bounds are
one-sided, each at the audit's confidence. Where the gap between original and reference is not shown to be there at all, a
share of it says nothing and has no value.

Source: Fieller 1954; Ren et al. 2025 (SoK, arXiv 2506.09227) for the quantity.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from auditkit.decisions import intervals
from auditkit.decisions.estimate import COVERS, PAIRED_BITS, Rule, difference
from auditkit.decisions.samples import Sample, UnpairedError, content_order, sample_of
from auditkit.decisions.types import Estimate
from auditkit.decisions.words import number

if TYPE_CHECKING:
    from auditkit.checks._base import Metric, Statistic, Values
    from auditkit.spec.model import Decide

MODELS = ("candidate", "original", "reference")
FURTHEST = 5.0
"""Ratios are looked for between minus this and this; a bound beyond is given as None."""
_PRECISE = 1e-6
_UNBOUNDED = 1e9
"""Stands for a bound that does not exist, in a function whose root is sought."""


def recovery(
    samples: Mapping[str, Values],
    *,
    metric: Metric,
    statistic: Statistic,
    decide: Decide,
    rng_seed: int,
    component: Sequence[str],
) -> Estimate:
    """The share of the gap that the candidate shows; ``value`` None where it is not defined, with the reason in ``note``.

    ``samples``: values by model, of the candidate, the original and the reference at least. ``component``: the groups that are
    the quantity, as decided. Of a metric that is better when higher, both differences are turned round.
    """
    missing = [name for name in MODELS if name not in samples]
    if missing:
        return Estimate(None, None, None, 0, 0, "subject", "none", f"not measured: {', '.join(missing)}")
    order = content_order(samples)
    candidate, original, reference = (sample_of(samples[name], component, order) for name in MODELS)
    if statistic.kind not in ("mean", "leaking_subjects"):
        return _undefined(candidate, "recovery is not defined for this quantity, only for means and for shares of subjects")
    rule = Rule(metric, statistic, decide.min_subjects, decide.resamples, rng_seed, leak=True)
    try:
        return _recovery(_Trio(candidate, original, reference, rule, 1 - decide.confidence))
    except UnpairedError as error:
        return _undefined(candidate, str(error))


@dataclass(frozen=True)
class _Trio:
    """The three models on the same rows."""

    candidate: Sample
    original: Sample
    reference: Sample
    rule: Rule
    alpha: float

    @property
    def between(self) -> tuple[Sample, Sample, str]:
        """(more, less, in words): the two ends of the gap, in the order in which the original shows more of the leak."""
        if self.rule.metric.better == "higher":
            return self.reference, self.original, "reference - original"
        return self.original, self.reference, "original - reference"

    def interval(self, rho: float) -> intervals.Interval:
        """Of the mean of ``(c - r) - rho (o - r)``, turned round where the metric is better when higher."""
        weights = np.array([1.0, -rho, rho - 1.0]) * (-1 if self.rule.metric.better == "higher" else 1)
        low, high = self._ends
        reach = [sorted((weight * low, weight * high)) if weight else (0.0, 0.0) for weight in weights]
        ends = {"low": sum(end[0] for end in reach), "high": sum(end[1] for end in reach)}
        totals = sum(weight * self._totals(one) for weight, one in zip(weights, self._samples, strict=True))
        if self.rule.statistic.kind == "leaking_subjects":
            return intervals.free_mean(totals, np.ones_like(totals), **ends, alpha=self.alpha, method=PAIRED_BITS)
        return intervals.mean(totals, self.candidate.sizes(), **ends, alpha=self.alpha)

    def value(self) -> float:
        """The ratio of the two mean differences."""
        c, o, r = (self._totals(one).sum() for one in self._samples)
        return float((c - r) / (o - r))

    @property
    def _samples(self) -> tuple[Sample, Sample, Sample]:
        return self.candidate, self.original, self.reference

    @property
    def _ends(self) -> tuple[float, float]:
        metric = self.rule.metric
        return (0.0, 1.0) if self.rule.statistic.kind == "leaking_subjects" else (metric.low, metric.high)

    def _totals(self, one: Sample) -> np.ndarray:
        """Per subject: the sum of its rows, or its bit."""
        if self.rule.statistic.kind == "leaking_subjects":
            return one.bits(float(self.rule.statistic.at or 0.0))
        return one.with_values(np.clip(one.values, *self._ends)).totals()


def _recovery(trio: _Trio) -> Estimate:
    mine = difference(trio.candidate, trio.reference, 1.0, trio.rule, alpha=trio.alpha)
    if mine.value is None:
        return _undefined(trio.candidate, mine.note)
    more, less, words = trio.between
    gap = difference(more, less, 1.0, trio.rule, alpha=trio.alpha)
    if gap.lower is None:
        return _undefined(trio.candidate, f"undefined: {words} has no interval ({gap.note.rstrip('.')})")
    if gap.lower <= 0:
        return _undefined(trio.candidate, f"undefined: the lower bound of {words} is not above zero ({number(gap.lower)})")
    value = trio.value()
    found = trio.interval(value)
    return Estimate(
        value,
        _bound(lambda rho: _end(trio.interval(rho).lower, -_UNBOUNDED), value, -FURTHEST),
        _bound(lambda rho: _end(trio.interval(rho).upper, _UNBOUNDED), value, FURTHEST),
        len(trio.candidate.subjects),
        len(trio.candidate.values),
        trio.candidate.unit,
        f"test inversion of {found.method}",
        COVERS,
    )


def _bound(end: Callable[[float], float], value: float, furthest: float) -> float | None:
    """Where the test begins to refute, between the value and the far end of the bracket; None where it lies beyond.

    ``end``: a bound of the mean, falling in rho: the upper one is not negative at ``value``, the lower one not positive.
    """
    from scipy.optimize import brentq

    near = min(max(value, -FURTHEST), FURTHEST)
    side = 1.0 if furthest > 0 else -1.0
    if side * end(near) <= 0:
        return near
    if side * end(furthest) > 0:
        return None
    return float(brentq(end, near, furthest, xtol=_PRECISE))


def _end(bound: float | None, none: float) -> float:
    return none if bound is None else bound


def _undefined(sample: Sample, note: str) -> Estimate:
    return Estimate(None, None, None, len(sample.subjects), len(sample.values), sample.unit, "none", note)
