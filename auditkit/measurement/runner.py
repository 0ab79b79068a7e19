"""Carries a plan out in this process: one model after another, one batch after another, every batch recorded at once.

A killed run loses the batch in flight; run again, it goes on with the same batches and ends with the same records. Whether a
record is finite or plausible is not decided here.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from auditkit.errors import IntegrityError, ModelError, Problem
from auditkit.measurement.measured import Measurements
from auditkit.measurement.plan import Batch, Budget, Plan, Work, batches
from auditkit.measurement.progress import Progress, Silent
from auditkit.measurement.store import Shelf, Store
from auditkit.models.device import device_kind
from auditkit.models.protocol import Record, Request, SubjectModel

_SHORT_OF_MEMORY = ("out of memory", "not enough memory", "can't allocate memory")


def measure(
    plan: Plan,
    open_model: Callable[[str], SubjectModel],
    store: Store,
    *,
    progress: Progress | None = None,
    budget: Budget | None = None,
) -> Measurements:
    """Ask every model what the plan says and is not recorded yet.

    ``open_model`` loads a model by name: once, and not at all where everything is recorded. ``budget``: size of a batch,
    by default what suits the model. Raises ModelError (exit 2) before the first pass for requests that do not fit
    into the model's window, and where one single request needs more memory than there is; IntegrityError (exit 4) where the
    model is not the one that was planned for.
    """
    shown: Progress = progress or Silent()
    shelves: dict[str, Shelf] = {}
    seconds: dict[str, float] = {}
    cached = 0
    for name, work in plan.work.items():
        began = time.monotonic()
        shelf = store.shelf(work.subject)
        for problem in shelf.warnings:
            shown.note(f"{name}: {problem}")
        missing = [request for request in work.requests if request not in shelf]
        cached += len(work.requests) - len(missing)
        if missing:
            shown.note(f"{name}: loading")
            _ask(_Run(name, work, open_model(name), shelf, shown, budget))
        shelves[name], seconds[name] = shelf, time.monotonic() - began
    return Measurements(plan, shelves, seconds=seconds, cached=cached)


@dataclass
class _Run:
    """One model being asked."""

    name: str
    work: Work
    model: SubjectModel
    shelf: Shelf
    progress: Progress
    budget: Budget | None
    too_many: dict[str, int] = field(default_factory=dict)
    """By kind: padded tokens at which memory was short."""


def _ask(run: _Run) -> None:
    try:
        _check_identity(run)
        costs = _costs(run)
        for kind in run.work.kinds:
            _ask_kind(run, kind, costs)
    finally:
        run.model.close()


def _check_identity(run: _Run) -> None:
    """What is loaded must be what the records will be filed under."""
    subject, model = run.work.subject, run.model
    if model.fingerprint != subject.fingerprint:
        raise IntegrityError(f"{run.name}: the checkpoint changed between its fingerprint and its loading")
    if (model.dtype, device_kind(model.device)) != (subject.dtype, subject.device):
        got = f"{model.dtype} on {model.device}"
        raise IntegrityError(f"{run.name}: must run in {subject.dtype} on {subject.device}; got {got}")


def _costs(run: _Run) -> dict[Request, int]:
    """Tokens of every request, those already recorded included: batches are made from all. Raises ModelError for all that
    do not fit, each named by who asked for it."""
    costs: dict[Request, int] = {}
    problems: list[Problem] = []
    for request in run.work.requests:
        try:
            costs[request] = run.shelf.tokens(request) if request in run.shelf else run.model.cost(request)
        except ModelError as error:
            askers = ", ".join(run.work.askers(request)[:3])
            problems += [
                Problem(problem.message, where=f"{run.name}: {askers}: {request.kind} request {request.digest[:12]}")
                for problem in error.problems
            ]
    if problems:
        raise ModelError(problems)
    return costs


def _ask_kind(run: _Run, kind: str, costs: Mapping[Request, int]) -> None:
    requests = run.work.of_kind(kind)
    recorded = sum(costs[request] for request in requests if request in run.shelf)
    if all(request in run.shelf for request in requests):
        return
    run.progress.start(run.name, kind, tokens=sum(costs[request] for request in requests), cached=recorded)
    budget = run.budget or Budget.of(run.model, requests)
    for batch in batches(requests, costs, run.model, budget=budget):
        for part in _missing(batch, run.shelf):
            _ask_batch(run, kind, part)
    run.progress.finish()


def _missing(batch: Batch, shelf: Shelf) -> Iterator[Batch]:
    """What of a batch is not recorded: all of it, nothing, or the rest where another spec asked for a part of it."""
    left = [index for index, request in enumerate(batch.requests) if request not in shelf]
    if left:
        yield Batch(tuple(batch.requests[index] for index in left), tuple(batch.tokens[index] for index in left))


def _ask_batch(run: _Run, kind: str, batch: Batch) -> None:
    """Answer and record a batch; where memory is short, its halves. A size that failed is not tried again."""
    padded = len(batch.requests) * max(batch.tokens)
    records = None if padded >= run.too_many.get(kind, padded + 1) else _answers(run.model, batch.requests)
    if records is not None:
        run.shelf.put(batch.requests, records, batch.tokens)
        run.progress.advance(sum(batch.tokens))
        return
    gc.collect()
    if len(batch.requests) == 1:
        raise ModelError(f"{run.name}: memory is too short for one {kind} request of {padded} tokens")
    if padded < run.too_many.get(kind, padded + 1):
        run.progress.note(f"{run.name}: memory is short for {kind} batches of {padded:,} tokens; halved")
        run.too_many[kind] = padded
    middle = (len(batch.requests) + 1) // 2
    for part in (slice(None, middle), slice(middle, None)):
        _ask_batch(run, kind, Batch(batch.requests[part], batch.tokens[part]))


def _answers(model: SubjectModel, requests: Sequence[Request]) -> list[Record] | None:
    """The records, or None where memory was short: the error, and with it what the failed pass held, is gone by then."""
    try:
        return model.answer(requests)
    except MemoryError:
        return None
    except RuntimeError as error:
        if not any(words in str(error).lower() for words in _SHORT_OF_MEMORY):
            raise
        return None
