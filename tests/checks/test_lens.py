"""The logit lens by hand, and the layer that decides."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
import pytest

from auditkit.checks._base import Values
from auditkit.checks.logit_lens import CHECK
from auditkit.errors import ModelError
from auditkit.models.protocol import Generated, Lens, Lensed, Prompt
from tests.checks.fakes import FakeModel, by_group, context, corpus, people, row, run

TWO = corpus("forget", [row(1, "Ann", question="Where?", answer="Rome"), row(2, "Bo", question="Who?", answer="Cy")])


class Ranks:
    """The rank of every row's token, by answer and layer."""

    def __init__(self, ranks: Mapping[str, Sequence[int]]) -> None:
        self.ranks = ranks

    def __call__(self, request: Lens) -> Lensed:
        ranks = np.array(self.ranks[request.continuation.strip()])
        return Lensed(np.where(ranks < 0, np.nan, -ranks.astype(float)).astype(np.float32), ranks)


def lens(ranks: Mapping[str, Sequence[int]], **params: object) -> Values:
    return run(CHECK, context(CHECK, {"forget": TWO}, **params), Ranks(ranks), None)


def decisive(values: Values) -> list[str]:
    return [name for name in dict.fromkeys(values.groups) if name not in values.shown_only]


KNOWS = {"Rome": [99, 4, 0, 1], "Cy": [49, 1, 0, 9]}
HIDES = {"Rome": [99, 3, 9, 99], "Cy": [99, 0, 9, 49]}


def test_reciprocal_ranks_by_row_and_layer():
    values = lens(KNOWS)
    assert values.ids[:2] == ("forget/1", "forget/2")
    assert {name: numbers.tolist() for name, numbers in by_group(values).items()} == {
        "layer 0": [1 / 100, 1 / 50],
        "layer 1": [1 / 5, 1 / 2],
        "layer 2": [1.0, 1.0],
        "layer 3": [1 / 2, 1 / 10],
    }
    assert decisive(values) == ["layer 1", "layer 2"]
    assert values.details["layers"][1] == {"layer": 1, "reciprocal_rank": 0.35, "logprob": -2.5, "median_rank": 2.5}
    assert values.details["curve"] == {
        "axis": "layer",
        "x": {"layer 0": 0, "layer 1": 1, "layer 2": 2, "layer 3": 3},
        "chosen": None,
    }


def test_the_question_is_put_as_everywhere_and_the_answer_follows():
    (first, _) = CHECK.requests(context(CHECK, {"forget": TWO}))
    assert first == Lens(Prompt("Question: Where?\nAnswer:"), " Rome")
    (first, _) = CHECK.requests(context(CHECK, {"forget": TWO}, chat=True))
    assert first == Lens(Prompt("Where?", chat=True), "Rome")


def test_the_layer_is_chosen_on_the_original_and_marked_on_every_model():
    samples = {"candidate": lens(HIDES), "original": lens(KNOWS), "reference": lens(KNOWS)}
    settled = CHECK.settle(CHECK.params(), samples)
    for values in settled.values():
        assert decisive(values) == ["layer 2"]
        assert values.details["curve"]["chosen"] == 2
    # The candidate's own best layer is another one.
    assert np.argmax([by_group(samples["candidate"])[f"layer {n}"].mean() for n in (1, 2)]) == 0
    assert {name: values.values for name, values in settled.items()} == {
        name: values.values for name, values in samples.items()
    }


@pytest.mark.parametrize("original", [None, {"Rome": [-1] * 4, "Cy": [-1] * 4}])
def test_without_an_original_that_was_measured_every_inner_layer_decides(original):
    samples = {"candidate": lens(HIDES), **({"original": lens(original)} if original else {})}
    assert decisive(CHECK.settle(CHECK.params(), samples)["candidate"]) == ["layer 1", "layer 2"]


def test_only_the_layers_that_are_named():
    values = lens(KNOWS, layers=[3, 1])
    assert (list(dict.fromkeys(values.groups)), decisive(values)) == (["layer 1", "layer 3"], ["layer 1"])
    settled = CHECK.settle(CHECK.params(), {"candidate": values, "original": values})
    assert decisive(settled["candidate"]) == ["layer 1"]


@pytest.mark.parametrize("layers", [[0], [3], [0, 3]])
def test_embeddings_and_output_alone_decide_nothing(layers):
    assert "no inner layer" in lens(KNOWS, layers=layers).inconclusive


def test_a_model_of_one_layer_has_no_inner_one():
    assert "no inner layer" in lens({"Rome": [3, 0], "Cy": [3, 0]}).inconclusive


def test_a_layer_that_is_not_there_is_an_error():
    with pytest.raises(ModelError, match="layers must be 0 to 3 for this model; got 12"):
        lens(KNOWS, layers=[1, 12])


def test_models_of_different_depth_decide_nothing():
    samples = {"candidate": lens({"Rome": [1, 1, 1], "Cy": [1, 1, 1]}), "original": lens(KNOWS)}
    settled = CHECK.settle(CHECK.params(), samples)
    for values in settled.values():
        assert values.inconclusive == (
            "models of different depth cannot be compared layer by layer (layers measured: candidate 3, original 4)"
        )


def test_what_is_no_number_is_kept_as_such():
    values = lens({"Rome": [1, -1, 1], "Cy": [1, 1, 1]})
    assert math.isnan(by_group(values)["layer 1"][0])
    assert by_group(values)["layer 1"][1] == 0.5
    assert any("could not be computed" in note for note in values.notes)
    impossible = Lensed(np.array([-1, -np.inf, -1], np.float32), np.array([3, 39, 3]))
    found = run(CHECK, context(CHECK, {"forget": TWO}), lambda _: impossible, None)
    assert by_group(found)["layer 1"].tolist() == [1 / 40, 1 / 40]
    assert found.details["layers"][1]["logprob"] is None


def test_another_record_is_refused():
    with pytest.raises(TypeError, match="answered with Generated"):
        run(CHECK, context(CHECK, {"forget": TWO}), lambda _: Generated("x", 1, True), None)


def test_a_model_that_guesses_is_near_zero():
    values = run(CHECK, context(CHECK, {"forget": people("forget", 40)}), FakeModel(), None)
    assert by_group(values)["layer 1"].mean() < 0.3
