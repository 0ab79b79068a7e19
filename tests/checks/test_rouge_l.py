"""ROUGE-L is rouge-score's, and what it cannot see is not a zero."""

from __future__ import annotations

import math
import random

import pytest
from rouge_score.rouge_scorer import RougeScorer

from auditkit.checks._rouge import best_rouge_l, rouge_l

WORDS = [
    "the",
    "cat",
    "sat",
    "on",
    "a",
    "mat",
    "while",
    "running",
    "dogs",
    "ran",
    "quickly",
    "past",
    "old",
    "houses",
    "17",
    "times",
]


def test_the_golden_case():
    assert rouge_l("the cat on mat", "the cat sat on the mat", measure="f1", stem=False) == pytest.approx(0.8)
    assert rouge_l("the cat on mat", "the cat sat on the mat", measure="recall", stem=False) == pytest.approx(2 / 3)


@pytest.mark.parametrize("stem", [True, False])
def test_equals_rouge_score(stem):
    rng = random.Random(1)
    scorer = RougeScorer(["rougeL"], use_stemmer=stem)
    for _ in range(30):
        prediction, target = (" ".join(rng.choices(WORDS, k=rng.randint(1, 20))) for _ in range(2))
        direct = scorer.score(target, prediction)["rougeL"]
        assert rouge_l(prediction, target, measure="f1", stem=stem) == direct.fmeasure
        assert rouge_l(prediction, target, measure="recall", stem=stem) == direct.recall


def test_the_stemmer_matters():
    assert rouge_l("run", "running", measure="f1", stem=True) == 1.0
    assert rouge_l("run", "running", measure="f1", stem=False) == 0.0


def test_an_empty_answer_scores_zero():
    assert rouge_l("", "the cat", measure="f1", stem=False) == 0.0


@pytest.mark.parametrize("target", ["", "!?", "Москва", "東京"])
def test_a_target_that_rouge_cannot_see_is_not_a_zero(target):
    assert math.isnan(rouge_l(target, target, measure="recall", stem=False))


def test_the_best_alias_counts():
    assert best_rouge_l("NYC", ("New York City", "NYC"), measure="f1", stem=False) == 1.0
    assert best_rouge_l("a town", ("New York", "town"), measure="f1", stem=False) == pytest.approx(2 / 3)
    assert math.isnan(best_rouge_l("a town", ("Москва", "town"), measure="f1", stem=False))
    assert best_rouge_l("town", ("Москва", "town"), measure="f1", stem=False) == 1.0
    assert math.isnan(best_rouge_l("x", (), measure="f1", stem=False))
