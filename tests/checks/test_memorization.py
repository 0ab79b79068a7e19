"""Verbatim and knowledge memorization, and what reads one pass: conventions, leaks per subject, odd rows."""

from __future__ import annotations

import math

import pytest
from pydantic import ValidationError

from auditkit.checks import CHECKS
from auditkit.errors import DataError
from auditkit.models.protocol import Continue, Generate, Generated, Score
from tests.checks.fakes import FakeModel, all_corpora, context, corpus, row, run, scored

VERBATIM = CHECKS.get("verbatim_memorization")
KNOWLEDGE = CHECKS.get("knowledge_memorization")
PROBABILITY = CHECKS.get("answer_probability")
STRENGTH = CHECKS.get("extraction_strength")


def forget(*rows):
    return {"forget": corpus("forget", rows)}


def says(text, target=None):
    return lambda request: Generated(text, 3, True, target if target is not None else getattr(request, "target", None))


def test_a_text_is_continued_from_its_first_tokens():
    ctx = context(VERBATIM, forget(row(1, text="one two three four")), prefix_tokens=2)
    assert list(VERBATIM.requests(ctx)) == [Continue("one two three four", 2, 128)]
    values = run(VERBATIM, ctx, says("three four", target="three four"))
    assert values.values == (1.0,)


def test_a_continuation_follows_its_prompt_as_it_stands():
    ctx = context(VERBATIM, forget(row(1, prompt="one two", continuation=" three four")), chat=True)
    (request,) = VERBATIM.requests(ctx)
    assert request == Generate(request.prompt, 128, target=" three four")
    assert (request.prompt.text, request.prompt.chat) == ("one two", False)


def test_muse_cuts_the_truth_and_open_unlearning_does_not():
    rows = forget(row(1, prompt="one", continuation="two three four five"))
    cut = says("two three", target="two three")
    assert run(VERBATIM, context(VERBATIM, rows), cut).values == (1.0,)
    published = run(VERBATIM, context(VERBATIM, rows, convention="open-unlearning"), cut).values[0]
    assert published == pytest.approx(2 / 3)
    assert run(VERBATIM, context(VERBATIM, rows, convention="tofu"), cut).values == (0.5,)


def test_a_text_no_longer_than_its_prefix_is_not_a_zero():
    values = run(VERBATIM, context(VERBATIM, forget(row(1, text="short"))), says("anything", target=""))
    assert math.isnan(values.values[0])
    assert any("could not be computed" in note for note in values.notes)


@pytest.mark.parametrize("fields", [{"prompt": "a"}, {"continuation": "b"}])
def test_a_half_row_is_named(fields):
    corpora = forget(row(1, text="whole"), row(2, **fields))
    ctx = context(VERBATIM, corpora)
    assert VERBATIM.problems(ctx) or "prompt" in fields
    with pytest.raises(DataError, match=r"forget\.jsonl: requirement verbatim_memorization: row 2: must have"):
        list(VERBATIM.requests(ctx))


@pytest.mark.parametrize(
    ("convention", "tokens", "score"), [("muse", 32, 0.0), ("open-unlearning", 32, 2 / 3), ("tofu", 200, 1.0)]
)
def test_the_three_conventions(convention, tokens, score):
    ctx = context(KNOWLEDGE, forget(row(1, question="What?", answer="running")), convention=convention)
    assert next(iter(KNOWLEDGE.requests(ctx))).max_new_tokens == tokens
    assert run(KNOWLEDGE, ctx, says("It runs", "")).values[0] == pytest.approx(score)


def test_aliases_count_and_empty_answers_are_reported():
    ctx = context(KNOWLEDGE, forget(row(1, question="Where?", answer="New York City", aliases=("NYC",))))
    assert run(KNOWLEDGE, ctx, says("NYC")).values == (1.0,)
    values = run(KNOWLEDGE, ctx, says("  "))
    assert values.values == (0.0,)
    assert values.details["empty_answers"] == 1.0


def test_a_cut_prompt_is_said():
    ctx = context(KNOWLEDGE, all_corpora())
    values = run(KNOWLEDGE, ctx, lambda request: Generated("x", 1, True, None, cut_tokens=7))
    assert any("up to 7 tokens were cut" in note for note in values.notes)


def test_one_bit_per_subject():
    params = KNOWLEDGE.params(statistic="leaking_subjects", leak_at=0.5)
    statistic = KNOWLEDGE.statistic(params)
    assert (statistic.kind, statistic.at) == ("leaking_subjects", 0.5)
    assert KNOWLEDGE.metric_for(params).name == "subjects with ROUGE-L of 0.5 or more"
    assert KNOWLEDGE.statistic(KNOWLEDGE.params()).kind == "mean"


@pytest.mark.parametrize(
    ("params", "words"),
    [({"statistic": "leaking_subjects"}, "needs leak_at"), ({"leak_at": 0.5}, "has no effect"), ({"leak_at": 0}, "greater")],
)
def test_leak_at_belongs_to_leaking_subjects(params, words):
    with pytest.raises(ValidationError, match=words):
        KNOWLEDGE.params.model_validate(params)


def test_rows_are_scored_by_what_they_hold():
    rows = forget(
        row(1, question="Who?", answer="Ann"),
        row(2, text="A whole text."),
        row(3, prompt="Once upon", continuation="a time"),
        row(4, prompt="Once upon ", continuation="a time", text="ignored"),
    )
    requests = list(STRENGTH.requests(context(STRENGTH, rows)))
    assert [(r.prompt.text, r.continuation, r.score_end) for r in requests] == [
        ("Question: Who?\nAnswer:", " Ann", False),
        ("", "A whole text.", False),
        ("Once upon", " a time", False),
        ("Once upon ", "a time", False),
    ]


def test_checks_that_read_one_pass_ask_the_same():
    corpora = all_corpora()
    names = ("extraction_strength", "exact_memorization")
    asked = [list(CHECKS.get(name).requests(context(CHECKS.get(name), corpora))) for name in names]
    members = CHECKS.get("membership_inference").requests(context(CHECKS.get("membership_inference"), corpora))
    assert asked[0] == asked[1]
    assert set(asked[0]) <= set(members)


def test_the_end_token_is_scored_where_the_convention_has_it():
    rows = forget(row(1, question="Who?", answer="Ann"))
    for convention, end in (("answer", False), ("tofu", True), ("open-unlearning", True)):
        (request,) = PROBABILITY.requests(context(PROBABILITY, rows, convention=convention))
        assert request.score_end is end


def test_the_likeliest_alias_counts():
    rows = forget(row(1, question="Who?", answer="Ann", aliases=("Annie",)))
    likely = {" Ann": math.log(0.2), " Annie": math.log(0.7)}

    def model(request: Score):
        return scored(likely[request.continuation])

    assert run(PROBABILITY, context(PROBABILITY, rows), model).values[0] == pytest.approx(0.7)
    assert run(PROBABILITY, context(PROBABILITY, rows, aliases="ignored"), model).values[0] == pytest.approx(0.2)
    likely[" Annie"] = math.nan
    assert math.isnan(run(PROBABILITY, context(PROBABILITY, rows), model).values[0])


def test_the_excerpt_of_a_row_is_one_of_the_requests():
    for name in ("verbatim_memorization", "knowledge_memorization", "fluency", "utility"):
        check = CHECKS.get(name)
        ctx = context(check, all_corpora(), shots_from="examples") if name != "verbatim_memorization" else context(
            check, all_corpora()
        )  # fmt: skip
        requests = set(check.requests(ctx))
        assert all(check.shown(ctx, example) in requests for example in ctx.corpus.examples)


def test_values_name_corpus_and_subject():
    values = run(KNOWLEDGE, context(KNOWLEDGE, all_corpora()), FakeModel())
    assert values.ids[0] == "forget/1"
    assert values.subjects[0].startswith("forget/")
    assert len(set(values.subjects)) == 12
