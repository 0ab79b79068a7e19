from __future__ import annotations

import json
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from auditkit.corpora.example import LIST_FIELDS, TEXT_FIELDS, Corpus
from auditkit.corpora.load import load_corpus, missing_fields, overlap
from auditkit.errors import DataError
from auditkit.spec.model import CorpusSource


def attempt(file: str, content: bytes, **source: object) -> Corpus | DataError:
    """Loads, or gives the DataError; anything else is a failure of the test."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, file).write_bytes(content)
        try:
            corpus = load_corpus("c", CorpusSource.model_validate({"file": file, **source}), base=Path(folder))
        except DataError as error:
            assert all(str(problem).isprintable() for problem in error.problems)
            return error
        assert len({example.id for example in corpus.examples}) == len(corpus.examples) > 0
        missing_fields(corpus, (*TEXT_FIELDS, *LIST_FIELDS, "other"))
        overlap(corpus, corpus)
        return corpus


@settings(deadline=None, max_examples=80)
@given(st.sampled_from(["f.jsonl", "f.json", "f.csv", "f.parquet"]), st.binary(max_size=300))
def test_any_bytes(file, content):
    attempt(file, content)


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(), max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(st.characters(), max_size=4), inner, max_size=3),
    max_leaves=6,
)
names = st.sampled_from([*TEXT_FIELDS, *LIST_FIELDS, "other"]) | st.text(st.characters(), max_size=5)
rows = st.lists(st.dictionaries(names, values, max_size=5), max_size=4)


@settings(deadline=None, max_examples=150)
@given(rows, st.booleans())
def test_any_json(rows, lines):
    content = "\n".join(map(json.dumps, rows)) if lines else json.dumps(rows)
    attempt("f.jsonl" if lines else "f.json", content.encode())


@settings(deadline=None, max_examples=80)
@given(rows, names, st.none() | st.booleans() | st.integers() | st.text(max_size=5))
def test_any_column_and_condition(rows, name, value):
    content = "\n".join(map(json.dumps, rows)).encode()
    attempt("f.jsonl", content, columns={"question": name}, where={name: value})


@settings(deadline=None, max_examples=80)
@given(st.text(alphabet='ab,"\n\r\x00é ', max_size=80))
def test_any_csv(text):
    attempt("f.csv", text.encode())


@pytest.mark.parametrize("position", range(0, 400, 40))
def test_any_changed_byte_of_a_parquet_file(position):
    import io

    import pyarrow as pa
    import pyarrow.parquet as pq

    stream = io.BytesIO()
    pq.write_table(pa.Table.from_pylist([{"text": "a" * 20, "n": n} for n in range(50)]), stream)
    content = bytearray(stream.getvalue())
    content[position % len(content)] ^= 0xFF
    attempt("f.parquet", bytes(content))
