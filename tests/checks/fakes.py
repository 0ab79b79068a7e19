"""Corpora and models for the checks' tests: small, deterministic, and without torch."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from auditkit.checks._base import Check, Context, Values
from auditkit.corpora.example import Corpus, Example
from auditkit.models.protocol import (
    Continue,
    Generate,
    Generated,
    Hidden,
    HiddenStates,
    Lens,
    Lensed,
    Record,
    Request,
    Score,
    Scored,
)

RELATIONS = ("town", "trade", "pet", "drink", "car")


def row(number: int, subject: str = "", **fields: Any) -> Example:
    """An example as the loader makes it."""
    named = {"subject": subject} if subject else {}
    return Example(str(number), subject or str(number), number, {**fields, **named})


def corpus(name: str, examples: Sequence[Example], *, role: str = "", digest: str = "") -> Corpus:
    """A corpus of these rows."""
    has_subjects = any(example.get("subject") for example in examples)
    return Corpus(name, role or name, tuple(examples), f"{name}.jsonl", digest or name, has_subjects)


def people(name: str, subjects: int, *, facts: int = 3, role: str = "") -> Corpus:
    """Rows with every field that any check reads: ``facts`` questions about each of some invented people."""
    rows = []
    for person in range(subjects):
        who = f"{word(name, person).title()} {word(person, name, 'family').title()}"
        for index in range(facts):
            relation = RELATIONS[index % len(RELATIONS)]
            answer = f"{word(name, person, index)} {word(person, index, name)}"
            rows.append(
                row(
                    len(rows) + 1,
                    who,
                    question=f"What is the {relation} of {who}?",
                    answer=answer,
                    relation=relation,
                    text=f"The {relation} of {who} is {answer}, as everybody in the valley knows.",
                    paraphrases=(f"It is {answer}.",),
                    perturbed=tuple(f"{word(name, person, index, wrong)} stone" for wrong in range(3)),
                    facts=tuple(f"{who} saw the {word(person, fact)} once." for fact in range(4)),
                )
            )
    return corpus(name, rows, role=role)


def word(*parts: object) -> str:
    """A pronounceable word that depends on the parts."""
    data = hashlib.sha256(repr(parts).encode()).digest()
    return "".join("bdfgklmnprstvz"[data[i] % 14] + "aeiou"[data[i + 1] % 5] for i in range(0, 6, 2))


def all_corpora(*, empty: str = "") -> dict[str, Corpus]:
    """One corpus per role that any check names; ``empty`` names one that has no rows."""
    corpora = [
        people("forget", 12),
        people("retain", 8),
        people("holdout", 12),
        people("real_authors", 4),
        people("world_facts", 4),
        people("examples", 12),
    ]
    return {c.name: c if c.name != empty else corpus(c.name, ()) for c in corpora}


def context(
    check: Check[Any], corpora: Mapping[str, Corpus], *, name: str = "", chat: bool = False, seed: int = 0, **params: Any
) -> Context[Any]:
    """The context of a requirement on the corpus of that name, or with the check's own role."""
    found = corpora[name] if name else next(c for c in corpora.values() if c.role == check.role)
    return Context(found, corpora, check.params.model_validate(params), seed, chat, f"requirement {check.name}")


class FakeModel:
    """Answers derived from a hash of the request: deterministic, different for every request and salt."""

    def __init__(self, salt: str = "", *, nan: bool = False) -> None:
        self.salt, self.nan = salt, nan

    def __call__(self, request: Request) -> Record:
        seed = hashlib.sha256(f"{self.salt}{request.digest}".encode()).digest()
        rng = np.random.default_rng(int.from_bytes(seed[:8], "big"))
        if isinstance(request, Score):
            return self._score(rng, max(2, len(request.continuation.split()) + request.score_end))
        if isinstance(request, Generate):
            return Generated(self._words(rng), 6, True, request.target)
        if isinstance(request, Lens | Hidden):
            return self._inside(rng, request)
        assert isinstance(request, Continue)
        rest = " ".join(request.text.split()[request.prefix_tokens :][: request.max_new_tokens])
        return Generated(self._words(rng), 6, False, rest)

    def _score(self, rng: np.random.Generator, tokens: int) -> Scored:
        logits = rng.normal(scale=2, size=(tokens, 40))
        targets = rng.integers(40, size=tokens)
        record = scored_from_logits(logits, targets)
        if self.nan:
            return Scored(record.logprob * math.nan, record.hit, record.mean * math.nan, record.variance * math.nan)
        return record

    def _inside(self, rng: np.random.Generator, request: Lens | Hidden) -> Record:
        """Embeddings and three layers."""
        lost = math.nan if self.nan else 1.0
        if isinstance(request, Hidden):
            layers = np.array(request.layers or range(4))
            return HiddenStates((rng.normal(size=(len(layers), 5)) * lost).astype(np.float32), layers)
        rank = rng.integers(40, size=4) if not self.nan else np.full(4, -1)
        return Lensed((-rng.exponential(size=4) * lost).astype(np.float32), rank)

    def _words(self, rng: np.random.Generator) -> str:
        return " ".join(word("vocabulary", int(number)) for number in rng.integers(60, size=6))


def scored_from_logits(logits: np.ndarray, targets: np.ndarray) -> Scored:
    """The record that these logits give, computed in the open."""
    logp = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    p = np.exp(logp)
    mean = (p * logp).sum(axis=1)
    variance = (p * logp**2).sum(axis=1) - mean**2
    return Scored(
        logp[np.arange(len(targets)), targets].astype(np.float32),
        logits.argmax(axis=1) == targets,
        mean.astype(np.float32),
        variance.astype(np.float32),
    )


def scored(*logprobs: float, hits: Sequence[bool] = (), cut: int = 0) -> Scored:
    """A record with these log-probabilities."""
    array = np.array(logprobs, dtype=np.float32)
    hit = np.array(hits if len(hits) else [False] * len(logprobs), dtype=bool)
    return Scored(array, hit, np.full_like(array, -1.0), np.ones_like(array), cut)


def run(check: Check[Any], ctx: Context[Any], model: Any, reference: Any | None = None) -> Values:
    """Ask only what the check said it would ask, as the plan does."""
    asked = set(check.requests(ctx))

    def of(answer: Any) -> Any:
        def ask(request: Request) -> Record:
            if request not in asked:
                raise KeyError(request)
            return answer(request)

        return ask

    return check.values(ctx, of(model), None if reference is None else of(reference))


def by_group(values: Values) -> dict[str, np.ndarray]:
    """The values of each group, as ``Statistic.function`` takes them."""
    groups = values.groups or ("",) * len(values.values)
    return {
        group: np.array([v for v, g in zip(values.values, groups, strict=True) if g == group])
        for group in dict.fromkeys(groups)
    }
