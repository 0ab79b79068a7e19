"""What was measured: records by model and request, and a file of them for the bundle."""

from __future__ import annotations

import dataclasses
import hashlib
import hmac
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from auditkit.measurement.plan import Plan
from auditkit.measurement.store import Shelf, merged, to_bytes
from auditkit.models.protocol import Generated, Record, Request


@dataclass(frozen=True)
class Measurements:
    """The records of a plan."""

    plan: Plan
    shelves: Mapping[str, Shelf]
    seconds: Mapping[str, float]
    """Wall time by model, loading included."""
    cached: int
    """Requests that were recorded before this run."""

    def of(self, model: str) -> Callable[[Request], Record]:
        """Answers of one model. Raises KeyError for a request that the plan does not hold, recorded or not."""
        planned = {request.digest for request in self.plan.work[model].requests}
        shelf = self.shelves[model]

        def answer(request: Request) -> Record:
            if request.digest not in planned:
                raise KeyError(request.digest)
            return shelf[request]

        return answer

    def cut(self, model: str, request: Request) -> bool:
        """The model did not read the whole prompt, because it did not fit into its window."""
        return self.shelves[model].cut(request)

    @property
    def tokens(self) -> int:
        """Tokens of all requests of the plan, recorded before or now."""
        return sum(self.tokens_of(name) for name in self.plan.work)

    def tokens_of(self, model: str) -> int:
        """Tokens of one model's requests."""
        shelf = self.shelves[model]
        return sum(shelf.tokens(request) for request in self.plan.work[model].requests)

    def export(self, *, key: bytes | None) -> dict[str, bytes]:
        """Parquet files for a bundle by path: ``measurements/<model>.<kind>.parquet``, one row per request.

        With a ``key`` generated text is left out and requests are named by keyed digest, so that nobody can confirm a guess
        of the forget text; with None both stand as they are.
        """
        files: dict[str, bytes] = {}
        for model, work in self.plan.work.items():
            shelf = self.shelves[model]
            for kind in work.kinds:
                requests = work.of_kind(kind)
                names = {request.digest: _named(request, key) for request in requests}
                rows = ((request, _shown(shelf[request], key), shelf.tokens(request)) for request in requests)
                files[f"measurements/{model}.{kind}.parquet"] = to_bytes(merged(rows, names=names))
        return files


def _named(request: Request, key: bytes | None) -> str:
    return request.digest if key is None else hmac.new(key, request.digest.encode(), hashlib.sha256).hexdigest()


def _shown(record: Record, key: bytes | None) -> Record:
    if key is None or not isinstance(record, Generated):
        return record
    return dataclasses.replace(record, text="", target=None)
