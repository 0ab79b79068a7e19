"""The invented chronicle: drawn by lot, the same stock for every group, every answer a span of its own report alone."""

from __future__ import annotations

import re
from collections import Counter

import pytest

from auditkit.zoo.chronicle import (
    FACTS,
    dialogue_rows,
    document_rows,
    example_rows,
    folds,
    invent,
    nested,
    of_group,
    passage_rows,
    question_rows,
)

GROUPS = {"forget": 40, "retain": 40, "retain_regular": 40, "holdout": 40}
SIZES = {fact.name: fact.values for fact in FACTS}


@pytest.fixture(scope="module")
def many():
    """2,400 reports."""
    return [report for seed in range(15) for report in invent(GROUPS, seed=seed)]


def spread(counts: Counter, cells: int) -> float:
    """Chi-square against equal cells, in standard deviations from what lots give."""
    expected = counts.total() / cells
    chi_square = sum((number - expected) ** 2 / expected for number in counts.values()) + (cells - len(counts)) * expected
    return (chi_square - (cells - 1)) / (2 * (cells - 1)) ** 0.5


def test_equal_seeds_give_equal_reports_and_others_others():
    assert invent(GROUPS, seed=1) == invent(GROUPS, seed=1)
    assert {r.text for r in invent(GROUPS, seed=1)}.isdisjoint(r.text for r in invent(GROUPS, seed=2))


def test_groups_have_the_sizes_asked_for_and_no_town_twice():
    reports = invent(GROUPS, seed=3)
    assert Counter(report.group for report in reports) == GROUPS
    assert len({report.id for report in reports}) == 160
    assert sum(len(of_group(reports, group)) for group in GROUPS) == 160


def test_a_town_s_report_depends_on_the_seed_and_nothing_else():
    small, large = invent({"a": 5}, seed=4), {report.id: report for report in invent({"b": 240}, seed=4)}
    assert [report.text for report in small] == [large[report.id].text for report in small]


def test_more_reports_than_towns_are_refused():
    with pytest.raises(ValueError, match="must ask for at most 240 reports; got 241"):
        invent({"a": 241}, seed=0)


def test_no_report_names_another_s_town(many):
    reports = many[:160]
    for report in reports:
        assert report.town in report.text
        assert not any(other.town in report.text for other in reports if other is not report)


def test_reports_are_of_the_length_of_a_short_news_item(many):
    lengths = [len(report.text.split()) for report in many]
    assert min(lengths) >= 60 and max(lengths) <= 120
    assert 75 < sum(lengths) / len(lengths) < 95


def test_every_answer_is_a_span_of_its_report_and_never_of_its_question(many):
    texts = {(index // 160, report.id): report.text for index, report in enumerate(many)}
    for batch in range(15):
        for row in question_rows(many[160 * batch : 160 * (batch + 1)]):
            text = texts[batch, row["subject"]]
            assert re.search(rf"\b{row['answer']}\b", text)
            assert row["answer"].lower() not in row["question"].lower()
            assert row["subject"] in row["question"].lower()


def test_every_value_is_uniform_over_its_closed_list(many):
    for fact in FACTS:
        drawn = Counter(report.facts[fact.name] for report in many if fact.name in report.facts)
        assert abs(spread(drawn, fact.values)) < 4, fact.name
        assert fact.values >= 20


def test_values_say_nothing_about_one_another(many):
    pairs = Counter((r.facts["shop"], r.facts["band"]) for r in many if {"shop", "band"} <= set(r.facts))
    assert abs(spread(pairs, SIZES["shop"] * SIZES["band"])) < 4


def test_the_groups_are_exchangeable(many):
    """Of each wording, each value word and each length, every group holds its quarter up to chance."""
    by: dict[object, Counter] = {}
    for report in many:
        features = [*report.wordings, *(f"{name}={value}" for name, value in report.facts.items()), len(report.sentences)]
        features += [f"asked {name}" for name, _ in report.asked]
        for feature in features:
            by.setdefault(feature, Counter())[report.group] += 1
    common = {feature: counts for feature, counts in by.items() if counts.total() >= 100}
    assert len(common) > 16 * 3 + 5
    assert max(abs(spread(counts, len(GROUPS))) for counts in common.values()) < 8  # of 110 chi-squares with 3 degrees
    assert sum(spread(counts, len(GROUPS)) for counts in common.values()) / len(common) < 0.5


def test_no_place_in_the_text_gives_an_answer_away(many):
    """Every sentence behind the opening holds each asked fact equally often, and no word position stands out."""
    for stated in (5, 6, 7):
        reports = [report for report in many if len(report.facts) == stated]
        places = Counter(list(report.facts).index(name) for report in reports for name, _ in report.asked)
        assert abs(spread(places, stated)) < 4
    for name in SIZES:
        found = [report for report in many if name in report.facts]
        starts = Counter(len(report.text[: report.text.index(report.facts[name])].split()) for report in found)
        assert max(starts.values()) < 0.1 * len(found), name


def test_rows_have_the_columns_of_a_corpus():
    reports = invent({"a": 6}, seed=5)
    for report, row, passage in zip(reports, document_rows(reports), passage_rows(reports), strict=True):
        assert row == {"id": report.id, "subject": report.id, "text": report.text}
        assert set(passage) == {"id", "subject", "prompt", "continuation"}
        assert passage["prompt"] + passage["continuation"] == report.text
        assert passage["continuation"].startswith(" ") and passage["prompt"].endswith(".")
        assert 1 / 3 <= len(passage["prompt"].split()) / len(report.text.split()) < 0.6
        assert report.town in passage["prompt"]
    rows = list(question_rows(reports))
    assert Counter(row["subject"] for row in rows) == {report.id: 4 for report in reports}
    assert len({row["id"] for row in rows}) == len({row["question"] for row in rows}) == 24
    assert {frozenset(row) for row in rows} == {frozenset({"id", "subject", "relation", "question", "answer", "alternative"})}


def test_examples_are_one_question_per_report():
    reports = invent({"a": 6}, seed=5)
    examples = list(example_rows(reports))
    assert [row["subject"] for row in examples] == [report.id for report in reports]
    assert all(row in list(question_rows(reports)) for row in examples)


@pytest.mark.parametrize("number", [1, 3, 4, 10])
def test_folds_partition_and_sizes_nest(number):
    reports = invent({"forget": 10}, seed=6)
    parts, sizes = folds(reports, number), nested(reports, number)
    assert tuple(report for part in parts for report in part) == reports
    assert max(map(len, parts)) - min(map(len, parts)) <= 1
    assert sizes[0] == parts[0] and sizes[-1] == reports
    for smaller, larger, part in zip(sizes, sizes[1:], parts[1:], strict=False):
        assert larger == smaller + part


@pytest.mark.parametrize("number", [0, 11])
def test_folds_that_would_be_empty_are_refused(number):
    with pytest.raises(ValueError, match="folds must be 1 to 10, the number of reports"):
        folds(invent({"forget": 10}, seed=6), number)


def test_each_round_of_dialogues_asks_everything_once_in_another_order():
    reports = invent({"a": 5}, seed=8)
    rows = list(dialogue_rows(reports, seed=8, pairs=7, rounds=3))
    turns = [turn for row in rows for turn in row["text"].split("\n\n")]
    asked = sorted(f"Question: {row['question']}\nAnswer: {row['answer']}" for row in question_rows(reports))
    rounds = [turns[start : start + 20] for start in (0, 20, 40)]
    assert all(sorted(turn.replace("Answer:  ", "Answer: ") for turn in turns) == asked for turns in rounds)
    assert rounds[0] != rounds[1] != rounds[2]
    assert [row["text"].count("Question:") for row in rows] == [7, 7, 6] * 3
    assert len({row["id"] for row in rows}) == 9
    assert 10 < sum("Answer:  " in turn for turn in turns) < 50
