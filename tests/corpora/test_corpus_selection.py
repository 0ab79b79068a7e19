from __future__ import annotations

import json

import pytest

ROWS = [{"text": f"text {n}", "subject": f"s{n // 3}", "year": 2000 + n % 2, "kept": n % 2 == 0} for n in range(30)]
JSONL = "".join(json.dumps(row) + "\n" for row in ROWS)
CSV = "text,subject,year,kept\n" + "".join(f"{row['text']},{row['subject']},{row['year']},{row['kept']}\n" for row in ROWS)


@pytest.mark.parametrize(("file", "content"), [("f.jsonl", JSONL), ("f.csv", CSV)])
@pytest.mark.parametrize(
    ("where", "count"),
    [
        ({}, 30),
        ({"year": 2001}, 15),
        ({"year": "2001"}, 15),
        ({"year": [2000, 2001]}, 30),
        ({"kept": True}, 15),
        ({"kept": False, "subject": "s0"}, 1),
    ],
)
def test_where(file, content, where, count, corpus):
    assert len(corpus(file, content, where=where).examples) == count


def test_true_is_not_one(corpus, faults):
    content = '{"text": "a", "flag": 1}\n{"text": "b", "flag": true}\n{"text": "c", "flag": null}\n{"text": "d"}\n'
    assert [example.text for example in corpus("f.jsonl", content, where={"flag": True}).examples] == ["b"]
    assert [example.text for example in corpus("f.jsonl", content, where={"flag": 1}).examples] == ["a"]
    assert [example.text for example in corpus("f.jsonl", content, where={"flag": None}).examples] == ["c", "d"]


def test_where_keeps_nothing(faults):
    assert faults("f.jsonl", JSONL, where={"year": 1999}) == [
        "corpora.forget.where: must keep a row of f.jsonl; got 0 of 30 rows; compare the values with those of the file"
    ]


def test_columns_rename(corpus):
    content = '{"q": "Who?", "a": "Ada", "author": "Ada", "question": "another column"}\n'
    example = corpus("f.jsonl", content, columns={"question": "q", "answer": "a", "subject": "author"}).examples[0]
    assert example.fields == {"question": "Who?", "answer": "Ada", "subject": "Ada"}


def test_one_column_may_serve_twice(corpus):
    example = corpus("f.jsonl", '{"q": "Who?"}\n', columns={"question": "q", "text": "q"}).examples[0]
    assert (example.question, example.text) == ("Who?", "Who?")


def test_a_column_that_is_not_there_lists_those_that_are(faults):
    assert faults("f.jsonl", '{"Question": "Who?", "answer": "Ada"}\n', columns={"question": "question"}, where={"x": 1}) == [
        "corpora.forget.columns.question: must be a column of f.jsonl (Question, answer); got 'question'; "
        "did you mean 'Question'?",
        "corpora.forget.where.x: must be a column of f.jsonl (Question, answer); got 'x'",
    ]


def test_a_sample_keeps_subjects_together_and_the_order_of_the_file(corpus):
    drawn = corpus("f.jsonl", JSONL, sample={"n": 7, "seed": 3}).examples
    assert len(drawn) == 9  # three subjects of three rows: the first count of 7 or more
    assert len({example.subject for example in drawn}) == 3
    assert [example.number for example in drawn] == sorted(example.number for example in drawn)


def test_a_sample_depends_on_its_seed_and_not_on_the_order_of_rows(corpus):
    def subjects(content: str, seed: int) -> set[str]:
        return {example.subject for example in corpus("f.jsonl", content, sample={"n": 6, "seed": seed}).examples}

    backwards = "\n".join(reversed(JSONL.splitlines()))
    assert subjects(JSONL, 1) == subjects(backwards, 1)
    assert len({frozenset(subjects(JSONL, seed)) for seed in range(20)}) > 5


def test_every_subject_is_drawn_equally_often(corpus):
    counts: dict[str, int] = {}
    for seed in range(300):
        for subject in corpus("f.jsonl", JSONL, sample={"n": 3, "seed": seed}).subjects():
            counts[subject] = counts.get(subject, 0) + 1
    assert len(counts) == 10
    assert max(counts.values()) < 52  # binomial(300, 0.1): mean 30, standard deviation 5.2


def test_a_sample_without_subjects_draws_rows(corpus):
    content = "".join(json.dumps({"text": f"t{n}"}) + "\n" for n in range(20))
    loaded = corpus("f.jsonl", content, sample={"n": 5, "seed": 0})
    assert len(loaded.examples) == 5
    assert not loaded.has_subjects


def test_a_sample_larger_than_the_corpus(faults):
    assert faults("f.jsonl", JSONL, sample={"n": 31}) == [
        "corpora.forget.sample.n: must be at most the 30 rows that there are; got 31"
    ]


def test_limit_keeps_the_first_rows_of_what_is_left(corpus):
    loaded = corpus("f.jsonl", JSONL, where={"year": 2001}, limit=4)
    assert [example.number for example in loaded.examples] == [2, 4, 6, 8]


def test_the_digest_is_of_the_rows_kept(corpus):
    whole = corpus("f.jsonl", JSONL).digest
    assert corpus("f.jsonl", JSONL).digest == whole
    assert corpus("f.jsonl", JSONL, limit=30).digest == whole
    assert corpus("f.jsonl", JSONL, limit=29).digest != whole
    assert corpus("f.jsonl", JSONL.replace("text 17", "text 71")).digest != whole


def test_rows_without_a_subject_are_their_own(corpus):
    loaded = corpus(
        "f.jsonl", '{"text": "a", "subject": "Ada"}\n{"text": "b", "subject": ""}\n{"text": "c", "subject": null}\n'
    )
    assert loaded.subjects() == ("Ada", "2", "3")
    assert loaded.has_subjects
