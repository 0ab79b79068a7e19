"""What the points of a sequence come to, and what its steps cost: a pure projection of results.

============  =====================================================================
current       worst score of a request on the model right after it
resurfacing   worst of ``s(f_k; D_j) - s(f_j; D_j)`` over requests ``j`` before ``k``
drift         slope of utility on the number of requests, and utility after the last
order effect  spread over the spec's own order and the others, after the last request
one-shot gap  in sequence minus all at once, after the last request
cost          wall time, tokens and memory of a step, and their ratio to retraining
============  =====================================================================

A number that is missing stays missing: None, never 0.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from statistics import linear_regression

from auditkit.evidence.results import MadeDoc, MetricDoc, PointDoc, RequirementDoc, Results
from auditkit.evidence.series import ONE_SHOT, Curve, CurvePoint, series, with_points
from auditkit.files import canonical_json


@dataclass(frozen=True)
class Current:
    """How much of a request is left right after it was carried out: the worst over all requests."""

    curve: Curve
    worst: CurvePoint | None
    """By the metric's bad side; for a two-sided metric, furthest from chance, else from the reference."""


@dataclass(frozen=True)
class Resurfacing:
    """How much of a request comes back through later ones: the worst of ``s(f_k; D_j) - s(f_j; D_j)`` over ``j < k``."""

    curve: Curve
    worst: CurvePoint | None
    """Its ``difference`` is that of this pair alone, interval included."""
    measured: int
    """Pairs with a difference to the model right after the request, unscaled."""
    pairs: int


@dataclass(frozen=True)
class Drift:
    """How a quality moves with the number of requests, and where it ends."""

    curve: Curve
    slope: float | None
    """Least squares over the measured points, per request; no interval: every point asks the same subjects."""
    end: CurvePoint | None
    """After the last request."""


@dataclass(frozen=True)
class OrderEffect:
    """What the order of the requests changes at the end, for one corpus."""

    curve: Curve
    corpus: str
    values: Mapping[int, float | None]
    """By number of the order; 0 is the spec's own."""
    spread: float | None
    """Largest minus smallest of the measured; None for fewer than two."""


@dataclass(frozen=True)
class OneShotGap:
    """What doing it in steps changes at the end, for one corpus."""

    curve: Curve
    corpus: str
    sequence: float | None
    one_shot: float | None
    gap: float | None
    """Sequence minus all at once, in the metric's unit."""


@dataclass(frozen=True)
class SequenceSummary:
    """The quantities of a sequence, each for the curves that have it."""

    current: list[Current]
    resurfacing: list[Resurfacing]
    drift: list[Drift]
    orders: list[OrderEffect]
    gaps: list[OneShotGap]


@dataclass(frozen=True)
class Cost:
    """What making one model of a scale or sequence cost."""

    model: str
    label: str
    made: MadeDoc | None
    """None where it was not recorded."""
    seconds_ratio: float | None
    """To making the reference; None unless the spec made both on the same kind of device."""
    tokens_ratio: float | None
    """To making the reference; None unless the spec made both."""


def sequence_summary(results: Results) -> SequenceSummary | None:
    """The quantities of a sequence; None where the spec has none."""
    curves = [curve for curve in series(results) if curve.family == "sequence"]
    if not curves:
        return None
    once = [curve for curve in curves if not curve.again]
    return SequenceSummary(
        current=[_current(curve) for curve in once if curve.dimension != "utility" and not curve.one_corpus],
        resurfacing=[_resurfacing(curve) for curve in curves if curve.again],
        drift=[_drift(curve) for curve in once if curve.dimension == "utility" and curve.one_corpus],
        orders=[effect for curve in once for effect in _orders(curve, results)],
        gaps=[gap for curve in once for gap in _gaps(curve, results)],
    )


def costs(results: Results) -> list[Cost]:
    """What making the model of every step cost, beside making the reference."""
    made, steps = results.run.made, {doc.of: _made_by(point) for doc, point in with_points(results)}
    return [_cost(name, label, made.get(name), made.get("reference")) for name, label in steps.items()]


def _current(curve: Curve) -> Current:
    return Current(curve, _worst(curve.measured, lambda point: _badness(curve.metric, point)))


def _badness(metric: MetricDoc, point: CurvePoint) -> float | None:
    value = point.estimate.value
    if value is None or metric.better != "target":
        return value if value is None or metric.better == "lower" else -value
    aim = metric.chance if metric.chance is not None else None if point.reference is None else point.reference.value
    return None if aim is None else abs(value - aim)


def _worst(points: Iterable[CurvePoint], badness: Callable[[CurvePoint], float | None]) -> CurvePoint | None:
    """The first of those that are worst; None where nothing can be ranked."""
    ranked = [(value, point) for point in points if (value := badness(point)) is not None]
    return max(ranked, key=lambda pair: pair[0])[1] if ranked else None


def _resurfacing(curve: Curve) -> Resurfacing:
    pairs = [point for point in curve.points if point.result is not None]
    known = [point for point in pairs if _to_right_after(point)]
    return Resurfacing(curve, _worst(known, lambda point: _return(curve.metric, point)), len(known), len(pairs))


def _to_right_after(point: CurvePoint) -> bool:
    """The point's difference is that of resurfacing: to the model right after the request, and that not scaled."""
    bound, difference = point.bound, point.difference
    if bound is None or difference is None or difference.value is None:
        return False
    return bound.model == f"request_{point.asked}" and bound.scale == 1


def _return(metric: MetricDoc, point: CurvePoint) -> float | None:
    value = None if point.difference is None else point.difference.value
    return None if value is None else {"lower": value, "higher": -value, "target": abs(value)}[metric.better]


def _drift(curve: Curve) -> Drift:
    pairs = [(point.step, point.estimate.value) for point in curve.measured if point.estimate.value is not None]
    slope = linear_regression(*zip(*pairs, strict=True)).slope if len(pairs) > 1 else None
    return Drift(curve, slope, next((point for point in curve.points if point.step == curve.steps), None))


def _orders(curve: Curve, results: Results) -> list[OrderEffect]:
    effects = []
    for corpus, docs in _ends(curve, results, "order").items():
        values = {0: _own(docs[0], results), **{doc.point.order: doc.estimate.value for doc in docs if doc.point}}
        known = [value for value in values.values() if value is not None]
        effects.append(OrderEffect(curve, corpus, values, max(known) - min(known) if len(known) > 1 else None))
    return effects


def _gaps(curve: Curve, results: Results) -> list[OneShotGap]:
    gaps = []
    for corpus, docs in _ends(curve, results, "one_shot").items():
        sequence, at_once = _own(docs[0], results), docs[0].estimate.value
        gap = None if sequence is None or at_once is None else sequence - at_once
        gaps.append(OneShotGap(curve, corpus, sequence, at_once, gap))
    return gaps


def _ends(curve: Curve, results: Results, kind: str) -> dict[str, list[RequirementDoc]]:
    """The curve's requirements on the models of another way to the end, by the corpus that they ask."""
    found: dict[str, list[RequirementDoc]] = {}
    for doc, point in with_points(results):
        if point.kind == kind and point.curve == curve.name:
            found.setdefault(doc.corpus, []).append(doc)
    return found


def _own(like: RequirementDoc, results: Results) -> float | None:
    """The same measurement after the last request in the spec's own order.

    An earlier request's corpus is asked there by another template, one on resurfacing: the same number, unless a worst group
    was chosen, since the other template's bound may have chosen another.
    """
    same = [
        doc
        for doc, point in with_points(results)
        if point.kind == "request" and point.step == point.of and _measurement(doc) == _measurement(like)
    ]
    exact = [doc for doc in same if doc.point and like.point and doc.point.curve == like.point.curve]
    usable = exact or [doc for doc in same if not doc.worst_group and not like.worst_group]
    return usable[0].estimate.value if usable else None


def _measurement(doc: RequirementDoc) -> tuple[str, str, str]:
    return doc.check, doc.corpus, canonical_json([doc.parameters, [[one.name, one.params] for one in doc.under]])


def _made_by(point: PointDoc) -> str:
    if point.kind == "order":
        return f"order {point.order}, last request"
    return ONE_SHOT if point.kind == "one_shot" else f"{point.kind} {point.step}"


def _cost(name: str, label: str, made: MadeDoc | None, reference: MadeDoc | None) -> Cost:
    if made is None or reference is None:
        return Cost(name, label, made, None, None)
    comparable = made.device == reference.device and reference.seconds > 0
    return Cost(
        model=name,
        label=label,
        made=made,
        seconds_ratio=made.seconds / reference.seconds if comparable else None,
        tokens_ratio=made.tokens / reference.tokens if reference.tokens > 0 else None,
    )
