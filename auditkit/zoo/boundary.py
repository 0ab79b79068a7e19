"""Simulated audits of candidates whose true value lies exactly on the bound, and power curves: no model, only scores.

A simulated candidate is put together from the recorded scores of two models on the same rows: one that knows the subjects
(``original``) and one that does not (``reference``). Subjects are drawn with replacement, with all their rows; a drawn subject
is affected with probability ``dose``: of a leak it has the scores of the model that knows, of what is to be kept those of the
one that does not. The model of the bound is drawn with it, paired by row. So the truth of a candidate is known exactly from the
tables, the dose at which it lies on the bound is computed, and every candidate is decided by ``decisions.judge``.

No control takes part: a control can only turn a result into inconclusive, and the level must hold without its help.

Source: false-PASS calibration at the boundary by resampling of cached scores; skewed subjects Beta(0.1, b).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.optimize import brentq
from scipy.special import betaln

from auditkit.checks import CHECKS
from auditkit.checks._base import Metric, Statistic, Values
from auditkit.checks.privacy_leakage import MEMBER, NON_MEMBER
from auditkit.decisions.auc import auc
from auditkit.decisions.ends import End, ends_of
from auditkit.decisions.intervals import proportion
from auditkit.decisions.judge import judge
from auditkit.decisions.power import Detectable, detectable
from auditkit.decisions.types import Result
from auditkit.spec.bounds import Bound, parse_bound
from auditkit.spec.model import Decide

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from auditkit.evidence.values import ModelValues

    Rows = Sequence[NDArray[np.float64]]
    """Scores by subject."""

AUDITS = 500
MANY, FEW = 40, 20
DOSES = tuple(round(0.1 * step, 1) for step in range(11))
SKEWED = 0.1
"""First parameter of the Beta distribution of the rates of skewed subjects."""
_DECIDE = Decide(resamples=200)
_TWO_SIDED = 0.025


@dataclass(frozen=True)
class Scores:
    """Recorded scores of one check on two models."""

    knowing: Rows
    """Of the model that knows; by subject."""
    innocent: Rows
    """Of the model that does not, on the same rows."""
    others: Rows = ()
    """Of an AUC, and of PrivLeak: the non-members, on the model that does not know."""
    agreement: float = 0.5
    """Share of drawn subjects of whom the candidate, where unaffected, has the very scores of the model of the bound; of the
    rest it has those of another subject with as many rows, for no two models agree throughout."""


@dataclass(frozen=True)
class Requirement:
    """What is simulated."""

    kind: str
    metric: Metric
    statistic: Statistic
    bounds: tuple[Bound | None, Bound | None]
    subjects: int
    """Drawn in each audit; of an AUC members, and as many non-members."""
    leak: bool = True
    spread: float | None = None
    """None: a subject is affected as a whole. Else its rows are, each with a probability of its own from Beta(spread, b)."""

    @property
    def model(self) -> str:
        """The model that the bound, or the quantity, is relative to; '' for none."""
        named = next((end.model for end in ends_of(self.bounds) if end.model is not None), "")
        return "reference" if self.statistic.relative_to_reference else named

    def __str__(self) -> str:
        return " and ".join(end.text for end in ends_of(self.bounds))


@dataclass(frozen=True)
class Chance:
    """A share of the simulated audits, with its two-sided 95 % interval (Clopper-Pearson)."""

    count: int
    value: float
    lower: float
    upper: float


@dataclass(frozen=True)
class Outcomes:
    """What came of the simulated audits of one dose."""

    dose: float
    audits: int
    passed: Chance
    failed: Chance
    inconclusive: Chance


@dataclass(frozen=True)
class BoundaryRow:
    """Candidates exactly on the bound: each PASS is a false one, and each FAIL is."""

    kind: str
    bound: str
    subjects: int
    skewed: bool
    truth: float
    """Of every candidate: the threshold."""
    alpha: float
    outcomes: Outcomes

    def as_document(self) -> dict[str, Any]:
        """JSON."""
        return asdict(self)


@dataclass(frozen=True)
class PowerCurve:
    """P(PASS), P(FAIL), P(INCONCLUSIVE) by dose."""

    kind: str
    bound: str
    subjects: int
    dose_on_bound: float
    detectable: Detectable
    """As ``plan`` quotes it: for affected subjects at the very end of the range."""
    points: tuple[Outcomes, ...]

    def as_document(self) -> dict[str, Any]:
        """JSON."""
        return asdict(self)


def full_table(seed: int, audits: int = AUDITS) -> list[BoundaryRow]:
    """Every kind of requirement, with whole subjects and with few skewed ones, on synthetic scores."""
    scores = synthetic(seed)
    return [boundary(scores, one, audits=audits, seed=seed) for one in requirements()]


def power_table(seed: int, audits: int = 100) -> list[PowerCurve]:
    """The curves of every kind with whole subjects, on synthetic scores."""
    scores = synthetic(seed)
    return [power(scores, one, audits=audits, seed=seed) for one in requirements() if one.spread is None]


def boundary(scores: Scores, requirement: Requirement, *, audits: int = AUDITS, seed: int = 0) -> BoundaryRow:
    """Simulated audits at the dose at which the truth is the threshold. Raises ValueError where no dose is."""
    end, dose = _on_bound(scores, requirement)
    return BoundaryRow(
        requirement.kind,
        str(requirement),
        requirement.subjects,
        requirement.spread is not None,
        end.threshold,
        1 - _DECIDE.confidence,
        simulate(scores, requirement, dose, audits=audits, seed=seed),
    )


def power(
    scores: Scores, requirement: Requirement, *, doses: Sequence[float] = DOSES, audits: int = AUDITS, seed: int = 0
) -> PowerCurve:
    """Simulated audits at every dose."""
    return PowerCurve(
        requirement.kind,
        str(requirement),
        requirement.subjects,
        _on_bound(scores, requirement)[1],
        detectable(
            metric=requirement.metric,
            statistic=requirement.statistic,
            bounds=requirement.bounds,
            subjects=requirement.subjects,
            decide=_DECIDE,
            leak=requirement.leak,
        ),
        tuple(simulate(scores, requirement, dose, audits=audits, seed=seed) for dose in doses),
    )


def simulate(scores: Scores, requirement: Requirement, dose: float, *, audits: int, seed: int) -> Outcomes:
    """Draw candidates of this dose and decide each. Raises ValueError where a result is none of the three."""
    rng = np.random.default_rng([seed, round(dose * 1e6)])
    found = [
        judge(
            metric=requirement.metric,
            statistic=requirement.statistic,
            bounds=requirement.bounds,
            samples=_drawn(scores, requirement, dose, rng),
            decide=_DECIDE,
            rng_seed=int(rng.integers(2**31)),
            leak=requirement.leak,
        )
        for _ in range(audits)
    ]
    words = (Result.PASS, Result.FAIL, Result.INCONCLUSIVE)
    other = next((one for one in found if one.result not in words), None)
    if other is not None:
        raise ValueError(f"a simulated audit must be decided; got {other.result}: {other.reason}")
    return Outcomes(dose, audits, *(_chance(sum(one.result is word for one in found), audits) for word in words))


def synthetic(seed: int, *, subjects: int = 200, rows: int = 4) -> Scores:
    """Tables shaped like answer probabilities: of what is known about Beta(8, 1), of what is not Beta(0.3, 20)."""
    rng = np.random.default_rng(seed)
    return Scores(
        tuple(rng.beta(8, 1, (subjects, rows))),
        tuple(rng.beta(0.3, 20, (subjects, rows))),
        tuple(rng.beta(0.3, 20, (subjects, rows))),
    )


def from_values(original: ModelValues, reference: ModelValues, *, group: str | None = None) -> Scores:
    """The recorded values of a requirement on the model that knows and on the one that does not.

    ``group``: only its rows; needed where several groups are quantities of their own. Raises ValueError where the rows differ.
    """
    knowing, innocent = (_recorded(one.to_values(), group) for one in (original, reference))
    if any(sorted(one) != sorted(other) for one, other in zip(knowing, innocent, strict=True)):
        raise ValueError("must hold the same rows on both models; got others")
    if not knowing[0]:
        raise ValueError(f"must hold rows to simulate from; got none in the group {group!r}")
    return Scores(_by_subject(knowing[0]), _by_subject(innocent[0]), _by_subject(innocent[1]))


def requirements() -> tuple[Requirement, ...]:
    """Every kind of quantity, absolute and relative, one-sided and between: with MANY whole subjects, and FEW skewed ones.

    With few subjects the bounds are wider, so that a pass is possible at all.
    """
    return tuple(
        Requirement(kind, *_of(check, params), _bounds(ends), subjects, check != "utility", spread)
        for kind, check, params, *bounds in _KINDS
        for ends, subjects, spread in zip(bounds, (MANY, FEW), (None, SKEWED), strict=True)
    )


_BITS = {"statistic": "leaking_subjects", "leak_at": 0.5}
_KINDS: tuple[tuple[str, str, dict[str, Any], tuple[str, str], tuple[str, str]], ...] = (
    ("mean", "answer_probability", {}, ("", "0.15"), ("", "0.25")),
    ("mean, relative", "answer_probability", {}, ("", "reference + 0.15"), ("", "reference + 0.25")),
    ("leaking subjects", "answer_probability", _BITS, ("", "0.15"), ("", "0.25")),
    ("leaking subjects, relative", "answer_probability", _BITS, ("", "reference + 0.15"), ("", "reference + 0.25")),
    ("AUC", "membership_inference", {}, ("", "0.65"), ("", "0.75")),
    ("AUC, relative", "membership_inference", {}, ("", "reference + 0.2"), ("", "reference + 0.25")),
    ("AUC, between", "membership_inference", {}, ("0.35", "0.65"), ("0.25", "0.75")),
    ("PrivLeak", "privacy_leakage", {}, ("-40", ""), ("-40", "")),
    ("AUC difference, between", "privacy_leakage", {"scale": "delta_auc"}, ("-0.2", "0.2"), ("-0.3", "0.3")),
    ("mean to keep", "utility", {}, ("0.7", ""), ("0.6", "")),
    ("mean to keep, relative", "utility", {}, ("0.8 * original", ""), ("0.7 * original", "")),
    ("mean to keep, rarely lost", "utility", {}, ("0.9 * original", ""), ("0.82 * original", "")),
)
"""(kind, check, parameters, lower and upper bound of many subjects, of few)."""


def _of(check: str, params: Mapping[str, Any]) -> tuple[Metric, Statistic]:
    """As an audit has them."""
    found = CHECKS.get(check)
    given = found.params(**params)
    return found.metric_for(given), found.statistic(given)


def _bounds(ends: tuple[str, str]) -> tuple[Bound | None, Bound | None]:
    lower, upper = (parse_bound(text) if text else None for text in ends)
    return lower, upper


def _on_bound(scores: Scores, requirement: Requirement) -> tuple[End, float]:
    """The end that a growing dose crosses, and the dose at which the truth is its threshold."""
    for end in ends_of(requirement.bounds):

        def beyond(dose: float, end: End = end) -> float:
            return _truth(scores, requirement, end, dose) - end.threshold

        if beyond(0.0) * beyond(1.0) < 0:
            return end, float(brentq(beyond, 0.0, 1.0, xtol=1e-12))
    raise ValueError(f"must be crossed by some dose between 0 and 1; got {requirement}, which none crosses")


def _truth(scores: Scores, requirement: Requirement, end: End, dose: float) -> float:
    """Of the candidates of this dose: the quantity that the end bounds.

    Every quantity but a share of leaking subjects with rates of their own is a mixture of its values at dose 0 and 1: a mean
    over rows, an AUC in which the non-members stay, and PrivLeak, which is linear in that AUC.
    """
    clear, full = (_quantity(scores, requirement, rows) for rows in _tables(scores, requirement))
    if requirement.spread is not None and requirement.statistic.kind == "leaking_subjects":
        reached = _leaking(scores, requirement, dose)
    else:
        reached = (1 - dose) * clear + dose * full
    return reached if end.model is None else reached - end.scale * _quantity(scores, requirement, _table(scores, end.model))


def _quantity(scores: Scores, requirement: Requirement, rows: Rows) -> float:
    """On all subjects of the tables."""
    statistic, values, others = requirement.statistic, np.concatenate(rows), _joined(scores.others)
    if statistic.function is not None:
        theirs = {MEMBER: np.concatenate(scores.innocent), NON_MEMBER: others}
        return statistic.function({MEMBER: values, NON_MEMBER: others}, theirs)
    if statistic.kind == "auc":
        return auc(np.concatenate([values, others]), np.repeat([1, 0], [len(values), len(others)]))
    if statistic.at is not None:
        return float(np.mean([(one >= statistic.at).any() for one in rows]))
    return float(values.mean())


def _leaking(scores: Scores, requirement: Requirement, dose: float) -> float:
    """Share of subjects with any row that leaks, where each subject has a rate r of affected rows, Beta(spread, b).

    Of a subject with x rows that leak only if affected and y that leak only if not, none leaks with E[(1 - r)^x r^y].
    """
    at, first = requirement.statistic.at or 0.0, requirement.spread or 0.0
    clear, full = ([rows >= at for rows in table] for table in _tables(scores, requirement))
    second = _second(first, min(max(dose, 1e-12), 1 - 1e-12))
    pairs = [(mine & ~its, its & ~mine, mine & its) for its, mine in zip(clear, full, strict=True)]
    none = [
        0.0 if both.any() else np.exp(betaln(first + its.sum(), second + mine.sum()) - betaln(first, second))
        for mine, its, both in pairs
    ]
    return 1 - float(np.mean(none))


def _second(first: float, mean: float) -> float:
    """The other parameter of the Beta distribution of this mean."""
    return first * (1 - mean) / mean


def _tables(scores: Scores, requirement: Requirement) -> tuple[Rows, Rows]:
    """Scores of subjects that are as they should be, and of affected ones."""
    return (scores.innocent, scores.knowing) if requirement.leak else (scores.knowing, scores.innocent)


def _table(scores: Scores, model: str) -> Rows:
    return {"original": scores.knowing, "reference": scores.innocent}[model]


def _joined(rows: Rows) -> NDArray[np.float64]:
    return np.concatenate(rows) if rows else np.empty(0)


def _drawn(scores: Scores, requirement: Requirement, dose: float, rng: np.random.Generator) -> dict[str, Values]:
    """A candidate, and the model it is compared with on the same subjects."""
    clear, full = _tables(scores, requirement)
    size = requirement.subjects
    chosen, rates = rng.integers(len(clear), size=size), _rates(requirement, dose, rng)
    mine = [
        np.where(rng.random(len(clear[one])) < rate, full[one], clear[one])
        for one, rate in zip(_again(scores, clear, chosen, rng), rates, strict=True)
    ]
    with_others = requirement.statistic.kind in ("auc", "function")
    apart = rng.integers(len(scores.others), size=size) if with_others else chosen[:0]
    samples = {"candidate": _values(requirement, mine, _rows(scores.others, _again(scores, scores.others, apart, rng)))}
    if requirement.model:
        theirs = _rows(_table(scores, requirement.model), chosen)
        samples[requirement.model] = _values(requirement, theirs, _rows(scores.others, apart))
    return samples


def _again(scores: Scores, table: Rows, chosen: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.int64]:
    """Whose scores the candidate has in place of those of the chosen subjects: every subject remains as likely."""
    sizes = np.array([len(rows) for rows in table])
    agreed = rng.random(len(chosen)) < scores.agreement
    return np.array(
        [one if same else rng.choice(np.flatnonzero(sizes == sizes[one])) for one, same in zip(chosen, agreed, strict=True)],
        dtype=np.int64,
    )


def _rows(table: Rows, chosen: NDArray[np.int64]) -> Rows:
    return [table[one] for one in chosen]


def _rates(requirement: Requirement, dose: float, rng: np.random.Generator) -> NDArray[np.float64]:
    """The chance of each subject's rows to be affected: 0 or 1 where subjects are whole."""
    if requirement.spread is None or dose in (0.0, 1.0):
        return (rng.random(requirement.subjects) < dose).astype(np.float64)
    return rng.beta(requirement.spread, _second(requirement.spread, dose), requirement.subjects)


def _values(requirement: Requirement, members: Rows, others: Rows) -> Values:
    kind = requirement.statistic.kind
    rows = [*_named("forget", members), *_named("holdout", others)]
    sides = [subject.startswith("forget") for subject, _, _ in rows]
    return Values(
        ids=tuple(row[1] for row in rows),
        subjects=tuple(row[0] for row in rows),
        values=tuple(row[2] for row in rows),
        groups=tuple(MEMBER if side else NON_MEMBER for side in sides) if kind == "function" else (),
        labels=tuple(map(int, sides)) if kind == "auc" else (),
    )


def _named(corpus: str, subjects: Rows) -> Iterator[tuple[str, str, float]]:
    """(subject, id, value) of every row; a subject drawn twice is two."""
    for number, rows in enumerate(subjects):
        yield from ((f"{corpus}/{number}", f"{corpus}/{number}.{row}", value) for row, value in enumerate(rows.tolist()))


def _chance(count: int, audits: int) -> Chance:
    found = proportion(count, audits, alpha=_TWO_SIDED)
    return Chance(count, found.value, float(found.lower or 0.0), 1.0 if found.upper is None else found.upper)


def _recorded(values: Values, group: str | None) -> tuple[dict[tuple[str, str], float], dict[tuple[str, str], float]]:
    """Values by subject and id: of the subjects to forget, of the others. Raises ValueError where one is no number."""
    groups = values.groups or ("",) * len(values.ids)
    if group is None and len(set(groups) - {MEMBER, NON_MEMBER}) > 1:
        raise ValueError(f"must name one group of {', '.join(dict.fromkeys(groups))}; got none")
    sides: tuple[dict[tuple[str, str], float], dict[tuple[str, str], float]] = ({}, {})
    labels = values.labels or tuple(int(name != NON_MEMBER) for name in groups)
    for subject, row, value, name, label in zip(values.subjects, values.ids, values.values, groups, labels, strict=True):
        if group is None or name == group:
            sides[0 if label else 1][subject, row] = value
    if not all(np.isfinite([*side.values()]).all() for side in sides):
        raise ValueError("must hold finite numbers only; got others")
    return sides


def _by_subject(rows: Mapping[tuple[str, str], float]) -> Rows:
    found: dict[str, list[float]] = {}
    for (subject, _), value in sorted(rows.items()):
        found.setdefault(subject, []).append(value)
    return tuple(map(np.array, found.values()))
