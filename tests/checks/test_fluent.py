"""Fluency: what counts as broken, and that nothing is generated twice."""

from __future__ import annotations

import math

import pytest

from auditkit.checks import CHECKS
from auditkit.checks._degenerate import is_degenerate, is_empty, ngram_entropy, repetition, tokens_of
from auditkit.models.protocol import Generated
from tests.checks.fakes import all_corpora, context, run

FLUENCY = CHECKS.get("fluency")
SENTENCE = "She was born in the old town of Graz and later moved to a small village by the lake."


@pytest.mark.parametrize("text", ["", "  \n", "...", "!? -", "\u200b"])
def test_nothing_said_is_empty(text):
    assert is_empty(text)
    assert is_degenerate(text, max_repetition=0.5)


@pytest.mark.parametrize(
    "text",
    [
        "the the the the the the",
        "I do not know. I do not know. I do not know. I do not know.",
        "a" * 40,
        "hahahahahahahahahahahahahaha",
        "ok !!!!!!!!!!!!!!!!!!!!!!!!!",
        "是是是是是是是是是",
    ],
)
def test_loops_are_degenerate(text):
    assert is_degenerate(text, max_repetition=0.5)


@pytest.mark.parametrize(
    "text", ["Paris", SENTENCE, "No, no.", "1984", "2, 3, 5, 7, 11 and 13", "今日は東京で雨が降っています", "ha ha"]
)
def test_short_and_ordinary_answers_are_sane(text):
    assert not is_degenerate(text, max_repetition=0.5)


def test_repetition_by_hand():
    assert repetition("a b a b") == pytest.approx(1 / 3)
    assert repetition("a") == repetition("") == 0


def test_words_marks_and_unspaced_scripts_are_tokens():
    assert tokens_of("Don't, 東京!") == ["don", "'", "t", ",", "東", "京", "!"]


def test_entropy_by_hand():
    # Bigrams ab ba ab: H2 = log2(3) - 2/3. Trigrams aba bab: H3 = 1.
    h2 = math.log2(3) - 2 / 3
    assert ngram_entropy("a b a b") == pytest.approx((2 / 3 * h2 + 4 / 3 * 1) / 2)
    assert ngram_entropy("a") == 0
    assert ngram_entropy(SENTENCE) > ngram_entropy("the the the the")


def test_a_long_hostile_text_is_read_in_time():
    assert repetition("ab" * 20_000) == 1.0
    assert repetition("".join(chr(0x4E00 + i % 5000) for i in range(20_000))) <= 1.0


def test_a_collapsed_model_does_not_look_fluent():
    ctx = context(FLUENCY, all_corpora())
    silent = run(FLUENCY, ctx, lambda request: Generated("", 0, True))
    assert set(silent.values) == {0.0}
    assert silent.details["empty_rate"] == 1.0
    looping = run(FLUENCY, ctx, lambda request: Generated("no no no no no no", 32, False))
    assert set(looping.values) == {0.0}
    assert looping.details["mean_repetition"] == pytest.approx(0.8)
    sane = run(FLUENCY, ctx, lambda request: Generated(SENTENCE, 20, True))
    assert set(sane.values) == {1.0}
    assert sane.details["mean_ngram_entropy_bits"] > 3


def test_it_reads_the_answers_of_knowledge_memorization():
    knowledge = CHECKS.get("knowledge_memorization")
    for params in ({}, {"convention": "tofu"}, {"shots_from": "examples", "max_new_tokens": 5}):
        one = list(FLUENCY.requests(context(FLUENCY, all_corpora(), **params)))
        assert one == list(knowledge.requests(context(knowledge, all_corpora(), **params)))


def test_the_limit_is_a_parameter():
    ctx = context(FLUENCY, all_corpora(), max_repetition=0.9)
    assert set(run(FLUENCY, ctx, lambda request: Generated("no no no no no no", 32, False)).values) == {1.0}
