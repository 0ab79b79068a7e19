"""The curves of a scale and a sequence: requirements of a results file, put in order.

A pure projection: nothing is measured or decided here. A number that is missing stays missing: None, never 0.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from auditkit.evidence.results import BoundDoc, EstimateDoc, MadeDoc, MetricDoc, PointDoc, RequirementDoc, Results, ResultWord

Axis = Literal["rows", "size", "request"]
ONE_SHOT = "all at once"


@dataclass(frozen=True)
class CurvePoint:
    """One model of a scale or a sequence under one requirement."""

    x: float
    """In the unit of the curve's axis."""
    kind: Literal["size", "request", "order", "one_shot"]
    label: str
    """``size 2``, ``request 2``, ``request 1 after request 3``, ``order 1``, ``all at once``."""
    step: int
    """1-based number of the size, or of the last request applied."""
    asked: int | None
    """The request that is asked about, where it is not the last one applied."""
    model: str
    corpus: str
    estimate: EstimateDoc
    """On the metric's own scale."""
    difference: EstimateDoc | None
    """To the bound's model, which is what is compared with a bound that names one."""
    result: ResultWord | None
    """None for the value that resurfacing starts from, of which nothing is required."""
    waived: bool
    """A failure that a waiver in force covers."""
    bound: BoundDoc | None
    original: EstimateDoc | None
    """The model before unlearning, asked the same; None where it was not."""
    reference: EstimateDoc | None
    """The model trained without the forget data, asked the same; None where it was not."""


@dataclass(frozen=True)
class Curve:
    """One template of a scale or a sequence."""

    family: Literal["scale", "sequence"]
    name: str
    again: bool
    """Every request is asked about again after later ones, instead of only after itself."""
    title: str
    """Of the check."""
    dimension: str
    metric: MetricDoc
    axis: Axis
    """What ``x`` counts: rows given to the method to forget, sizes where these are not known, or requests carried out."""
    steps: int
    """How many sizes or requests there are."""
    points: tuple[CurvePoint, ...]
    """By the request asked about, then by step."""
    ends: tuple[CurvePoint, ...] = ()
    """Other ways to the same end: the other orders, all requests at once."""

    @property
    def measured(self) -> list[CurvePoint]:
        """Points with a value of which something is required."""
        return [point for point in self.points if point.result is not None and point.estimate.value is not None]

    @property
    def one_corpus(self) -> bool:
        """The same corpus is asked at every point."""
        return len({point.corpus for point in self.points}) == 1


def series(results: Results) -> list[Curve]:
    """Every curve, in the order of the spec; [] where the spec has neither a scale nor a sequence."""
    grouped: dict[tuple[str, str, bool], list[RequirementDoc]] = {}
    for doc, point in with_points(results):
        family = "scale" if point.kind == "size" else "sequence"
        grouped.setdefault((family, point.curve, _again(point)), []).append(doc)
    return [_curve(docs, results) for docs in grouped.values()]


def with_points(results: Results) -> Iterable[tuple[RequirementDoc, PointDoc]]:
    """The requirements that stand on a curve, in the order of the results."""
    return ((doc, doc.point) for doc in results.requirements if doc.point is not None)


def _again(point: PointDoc) -> bool:
    return point.kind == "request" and point.asked is not None


def _curve(docs: Sequence[RequirementDoc], results: Results) -> Curve:
    first, found = docs[0], [(doc, doc.point) for doc in docs if doc.point is not None]
    ends = [(doc, point) for doc, point in found if point.kind in ("order", "one_shot")]
    own = [(doc, point) for doc, point in found if point.kind in ("size", "request")]
    kind, curve, steps = found[0][1].kind, found[0][1].curve, found[0][1].of
    axis, xs = _axis(own, results) if kind == "size" else ("request", {})
    points = [_point(doc, point, xs.get(point.step, point.step)) for doc, point in own]
    points += _right_after(own)
    return Curve(
        family="scale" if kind == "size" else "sequence",
        name=curve,
        again=_again(found[0][1]),
        title=first.title,
        dimension=first.dimension,
        metric=first.metric,
        axis=axis,
        steps=steps,
        points=tuple(sorted(points, key=lambda point: (point.asked or 0, point.step))),
        ends=tuple(_point(doc, point, point.step) for doc, point in ends),
    )


def _axis(own: Iterable[tuple[RequirementDoc, PointDoc]], results: Results) -> tuple[Axis, dict[int, float]]:
    """Rows forgotten by step, where they are known and distinct for every size."""
    rows = {corpus.name: corpus.rows for corpus in results.corpora}
    counts = {point.step: _rows(results.run.made.get(doc.of), rows) for doc, point in own}
    known: dict[int, float] = {step: count for step, count in counts.items() if count is not None}
    return ("rows", known) if len(set(known.values())) == len(counts) else ("size", {})


def _rows(made: MadeDoc | None, rows: Mapping[str, int]) -> int | None:
    forget = [] if made is None else made.parameters.get("forget") or []
    names = [forget] if isinstance(forget, str) else list(forget)
    return sum(rows[name] for name in names) if names and all(name in rows for name in names) else None


def _point(doc: RequirementDoc, point: PointDoc, x: float) -> CurvePoint:
    return CurvePoint(
        x=x,
        kind=point.kind,
        label=_label(point),
        step=point.step,
        asked=point.asked,
        model=doc.of,
        corpus=doc.corpus,
        estimate=doc.estimate,
        difference=doc.difference,
        result=doc.result,
        waived=doc.result == "fail" and doc.waiver is not None and doc.waiver.state == "applied",
        bound=doc.bound,
        original=doc.models.get("original"),
        reference=doc.models.get("reference"),
    )


def _right_after(own: Iterable[tuple[RequirementDoc, PointDoc]]) -> list[CurvePoint]:
    """Where each line of a curve that asks again starts: the model right after the request, measured for the bound."""
    starts: dict[int, CurvePoint] = {}
    for doc, point in own:
        model = doc.bound.model
        if point.asked is not None and point.asked not in starts and model in doc.models and model == f"request_{point.asked}":
            starts[point.asked] = CurvePoint(
                x=point.asked,
                kind="request",
                label=f"right after request {point.asked}",
                step=point.asked,
                asked=point.asked,
                model=model,
                corpus=doc.corpus,
                estimate=doc.models[model],
                difference=None,
                result=None,
                waived=False,
                bound=None,
                original=doc.models.get("original"),
                reference=doc.models.get("reference"),
            )
    return list(starts.values())


def _label(point: PointDoc) -> str:
    if point.kind == "order":
        return f"order {point.order}"
    if point.kind == "one_shot":
        return ONE_SHOT
    if point.asked is not None:
        return f"request {point.asked} after request {point.step}"
    return f"{point.kind} {point.step}"
