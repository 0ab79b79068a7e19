from __future__ import annotations

import datetime as dt
import io
import json
import os

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

ROWS = [
    {"id": "1", "question": "Who?", "answer": "Ada", "subject": "Ada"},
    {"id": "2", "question": "When?", "answer": "1815", "subject": "Ada"},
    {"id": "3", "question": "Wo, genau?", "answer": 'in "Köln"\nam Rhein', "subject": "Bea"},
]


def as_jsonl(rows: list[dict]) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


def as_parquet(rows: list[dict]) -> bytes:
    stream = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows), stream)
    return stream.getvalue()


def as_csv(rows: list[dict]) -> str:
    import csv

    stream = io.StringIO(newline="")
    writer = csv.DictWriter(stream, list(rows[0]))
    writer.writeheader()
    writer.writerows(rows)
    return stream.getvalue()


def test_every_format_gives_the_same_corpus(corpus):
    loaded = [
        corpus("f.jsonl", as_jsonl(ROWS)),
        corpus("f.json", json.dumps(ROWS)),
        corpus("f.csv", as_csv(ROWS)),
        corpus("f.csv", "\ufeff" + as_csv(ROWS)),
        corpus("f.parquet", as_parquet(ROWS)),
        corpus("F.JSONL", as_jsonl(ROWS)),
    ]
    assert len({item.digest for item in loaded}) == 1
    for item in loaded:
        assert [example.answer for example in item.examples] == ["Ada", "1815", 'in "Köln"\nam Rhein']
        assert [example.number for example in item.examples] == [1, 2, 3]
        assert item.subjects() == ("Ada", "Bea")


def test_lines_of_objects_may_be_called_json_as_the_hub_does(corpus):
    found = corpus("f.json", '{"text": "a"}\n{"text": "b"}\n')
    assert [example.text for example in found.examples] == ["a", "b"]


def test_numbers_are_text_where_text_is_asked(corpus):
    loaded = corpus("f.jsonl", '{"id": 7, "question": "When?", "answer": 1987}\n{"id": 8, "question": "Pi?", "answer": 3.14}\n')
    assert [(example.id, example.answer) for example in loaded.examples] == [("7", "1987"), ("8", "3.14")]


def test_lists_and_single_texts(corpus):
    row = {"question": "q", "answer": "a", "perturbed": ["x", 2, None], "aliases": "b", "choices": '["c", "d"]', "facts": []}
    example = corpus("f.jsonl", as_jsonl([row])).examples[0]
    assert example.many("perturbed") == ("x", "2")
    assert example.answers == ("a", "b")
    assert example.many("choices") == ("c", "d")
    assert example.many("facts") == ()
    assert corpus("f.csv", "question,aliases\nq,[sic] a bracket\n").examples[0].many("aliases") == ("[sic] a bracket",)


def test_other_columns_stay(corpus):
    row = {"text": "t", "year": 1987, "tags": ["a"], "nested": {"deep": [1, None]}, "empty": None, "score": 0.5}
    fields = corpus("f.jsonl", as_jsonl([row])).examples[0].fields
    assert fields == {"text": "t", "year": 1987, "tags": ["a"], "nested": {"deep": [1, None]}, "score": 0.5}


def test_what_parquet_holds_besides_text(corpus):
    day = dt.datetime(2026, 11, 24, 12, 0, tzinfo=dt.UTC)
    rows = [{"text": "t", "on": day, "raw": b"\x00\xff", "missing": float("nan")}]
    fields = corpus("f.parquet", as_parquet(rows)).examples[0].fields
    assert fields == {"text": "t", "on": "2026-11-24T12:00:00+00:00", "raw": b"\x00\xff"}


def test_a_long_csv_cell(corpus):
    assert len(corpus("f.csv", "text\n" + "a" * 300_000 + "\n").examples[0].text) == 300_000


def test_blank_lines_of_jsonl_keep_the_numbers_of_lines(corpus):
    loaded = corpus("f.jsonl", '\n{"text": "a"}\r\n\n  \n{"text": "b"}')
    assert [(example.number, example.id) for example in loaded.examples] == [(2, "2"), (5, "5")]


LONG = "9" * 5000
SAVE = "save the file as UTF-8"
QUOTE = "put cells with commas in double quotes"
HALF = "must be valid Unicode; got half of a surrogate pair"
BORROWED = "must be given, because another row's subject is this row's id"


@pytest.mark.parametrize(
    ("file", "content", "says"),
    [
        ("f.jsonl", '{"text": "a"}\n{"text": "b"\n', "f.jsonl:2:13: row 2: must be JSON; expecting ',' delimiter"),
        ("f.jsonl", '{"text": "a"}\nsecret\n', "f.jsonl:2:1: row 2: must be JSON; expecting value"),
        ("f.jsonl", '{"text": "a"}\n["secret"]\n', "f.jsonl:2: row 2: must be an object {...}; got another value"),
        ("f.jsonl", '{"text": NaN}', "f.jsonl:1: row 1: must be JSON; got NaN, which JSON does not have"),
        ("f.jsonl", '{"text": "a", "text": "b"}', "f.jsonl:1: row 1: must name each column once; got one twice"),
        ("f.jsonl", '{"n": ' + LONG + "}", "f.jsonl:1: row 1: must hold numbers of a few digits; got thousands of digits"),
        ("f.jsonl", "[" * 100_000, "f.jsonl:1: row 1: must be nested at most 50 deep; got more"),
        ("f.jsonl", '{"a": ' + "[" * 60 + "]" * 60 + "}", "f.jsonl: row 1: a: must be nested at most 50 deep; got more"),
        ("f.jsonl", b'{"text": "a"}\n{"text": "caf\xe9"}\n', "f.jsonl:2:14: row 2: must be UTF-8; got the byte 0xe9; " + SAVE),
        ("f.jsonl", '{"text": "a"}'.encode("utf-16"), "f.jsonl:1:1: row 1: must be UTF-8; got the byte 0xff; " + SAVE),
        ("f.jsonl", "", "f.jsonl: must have rows; got none"),
        ("f.jsonl", "\n\n", "f.jsonl: must have rows; got none"),
        ("f.jsonl", '{"text": ["secret"]}', "f.jsonl: row 1: text: must be text; got a list"),
        ("f.jsonl", '{"text": {"secret": 1}}', "f.jsonl: row 1: text: must be text; got a mapping"),
        ("f.jsonl", '{"answer": true}', "f.jsonl: row 1: answer: must be text; got true or false"),
        ("f.jsonl", '{"aliases": 5}', "f.jsonl: row 1: aliases: must be a list of texts; got a number"),
        ("f.jsonl", '{"aliases": [["secret"]]}', "f.jsonl: row 1: aliases: must be text; got a list"),
        ("f.jsonl", r'{"text": "secret \ud83d"}', "f.jsonl: row 1: text: " + HALF),
        ("f.jsonl", r'{"other": {"deep": ["\ud83d"]}}', "f.jsonl: row 1: other: " + HALF),
        ("f.jsonl", r'{"key \ud83d": 1}', "f.jsonl: row 1: key \\u{d83d}: " + HALF),
        ("f.jsonl", '{"score": 1e999}', "f.jsonl: row 1: score: must be finite; got an infinity"),
        ("f.jsonl", '{"id": "a"}\n{"id": "b"}\n{"id": "a"}\n', "f.jsonl: row 3: id: must be unique; got the id of row 1 again"),
        ("f.jsonl", '{"id": "2"}\n{"text": "b"}\n', "f.jsonl: row 2: id: must be unique; got the id of row 1 again"),
        ("f.jsonl", '{"id": "x", "subject": "2"}\n{"text": "b"}\n', "f.jsonl: row 2: subject: " + BORROWED),
        ("f.json", "{}", "f.json:1: must be an array of objects [{...}, ...]; got another value"),
        ("f.json", '[{"a": 1}, 2]', "f.json: row 2: must be an object {...}; got another value"),
        ("f.json", '[\n {"a": 1}\n {"a": 2}]', "f.json:3:2: must be JSON; expecting ',' delimiter"),
        ("f.json", '[{"a": 1}]\n{"a": 2}\n', "f.json:2:1: must be JSON; extra data"),
        ("f.json", '{"a": 1}\n{"a": }\n', "f.json:2:7: row 2: must be JSON; expecting value"),
        ("f.json", "[]", "f.json: must have rows; got none"),
        ("f.json", "", "f.json: must have rows; got none"),
        ("f.csv", "", "f.csv: must have rows; got none"),
        ("f.csv", "question,answer\n", "f.csv: must have rows; got none"),
        ("f.csv", "q,a\nx,y\nx,y,secret\n", "f.csv:3: row 2: must have 2 cells, as the header has; got 3; " + QUOTE),
        ("f.csv", "q,a\nx\n", "f.csv:2: row 1: must have 2 cells, as the header has; got 1; " + QUOTE),
        ("f.csv", 'q,a\nx,"y\n', "f.csv: row 1: must be CSV; unexpected end of data; check the quotes of this row"),
        ("f.csv", "q,q,,\n1,2,3,4\n", "f.csv:1: must name each column once; got q, an empty one more than once"),
        ("f.csv", b"q,a\nx,caf\xe9\n", "f.csv:2:6: must be UTF-8; got the byte 0xe9; save the file as UTF-8"),
        ("f.parquet", "not parquet", "f.parquet: must be a parquet file; ArrowInvalid while reading it"),
        ("f.parquet", "", "f.parquet: must be a parquet file; ArrowInvalid while reading it"),
        ("f.txt", "a", "corpora.forget.file: must end in one of .csv, .json, .jsonl, .parquet; got .txt"),
        ("f", "a", "corpora.forget.file: must end in one of .csv, .json, .jsonl, .parquet; got no ending"),
    ],
)  # fmt: skip
def test_a_broken_file_names_the_row_and_never_quotes_it(file, content, says, faults):
    found = faults(file, content)
    assert found == [says]
    assert "secret" not in found[0]


def test_faults_of_rows_come_together_and_are_counted(faults):
    found = faults("f.jsonl", '{"text": []}\n' * 25)
    assert found[0] == "f.jsonl: row 1: text: must be text; got a list"
    assert len(found) == 11
    assert found[-1] == "f.jsonl: and 15 more faults of rows"


def test_a_truncated_parquet_file(faults):
    content = as_parquet(ROWS)
    for cut in (4, len(content) // 2, len(content) - 5):
        assert faults("f.parquet", content[:cut])[0].startswith("f.parquet: must be a parquet file; ")


def test_an_enormous_file_is_refused_unread(faults, tmp_path):
    path = tmp_path / "big.jsonl"
    path.touch()
    os.truncate(path, (2 << 30) + 1)
    from auditkit.corpora.load import load_corpus
    from auditkit.errors import DataError
    from auditkit.spec.model import CorpusSource

    with pytest.raises(DataError, match=r"^big.jsonl: must be at most 2 GiB; got more; split it"):
        load_corpus("forget", CorpusSource(file="big.jsonl"), base=tmp_path)


def test_control_characters_pass_and_have_a_digest(corpus):
    example = corpus("f.jsonl", as_jsonl([{"text": "a\x00\x1b[31m\u202eb\ufeff", "subject": "\x07"}])).examples[0]
    assert example.text == "a\x00\x1b[31m\u202eb\ufeff"
    assert example.subject == "\x07"
