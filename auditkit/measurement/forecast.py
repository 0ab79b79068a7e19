"""What a plan would cost: no weights are loaded, only tokenizers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from auditkit.errors import ModelError
from auditkit.measurement.plan import Budget, Costs, Plan, Work, batches
from auditkit.measurement.store import Shelf, Store
from auditkit.models.protocol import Request


@dataclass(frozen=True)
class Forecast:
    """The work on one model."""

    model: str
    asked: int
    """Requests that the checks ask for."""
    merged: int
    """Requests that are left when equal ones are asked once."""
    cached: int
    """Of these, already recorded."""
    tokens: int
    """Of all merged requests, new tokens included at their limit."""
    tokens_to_run: int
    """Of those not recorded."""
    batches: int
    """Batches to run; a generating batch takes one pass for its prompt and one for each new token."""
    too_long: int
    """Requests that do not fit into the model's window: a run would refuse to start."""


def forecast(plan: Plan, store: Store, costs_of: Callable[[str], Costs]) -> list[Forecast]:
    """One forecast per model, in the plan's order; ``costs_of`` gives a model's tokenizer (``TextCosts``) by its name."""
    return [_forecast(name, work, store.shelf(work.subject), costs_of(name)) for name, work in plan.work.items()]


def _forecast(name: str, work: Work, shelf: Shelf, model: Costs) -> Forecast:
    costs: dict[Request, int] = {}
    for request in work.requests:
        try:
            costs[request] = model.cost(request)
        except ModelError:
            continue
    missing = [request for request in costs if request not in shelf]
    return Forecast(
        model=name,
        asked=work.asked,
        merged=len(work.requests),
        cached=sum(request in shelf for request in work.requests),
        tokens=sum(costs.values()),
        tokens_to_run=sum(costs[request] for request in missing),
        batches=sum(_batches(work, kind, costs, shelf, model) for kind in work.kinds),
        too_long=len(work.requests) - len(costs),
    )


def _batches(work: Work, kind: str, costs: dict[Request, int], shelf: Shelf, model: Costs) -> int:
    requests = [request for request in work.of_kind(kind) if request in costs]
    planned = batches(requests, costs, model, budget=Budget.of(model, requests))
    return sum(any(request not in shelf for request in batch.requests) for batch in planned)
