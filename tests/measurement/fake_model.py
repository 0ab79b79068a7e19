"""A subject model without weights: it answers from digests, fast and always the same."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from auditkit.models.protocol import (
    Fingerprint,
    Generate,
    Generated,
    Hidden,
    HiddenStates,
    Prompt,
    Record,
    Request,
    Score,
    Scored,
)

PRINT = Fingerprint("w" * 64, "c" * 64, "t" * 64, "")


class FakeModel:
    """Tokens are words. ``short_at``: padded tokens from which memory is short."""

    device, dtype, context_length = "cpu", "float32", 100
    pass_tokens, cache_tokens = 512, 8192

    def __init__(self, fingerprint: Fingerprint = PRINT, *, short_at: int = 10**9) -> None:
        self.fingerprint = fingerprint
        self.short_at = short_at
        self.batches: list[tuple[str, ...]] = []
        self.closed = False

    def cost(self, request: Request) -> int:
        words = f"{request.lead} {getattr(request, 'continuation', '')}".split()
        return len(words) + getattr(request, "max_new_tokens", 0)

    def shared(self, requests: Sequence[Request]) -> int:
        words = [request.lead.split() for request in requests]
        low, high = min(words), max(words)
        return next((n for n, (a, b) in enumerate(zip(low, high, strict=False)) if a != b), min(len(low), len(high)))

    def answer(self, requests: Sequence[Any]) -> list[Record]:
        if len(requests) * max(map(self.cost, requests)) >= self.short_at:
            raise RuntimeError("[enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: can't allocate memory")
        self.batches.append(tuple(request.digest for request in requests))
        return [self._one(request) for request in requests]

    def close(self) -> None:
        self.closed = True

    def _one(self, request: Request) -> Record:
        seed = hashlib.sha256(request.digest.encode()).digest()
        rng = np.random.default_rng(seed[0])
        if isinstance(request, Score):
            length = 1 + seed[1] % 7
            numbers = rng.normal(size=(3, length)).astype(np.float32)
            return Scored(numbers[0], numbers[1] > 0, numbers[1], numbers[2] ** 2, seed[2] % 2)
        if isinstance(request, Hidden):
            return HiddenStates(rng.normal(size=(len(request.layers), 4)).astype(np.float32), np.array(request.layers))
        return Generated(f"é\n{seed[3]}", seed[4], seed[5] % 2 == 0, getattr(request, "target", None))


def some_requests(count: int = 30) -> list[Request]:
    scores = [Score(Prompt(f"question {n}"), " word" * (1 + n % 9)) for n in range(count)]
    generations = [Generate(Prompt(f"question {n}"), 4 + n % 5, target="t" if n % 3 else None) for n in range(count // 2)]
    return [*scores, *generations, Hidden(Prompt("a"), (0, 1)), Hidden(Prompt("b"), (2,))]
