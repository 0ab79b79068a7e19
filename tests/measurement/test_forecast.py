from __future__ import annotations

from pathlib import Path

from auditkit.measurement.forecast import forecast
from auditkit.measurement.plan import Plan, Subject
from auditkit.measurement.runner import measure
from auditkit.measurement.store import Store
from auditkit.models._encode import TooLongError
from auditkit.models.protocol import Request
from tests.measurement.fake_model import FakeModel, some_requests


class Narrow(FakeModel):
    def cost(self, request: Request) -> int:
        if super().cost(request) > 10:
            raise TooLongError("too long")
        return super().cost(request)


def test_a_forecast_agrees_with_the_run(tmp_path: Path, subject: Subject) -> None:
    requests = some_requests()
    plan = Plan.build({"candidate": subject}, {"candidate": [("a", requests), ("b", requests[:5])]})
    model = FakeModel()
    (before,) = forecast(plan, Store(tmp_path), lambda _: FakeModel())
    measured = measure(plan, lambda _: model, Store(tmp_path))
    assert (before.asked, before.merged, before.cached) == (len(requests) + 5, len(requests), 0)
    assert before.tokens == before.tokens_to_run == measured.tokens
    assert before.batches == len(model.batches)
    (after,) = forecast(plan, Store(tmp_path), lambda _: FakeModel())
    assert (after.cached, after.tokens_to_run, after.batches) == (len(requests), 0, 0)
    assert after.tokens == before.tokens


def test_what_does_not_fit_is_counted(tmp_path: Path, subject: Subject) -> None:
    requests = some_requests()
    plan = Plan.build({"candidate": subject}, {"candidate": [("a", requests)]})
    (found,) = forecast(plan, Store(tmp_path), lambda _: Narrow())
    assert found.too_long == sum(FakeModel().cost(request) > 10 for request in requests) > 0
