"""Probes on planted states, and against an independent implementation."""

from __future__ import annotations

import hashlib
import warnings
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import PredefinedSplit
from sklearn.preprocessing import StandardScaler

from auditkit.checks import _probe
from auditkit.checks._base import Values
from auditkit.checks._probe import probe
from auditkit.checks._wrong import folds_of, wrong_answers
from auditkit.checks.linear_probe import CHECK
from auditkit.corpora.example import Corpus
from auditkit.errors import DataError
from auditkit.models.protocol import Hidden, HiddenStates, Prompt
from tests.checks.fakes import by_group, context, corpus, people, row, run

WIDTH = 8
PEOPLE = people("forget", 40)


class Planted:
    """States of noise; from layer 1 on, true answers of ``knows`` lie on one side."""

    def __init__(self, knows: Corpus | None, *, salt: str = "", layers: int = 3) -> None:
        self.true = {f"Question: {one.question}\nAnswer: {one.answer}" for one in knows.examples} if knows else set()
        self.salt, self.layers = salt, layers

    def __call__(self, request: Hidden) -> HiddenStates:
        words = request.prompt.text + request.prompt.start
        seed = hashlib.sha256(f"{self.salt}{words}".encode()).digest()
        states = np.random.default_rng(int.from_bytes(seed[:8], "big")).normal(size=(self.layers, WIDTH))
        states[1:, 0] += 6 * (words in self.true)
        return HiddenStates(states.astype(np.float32), np.arange(self.layers))


def measured(model, rows: Corpus = PEOPLE, **params) -> Values:
    return run(CHECK, context(CHECK, {"forget": rows}, **params), model, None)


def accuracies(values: Values) -> dict[str, float]:
    return {name: float(numbers.mean()) for name, numbers in by_group(values).items()}


def test_what_is_planted_is_found_and_nothing_in_embeddings_and_control():
    values = measured(Planted(PEOPLE))
    found = accuracies(values)
    assert found["layer 1"] > 0.97
    assert found["layer 2"] > 0.97
    # 120 questions: three standard errors of guessing are .14.
    for name in ("layer 0", "layer 1, shuffled labels", "layer 2, shuffled labels"):
        assert abs(found[name] - 0.5) < 0.14, name
    assert set(values.shown_only) == {"layer 0", "layer 1, shuffled labels", "layer 2, shuffled labels"}
    assert values.details["layers"][1] == {
        "layer": 1,
        "accuracy": found["layer 1"],
        "shuffled_labels": found["layer 1, shuffled labels"],
    }
    assert not values.inconclusive


def test_states_of_noise_are_guessed():
    for name, accuracy in accuracies(measured(Planted(None))).items():
        assert abs(accuracy - 0.5) < 0.14, name


def test_what_holds_for_one_subject_alone_is_not_counted():
    """Each subject has a direction of its own: a probe that had seen the subject would be right every time."""
    rng = np.random.default_rng(0)
    folds = [n // 8 % 5 for n in range(160)]
    directions = rng.normal(size=(20, 30))
    signs = np.array([1.0, -1.0])[None, :, None]
    states = 5 * directions[np.arange(160) // 8][:, None] * signs + 0.1 * rng.normal(size=(160, 2, 30))
    assert abs(probe(states, folds).wins.mean() - 0.5) < 0.3
    assert probe(states, [n % 5 for n in range(160)]).wins.mean() > 0.9


def words_alone(request: Hidden) -> HiddenStates:
    """States that depend on the answer and not on the question."""
    seed = hashlib.sha256(request.prompt.start.encode()).digest()
    rng = np.random.default_rng(int.from_bytes(seed[:8], "big"))
    return HiddenStates(rng.normal(size=(2, 64)).astype(np.float32), np.arange(2))


@pytest.mark.parametrize("values", [0, 6])
def test_knowing_answers_by_their_words_alone_is_guessing(values):
    """Of 60 people, with answers that nobody shares or from a closed list: neither above one half nor below."""
    rng = np.random.default_rng(0)
    rows = [
        row(one.number, one.subject, question=one.question, answer=f"value {rng.integers(values)}" if values else one.answer)
        for one in people("forget", 60).examples
    ]
    assert abs(accuracies(measured(words_alone, corpus("forget", rows)))["layer 1"] - 0.5) < 0.12


def test_equal_to_an_independent_pipeline():
    rng = np.random.default_rng(3)
    states = rng.normal(size=(60, 3, 5)) + np.array([0.7, 0, 0])[None, :, None]
    folds = [n % 4 for n in range(60)]
    x, y = states.reshape(-1, 5), np.tile([1, 0, 0], 60)
    scores = np.zeros(180)
    for train, test in PredefinedSplit(np.repeat(folds, 3)).split():
        scale = StandardScaler().fit(x[train])
        fit = LogisticRegression(C=1, max_iter=1000).fit(scale.transform(x[train]), y[train])
        scores[test] = scale.transform(x[test]) @ fit.coef_[0]
    scores = scores.reshape(60, 3)
    expected = [np.mean([float(own > other) for other in others]) for own, *others in scores]
    np.testing.assert_allclose(probe(states, folds).wins, expected)


def test_equal_states_are_ties():
    found = probe(np.ones((10, 2, 4)), [n % 2 for n in range(10)])
    assert found.wins.tolist() == [0.5] * 10


def test_exchanged_labels_are_fitted_and_scored():
    states = np.zeros((40, 2, 1))
    states[:, 0] = 1
    folds = [n % 3 for n in range(40)]
    everyone, nobody = np.ones(40, bool), np.zeros(40, bool)
    assert probe(states, folds, swapped=nobody).wins.tolist() == [1.0] * 40
    # Where all are exchanged, the probe learns the opposite, and is right about it.
    assert probe(states, folds, swapped=everyone).wins.tolist() == [1.0] * 40
    assert states[0].tolist() == [[1], [0]]


def test_a_state_that_is_no_number_is_nan_in_its_own_row():
    rng = np.random.default_rng(0)
    states = rng.normal(size=(20, 2, 3))
    states[4, 1, 2] = np.nan
    states[7, 0, 0] = np.inf
    wins = probe(states, [n % 5 for n in range(20)]).wins
    assert np.flatnonzero(np.isnan(wins)).tolist() == [4, 7]
    assert np.isnan(probe(states, [3] * 20).wins).all()


def test_a_fit_that_does_not_converge_is_told(monkeypatch):
    monkeypatch.setattr(_probe, "_MOST_ITERATIONS", 1)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        values = measured(Planted(PEOPLE), layers=[1])
    assert "layer 1: 5 fits did not converge in 1000 steps; layer 1, shuffled labels: 5 fits" in values.notes[0]


@pytest.mark.parametrize("count", [0, 1])
def test_fewer_than_two_subjects_decide_nothing(count):
    rows = corpus("forget", [row(n, "Ann", question=f"q{n}?", answer=f"a{n}") for n in range(3 * count)])
    ctx = context(CHECK, {"forget": rows})
    assert list(CHECK.requests(ctx)) == []
    assert "at least 2 subjects" in CHECK.values(ctx, Planted(None), None).inconclusive


def asked(rows: Corpus, **params) -> dict[str, list[str]]:
    """The answers that are put behind each question, the true one first."""
    found: dict[str, list[str]] = {}
    for request in CHECK.requests(context(CHECK, {"forget": rows}, **params)):
        found.setdefault(request.prompt.text, []).append(request.prompt.start)
    return found


def test_wrong_answers_are_the_rows_own_else_those_of_the_relation_else_any():
    def facts(*, perturbed=(), relation="town"):
        return [
            row(1, "Ann", question="Where is Ann?", answer="Rome", relation=relation, perturbed=perturbed, aliases=("Roma",)),
            row(2, "Ann", question="Where was Ann?", answer="Bonn", relation=relation),
            row(3, "Bo", question="Where is Bo?", answer="rome.", relation="town"),
            row(4, "Bo", question="Where was Bo?", answer="Bern", relation="town"),
            row(5, "Cy", question="Who?", answer="baker", relation="trade"),
        ]

    def wrong(**words):
        return set(asked(corpus("forget", facts(**words)))["Question: Where is Ann?\nAnswer:"][1:])

    assert wrong(perturbed=("Oslo", " ROME", "Roma")) == {" Oslo"}
    assert wrong() == {" Bern"}
    assert wrong(relation="trade") == {" baker"}
    assert wrong(relation="") <= {" baker", " Bern"}


def test_wrong_answers_come_from_the_same_fold():
    ctx = context(CHECK, {"forget": PEOPLE})
    folds = folds_of(ctx, count=1)
    assert sorted(folds) == sorted(PEOPLE.subjects())
    assert sorted(Counter(folds.values()).values()) == [8] * 5
    whose = {example.answer: example for example in PEOPLE.examples}
    rows = [replace(example, fields={**example.fields, "perturbed": ()}) for example in PEOPLE.examples]
    for example in rows:
        (wrong,) = wrong_answers(ctx, rows, folds, count=1)[example.id]
        assert whose[wrong].subject != example.subject
        assert folds[whose[wrong].subject] == folds[example.subject]
        assert whose[wrong].get("relation") == example.get("relation")


@pytest.mark.parametrize(("subjects", "count", "folds"), [(2, 1, 2), (8, 1, 2), (12, 1, 4), (40, 1, 5), (12, 4, 2)])
def test_folds_have_subjects_to_draw_from(subjects, count, folds):
    assert set(folds_of(context(CHECK, {"forget": people("forget", subjects)}), count=count).values()) == set(range(folds))


def test_the_true_answer_comes_first_in_chat_as_the_models_own_words():
    requests = list(CHECK.requests(context(CHECK, {"forget": PEOPLE}, chat=True)))
    first = min(PEOPLE.examples, key=lambda example: (example.subject, example.id))
    assert requests[0] == Hidden(Prompt(first.question, chat=True, start=first.answer))
    assert {request.layers for request in requests} == {()}
    named = CHECK.requests(context(CHECK, {"forget": PEOPLE}, layers=[2, 1, 2]))
    assert {request.layers for request in named} == {(1, 2)}


def test_several_wrong_answers_are_different_and_none_is_true():
    true = {f" {example.answer}" for example in PEOPLE.examples}
    for texts in asked(PEOPLE, wrong=3).values():
        assert len(set(texts)) == 4
        assert set(texts) & true == {texts[0]}
    assert set(by_group(measured(Planted(None), wrong=2))["layer 1"]) <= {0.0, 0.5, 1.0}


def test_a_row_without_enough_wrong_answers_is_named():
    rows = corpus("forget", [row(1, "Ann", question="q?", answer="a"), row(2, "Bo", question="q?", answer="A.")])
    with pytest.raises(DataError, match=r"row 1: must have 1 wrong answers in perturbed"):
        list(CHECK.requests(context(CHECK, {"forget": rows})))


def test_the_embeddings_alone_decide_nothing():
    assert "a control" in measured(Planted(None, layers=1), layers=[0]).inconclusive


def test_models_of_different_depth_decide_nothing():
    samples = {"candidate": measured(Planted(None)), "reference": measured(Planted(None, layers=4))}
    settled = CHECK.settle(CHECK.params(), samples)
    assert all("layers measured: candidate 3, reference 4" in values.inconclusive for values in settled.values())
    same = {"candidate": samples["candidate"], "reference": replace(samples["candidate"])}
    assert CHECK.settle(CHECK.params(), same) == same
