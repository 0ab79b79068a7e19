"""T and V: by subject, the same for every model, and nothing of V's answers in T."""

import pytest

from auditkit.attacks._split import leaks, split, without
from auditkit.corpora.example import Corpus, Example
from auditkit.errors import DataError


def corpus(rows, name="forget"):
    """Rows as (subject, fields)."""
    examples = [Example(str(n), subject, n, fields) for n, (subject, fields) in enumerate(rows, 1)]
    return Corpus(name, name, tuple(examples), f"{name}.jsonl", "", True)


def people(count, rows=2):
    return corpus(
        [(f"p{n}", {"question": f"q{n}.{row}", "answer": f"a{n}.{row}"}) for row in range(rows) for n in range(count)]
    )


@pytest.mark.parametrize(
    ("count", "fraction", "taught"),
    [(2, 0.5, 1), (2, 0.01, 1), (2, 0.99, 1), (10, 0.5, 5), (10, 0.26, 3), (7, 0.0, 1), (7, 1.0, 6)],
)
def test_the_share_of_subjects_is_the_one_asked_for_and_no_side_is_empty(count, fraction, taught):
    train, measured = split(people(count), fraction, 0)
    assert (len(train.subjects()), len(measured.subjects())) == (taught, count - taught)


def test_both_parts_together_are_the_corpus_and_no_subject_is_in_both():
    whole = people(9, rows=3)
    train, measured = split(whole, 0.5, 3)
    assert not set(train.subjects()) & set(measured.subjects())
    assert {*train.examples, *measured.examples} == set(whole.examples)
    for part in (train, measured):
        assert [row.number for row in part.examples] == sorted(row.number for row in part.examples)
    assert len({whole.digest, train.digest, measured.digest}) == 3


def test_the_draw_depends_on_seed_and_label_and_not_on_the_order_of_rows():
    whole = people(12)
    backwards = corpus([(row.subject, row.fields) for row in reversed(whole.examples)])
    chosen = set(split(whole, 0.5, 1, "relearn", 0)[0].subjects())
    assert set(split(backwards, 0.5, 1, "relearn", 0)[0].subjects()) == chosen
    assert set(split(whole, 0.5, 2, "relearn", 0)[0].subjects()) != chosen
    assert set(split(whole, 0.5, 1, "relearn", 1)[0].subjects()) != chosen


@pytest.mark.parametrize("count", [0, 1])
def test_one_subject_cannot_be_split(count):
    with pytest.raises(DataError, match=f"at least 2 subjects to be split; got {count}"):
        split(people(count), 0.5, 0)


@pytest.mark.parametrize(
    ("taught", "asked", "leaks_it"),
    [
        ({"text": "She lived in NEW-York, he did not."}, {"answer": "New York"}, True),
        ({"question": "Who is older than Ann Li?", "answer": "Bo"}, {"answer": "Ann Li"}, True),
        ({"question": "Who?", "answer": "Bo"}, {"answer": "Robert", "aliases": ("Bo",)}, True),
        ({"question": "Who?", "answer": "Robert", "aliases": ("Bo",)}, {"answer": "Bo"}, True),
        ({"text": "Boats are old."}, {"answer": "Bo"}, False),
        ({"text": "彼は東京都新宿区に住む"}, {"answer": "東京都新宿区"}, True),
        ({"text": "It is 42 of 100."}, {"answer": "42"}, True),
        ({"text": "It is 421 of 100."}, {"answer": "42"}, False),
        ({"text": "a smile :-)"}, {"answer": ":-)"}, True),
        ({"text": "York is new."}, {"answer": "New York"}, False),
        ({"text": "anything"}, {"answer": " "}, False),
        ({"text": "anything"}, {"question": "no answer here"}, False),
        ({"text": "He was born. The end."}, {"text": "he was born, the end"}, True),
        ({"text": "x"}, {"prompt": "He was", "continuation": "x"}, True),
    ],
)
def test_rows_that_state_an_answer_of_the_other_part_are_found(taught, asked, leaks_it):
    train, measured = corpus([("a", taught), ("b", {"text": "clean words"})]), corpus([("v", asked)])
    found = leaks(train, measured)
    assert found == ({"1"} if leaks_it else set())
    assert [row.id for row in without(train, found).examples] == (["2"] if leaks_it else ["1", "2"])


def test_a_value_of_a_closed_list_is_a_leak_only_beside_its_subject():
    train = corpus(
        [
            ("Ann", {"question": "What does Ann do?", "answer": "baker"}),
            ("Bo", {"question": "What does Bo do?", "answer": "baker"}),
            ("Bo", {"text": "Like Cy, Bo is a baker."}),
            ("Bo", {"question": "Who is older than Cy?", "answer": "a baker"}),
            ("Bo", {"text": "Bo knows Cy."}),
        ]
    )
    assert leaks(train, corpus([("Cy", {"question": "What does Cy do?", "answer": "Baker"})])) == {"3", "4"}


def test_an_answer_that_one_other_subject_has_is_a_leak():
    train = corpus([("Ann", {"question": "Where?", "answer": "Rome"}), ("Bo", {"question": "Where?", "answer": "Bern"})])
    assert leaks(train, corpus([("Cy", {"question": "Where?", "answer": "Rome"})])) == {"1"}
