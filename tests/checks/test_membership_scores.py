"""Membership inference: signs, AUC against scikit-learn, the blind baseline, and what may not be said."""

from __future__ import annotations

import dataclasses
import math
import re

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from auditkit.checks import CHECKS
from auditkit.checks._auc import auc, roc, tpr_at_fpr
from auditkit.checks._blind import MIN_SUBJECTS, Text, blind_baseline
from auditkit.models.protocol import Scored
from tests.checks.fakes import FakeModel, all_corpora, by_group, context, corpus, row, run, scored, word

MIA = CHECKS.get("membership_inference")
ALL = ["loss", "zlib", "reference", "min_k", "min_k++"]


class Overfitted:
    """Finds the texts of one corpus likely and all others not."""

    def __init__(self, known, *, level=-0.1):
        self.known = {text for e in known.examples for text in (e.text, f" {e.answer}")} if known else set()
        self.level = level

    def __call__(self, request):
        base = self.level if request.continuation in self.known else -3.0
        wiggle = (len(request.continuation) % 7) / 100
        array = np.full(8, base + wiggle, dtype=np.float32)
        return Scored(array, array > -1, np.full(8, -2.0, np.float32), np.full(8, 1.0, np.float32))


def test_a_higher_score_is_a_member_under_every_attack():
    corpora = all_corpora()
    values = run(MIA, context(MIA, corpora, attacks=ALL), Overfitted(corpora["forget"]), Overfitted(None))
    labels = np.array(values.labels)
    for attack in ALL:
        chosen = np.array([group == attack for group in values.groups])
        score = np.array(values.values)[chosen]
        assert roc_auc_score(labels[chosen], score) > 0.9, attack
        assert values.details["auc"][attack] == pytest.approx(roc_auc_score(labels[chosen], score))


def test_an_over_unlearned_model_is_not_turned_over():
    corpora = all_corpora()
    values = run(MIA, context(MIA, corpora), Overfitted(corpora["forget"], level=-9.0))
    assert max(values.details["auc"].values()) < 0.1


def test_one_pass_per_row_serves_all_attacks():
    corpora = all_corpora()
    asked = {tuple(MIA.requests(context(MIA, corpora, attacks=attacks))) for attacks in (ALL, ["loss"])}
    assert len(asked) == 1
    assert len(asked.pop()) == len(corpora["forget"].examples) + len(corpora["holdout"].examples)


def test_the_reference_attack_needs_a_reference():
    ctx = context(MIA, all_corpora(), attacks=["reference"])
    values = run(MIA, ctx, FakeModel())
    assert "needs a model named reference" in values.inconclusive
    assert all(math.isnan(value) for value in values.values)
    same = run(MIA, ctx, FakeModel("r"), FakeModel("r"))
    assert set(same.values) == {0.0}
    assert same.details["auc"] == {"reference": 0.5}


def test_one_scored_token_is_too_few():
    values = run(MIA, context(MIA, all_corpora()), lambda request: scored(-1.0))
    assert all(math.isnan(value) for value in values.values)
    assert any("fewer than 2 scored tokens" in note for note in values.notes)
    assert values.details["auc"]["loss"] is None


@pytest.mark.parametrize("seed", range(5))
def test_auc_is_scikit_learn_s(seed):
    rng = np.random.default_rng(seed)
    a, b = rng.integers(8, size=31) / 2, rng.integers(1, 9, size=17) / 2
    labels = np.r_[np.ones(31), np.zeros(17)]
    assert auc(a, b) == pytest.approx(roc_auc_score(labels, np.r_[a, b]))


def test_auc_by_hand():
    one, two = np.array([1.0, 2.0]), np.array([1.0, 0.0])
    assert auc(one, two) == (0.5 + 1 + 1 + 1) / 4
    assert auc(one, one) == 0.5
    assert math.isnan(auc(one, np.array([])))
    assert math.isnan(auc(one, np.array([math.nan])))


def test_tpr_only_where_there_are_non_members_enough():
    members, others = np.linspace(0, 2, 50), np.linspace(-1, 1, 100)
    found = tpr_at_fpr(members, others, (0.1, 0.01))
    assert found["0.1"] == pytest.approx((members > np.sort(others)[-11]).mean())
    assert found["0.01"] == "not given: needs 1000 non-members, there are 100"


def test_the_curve_keeps_its_ends_and_its_size():
    rng = np.random.default_rng(0)
    curve = roc(rng.normal(1, 1, 2000), rng.normal(size=2000))
    assert len(curve["fpr"]) == len(curve["tpr"]) <= 200
    assert (curve["fpr"][0], curve["tpr"][0]) == (0, 0)
    assert (curve["fpr"][-1], curve["tpr"][-1]) == (1, 1)


def texts(label, subjects, template="{who} keeps a {pet} near {place}."):
    rng = np.random.default_rng(subjects)
    return tuple(
        Text(f"{label}{s}", template.format(who=word(label, s), pet=word("pet", int(rng.integers(9))), place=word("at", i)))
        for s in range(subjects)
        for i in range(3)
    )


def test_a_style_that_differs_is_inadmissible():
    blind = blind_baseline(texts("a", 12), texts("b", 12, "In 2024, {who} had the {pet}, the {pet} of {place}!"), 0)
    assert blind.auc > 0.95
    assert "differ by their text alone" in blind.objection(0.1)
    assert not blind.document(0.1)["admissible"]


def test_texts_of_one_source_are_admissible():
    objections = [blind_baseline(texts(f"a{i}", 30), texts(f"b{i}", 30), 0).objection(0.1) for i in range(8)]
    assert sum(map(bool, objections)) <= 1


def test_names_do_not_leak_across_folds():
    # Every subject has words of its own: they separate nothing once whole subjects are left out.
    blind = blind_baseline(texts("x", 15, "{who} {who} {who} {place}"), texts("y", 15, "{who} {who} {who} {place}"), 0)
    assert 0.2 < blind.auc < 0.8


def test_the_blind_baseline_does_not_depend_on_the_order_or_the_process():
    a, b = texts("a", 8), texts("b", 8)
    assert blind_baseline(a, b, 3) == blind_baseline(tuple(reversed(a)), tuple(reversed(b)), 3)


def test_worse_than_guessing_is_a_note_and_no_objection():
    paired = [(Text(f"a{i}", f"{word(i)} {word(i, 1)} {word(i, 2)}"), Text(f"b{i}", f"{word(i)} {word(i, 1)} {word(i, 2)}"))
              for i in range(30)]  # fmt: skip
    blind = blind_baseline(tuple(a for a, _ in paired), tuple(b for _, b in paired), 0)
    assert blind.upper < 0.5
    assert not blind.objection(0.1)
    assert "near-pairs" in blind.note()


def test_few_subjects_cannot_clear_the_texts():
    blind = blind_baseline(texts("a", MIN_SUBJECTS - 1), texts("b", 20), 0)
    assert blind.auc is None
    assert "too few subjects" in blind.objection(0.1)


def test_a_shifted_holdout_makes_the_check_inconclusive():
    corpora = all_corpora()
    rows = [dataclasses.replace(e, fields={**e.fields, "text": re.sub("The", "In 1999 the", e.text)})
            for e in corpora["holdout"].examples]  # fmt: skip
    corpora["holdout"] = dataclasses.replace(corpora["holdout"], examples=tuple(rows))
    values = run(MIA, context(MIA, corpora), FakeModel())
    assert values.inconclusive.startswith("members and non-members differ by their text alone")
    assert values.details["blind_baseline"]["auc"] > 0.9


def test_both_sides_must_have_one_form():
    corpora = all_corpora()
    corpora["holdout"] = corpus("holdout", [row(1, question="Who?", answer="Ann")])
    (problem,) = MIA.problems(context(MIA, corpora))
    assert problem == "members and non-members must have the same form; forget holds text, holdout question"


def test_a_holdout_row_without_its_field_is_named():
    corpora = all_corpora()
    corpora["holdout"] = corpus("holdout", [*corpora["holdout"].examples[:1], row(2, note="nothing")])
    assert any("holdout.jsonl: row 2: must have" in problem for problem in MIA.problems(context(MIA, corpora)))


def test_attacks_are_named_once():
    assert any("each attack once" in problem for problem in MIA.problems(context(MIA, all_corpora(), attacks=["loss", "loss"])))


def test_members_cannot_be_their_own_holdout():
    (problem,) = MIA.problems(context(MIA, all_corpora(), name="holdout"))
    assert "must not be the holdout itself" in problem


def test_questions_are_scored_on_their_answers():
    corpora = {
        name: corpus(name, [row(i, f"p{i}", question=f"Who is {i}?", answer="somebody else") for i in range(1, 7)])
        for name in ("forget", "holdout")
    }
    requests = list(MIA.requests(context(MIA, corpora)))
    assert {request.continuation for request in requests} == {" somebody else"}
    assert requests[0].prompt.text == "Question: Who is 1?\nAnswer:"


def test_groups_are_the_attacks():
    values = run(MIA, context(MIA, all_corpora(), attacks=["loss", "zlib"]), FakeModel())
    assert list(by_group(values)) == ["loss", "zlib"]
    assert set(values.details["roc"]) == {"loss", "zlib"}


def test_scores_that_are_all_one_number_decide_nothing():
    def constant(request):
        array = np.full(8, -3.0, dtype=np.float32)
        return Scored(array, array > -1, array, np.ones(8, np.float32))

    values = run(MIA, context(MIA, all_corpora(), attacks=["zlib", "loss"]), constant)
    assert values.details["auc"]["loss"] == 0.5 and "all scores of loss are one and the same number" in values.inconclusive
    leak = CHECKS.get("privacy_leakage")
    found = run(leak, context(leak, all_corpora(), attack="loss"), constant, constant)
    assert "all scores of loss are one and the same number" in found.inconclusive
