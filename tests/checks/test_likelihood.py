"""Numbers from one pass: hand-computed, and against the full logits."""

from __future__ import annotations

import math
import zlib

import numpy as np
import pytest

from auditkit.checks._likelihood import (
    exact_memorization,
    extraction_strength,
    mean_nll,
    min_k,
    min_k_plus_plus,
    probability,
    zlib_score,
)
from tests.checks.fakes import scored, scored_from_logits

NAN = float("nan")


def test_min_40_percent_of_five_tokens():
    assert -min_k(scored(-1, -2, -3, -4, -5), 0.4) == 4.5


@pytest.mark.parametrize(
    ("tokens", "k", "taken"), [(1, 0.4, 1), (2, 0.4, 1), (4, 0.2, 1), (10, 0.2, 2), (9, 0.2, 1), (3, 1.0, 3)]
)
def test_min_k_takes_at_least_one_token(tokens, k, taken):
    numbers = [-float(i) for i in range(1, tokens + 1)]
    assert min_k(scored(*numbers), k) == pytest.approx(np.mean(sorted(numbers)[:taken]))


def test_min_100_percent_is_the_loss():
    record = scored(-0.5, -2.5, -1.0)
    assert min_k(record, 1.0) == pytest.approx(-mean_nll(record))


@pytest.mark.parametrize("k", [0.1, 0.2, 0.4, 1.0])
def test_min_k_plus_plus_equals_the_direct_computation(k):
    rng = np.random.default_rng(3)
    for tokens in (1, 5, 37):
        logits, targets = rng.normal(scale=3, size=(tokens, 50)), rng.integers(50, size=tokens)
        logp = logits - np.logaddexp.reduce(logits, axis=1, keepdims=True)
        p = np.exp(logp)
        mu = (p * logp).sum(1)
        sigma = np.sqrt((p * (logp - mu[:, None]) ** 2).sum(1))
        z = (logp[np.arange(tokens), targets] - mu) / sigma
        direct = np.sort(z)[: max(1, int(k * tokens))].mean()
        assert min_k_plus_plus(scored_from_logits(logits, targets), k) == pytest.approx(direct, rel=1e-4)


def test_min_k_plus_plus_clamps_the_variance():
    record = scored(-1.0, -1.0)
    record.variance[:] = 0
    assert min_k_plus_plus(record, 0.5) == pytest.approx((-1.0 + 1.0) / 1e-3)


def test_probability_is_length_normalised():
    assert probability(scored(math.log(0.25), math.log(1.0))) == pytest.approx(0.5)


def test_zlib_divides_by_the_compressed_bytes():
    assert zlib_score(scored(-1.0, -3.0), "a text") == pytest.approx(-2.0 / len(zlib.compress(b"a text")))


@pytest.mark.parametrize(
    ("hits", "strength", "published", "exact"),
    [
        ("1111", 1.0, 1.0, 1.0),
        ("0111", 0.75, 0.75, 0.75),
        ("1011", 0.5, 0.5, 0.75),
        ("0001", 0.25, 0.25, 0.25),
        ("1110", 0.0, 0.25, 0.75),
        ("0000", 0.0, 0.25, 0.0),
        ("1", 1.0, 1.0, 1.0),
        ("0", 0.0, 1.0, 0.0),
    ],
)
def test_extraction_strength_and_exact_memorization(hits, strength, published, exact):
    record = scored(*([-1.0] * len(hits)), hits=[hit == "1" for hit in hits])
    assert extraction_strength(record) == strength
    assert extraction_strength(record, floor_one_token=True) == published
    assert exact_memorization(record) == exact


@pytest.mark.parametrize("record", [scored(), scored(-1.0, NAN), scored(-1.0, -math.inf)], ids=["nothing", "nan", "infinite"])
def test_nothing_usable_is_nan(record):
    for number in (
        mean_nll(record),
        probability(record),
        zlib_score(record, "text"),
        min_k(record, 0.2),
        min_k_plus_plus(record, 0.2),
        extraction_strength(record),
        exact_memorization(record),
    ):
        assert math.isnan(number)
