"""What is asked of each model: the needs of all checks merged, and cut into batches.

Batches are a function of the whole list of requests of one kind and of the model's tokenizer. They do not depend on the
order in which checks asked, nor on what is already stored: a run that was killed goes on with the very same batches.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple, Protocol

from auditkit.files import digest
from auditkit.models.device import device_kind, resolve_device, resolve_dtype
from auditkit.models.protocol import Fingerprint, Request

_ROWS = 256
"""Most rows of one batch: a crash loses one batch."""
_LEAD_STEP = 128
"""Characters; two texts that agree on fewer are not looked at as sharing a beginning."""
_GROUP_ROWS = 8
"""Fewer rows than this are not worth a batch of their own."""


@dataclass(frozen=True)
class Subject:
    """What distinguishes the answers of one subject model from those of any other: the store's key is made of it."""

    fingerprint: Fingerprint
    dtype: str
    """As it runs, never ``auto``."""
    device: str
    """``cpu``, ``cuda`` or ``mps``."""
    system: str | None = None
    """System prompt. Whether a prompt goes through the chat template stands in each request."""
    interventions: str = ""
    """Digest of what is done to the model before it is measured; '' for nothing."""

    @classmethod
    def of(
        cls,
        fingerprint: Fingerprint,
        *,
        dtype: str = "auto",
        device: str = "auto",
        system: str | None = None,
        interventions: str = "",
    ) -> Subject:
        """With ``auto`` resolved on this machine; imports torch."""
        device = resolve_device(device)
        return cls(fingerprint, resolve_dtype(dtype, device=device), device_kind(device), system, interventions)

    @cached_property
    def key(self) -> str:
        """Hex sha256 over all of it."""
        return digest([self.fingerprint.digest, self.dtype, self.device, self.system, self.interventions])


@dataclass(frozen=True)
class Work:
    """What is asked of one model."""

    subject: Subject
    requests: tuple[Request, ...]
    """Each once, ordered by digest."""
    asked: int
    """How many requests the checks asked for, equal ones counted each time."""
    by: Mapping[str, Sequence[Request]]
    """The requests of each requirement, for messages."""

    def askers(self, request: Request) -> list[str]:
        """Requirements that asked for it."""
        return sorted(name for name, requests in self.by.items() if request in requests)

    def of_kind(self, kind: str) -> list[Request]:
        """The requests of one kind."""
        return [request for request in self.requests if request.kind == kind]

    @property
    def kinds(self) -> list[str]:
        """The kinds of request, sorted."""
        return sorted({request.kind for request in self.requests})


@dataclass(frozen=True)
class Plan:
    """What is asked of every model, by the model's name in the spec."""

    work: Mapping[str, Work]

    @classmethod
    def build(cls, subjects: Mapping[str, Subject], needs: Mapping[str, Iterable[tuple[str, Iterable[Request]]]]) -> Plan:
        """Merge ``needs``: model → (requirement, its requests). Every model needs its subject."""
        return cls({name: _merge(subjects[name], asking) for name, asking in needs.items()})

    @property
    def asked(self) -> int:
        """Requests that the checks asked for, over all models."""
        return sum(work.asked for work in self.work.values())

    @property
    def merged(self) -> int:
        """Requests that are left when equal ones are asked once."""
        return sum(len(work.requests) for work in self.work.values())


def _merge(subject: Subject, asking: Iterable[tuple[str, Iterable[Request]]]) -> Work:
    by: dict[str, list[Request]] = defaultdict(list)
    for name, requests in asking:
        by[name].extend(requests)
    unique = {request.digest: request for requests in by.values() for request in requests}
    return Work(subject, tuple(unique[key] for key in sorted(unique)), sum(map(len, by.values())), dict(by))


class Costs(Protocol):
    """What batches are made by: a subject model, or its tokenizer alone."""

    pass_tokens: int
    cache_tokens: int

    def cost(self, request: Request) -> int:
        """See ``SubjectModel.cost``."""
        ...

    def shared(self, requests: Sequence[Request]) -> int:
        """See ``SubjectModel.shared``."""
        ...


class Budget(NamedTuple):
    """How large a batch may be, in padded tokens."""

    computed: int
    """Rows x what a row does not share with the others."""
    cached: int
    """Rows x whole length, where the rows share a beginning."""

    @classmethod
    def of(cls, model: Costs, requests: Sequence[Request]) -> Budget:
        """What suits the model for these requests, of one kind."""
        if requests and requests[0].stepwise:
            return cls(model.cache_tokens, 2 * model.cache_tokens)
        return cls(model.pass_tokens, model.cache_tokens)


@dataclass(frozen=True)
class Batch:
    """Requests of one kind that run together."""

    requests: tuple[Request, ...]
    tokens: tuple[int, ...]
    """Cost of each request."""


def batches(requests: Sequence[Request], costs: Mapping[Request, int], model: Costs, *, budget: Budget) -> Iterator[Batch]:
    """Requests of one kind, longest first, grouped by shared beginnings, cut so that padded tokens stay in ``budget``.

    The longest come first, so that memory runs short at once or not at all.
    """
    for group, begin_alike in _groups(requests):
        ordered = sorted(group, key=lambda request: (-costs[request], request.digest))
        shared = model.shared(ordered) if begin_alike else 0
        for part in _cut(ordered, costs, shared=shared, budget=budget):
            yield Batch(tuple(part), tuple(costs[request] for request in part))


def _groups(requests: Sequence[Request]) -> Iterator[tuple[list[Request], bool]]:
    """Requests that begin with the same text (True), and last those with no or too few companions (False)."""
    found: list[list[Request]] = []
    rest = _split(list(requests), _LEAD_STEP, found)
    yield from ((group, True) for group in found)
    if rest:
        yield rest, False


def _split(requests: list[Request], length: int, found: list[list[Request]]) -> list[Request]:
    """Put requests that agree on their first ``length`` characters into groups, finer ones first; return those left over."""
    by_lead: dict[str, list[Request]] = defaultdict(list)
    left = [request for request in requests if len(request.lead) < length]
    for request in requests:
        if len(request.lead) >= length:
            by_lead[request.lead[:length]].append(request)
    for lead in sorted(by_lead):
        group = by_lead[lead]
        if len(group) >= _GROUP_ROWS:
            group = _split(group, _next_length(group, length), found)
        if len(group) >= _GROUP_ROWS:
            found.append(group)
        else:
            left += group
    return left


def _next_length(group: Sequence[Request], length: int) -> int:
    """The next step at which the group's leads can differ."""
    low, high = min(request.lead for request in group), max(request.lead for request in group)
    alike = next((index for index, (a, b) in enumerate(zip(low, high, strict=False)) if a != b), min(len(low), len(high)))
    return max(length, alike // _LEAD_STEP * _LEAD_STEP) + _LEAD_STEP


def _cut(ordered: list[Request], costs: Mapping[Request, int], *, shared: int, budget: Budget) -> Iterator[list[Request]]:
    """Consecutive parts; the first request of a part is its longest."""
    part: list[Request] = []
    for request in ordered:
        longest = costs[part[0]] if part else 0
        rows = len(part) + 1
        full = rows * (longest - shared) > budget.computed or (shared and rows * longest > budget.cached) or rows > _ROWS
        if part and full:
            yield part
            part = []
        part.append(request)
    if part:
        yield part
