"""Scales and sequences spelt out: which models they make, and what is required of each.

::

    scale:    {sizes: [a, b]}      size_1     = candidate's method on a        size_2    = … on b, from the same model
    sequence: {requests: [a, b]}   request_1  = candidate's method on a        request_2 = … on b, from request_1
              orders: [[2, 1]]     order_1_request_1 = … on b, order_1_request_2 = … on a, from the one before
              one_shot: true       one_shot   = … on a and b together

So a scale is nothing but models and requirements of the spec, which ``plan`` prints and a bundle's resolved spec holds.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from auditkit.spec._document import FieldPath
from auditkit.spec._explain import Finding
from auditkit.spec.bounds import Bound
from auditkit.spec.model import MOST_MODELS, Model, Requirement, Spec, StepSource

STEP = "step"
"""In a template's ``corpus``: the corpus of the step."""
THEN = "then"
"""In a template's bound: the model right after the step's own request."""

Template = tuple[Requirement, FieldPath]
Kind = Literal["size", "request", "order", "one_shot"]


@dataclass(frozen=True)
class Point:
    """Where on a curve a requirement stands."""

    kind: Kind
    curve: str
    """Name of the template: all points of a curve have the same."""
    step: int
    """1-based number of the size or of the last request applied."""
    of: int
    """How many steps there are."""
    asked: int | None = None
    """The request whose corpus is asked, where it is not the last one applied: resurfacing."""
    order: int = 0
    """Which of the other orders; 0 is the spec's own."""


def step_models(spec: Spec) -> dict[str, Model]:
    """The models that a scale and a sequence make, by name; {} where there is neither."""
    made: dict[str, Model] = {}
    candidate = spec.models["candidate"]
    first = str(candidate.from_)
    if spec.scale is not None:
        for number, size in enumerate(spec.scale.sizes, 1):
            made[f"size_{number}"] = _forgets(candidate, first, size.forget)
    if spec.sequence is not None:
        requests = spec.sequence.requests
        made |= _chain(candidate, first, requests, range(1, len(requests) + 1), "request_{}")
        for index, order in enumerate(spec.sequence.orders, 1):
            made |= _chain(candidate, first, requests, order, f"order_{index}_request_{{}}")
        if spec.sequence.one_shot:
            everything = dict.fromkeys(name for request in requests for name in request.forget)
            made["one_shot"] = _forgets(candidate, first, [*everything])
    return made


def _chain(candidate: Model, parent: str, requests: Sequence[StepSource], order: Iterable[int], names: str) -> dict[str, Model]:
    made: dict[str, Model] = {}
    for position, number in enumerate(order, 1):
        name = names.format(position)
        made[name] = _forgets(candidate, parent, requests[number - 1].forget)
        parent = name
    return made


def _forgets(candidate: Model, parent: str, corpora: Sequence[str]) -> Model:
    return candidate.model_copy(update={"from_": parent, "unlearn": {**(candidate.unlearn or {}), "forget": list(corpora)}})


def with_step_models(spec: Spec) -> tuple[Spec, list[Finding]]:
    """The spec with the models of its steps, and which names of models and corpora stand in their way."""
    made = step_models(spec)
    findings = [
        Finding(("models", name), "must be another name: the spec's scale or sequence makes a model of this one")
        for name in made
        if name in spec.models
    ]
    if made and STEP in spec.corpora:
        findings.append(Finding(("corpora", STEP), f"must be another name: {STEP} stands for the corpus of a step"))
    if made and THEN in spec.models:
        findings.append(Finding(("models", THEN), f"must be another name: {THEN} stands for the model after a request"))
    count = len({*spec.models, *made})
    if count > MOST_MODELS:
        path: FieldPath = ("scale",) if spec.sequence is None else ("sequence",)
        message = f"must make the spec's models at most {MOST_MODELS} in all; got {count}"
        findings.append(Finding(path, message, "fewer sizes, requests or orders"))
    findings += _templates_of_another_model(spec)
    return spec.model_copy(update={"models": {**spec.models, **made}}) if made else spec, findings


def _templates_of_another_model(spec: Spec) -> Iterator[Finding]:
    for part, given in (("scale", spec.scale), ("sequence", spec.sequence)):
        for index, item in enumerate(given.require if given is not None else ()):
            if item.of != "candidate":
                message = f"must be left out here, where each step has its own model; got {item.of}"
                yield Finding((part, "require", index, "of"), message)


def at_each_step(
    spec: Spec, sizes: Sequence[Template], requests: Sequence[Template]
) -> Iterator[tuple[Requirement, FieldPath, Point]]:
    """Every requirement on a step's model, with its place.

    ``sizes`` and ``requests`` are the profiles' templates; one of the spec with the name of a profile's stands in its place.
    """
    if spec.scale is not None:
        for item, path in _templates("scale", spec.scale.require, sizes):
            yield from _at_sizes(item, path, spec.scale.sizes)
    if spec.sequence is not None:
        for item, path in _templates("sequence", spec.sequence.require, requests):
            yield from _after_requests(item, path, spec)


def _templates(part: str, given: Sequence[Requirement], ready: Sequence[Template]) -> list[Template]:
    own: dict[str | None, Template] = {item.name: (item, (part, "require", i)) for i, item in enumerate(given) if item.name}
    replaced = [own.get(item.name, (item, path)) for item, path in ready]
    names = {item.name for item, _ in ready}
    rest: list[Template] = [(item, (part, "require", i)) for i, item in enumerate(given) if item.name not in names]
    return [*replaced, *rest]


def _at_sizes(
    item: Requirement, path: FieldPath, sizes: Sequence[StepSource]
) -> Iterator[tuple[Requirement, FieldPath, Point]]:
    for number, size in enumerate(sizes, 1):
        point = Point("size", _title(item), number, len(sizes))
        name = f"{point.curve}, size {number} of {len(sizes)}"
        yield _of(item, name, f"size_{number}", size.asked), path, point


def _after_requests(item: Requirement, path: FieldPath, spec: Spec) -> Iterator[tuple[Requirement, FieldPath, Point]]:
    if spec.sequence is None:
        return
    requests, title = spec.sequence.requests, _title(item)
    count = len(requests)
    if _names_then(item):
        for last in range(2, count + 1):
            for asked in range(1, last):
                point = Point("request", title, last, count, asked)
                name = f"{title} of request {asked} after request {last}"
                yield _of(item, name, f"request_{last}", requests[asked - 1].asked, then=f"request_{asked}"), path, point
        return
    for last, request in enumerate(requests, 1):
        name = f"{title}, request {last} of {count}"
        yield _of(item, name, f"request_{last}", request.asked), path, Point("request", title, last, count)
    for order in range(1, len(spec.sequence.orders) + 1):
        yield from _at_the_end(
            item, path, requests, f"order_{order}_request_{count}", Point("order", title, count, count, None, order)
        )
    if spec.sequence.one_shot:
        yield from _at_the_end(item, path, requests, "one_shot", Point("one_shot", title, count, count))


def _at_the_end(
    item: Requirement, path: FieldPath, requests: Sequence[StepSource], model: str, point: Point
) -> Iterator[tuple[Requirement, FieldPath, Point]]:
    """Reported, not required: what another way to the same end comes to, on every request's corpus."""
    reported = item.model_copy(update={"level": "advisory"})
    where = f"in order {point.order}" if point.kind == "order" else "all at once"
    if item.corpus != STEP:
        yield _of(reported, f"{point.curve}, {where}", model, ""), path, point
        return
    for asked, request in enumerate(requests, 1):
        name = f"{point.curve} of request {asked}, {where}"
        yield _of(reported, name, model, request.asked), path, replace(point, asked=asked)


def _title(item: Requirement) -> str:
    return item.name or f"{item.check.replace('_', ' ')}"


def _names_then(item: Requirement) -> bool:
    return any(bound is not None and bound.model == THEN for bound in item.bounds)


def _of(item: Requirement, name: str, model: str, asked: str, *, then: str = "") -> Requirement:
    """The template as a requirement on one model."""
    changes: dict[str, object] = {"name": name, "of": model}
    if item.corpus == STEP:
        changes["corpus"] = asked
    for key in ("at_most", "at_least"):
        changes[key] = _resolved(getattr(item, key), then)
    if item.between is not None:
        changes["between"] = [_resolved(bound, then) for bound in item.between]
    return item.model_copy(update=changes)


def _resolved(bound: Bound | None, then: str) -> Bound | None:
    return replace(bound, model=then) if bound is not None and bound.model == THEN and then else bound
