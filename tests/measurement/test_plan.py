from __future__ import annotations

import random
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditkit.measurement.plan import Batch, Budget, Plan, Subject, batches
from auditkit.models.protocol import Continue, Fingerprint, Generate, Prompt, Request, Score
from tests.measurement.fake_model import PRINT, FakeModel, some_requests


def cut(requests: Sequence[Request], budget: int = 64) -> list[Batch]:
    model = FakeModel()
    return list(
        batches(requests, {request: model.cost(request) for request in requests}, model, budget=Budget(budget, 4 * budget))
    )


def test_equal_requests_of_different_checks_are_asked_once(subject: Subject) -> None:
    one, two = Score(Prompt("a"), "b"), Score(Prompt("a"), "c")
    plan = Plan.build(
        {"candidate": subject, "reference": subject},
        {"candidate": [("first", [one, two, one]), ("second", [Score(Prompt("a"), "b")])], "reference": [("first", [one])]},
    )
    assert (plan.asked, plan.merged) == (5, 3)
    assert set(plan.work["candidate"].requests) == {one, two}
    assert plan.work["candidate"].askers(one) == ["first", "second"]
    assert plan.work["candidate"].askers(two) == ["first"]


def test_the_order_of_asking_changes_nothing(subject: Subject) -> None:
    requests = some_requests()
    shuffled = random.Random(0).sample(requests, len(requests))
    one = Plan.build({"c": subject}, {"c": [("x", requests)]}).work["c"]
    other = Plan.build({"c": subject}, {"c": [("y", shuffled[:7]), ("z", shuffled[7:])]}).work["c"]
    assert one.requests == other.requests
    assert one.kinds == ["generate", "hidden", "score"]


@given(
    lengths=st.lists(st.integers(1, 40), min_size=1, max_size=60, unique=True),
    budget=st.integers(1, 300),
    seed=st.integers(0, 5),
)
def test_batches_hold_each_request_once_and_keep_the_budget(lengths: list[int], budget: int, seed: int) -> None:
    requests = [Score(Prompt("w " * length), "x") for length in lengths]
    found = cut(requests, budget)
    assert sorted(r.digest for batch in found for r in batch.requests) == sorted(r.digest for r in requests)
    for batch in found:
        assert len(batch.requests) == 1 or len(batch.requests) * max(batch.tokens) <= 4 * budget
        assert list(batch.tokens) == sorted(batch.tokens, reverse=True)
    shuffled = random.Random(seed).sample(requests, len(requests))
    assert cut(shuffled, budget) == found


def test_without_companions_padded_tokens_stay_in_the_budget() -> None:
    requests = [Score(Prompt(f"{n} " + "w " * (n % 50)), "x") for n in range(200)]
    for batch in cut(requests, 256):
        assert len(batch.requests) * max(batch.tokens) <= 256


def test_requests_that_begin_alike_stand_together() -> None:
    front = "shot " * 60
    shots = [Generate(Prompt(front + f"question {n}"), 4) for n in range(20)]
    others = [Generate(Prompt(f"question {n} " + "w " * 50), 4) for n in range(20)]
    found = cut([*shots, *others], 256)
    kinds = [{request in shots for request in batch.requests} for batch in found]
    assert all(len(kind) == 1 for kind in kinds)
    together = [batch for batch in found if batch.requests[0] in shots]
    # Charged for what they do not share, twenty rows fit where four would.
    assert max(len(batch.requests) for batch in together) > 256 // max(together[0].tokens)


def test_longer_shared_beginnings_make_groups_of_their_own() -> None:
    first, second = "fact " * 60, "more " * 60
    one = [Score(Prompt(first + f"q {n}"), "a") for n in range(10)]
    two = [Score(Prompt(first + second + f"q {n}"), "a") for n in range(10)]
    found = cut([*one, *two], 10_000)
    assert sorted(len(batch.requests) for batch in found) == [10, 10]


def test_a_few_companions_are_not_worth_a_batch() -> None:
    front = "shot " * 60
    assert len(cut([Score(Prompt(front + f"q {n}"), "a") for n in range(3)] + [Score(Prompt("b " * 50), "a")], 10_000)) == 1


def test_very_long_equal_beginnings_are_walked_in_few_steps() -> None:
    front = "x" * 300_000
    assert len(cut([Score(Prompt(front + str(n)), "a") for n in range(9)], 10_000)) >= 1


def test_plain_and_chat_prompts_do_not_count_as_alike() -> None:
    assert Prompt("a").lead != Prompt("a", chat=True).lead
    assert Continue("text", 3, 4).lead == "text"


@pytest.mark.parametrize(
    "other",
    [
        Subject(Fingerprint("other", "c" * 64, "t" * 64, ""), "float32", "cpu"),
        Subject(Fingerprint("w" * 64, "c" * 64, "t" * 64, "", "adapter"), "float32", "cpu"),
        Subject(PRINT, "bfloat16", "cpu"),
        Subject(PRINT, "float32", "cuda"),
        Subject(PRINT, "float32", "cpu", system="Be brief."),
        Subject(PRINT, "float32", "cpu", interventions="quantised"),
    ],
)
def test_whatever_changes_an_answer_changes_the_key(subject: Subject, other: Subject) -> None:
    assert subject.key != other.key
    assert subject.key == Subject(PRINT, "float32", "cpu").key


def test_auto_is_resolved(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("auditkit.measurement.plan.resolve_device", lambda device: {"auto": "cuda:0"}.get(device, device))
    assert (Subject.of(PRINT).device, Subject.of(PRINT).dtype) == ("cuda", "bfloat16")
    assert Subject.of(PRINT, device="cpu", dtype="bfloat16").dtype == "bfloat16"


def test_the_model_says_how_large_a_batch_is() -> None:
    model = FakeModel()
    assert Budget.of(model, [Score(Prompt("a"), "b")]) == (512, 8192)
    assert Budget.of(model, [Generate(Prompt("a"), 4)]) == (8192, 16384)
    assert Budget.of(model, []) == (512, 8192)
