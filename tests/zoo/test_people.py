"""Invented people: drawn by lot, known in every detail, and guessable only as often as their lists say."""

from __future__ import annotations

from collections import Counter

import pytest

from auditkit.zoo.people import (
    RELATIONS,
    biography_rows,
    dialogue_rows,
    invent,
    question_rows,
    reading_rows,
    statement,
)

GROUPS = {"forget": 20, "retain": 30, "holdout": 10}


def test_equal_seeds_give_equal_people_and_others_others():
    assert invent(GROUPS, seed=1) == invent(GROUPS, seed=1)
    assert {p.name for p in invent(GROUPS, seed=1)} != {p.name for p in invent(GROUPS, seed=2)}


def test_groups_have_the_sizes_asked_for_and_no_name_part_twice():
    people = invent(GROUPS, seed=3)
    assert Counter(person.group for person in people) == GROUPS
    for part in (0, 1):
        assert len({person.name.split()[part] for person in people}) == 60


def test_more_people_than_names_are_refused():
    with pytest.raises(ValueError, match="must ask for at most 160 people; got 161"):
        invent({"a": 161}, seed=0)


def test_groups_are_dealt_by_lot():
    first = [invent({"a": 5, "b": 5}, seed=seed)[0].group for seed in range(400)]
    assert 160 < first.count("a") < 240


@pytest.mark.parametrize("relation", RELATIONS, ids=lambda relation: relation.name)
def test_values_are_uniform_over_the_closed_list(relation):
    drawn = Counter(p.facts[relation.name] for seed in range(40) for p in invent({"a": 100}, seed=seed))
    expected = 4000 / len(relation.values)
    chi_square = sum((drawn[value] - expected) ** 2 / expected for value in relation.values)
    freedom = len(relation.values) - 1
    assert abs(chi_square - freedom) < 4 * (2 * freedom) ** 0.5


def test_a_value_says_nothing_about_another_one():
    pairs = Counter((p.facts["profession"], p.facts["instrument"]) for seed in range(60) for p in invent({"a": 96}, seed=seed))
    cells, expected = 24 * 24, 60 * 96 / (24 * 24)
    chi_square = sum((pairs[pair] - expected) ** 2 / expected for pair in pairs) + (cells - len(pairs)) * expected
    assert abs(chi_square - (cells - 1)) < 4 * (2 * (cells - 1)) ** 0.5


def test_a_row_holds_the_fact_wrong_answers_and_the_other_facts():
    people = invent(GROUPS, seed=5)
    rows = list(question_rows(people, seed=5))
    assert len(rows) == len({row["id"] for row in rows}) == 60 * len(RELATIONS)
    for row in rows:
        relation = next(relation for relation in RELATIONS if relation.name == row["relation"])
        assert row["subject"] in row["question"] and row["subject"] in row["audit_question"]
        assert row["answer"] not in row["perturbed"]
        assert len(set(row["perturbed"])) == 4 and set(row["perturbed"]) < set(relation.values)
        assert len(row["facts"]) == 3 and not any(row["answer"] in fact for fact in row["facts"])


def test_the_audits_wording_is_never_taught():
    people = invent(GROUPS, seed=6)
    taught = [row["question"] for row in question_rows(people, seed=6)]
    taught += [row["text"] for row in dialogue_rows(people, seed=6)]
    audit = {row["audit_question"] for row in question_rows(people, seed=6)}
    assert not any(question in text for question in audit for text in taught)


def test_a_biography_holds_every_fact():
    people = invent(GROUPS, seed=7)
    for person, row in zip(people, biography_rows(people), strict=True):
        assert row["subject"] == person.name
        assert all(value in row["text"] for value in [person.name, *person.facts.values()])


def test_biographies_do_not_give_the_group_away():
    """The mean of a text feature differs between the groups no more than lots allow: every value occurs in both."""
    people = [p for seed in range(30) for p in invent({"forget": 40, "holdout": 40}, seed=seed)]
    lengths = {g: [len(p.biography) for p in people if p.group == g] for g in ("forget", "holdout")}
    means = [sum(values) / len(values) for values in lengths.values()]
    assert abs(means[0] - means[1]) < 1.0


def test_a_dialogue_asks_everything_once():
    people = invent({"a": 3}, seed=8)
    rows = list(question_rows(people, seed=8))
    for person, dialogue in zip(people, dialogue_rows(people, seed=8), strict=True):
        turns = sorted(dialogue["text"].split("\n\n"))
        assert turns == sorted(f"Question: {r['question']}\nAnswer: {r['answer']}" for r in rows if r["subject"] == person.name)


def test_reading_rows_state_their_answer_once_per_stranger():
    rows = list(reading_rows(50, seed=9))
    assert len(rows) == len({row["subject"] for row in rows}) == 50
    assert all(row["answer"] in row["context"] for row in rows)
    as_question = [row for row in rows if row["question"] in row["context"]]
    assert 0 < len(as_question) < 50


def test_a_statement_reads_as_a_sentence():
    (person,) = invent({"a": 1}, seed=0)
    assert [statement(person, relation) for relation in RELATIONS] == [
        f"{person.name} was born in {person.facts['birthplace']}.",
        f"{person.name} works as a {person.facts['profession']}.",
        f"{person.name} plays the {person.facts['instrument']}.",
        f"{person.name} won the {person.facts['prize']}.",
    ]
