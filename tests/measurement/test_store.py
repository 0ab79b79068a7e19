from __future__ import annotations

import dataclasses
import os
from pathlib import Path

import numpy as np
import pytest

from auditkit.measurement import store as store_module
from auditkit.measurement.plan import Subject
from auditkit.measurement.store import Shelf, Store
from auditkit.models.protocol import Generate, Generated, Hidden, Prompt, Record, Request, Score, Scored
from tests.measurement.fake_model import FakeModel, some_requests


def equal(one: Record, other: Record) -> bool:
    if type(one) is not type(other):
        return False
    pairs = [(getattr(one, field.name), getattr(other, field.name)) for field in dataclasses.fields(one)]
    return all(
        (a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()) if isinstance(a, np.ndarray) else a == b
        for a, b in pairs
    )


def fill(shelf: Shelf, requests: list[Request] | None = None) -> dict[Request, Record]:
    model, recorded = FakeModel(), {}
    for kind in ("score", "generate", "hidden"):
        batch = [request for request in requests or some_requests() if request.kind == kind]
        if batch:
            records = model.answer(batch)
            shelf.put(batch, records, [model.cost(request) for request in batch])
            recorded |= dict(zip(batch, records, strict=True))
    return recorded


def test_what_was_put_comes_back_to_the_bit(tmp_path: Path, subject: Subject) -> None:
    shelf = Store(tmp_path).shelf(subject)
    recorded = fill(shelf)
    for reader in (shelf, Store(tmp_path).shelf(subject)):
        for request, record in recorded.items():
            assert request in reader
            assert equal(reader[request], record)
            assert reader.tokens(request) == FakeModel().cost(request)


def test_records_that_are_not_finite_or_empty_are_kept_as_they_are(tmp_path: Path, subject: Subject) -> None:
    shelf = Store(tmp_path).shelf(subject)
    odd = np.array([np.nan, np.inf, -np.inf], np.float32)
    empty = np.zeros(0, np.float32)
    requests = [Score(Prompt("a"), "b"), Score(Prompt("a"), "")]
    records = [Scored(odd, odd > 0, odd, odd), Scored(empty, empty > 0, empty, empty)]
    shelf.put(requests, records, [3, 1])
    again = Store(tmp_path).shelf(subject)
    assert all(equal(again[request], record) for request, record in zip(requests, records, strict=True))


def test_text_of_any_kind_comes_back(tmp_path: Path, subject: Subject) -> None:
    shelf = Store(tmp_path).shelf(subject)
    request = Generate(Prompt("a"), 4)
    record = Generated("\x00\u202e\n<script>\U0001f600", 4, True, None)
    shelf.put([request], [record], [5])
    assert equal(Store(tmp_path).shelf(subject)[request], record)


def test_what_was_not_measured_is_a_key_error(tmp_path: Path, subject: Subject) -> None:
    shelf = Store(tmp_path).shelf(subject)
    with pytest.raises(KeyError):
        shelf[Score(Prompt("a"), "b")]
    assert Score(Prompt("a"), "b") not in shelf


def test_another_subject_or_version_sees_nothing(tmp_path: Path, subject: Subject, monkeypatch: pytest.MonkeyPatch) -> None:
    requests = list(fill(Store(tmp_path).shelf(subject)))
    other = dataclasses.replace(subject, dtype="bfloat16")
    assert not any(request in Store(tmp_path).shelf(other) for request in requests)
    monkeypatch.setattr(store_module, "MEASUREMENT_VERSION", 999)
    assert not any(request in Store(tmp_path).shelf(subject) for request in requests)


@pytest.mark.parametrize("damage", ["flip", "truncate", "empty", "rename"])
def test_a_damaged_file_is_set_aside_and_never_trusted(tmp_path: Path, subject: Subject, damage: str) -> None:
    shelf = Store(tmp_path).shelf(subject)
    recorded = fill(shelf)
    path = next(shelf.folder.glob("score.*.parquet"))
    content = path.read_bytes()
    if damage == "flip":
        path.write_bytes(content[:50] + bytes([content[50] ^ 1]) + content[51:])
    elif damage == "rename":
        path.rename(path.with_name("score.0123.parquet"))
    else:
        path.write_bytes(content[:100] if damage == "truncate" else b"")
    again = Store(tmp_path).shelf(subject)
    assert [("set aside" in str(problem)) for problem in again.warnings] == [True]
    scores = [request for request in recorded if request.kind == "score"]
    assert not any(request in again for request in scores)
    assert all(request in again for request in recorded if request.kind != "score")
    assert len(list(shelf.folder.glob("*.damaged"))) == 1
    assert Store(tmp_path).shelf(subject).warnings == []


def test_a_half_written_file_is_not_seen(tmp_path: Path, subject: Subject) -> None:
    shelf = Store(tmp_path).shelf(subject)
    fill(shelf)
    path = next(shelf.folder.glob("score.*.parquet"))
    (shelf.folder / f".{path.name}.x1y2").write_bytes(path.read_bytes()[:70])
    assert Store(tmp_path).shelf(subject).warnings == []


def test_equal_records_make_equal_files(tmp_path: Path, subject: Subject) -> None:
    names = []
    for run in ("one", "two"):
        fill(Store(tmp_path / run).shelf(subject))
        names.append(sorted(path.name for path in (tmp_path / run).rglob("*.parquet")))
    assert names[0] == names[1]


def test_two_runs_on_one_shelf(tmp_path: Path, subject: Subject) -> None:
    first, second = Store(tmp_path).shelf(subject), Store(tmp_path).shelf(subject)
    recorded = fill(first)
    fill(second)
    assert len(list(first.folder.glob("*.parquet"))) == 3
    assert all(equal(second[request], record) for request, record in recorded.items())


def test_others_cannot_read_the_shelf(tmp_path: Path, subject: Subject) -> None:
    shelf = Store(tmp_path).shelf(subject)
    fill(shelf, [Hidden(Prompt("a"), (0, 1))])
    assert os.stat(shelf.folder).st_mode & 0o077 == 0  # noqa: PTH116


def test_the_default_is_in_the_users_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AUDITKIT_CACHE", str(tmp_path))
    assert Store.default().root == tmp_path / "measurements"


def test_a_file_of_another_subjects_shelf_is_set_aside(tmp_path: Path, subject: Subject) -> None:
    mine, other = (Store(tmp_path).shelf(one) for one in (subject, dataclasses.replace(subject, dtype="bfloat16")))
    recorded = fill(mine)
    other.folder.mkdir()
    for path in mine.folder.glob("*.parquet"):
        (other.folder / path.name).write_bytes(path.read_bytes())
    again = Store(tmp_path).shelf(dataclasses.replace(subject, dtype="bfloat16"))
    assert len(again.warnings) == 3 and not any(request in again for request in recorded)
    assert all(request in Store(tmp_path).shelf(subject) for request in recorded)


def test_a_shelf_knows_which_prompts_were_cut(tmp_path: Path, subject: Subject) -> None:
    shelf = Store(tmp_path).shelf(subject)
    requests = [Generate(Prompt(text), 4) for text in ("long", "short")]
    shelf.put(requests, [Generated("a", 1, True, cut_tokens=7), Generated("a", 1, True)], [5, 5])
    assert [Store(tmp_path).shelf(subject).cut(request) for request in requests] == [True, False]
