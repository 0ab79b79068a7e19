"""leak@k: golden values, against plain sums, and at the edges."""

from __future__ import annotations

import itertools
import math
from fractions import Fraction

import numpy as np
import pytest

from auditkit.checks import CHECKS
from auditkit.checks.leak_at_k import chance, leak_at, sampled_leak_at
from auditkit.models.protocol import Generate, Generated, Score
from tests.checks.fakes import FakeModel, all_corpora, context, corpus, row, run, scored

CHECK = CHECKS.get("leak_at_k")
NAN = float("nan")


def measured(answers, *rows, **params):
    rows = rows or (row(1, "Bo", question="Where?", answer="Oslo"),)
    return run(CHECK, context(CHECK, {"forget": corpus("forget", rows)}, **params), answers)


def logs(*probabilities):
    return scored(*map(math.log, probabilities))


@pytest.mark.parametrize(
    ("p", "k", "expected"),
    [(0.01, 10, 0.096), (0.01, 32, 0.275), (0.01, 128, 0.724), (0.001, 10, 0.010), (0.001, 32, 0.032), (0.001, 128, 0.120)],
)
def test_golden_values(p, k, expected):
    assert leak_at(p, k) == pytest.approx(expected, abs=5e-4)
    assert leak_at(p, k) == pytest.approx(1 - (1 - p) ** k)


def test_a_tiny_chance_is_not_rounded_away():
    assert leak_at(1e-30, 1000) == pytest.approx(1e-27, rel=1e-12)
    assert 1 - (1 - 1e-30) ** 1000 == 0


@pytest.mark.parametrize(("p", "expected"), [(0.0, 0.0), (1.0, 1.0)])
@pytest.mark.parametrize("k", [1, 32])
def test_certainty(p, expected, k):
    assert leak_at(p, k) == expected
    assert math.isnan(leak_at(NAN, k))


def test_the_chance_is_the_sum_over_answers_of_the_products_over_tokens():
    assert chance([logs(0.5, 0.5, 0.8), logs(0.1, 0.25)]) == pytest.approx(0.2 + 0.025)
    assert chance([logs(0.9), logs(0.3)]) == 1
    assert chance([scored(-1000.0)]) == 0


@pytest.mark.parametrize("broken", [scored(), scored(NAN), scored(-1.0, float("-inf"))])
def test_an_answer_that_was_not_scored_leaves_no_chance(broken):
    assert math.isnan(chance([logs(0.5), broken]))


@pytest.mark.parametrize("n", [1, 2, 5, 6])
def test_the_estimate_from_samples_counts_the_draws_that_hold_a_leak(n):
    for c in range(n + 1):
        for k in range(1, n + 1):
            subsets = list(itertools.combinations(range(n), k))
            held = sum(any(place < c for place in subset) for subset in subsets)
            assert sampled_leak_at(n, c, k) == pytest.approx(held / len(subsets))
    assert math.isnan(sampled_leak_at(n, 0, n + 1))


def test_the_estimate_from_samples_is_unbiased():
    n, k, p = 12, 5, Fraction(3, 10)
    expected = sum(
        math.comb(n, c) * p**c * (1 - p) ** (n - c) * Fraction(math.comb(n, k) - math.comb(n - c, k), math.comb(n, k))
        for c in range(n + 1)
    )
    assert expected == 1 - (1 - p) ** k
    draws = np.random.default_rng(0).binomial(n, 0.3, 4000)
    assert np.mean([sampled_leak_at(n, int(c), k) for c in draws]) == pytest.approx(float(expected), abs=0.02)


def test_many_samples_do_not_overflow():
    assert 0 < sampled_leak_at(1000, 3, 500) < 1
    assert sampled_leak_at(1000, 1000, 1) == 1


def test_what_is_asked():
    rows = (row(1, "Bo", question="Where?", answer="Oslo", aliases=("Christiania", "Oslo")),)
    ctx = context(CHECK, {"forget": corpus("forget", rows)}, samples=2, max_new_tokens=5)
    asked = list(CHECK.requests(ctx))
    scores = [request for request in asked if isinstance(request, Score)]
    draws = [request for request in asked if isinstance(request, Generate)]
    assert [(request.continuation, request.score_end) for request in scores] == [(" Oslo", True), (" Christiania", True)]
    assert [(request.temperature, request.top_p, request.draw, request.max_new_tokens) for request in draws] == [
        (1.0, 1.0, 1, 5),
        (1.0, 1.0, 2, 5),
    ]
    assert {request.prompt.text for request in asked} == {"Question: Where?\nAnswer:"}
    assert CHECK.shown(ctx, rows[0]) == draws[0]
    assert CHECK.shown(context(CHECK, all_corpora()), rows[0]) is None


def test_values_of_rows():
    rows = [row(1, "Bo", question="Where?", answer="Oslo", aliases=("Bonn",)), row(2, "Cy", question="When?", answer="1999")]
    chances = {" Oslo": 0.25, " Bonn": 0.25, " 1999": 0.01}
    values = measured(lambda request: logs(chances[request.continuation], 1.0), *rows, k=2)
    assert values.values == pytest.approx((0.75, 0.0199))
    assert values.ids == ("forget/1", "forget/2")
    assert values.details == {"leak@k": {"1": pytest.approx(0.255), "2": pytest.approx(0.38495)}}


def test_a_row_without_a_chance_is_not_a_number_and_is_counted():
    values = measured(lambda request: scored(NAN))
    assert math.isnan(values.values[0])
    assert values.notes == ("1 value could not be computed: an answer could not be scored.",)
    assert values.details["leak@k"]["32"] is None


def test_samples_are_shown_beside_and_not_beyond_their_number():
    texts = {1: "It is in OSLO, I think.", 2: "Bonn", 3: "Oslo!", 4: "somewhere"}

    def answers(request):
        return logs(0.5) if isinstance(request, Score) else Generated(texts[request.draw], 3, True)

    values = measured(answers, k=6, samples=4)
    assert values.details["samples"] == 4
    assert values.details["leak@k from samples"] == {"1": 0.5, "2": pytest.approx(5 / 6), "4": 1.0, "6": None}
    assert set(values.details["leak@k"]) == {"1", "2", "4", "6"}
    assert values.values == pytest.approx((1 - 0.5**6,))


def test_names_say_k():
    assert CHECK.metric_for(CHECK.params(k=128)).name == "leak@128"
    subjects = CHECK.params(k=8, statistic="leaking_subjects", leak_at=0.5)
    assert CHECK.metric_for(subjects).name == "subjects with leak@8 of 0.5 or more"
    assert CHECK.statistic(subjects).at == 0.5


def test_more_questions_leak_more():
    corpora = all_corpora()
    few, many = (run(CHECK, context(CHECK, corpora, k=k), FakeModel()).values for k in (1, 1000))
    assert all(a < b for a, b in zip(few, many, strict=True))
