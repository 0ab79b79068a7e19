"""Many samples: generations become independent draws, everything else stays."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from auditkit.attacks import ATTACKS, Scene
from auditkit.attacks.sample import SampleParams
from auditkit.models.protocol import Continue, Generate, Hidden, Lens, Prompt, Score
from tests.checks.fakes import people

SAMPLE = ATTACKS.get("sample")
FORGET = people("forget", 2)
SCENE = Scene(FORGET, {"forget": FORGET}, 0)
ASKED = Generate(Prompt("Who?", chat=True), 8, ("\n",))


def made(**params):
    return SAMPLE.wordings(SampleParams.model_validate(params), SCENE)


def test_every_wording_is_another_draw():
    wordings = made(n=5, temperature=0.7, top_p=0.9)
    asked = [one.request(ASKED) for one in wordings]
    assert [one.label for one in wordings] == [f"sample {number}" for number in range(1, 6)]
    assert asked == [Generate(ASKED.prompt, 8, ("\n",), None, 0.7, 0.9, draw) for draw in range(1, 6)]
    assert len({request.digest for request in [ASKED, *asked]}) == 6


def test_rows_and_other_requests_stay():
    (one,) = made(n=1)
    prompt = ASKED.prompt
    for request in (Score(prompt, "a"), Lens(prompt, "a"), Hidden(prompt, (0,)), Continue("a b", 1, 1)):
        assert one.request(request) is request
    assert all(one.example(row) is row for row in FORGET.examples)


def test_the_worst_draw_of_each_question_decides():
    assert SAMPLE.summarised(SampleParams()) == "worst_question"
    assert SAMPLE.family == "sampling"
    assert len(made()) == 16


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({}, "16 samples at temperature 1"),
        ({"n": 1, "temperature": 0.25, "top_p": 0.95}, "1 sample at temperature 0.25, top-p 0.95"),
    ],
)
def test_the_budget(params, words):
    assert SAMPLE.budget(SampleParams.model_validate(params)) == words
    assert list(SAMPLE.problems(SampleParams(), SCENE)) == []


@pytest.mark.parametrize("wrong", [{"n": 0}, {"temperature": 0.0}, {"top_p": 0.0}, {"top_p": 1.5}, {"samples": 3}])
def test_parameters_out_of_range_are_refused(wrong):
    with pytest.raises(ValidationError):
        SampleParams.model_validate(wrong)


def test_a_spec_may_say_n():
    from auditkit.spec._document import parse_document

    assert parse_document("under: {sample: {n: 4}}").faults == ()
