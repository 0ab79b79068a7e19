"""The paired difference of two candidates: the statistics of a bound that refers to a model, with the baseline as that model.

Its interval is read like any other: two one-sided bounds at the audit's confidence, subjects as the unit. It allows for the
subjects that were drawn and for nothing else, and each difference stands alone: with many of them some exclude 0 by chance.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING

from auditkit.checks import CHECKS
from auditkit.evidence.conclude import as_candidate
from auditkit.evidence.results import EstimateDoc
from auditkit.evidence.variants import under_attack

if TYPE_CHECKING:
    from auditkit.checks._base import Metric, Values
    from auditkit.evidence.comparable import Bundle
    from auditkit.evidence.comparison import ShownWord
    from auditkit.evidence.results import RequirementDoc

_MINE, _BASELINE = "candidate", "baseline"


@dataclass(frozen=True)
class Difference:
    """A candidate minus the baseline."""

    estimate: EstimateDoc
    group: str
    """Where the worst of several groups decides: the group that the difference is of."""
    shown: ShownWord


def paired_difference(mine: tuple[Bundle, RequirementDoc], baseline: tuple[Bundle, RequirementDoc]) -> Difference | None:
    """One requirement on one candidate minus the same on the baseline's; None where either has no recorded values."""
    from auditkit.decisions.samples import UnpairedError

    own, theirs = _values(*mine), _values(*baseline)
    if _MINE not in own or _MINE not in theirs:
        return None
    try:
        samples = {_MINE: aligned(own[_MINE], theirs[_MINE]), _BASELINE: theirs[_MINE]}
        if "reference" in theirs:
            samples["reference"] = theirs["reference"]
        return _difference(samples, *baseline)
    except UnpairedError as error:
        nothing = EstimateDoc(rows=len(own[_MINE].values), method="none", note=f"Not paired: {error}.")
        return Difference(nothing, "", "undecided")


def aligned(mine: Values, theirs: Values) -> Values:
    """``mine`` under the names of ``theirs``: row by row, unless the names are the same already. Raises UnpairedError.

    Ids and subjects are digests under a key of each audit's own, so the same row has another name in another bundle. A check
    writes its rows in an order that the data and its parameters alone decide, and both were found equal. So equal numbers of
    rows pair by position, provided that groups, labels, and which rows share a subject or an id, agree along the whole column.
    """
    from auditkit.decisions.samples import UnpairedError

    if _keys(mine) == _keys(theirs):
        return mine
    if len(mine.ids) != len(theirs.ids):
        raise UnpairedError(f"{len(mine.ids)} rows against the baseline's {len(theirs.ids)}")
    if (mine.groups, mine.labels) != (theirs.groups, theirs.labels):
        raise UnpairedError("the rows are of other groups or labels than the baseline's")
    if any(_pattern(a) != _pattern(b) for a, b in ((mine.ids, theirs.ids), (mine.subjects, theirs.subjects))):
        raise UnpairedError("the rows belong to other subjects than the baseline's")
    return replace(mine, ids=theirs.ids, subjects=theirs.subjects)


def _keys(values: Values) -> set[tuple[str, str, str]]:
    return set(zip(values.subjects, values.groups or ("",) * len(values.ids), values.ids, strict=True))


def _pattern(names: Sequence[str]) -> list[tuple[str, int]]:
    """(corpus, place of the first row of that name) of each row: what is left of names when their key is unknown."""
    first: dict[str, int] = {}
    return [(name.partition("/")[0], first.setdefault(name, place)) for place, name in enumerate(names)]


def _values(bundle: Bundle, doc: RequirementDoc) -> Mapping[str, Values]:
    """Values by model, the check's veto on the candidate's included."""
    stored = bundle.values.get(doc.slug)
    samples = {} if stored is None or not doc.values_file else as_candidate(stored.samples(), doc.of)
    if _MINE in samples and not samples[_MINE].inconclusive:
        check = CHECKS.get(doc.check)
        params = check.params.model_validate(doc.parameters, strict=False)
        samples[_MINE] = replace(samples[_MINE], inconclusive=check.veto(params, samples))
    return samples


def _difference(samples: Mapping[str, Values], bundle: Bundle, doc: RequirementDoc) -> Difference:
    from auditkit.decisions.bench import Bench, components_of
    from auditkit.decisions.ends import ends_of
    from auditkit.decisions.estimate import Rule
    from auditkit.decisions.samples import content_order
    from auditkit.spec.bounds import Bound

    check, decide = CHECKS.get(doc.check), bundle.decide
    params = check.params.model_validate(doc.parameters, strict=False)
    metric, statistic = check.metric_for(params), under_attack(check, params, attacks=bool(doc.under))
    parts = components_of(samples, (_MINE, _BASELINE), worst_group=statistic.worst_group)
    if not parts:
        return Difference(EstimateDoc(method="none", note="No decisive value was measured."), "", "undecided")
    # The ends choose the worst group: where the candidate lies furthest on the metric's bad side of the baseline.
    equal = Bound(0.0, _BASELINE)
    ends = ends_of((None if metric.better == "lower" else equal, None if metric.better == "higher" else equal))
    rule = Rule(metric, statistic, decide.min_subjects, decide.resamples, bundle.results.seed, check.dimension != "utility")
    bench = Bench(samples, rule, ends, parts, 1 - decide.confidence, content_order(samples))
    assessed = bench.assess(_MINE)
    found = assessed.difference or assessed.estimate
    reasons = [f"{name}: {why}" for name in (_MINE, _BASELINE) if (why := bench.unusable(name))]
    note = " ".join([*(f"Nothing can be decided: {reason.rstrip('.')}." for reason in reasons), found.note]).strip()
    estimate = EstimateDoc(**asdict(replace(found, note=note)))
    group = assessed.worst[0] if statistic.worst_group else ""
    return Difference(estimate, group, "undecided" if reasons else _shown(metric, estimate))


def _shown(metric: Metric, difference: EstimateDoc) -> ShownWord:
    """A direction only where the interval leaves 0 out; ``higher`` and ``lower`` where either side can be bad."""
    lower, upper = difference.lower, difference.upper
    if difference.value is None or (lower is None and upper is None):
        return "undecided"
    below, above = upper is not None and upper < 0, lower is not None and lower > 0
    if not below and not above:
        return "no difference shown"
    if metric.better == "target":
        return "lower" if below else "higher"
    return "better" if below == (metric.better == "lower") else "worse"
