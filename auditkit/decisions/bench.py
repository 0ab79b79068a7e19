"""The samples and estimates of one requirement, each computed once: every model, every group, against every end."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from auditkit.decisions.ends import End, result_of, subjects_needed
from auditkit.decisions.estimate import Rule, difference, estimate, refused_rows, too_few
from auditkit.decisions.intervals import T_ALONE
from auditkit.decisions.samples import Sample, UnpairedError, decisive_groups, sample_of
from auditkit.decisions.types import Estimate, Result

if TYPE_CHECKING:
    from auditkit.checks._base import Values
    from auditkit.decisions.samples import Key

Component = tuple[str, ...]
"""Groups that are one quantity: a single group where the worst one decides, else all decisive groups."""


@dataclass(frozen=True)
class Finding:
    """One end on one component."""

    end: End
    component: Component
    estimate: Estimate
    """At the audit's confidence: decides whether the end holds."""
    corrected: Estimate | None
    """At alpha divided by the number of components: decides whether the end is missed. Only where it can matter."""

    @property
    def holds(self) -> bool:
        """Shown to hold."""
        return self.end.holds(self.estimate)

    @property
    def missed(self) -> bool:
        """Shown to be missed."""
        return self.corrected is not None and self.end.missed(self.corrected)


@dataclass(frozen=True)
class Assessment:
    """The requirement on one model, before any objection."""

    model: str
    result: Result
    findings: tuple[Finding, ...]
    worst: Component
    estimate: Estimate
    difference: Estimate | None


@dataclass(frozen=True)
class Bench:
    """What is needed to assess any model of a requirement."""

    samples: Mapping[str, Values]
    rule: Rule
    ends: tuple[End, ...]
    components: tuple[Component, ...]
    alpha: float
    order: Mapping[Key, int]
    _samples: dict[tuple[str, Component], Sample] = field(default_factory=dict, repr=False)
    _estimates: dict[tuple[str, Component, tuple[str | None, float], float], Estimate] = field(default_factory=dict, repr=False)

    @property
    def corrected_alpha(self) -> float:
        """Holm's first step over the components."""
        return self.alpha / max(1, len(self.components))

    def sample(self, model: str, component: Component) -> Sample:
        """The model's rows of a component."""
        key = (model, component)
        if key not in self._samples:
            self._samples[key] = sample_of(self.samples[model], component, self.order)
        return self._samples[key]

    def estimate(
        self, model: str, component: Component, compared: tuple[str | None, float] = (None, 1.0), alpha: float | None = None
    ) -> Estimate:
        """The model's own quantity, or its difference to ``compared`` = (model, scale). Raises UnpairedError."""
        level = self.alpha if alpha is None else alpha
        key = (model, component, compared, level)
        if key not in self._estimates:
            other, scale = compared
            mine, reference = self.sample(model, component), self._reference(component)
            self._estimates[key] = (
                estimate(mine, self.rule, alpha=level, reference=reference)
                if other is None
                else difference(mine, self.sample(other, component), scale, self.rule, alpha=level, reference=reference)
            )
        return self._estimates[key]

    def shown(self, model: str, component: Component) -> Estimate:
        """The model's own quantity for the reader; what cannot be computed says why instead of raising."""
        try:
            return self.estimate(model, component)
        except UnpairedError as error:
            sample = self.sample(model, component)
            return Estimate(None, None, None, len(sample.subjects), len(sample.values), sample.unit, "none", str(error))

    def assess(self, model: str) -> Assessment:
        """Decide the requirement on one model. Raises UnpairedError."""
        plain = [(end, part, self.estimate(model, part, end.compared)) for part in self.components for end in self.ends]
        worst = self._worst(model, plain)
        findings = tuple(
            Finding(
                end,
                part,
                found,
                self.estimate(model, part, end.compared, self.corrected_alpha) if part == worst or end.missed(found) else None,
            )
            for end, part, found in plain
        )
        relative = next((end.compared for end in self.ends if end.model is not None), None)
        own = self._combined(findings, worst, (None, 1.0)) if relative is None and self.ends else self.shown(model, worst)
        return Assessment(
            model,
            result_of([finding.holds for finding in findings], [finding.missed for finding in findings]),
            findings,
            worst,
            own,
            None if relative is None else self._combined(findings, worst, relative),
        )

    def unusable(self, model: str) -> str:
        """Why the decisive values of a model may decide nothing; '' where they may."""
        values = self.samples[model]
        if values.inconclusive:
            return values.inconclusive
        return next(filter(None, (refused_rows(self.sample(model, part), self.rule) for part in self.components)), "")

    def needed(self, assessment: Assessment) -> int | None:
        """About how many subjects would decide; None where no number would, or where it cannot be said."""
        open_ones = [finding for finding in assessment.findings if not finding.holds]
        if any(too_few(self.sample(assessment.model, finding.component), self.rule) for finding in open_ones):
            return self.rule.min_subjects
        wrong = [finding for finding in open_ones if finding.end.excess(finding.estimate) > 0]
        numbers = [self._needed(finding) for finding in wrong or open_ones]
        known = [needed for needed in numbers if needed is not None]
        if wrong:
            return min(known, default=None)
        return max(known) if known and len(known) == len(numbers) else None

    def _needed(self, finding: Finding) -> int | None:
        end, found = finding.end, finding.estimate
        favourable = end.excess(found) < 0
        reach = self._reach(end, found, upper=end.upper == favourable)
        return subjects_needed(
            end,
            found if favourable else finding.corrected or found,
            alpha=self.alpha if favourable else self.corrected_alpha,
            reach=reach,
        )

    def _reach(self, end: End, found: Estimate, *, upper: bool) -> float:
        """Distance from the estimate to the end of its range, where the bound allows for subjects of a kind not met."""
        kind, metric = self.rule.statistic.kind, self.rule.metric
        if found.value is None or kind in ("auc", "function") or found.method == T_ALONE:
            return 0.0
        low, high = (0.0, 1.0) if kind == "leaking_subjects" else (metric.low, metric.high)
        if end.model is not None and end.scale:
            low, high = low - end.scale * high, high - end.scale * low
        reach = high - found.value if upper else found.value - low
        return reach if reach < float("inf") else 0.0

    def _reference(self, component: Component) -> Sample | None:
        if not self.rule.statistic.relative_to_reference or "reference" not in self.samples:
            return None
        return self.sample("reference", component)

    def _worst(self, model: str, plain: list[tuple[End, Component, Estimate]]) -> Component:
        """The component whose point estimate is furthest on the wrong side; by the metric's direction without a bound."""
        if plain:
            return max(plain, key=lambda one: one[0].excess(one[2]))[1]
        better = self.rule.metric.better

        def badness(component: Component) -> float:
            value = self.shown(model, component).value
            if value is None:
                return float("inf")
            return abs(value) if better == "target" else -value if better == "higher" else value

        return max(self.components, key=badness)

    def _combined(self, findings: tuple[Finding, ...], worst: Component, compared: tuple[str | None, float]) -> Estimate:
        """One interval for the worst of several components: its bounds decide exactly as the components together did."""
        chosen = [finding for finding in findings if finding.end.compared == compared]
        base = next(finding.estimate for finding in chosen if finding.component == worst)
        if len(self.components) == 1:
            return base
        at_most, at_least = (any(finding.end.upper is side for finding in chosen) for side in (True, False))
        plain = [finding.estimate for finding in chosen]
        corrected = [finding.corrected for finding in chosen if finding.corrected is not None]
        return replace(
            base,
            lower=_all(min, [one.lower for one in plain]) if at_least else _known(max, [one.lower for one in corrected]),
            upper=_all(max, [one.upper for one in plain]) if at_most else _known(min, [one.upper for one in corrected]),
            method=f"{base.method}; worst of {len(self.components)} groups",
        )


def components_of(values: Mapping[str, Values], models: tuple[str, ...], *, worst_group: bool) -> tuple[Component, ...]:
    """What is decided: the groups decisive on any of the models, but for those that the first of them only shows."""
    shown = values[models[0]].shown_only
    groups = tuple(dict.fromkeys(group for model in models for group in decisive_groups(values[model]) if group not in shown))
    return tuple((group,) for group in groups) if worst_group else ((groups,) if groups else ())


def _all(pick: Callable[[list[float]], float], numbers: list[float | None]) -> float | None:
    """The extreme, where every number is known."""
    known = [number for number in numbers if number is not None]
    return pick(known) if len(known) == len(numbers) else None


def _known(pick: Callable[[list[float]], float], numbers: list[float | None]) -> float | None:
    """The extreme of those that are known."""
    known = [number for number in numbers if number is not None]
    return pick(known) if known else None
