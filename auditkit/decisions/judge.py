"""Values of one requirement on every model → its result, with the reason, the intervals and the controls.

::

    pass          every end of the bound clears the unfavourable one-sided bound, in every decisive group
    fail          some end is missed even by the favourable one (of m groups: at alpha / m)
    inconclusive  neither; or the values may decide nothing; or a control did not behave (``controls``)

``between`` is two one-sided tests (TOST). Where the worst group decides, a pass is an intersection-union test and needs no
correction; the bound that shows a failure is corrected by Holm, whose first step is alpha / m.

Source: Berger 1982 (intersection-union), Schuirmann 1987 (TOST).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from auditkit.decisions import words
from auditkit.decisions.bench import Assessment, Bench, components_of
from auditkit.decisions.controls import controls, objection
from auditkit.decisions.ends import ends_of
from auditkit.decisions.estimate import Rule
from auditkit.decisions.samples import UnpairedError, content_order
from auditkit.decisions.types import Estimate, GroupEstimate, Judgement, Result

if TYPE_CHECKING:
    from auditkit.checks._base import Metric, Statistic, Values
    from auditkit.spec.bounds import Bound
    from auditkit.spec.model import Decide

_UNKNOWN = Estimate(None, None, None, 0, 0, "subject", "none", "not measured")


def judge(
    *,
    metric: Metric,
    statistic: Statistic,
    bounds: tuple[Bound | None, Bound | None],
    samples: Mapping[str, Values],
    decide: Decide,
    rng_seed: int,
    candidate: str = "candidate",
    leak: bool | None = None,
) -> Judgement:
    """Decide one requirement.

    ``bounds``: (lower, upper) end, None where open. ``samples``: values by model; ``original`` and ``reference`` are controls.
    ``leak``: the quantity is leakage (the original must fail it); default: unless the metric is better when higher.
    Row order, the names of subjects and ids, and the order of models change nothing.
    """
    ends = ends_of(bounds)
    missing = [name for name in (candidate, *(end.model for end in ends)) if name is not None and name not in samples]
    if missing:
        return Judgement(Result.ERROR, f"Not measured, and needed: {', '.join(missing)}.", _UNKNOWN)
    rule = Rule(
        metric, statistic, decide.min_subjects, decide.resamples, rng_seed, metric.better != "higher" if leak is None else leak
    )
    named = tuple(dict.fromkeys((candidate, *(end.model for end in ends if end.model is not None))))
    parts = components_of(samples, named, worst_group=statistic.worst_group)
    if not parts:
        return Judgement(Result.INCONCLUSIVE, "No decisive value was measured.", _UNKNOWN)
    bench = Bench(samples, rule, ends, parts, 1 - decide.confidence, content_order(samples))
    try:
        assessed = bench.assess(candidate)
    except UnpairedError as error:
        return Judgement(Result.ERROR, f"{candidate} cannot be compared: {error}.", bench.shown(candidate, parts[0]))
    return _judgement(bench, assessed, named)


def _judgement(bench: Bench, assessed: Assessment, named: tuple[str, ...]) -> Judgement:
    found = controls(bench) if bench.ends else ()
    blocked = next(filter(None, (_blocked(bench, name) for name in named)), "") or _dependence(bench)
    objected = "" if blocked or not bench.ends else objection(bench, found, assessed.model)
    result = _result(bench, assessed, bool(blocked or objected))
    undecided = bench.ends and assessed.result is Result.INCONCLUSIVE and not blocked
    needed = bench.needed(assessed) if undecided else None
    reason = blocked or objected or _reason(bench, assessed, needed)
    return Judgement(
        result=result,
        reason=reason,
        estimate=assessed.estimate,
        difference=assessed.difference,
        worst_group=assessed.worst[0] if bench.rule.statistic.worst_group else "",
        models={
            name: assessed.estimate if name == assessed.model else bench.shown(name, assessed.worst) for name in bench.samples
        },
        groups=_groups(bench),
        controls=found,
        needed=needed,
        missed=next((("upper" if one.end.upper else "lower") for one in assessed.findings if one.missed), ""),
    )


def _result(bench: Bench, assessed: Assessment, blocked: bool) -> Result:
    if not bench.ends:
        return Result.INFORMATIONAL
    if blocked or (assessed.result is Result.PASS and not bench.rule.statistic.evidence_of_absence):
        return Result.INCONCLUSIVE
    return assessed.result


def _blocked(bench: Bench, name: str) -> str:
    """Why the values of a model that the decision rests on may decide nothing."""
    reason = bench.unusable(name)
    return f"Nothing can be decided: {name}: {reason.rstrip('.')}." if reason else ""


def _dependence(bench: Bench) -> str:
    if not bench.rule.statistic.relative_to_reference:
        return ""
    if "reference" not in bench.samples:
        return "Nothing can be decided: the quantity is relative to a reference, and there is none."
    return _blocked(bench, "reference")


def _reason(bench: Bench, assessed: Assessment, needed: int | None) -> str:
    """The sentence for the result as it was assessed."""
    if not bench.ends:
        return "No bound is set; the value is for the reader."
    sentences = [_sentence(bench, assessed, upper) for upper in (False, True)]
    said = " ".join(filter(None, sentences)) + words.would_do(needed, assessed.estimate.unit)
    if assessed.result is Result.PASS and not bench.rule.statistic.evidence_of_absence:
        return f"{said} But a good value of this quantity proves nothing: it can show a failure only."
    return said


def _sentence(bench: Bench, assessed: Assessment, upper: bool) -> str:
    """One end in words, on the component that settles it; '' where it is not the one that settled the result."""
    findings = [finding for finding in assessed.findings if finding.end.upper is upper]
    if not findings:
        return ""
    level, corrected = 1 - bench.alpha, 1 - bench.corrected_alpha
    missed = [finding for finding in findings if finding.missed]
    opened = [finding for finding in findings if not finding.holds]
    if assessed.result is Result.FAIL and not missed:
        return ""
    if assessed.result is Result.INCONCLUSIVE and not opened:
        return ""
    chosen = max(missed or opened or findings, key=lambda finding: finding.end.excess(finding.estimate))
    if missed:
        text = words.missed(chosen.end, chosen.corrected or chosen.estimate, model=assessed.model, level=corrected)
    elif opened:
        text = words.undecided(chosen.end, chosen.estimate, model=assessed.model, level=level)
        text += words.corrected(len(bench.components), corrected)
    else:
        text = words.upheld(chosen.end, chosen.estimate, model=assessed.model, level=level)
    return words.in_group(", ".join(chosen.component), len(bench.components), text)


def _groups(bench: Bench) -> tuple[GroupEstimate, ...]:
    """Every group on every model, decisive or only shown; none where there is one component, or a function of groups."""
    if bench.rule.statistic.kind == "function":
        return ()
    decisive = {group for component in bench.components for group in component}
    return tuple(
        GroupEstimate(group, name, bench.shown(name, (group,)), group in decisive)
        for name, values in bench.samples.items()
        for group in dict.fromkeys(values.groups)
    )
