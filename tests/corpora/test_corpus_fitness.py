from __future__ import annotations

import json

import pytest

from auditkit.corpora.load import copies, missing_fields, overlap, require_fields
from auditkit.errors import DataError


def jsonl(*rows: dict) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


@pytest.fixture
def pair(corpus):
    """Two corpora from two lists of rows."""

    def _pair(first: list[dict], second: list[dict]):
        return corpus("forget.jsonl", jsonl(*first)), corpus("holdout.jsonl", jsonl(*second))

    return _pair


def test_rows_that_lack_a_field_are_named_and_counted(corpus):
    rows = (
        [{"question": "q", "answer": "a"}]
        + [{"question": "q", "answer": value} for value in ("", " \n", None)]
        + [{"question": "q"}] * 5
    )
    loaded = corpus("f.jsonl", jsonl(*rows))
    assert missing_fields(loaded, ("question",)) == []
    assert missing_fields(loaded, ("question", "answer")) == [
        "every row of f.jsonl must have answer; got none in rows 2, 3, 4, 5, 6 and 3 more"
    ]
    with pytest.raises(DataError, match=r"^corpora.forget: every row of f.jsonl must have answer"):
        require_fields(loaded, ("answer",))
    require_fields(loaded, ("question",))


def test_either_field_will_do(corpus):
    loaded = corpus("f.jsonl", jsonl({"question": "q"}, {"text": "t"}, {"other": 1}))
    assert missing_fields(loaded, ("question|text",)) == ["every row of f.jsonl must have question or text; got none in row 3"]
    assert missing_fields(loaded, ("question|text|other",)) == []


def test_lists_must_hold_something(corpus):
    loaded = corpus("f.jsonl", jsonl({"perturbed": ["x"]}, {"perturbed": []}, {"perturbed": [None]}))
    assert missing_fields(loaded, ("perturbed",)) == ["every row of f.jsonl must have perturbed; got none in rows 2, 3"]


def test_equal_texts_overlap_whatever_their_case_width_and_spaces(pair):
    forget, holdout = pair(
        [{"text": "another"}, {"text": "The  Straße\nof Köln"}], [{"text": "third"}, {"text": "the STRASSE of ｋöln "}]
    )
    (problem,) = overlap(forget, holdout)
    assert str(problem) == (
        "forget.jsonl: forget and forget must not overlap; got row 2 is row 2 of holdout.jsonl; "
        "remove these rows from holdout.jsonl"
    )


def test_questions_overlap_only_with_their_answers(pair):
    same = {"question": "Who?", "answer": "Ada"}
    assert overlap(*pair([same], [{"question": "Who?", "answer": "Bea"}])) == []
    assert overlap(*pair([same], [{"question": "who?", "answer": "ADA", "text": "x"}]))
    assert overlap(*pair([{"question": "Who?"}], [{"question": "Who?"}])) == []
    assert overlap(*pair([{"text": ""}], [{"text": " "}])) == []


def test_many_overlapping_rows_are_counted(pair):
    rows = [{"text": f"t{n}"} for n in range(9)]
    (problem,) = overlap(*pair(rows, rows))
    assert "row 5 is row 5 of holdout.jsonl and 4 more" in str(problem)
    assert "t3" not in str(problem)


def test_equal_rows_of_different_subjects_are_named(corpus):
    row = {"question": "Who  won?", "answer": "Ann"}
    given = [
        {**row, "subject": "a"},
        {**row, "subject": "a"},
        {**row, "answer": "Bob", "subject": "b"},
        {"question": "who won?", "answer": "ANN", "subject": "c"},
        {"text": "Ann won.", "subject": "d"},
        {"text": "Ann won.", "subject": "d"},
        {"note": 1, "subject": "e"},
        {"note": 1, "subject": "f"},
    ]
    (problem,) = copies(corpus("f.jsonl", jsonl(*given)))
    assert problem.message == "equal rows of forget must have one subject; got row 4 is row 1 of f.jsonl, under another name"
    assert copies(corpus("f.jsonl", jsonl(*given[:3], *given[4:]))) == []


def test_equal_rows_that_name_no_subject_count_as_different_ones(corpus):
    (problem,) = copies(corpus("f.jsonl", jsonl(*[{"text": "Ann won."}] * 9)))
    assert "row 6 is row 1 of f.jsonl and 3 more" in problem.message


def test_the_same_question_about_another_text_is_another_row(corpus):
    rows = [{"question": "Who?", "answer": "Ann", "context": context, "subject": context} for context in ("one", "two")]
    assert copies(corpus("f.jsonl", jsonl(*rows))) == []
