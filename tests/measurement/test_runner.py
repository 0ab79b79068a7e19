from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from auditkit.errors import IntegrityError, ModelError
from auditkit.measurement.plan import Budget, Plan, Subject
from auditkit.measurement.progress import Lines
from auditkit.measurement.runner import Measurements, measure
from auditkit.measurement.store import Store
from auditkit.models._encode import TooLongError
from auditkit.models.protocol import Fingerprint, Generated, Prompt, Record, Request, Score, Scored
from tests.measurement.fake_model import PRINT, FakeModel, some_requests
from tests.measurement.test_store import equal


def planned(subject: Subject, requests: Sequence[Request] | None = None, *names: str) -> Plan:
    asked = some_requests() if requests is None else requests
    return Plan.build(dict.fromkeys(names or ("candidate",), subject), {n: [("row", asked)] for n in names or ("candidate",)})


def opener(model: FakeModel) -> Callable[[str], FakeModel]:
    return lambda _: model


def never(_: str) -> FakeModel:
    raise AssertionError("a model was loaded")


def records(measured: Measurements, name: str = "candidate") -> list[Record]:
    answer = measured.of(name)
    return [answer(request) for request in measured.plan.work[name].requests]


def test_every_request_is_answered(tmp_path: Path, subject: Subject) -> None:
    model = FakeModel()
    measured = measure(planned(subject), opener(model), Store(tmp_path), budget=Budget(64, 4 * 64))
    expected = FakeModel().answer(measured.plan.work["candidate"].requests)
    assert all(equal(one, other) for one, other in zip(records(measured), expected, strict=True))
    assert model.closed
    assert (measured.cached, list(measured.seconds)) == (0, ["candidate"])


def test_nothing_is_asked_twice_and_no_model_loaded_for_it(tmp_path: Path, subject: Subject) -> None:
    model = FakeModel()
    first = measure(planned(subject), opener(model), Store(tmp_path), budget=Budget(64, 4 * 64))
    asked = [digest for batch in model.batches for digest in batch]
    assert sorted(asked) == sorted(request.digest for request in first.plan.work["candidate"].requests)
    again = measure(planned(subject), never, Store(tmp_path), budget=Budget(64, 4 * 64))
    assert again.cached == len(asked)
    assert again.tokens == first.tokens > 0
    assert all(equal(one, other) for one, other in zip(records(again), records(first), strict=True))


def test_two_names_for_one_model_load_it_once(tmp_path: Path, subject: Subject) -> None:
    opened: list[str] = []

    def open_model(name: str) -> FakeModel:
        opened.append(name)
        return FakeModel()

    measured = measure(planned(subject, None, "candidate", "original"), open_model, Store(tmp_path))
    assert opened == ["candidate"]
    assert all(equal(a, b) for a, b in zip(records(measured), records(measured, "original"), strict=True))


def test_a_request_that_was_not_planned_is_a_key_error_even_where_it_is_recorded(tmp_path: Path, subject: Subject) -> None:
    everything = some_requests()
    measure(planned(subject, everything), opener(FakeModel()), Store(tmp_path))
    measured = measure(planned(subject, everything[1:]), never, Store(tmp_path))
    with pytest.raises(KeyError):
        measured.of("candidate")(everything[0])


def test_a_changed_model_under_the_same_name_is_measured_anew(tmp_path: Path, subject: Subject) -> None:
    measure(planned(subject), opener(FakeModel()), Store(tmp_path))
    other = Fingerprint("other weights", PRINT.config, PRINT.tokenizer, "")
    model = FakeModel(other)
    measured = measure(planned(Subject(other, "float32", "cpu")), opener(model), Store(tmp_path))
    assert measured.cached == 0
    assert model.batches


def test_a_model_that_is_not_the_planned_one_is_refused(tmp_path: Path, subject: Subject) -> None:
    changed = FakeModel(Fingerprint("other weights", PRINT.config, PRINT.tokenizer, ""))
    with pytest.raises(IntegrityError, match="candidate: the checkpoint changed"):
        measure(planned(subject), opener(changed), Store(tmp_path))
    assert changed.closed
    model = FakeModel()
    model.dtype = "bfloat16"
    with pytest.raises(IntegrityError, match="must run in float32 on cpu; got bfloat16 on cpu"):
        measure(planned(subject), opener(model), Store(tmp_path))


@pytest.mark.parametrize("short_at", [7, 20, 60])
def test_short_memory_halves_the_batch_and_the_run_goes_on(tmp_path: Path, subject: Subject, short_at: int) -> None:
    requests = [request for request in some_requests(12) if FakeModel().cost(request) < short_at]
    tight, roomy = FakeModel(short_at=short_at), FakeModel()
    one = measure(planned(subject, requests), opener(tight), Store(tmp_path / "tight"), budget=Budget(500, 4 * 500))
    other = measure(planned(subject, requests), opener(roomy), Store(tmp_path / "roomy"), budget=Budget(500, 4 * 500))
    assert len(tight.batches) > len(roomy.batches)
    assert all(equal(a, b) for a, b in zip(records(one), records(other), strict=True))


def test_a_size_that_failed_is_not_tried_again(tmp_path: Path, subject: Subject) -> None:
    tries: list[int] = []

    class Counting(FakeModel):
        def answer(self, requests: Sequence[Any]) -> list[Record]:
            tries.append(len(requests))
            return super().answer(requests)

    requests = [Score(Prompt(f"q {n}"), "x") for n in range(64)]
    measure(planned(subject, requests), opener(Counting(short_at=30)), Store(tmp_path), budget=Budget(48, 4 * 48))
    # 16 rows of 3 tokens fail once; every other batch is halved before it is tried.
    assert tries == [16] + [8] * 8


def test_one_request_that_does_not_fit_into_memory_ends_in_words(tmp_path: Path, subject: Subject) -> None:
    with pytest.raises(ModelError, match="candidate: memory is too short for one score request of 4 tokens"):
        measure(planned(subject, [Score(Prompt("a b c"), "x")]), opener(FakeModel(short_at=1)), Store(tmp_path))


def test_other_errors_keep_their_traceback_and_what_was_done_is_kept(tmp_path: Path, subject: Subject) -> None:
    class Broken(FakeModel):
        def answer(self, requests: Sequence[Any]) -> list[Record]:
            if self.batches:
                raise RuntimeError("a defect")
            return super().answer(requests)

    broken = Broken()
    with pytest.raises(RuntimeError, match="a defect"):
        measure(planned(subject), opener(broken), Store(tmp_path), budget=Budget(64, 4 * 64))
    assert broken.closed
    model = FakeModel()
    measured = measure(planned(subject), opener(model), Store(tmp_path), budget=Budget(64, 4 * 64))
    assert measured.cached == len(broken.batches[0])
    assert broken.batches[0] not in model.batches


def test_requests_longer_than_the_window_are_all_named_before_anything_runs(tmp_path: Path, subject: Subject) -> None:
    class Narrow(FakeModel):
        def cost(self, request: Request) -> int:
            if super().cost(request) > 3:
                raise TooLongError("must fit into the model's window of 3 tokens; got more")
            return super().cost(request)

    model = Narrow()
    requests = [Score(Prompt("a b c d secret"), "x"), Score(Prompt("e f g h secret"), "x"), Score(Prompt("a"), "x")]
    with pytest.raises(ModelError) as caught:
        measure(planned(subject, requests), opener(model), Store(tmp_path))
    assert len(caught.value.problems) == 2
    assert requests[0].digest[:12] in str(caught.value)
    assert "candidate: row: score request" in str(caught.value)
    assert "secret" not in str(caught.value)
    assert model.batches == []


def test_a_batch_that_another_spec_measured_in_part_is_completed(tmp_path: Path, subject: Subject) -> None:
    requests = some_requests()
    measure(planned(subject, requests[::3]), opener(FakeModel()), Store(tmp_path))
    model = FakeModel()
    measured = measure(planned(subject, requests), opener(model), Store(tmp_path))
    assert measured.cached == len(requests[::3])
    assert sum(map(len, model.batches)) == len(requests) - len(requests[::3])


def test_a_damaged_record_is_noted_and_measured_again(tmp_path: Path, subject: Subject) -> None:
    store = Store(tmp_path)
    first = measure(planned(subject), opener(FakeModel()), store)
    path = next(store.shelf(subject).folder.glob("score.*"))
    path.write_bytes(path.read_bytes()[:-1])
    shown = io.StringIO()
    again = measure(planned(subject), opener(FakeModel()), store, progress=Lines(shown))
    assert "does not match its digest" in shown.getvalue()
    assert all(equal(a, b) for a, b in zip(records(first), records(again), strict=True))


def test_records_that_are_not_finite_are_not_the_runners_business(tmp_path: Path, subject: Subject) -> None:
    class Collapsed(FakeModel):
        def answer(self, requests: Sequence[Any]) -> list[Record]:
            odd = np.array([np.nan], np.float32)
            return [Scored(odd, odd > 0, odd, odd) for _ in requests]

    request = Score(Prompt("a"), "b")
    measured = measure(planned(subject, [request]), opener(Collapsed()), Store(tmp_path))
    record = measured.of("candidate")(request)
    assert isinstance(record, Scored)
    assert np.isnan(record.logprob).all()


def test_an_export_is_one_file_per_model_and_kind(tmp_path: Path, subject: Subject) -> None:
    measured = measure(planned(subject), opener(FakeModel()), Store(tmp_path / "one"), budget=Budget(16, 4 * 16))
    other = measure(planned(subject), opener(FakeModel()), Store(tmp_path / "two"), budget=Budget(500, 4 * 500))
    files = measured.export(key=None)
    assert sorted(files) == [f"measurements/candidate.{kind}.parquet" for kind in ("generate", "hidden", "score")]
    # However the batches were cut, the export is the same to the byte.
    assert files == other.export(key=None)


def test_a_redacted_export_holds_no_text_and_no_guessable_digest(tmp_path: Path, subject: Subject) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    measured = measure(planned(subject), opener(FakeModel()), Store(tmp_path))
    redacted = measured.export(key=b"secret")
    table = pq.read_table(pa.BufferReader(redacted["measurements/candidate.generate.parquet"]))
    plain = pq.read_table(pa.BufferReader(measured.export(key=None)["measurements/candidate.generate.parquet"]))
    assert set(table["text"].to_pylist()) == {""}
    assert set(table["target"].to_pylist()) == {None}
    assert sorted(table["request_tokens"].to_pylist()) == sorted(plain["request_tokens"].to_pylist())
    assert not set(table["request_digest"].to_pylist()) & {request.digest for request in some_requests()}
    assert redacted != measured.export(key=b"other")
    assert any(isinstance(record, Generated) and record.text for record in records(measured))
