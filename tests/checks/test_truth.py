"""TOFU's numbers: truth ratio, forget quality, model utility, with the published oracles."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
from scipy.stats import ks_2samp

from auditkit.checks import CHECKS
from auditkit.checks._choices import Losses
from auditkit.checks.forget_quality import GROUP, ks_p_value
from auditkit.checks.model_utility import NUMBERS, PARTS, harmonic_mean_of_nine
from auditkit.errors import DataError
from tests.checks.fakes import FakeModel, all_corpora, by_group, context, corpus, row, run, scored

RATIO, QUALITY, UTILITY = (CHECKS.get(name) for name in ("truth_ratio", "forget_quality", "model_utility"))

PUBLISHED_MEANS = {
    "retain": (0.989527, 0.985655, 0.474699),
    "real_authors": (0.455482, 0.933, 0.596229),
    "world_facts": (0.418562, 0.882479, 0.539033),
}
"""probability, ROUGE, truth ratio of the taught Llama-2-7b, from TOFU's published logs."""


def likelihoods(**by_answer):
    """A model that gives each answer its length-normalised probability."""

    def model(request):
        return scored(math.log(by_answer[request.continuation.strip()]))

    return model


def one_row(**fields):
    given = {"question": "Who?", "answer": "ann", "perturbed": ("bob", "cid")} | fields
    return {"forget": corpus("forget", [row(1, **given)])}


@pytest.mark.parametrize(("aggregate", "expected"), [("closer_to_1_better", 0.4), ("true_better", 0.6), ("prob_mean", 1 / 1.4)])
def test_the_ratio_is_geometric_over_the_wrong_answers(aggregate, expected):
    # sqrt(.16 * .25) = .2 against .5: TR = .4
    model = likelihoods(told=0.5, ann=0.9, bob=0.16, cid=0.25)
    ctx = context(RATIO, one_row(paraphrases=("told",)), aggregate=aggregate)
    assert run(RATIO, ctx, model).values[0] == pytest.approx(expected)


def test_without_a_paraphrase_the_answer_itself_is_the_truth():
    model = likelihoods(ann=0.5, bob=0.16, cid=0.25)
    assert run(RATIO, context(RATIO, one_row()), model).values[0] == pytest.approx(0.4)


def test_a_ratio_above_one_is_turned_over_or_cut():
    model = likelihoods(ann=0.1, bob=0.4, cid=0.4)
    values = {
        name: run(RATIO, context(RATIO, one_row(), aggregate=name), model).values[0]
        for name in ("closer_to_1_better", "true_better", "prob_mean")
    }
    assert values == pytest.approx({"closer_to_1_better": 0.25, "true_better": 0.0, "prob_mean": 0.2})


def test_the_end_token_belongs_to_tofu_s_losses():
    assert all(request.score_end for request in RATIO.requests(context(RATIO, one_row())))
    assert not any(request.score_end for request in RATIO.requests(context(RATIO, one_row(), convention="answer")))


def test_direction_follows_the_aggregate():
    assert RATIO.metric_for(RATIO.params()).better == "higher"
    prob = RATIO.metric_for(RATIO.params(aggregate="prob_mean"))
    assert (prob.better, prob.chance) == ("lower", 0.5)


def test_probability_among_choices():
    found = Losses(-math.log(0.5), -math.log(0.5), (-math.log(0.3), -math.log(0.2)))
    assert found.choice_probability == pytest.approx(0.5)
    extreme = Losses(900.0, 900.0, (0.0, 0.0))
    assert extreme.choice_probability == 0.0 or extreme.choice_probability < 1e-300
    assert extreme.preference < 1e-300
    assert Losses(0.0, 0.0, (900.0, 900.0)).preference == 1.0


def columns_with(distance: float, rows: int) -> tuple[dict, dict]:
    """Two samples whose distribution functions differ by exactly this much."""
    base = np.arange(rows) / rows
    return {GROUP: base + distance}, {GROUP: base}


def test_forget_quality_reproduces_the_published_oracle():
    mine, theirs = columns_with(119 / 300 - 1e-9, 300)
    assert ks_2samp(mine[GROUP], theirs[GROUP]).statistic == pytest.approx(0.396667, abs=1e-6)
    assert ks_p_value(mine, theirs) == pytest.approx(1.834066e-21, rel=1e-5)


def test_forget_quality_is_blind_to_the_direction_of_the_ratio():
    rng = np.random.default_rng(0)
    mine, theirs = rng.lognormal(size=80), rng.lognormal(0.3, size=80)
    expected = ks_2samp(mine, theirs).pvalue
    for function in (lambda tr: tr, lambda tr: 1 / tr, lambda tr: 1 / (1 + tr)):
        assert ks_p_value({GROUP: function(mine)}, {GROUP: function(theirs)}) == pytest.approx(expected)


def test_forget_quality_without_a_comparison_is_not_a_number():
    mine, theirs = columns_with(0.1, 20)
    assert math.isnan(ks_p_value(mine, None))
    assert math.isnan(ks_p_value({GROUP: np.array([math.nan, 1.0])}, theirs))
    assert math.isnan(ks_p_value({GROUP: np.array([])}, theirs))


def test_forget_quality_never_proves_absence_and_says_so():
    statistic = QUALITY.statistic(QUALITY.params())
    assert statistic.relative_to_reference
    assert not statistic.evidence_of_absence
    ctx = context(QUALITY, all_corpora())
    same = run(QUALITY, ctx, FakeModel("reference"), FakeModel("reference"))
    assert same.details["p_value"] == 1.0
    assert any("not evidence" in note for note in same.notes)
    assert "there is none" in run(QUALITY, ctx, FakeModel()).inconclusive


def test_forget_quality_details_are_scipy_s():
    ctx = context(QUALITY, all_corpora())
    values = run(QUALITY, ctx, FakeModel("candidate"), FakeModel("reference"))
    reference = run(QUALITY, ctx, FakeModel("reference"), FakeModel("reference"))
    found = ks_2samp(values.values, reference.values)
    assert values.details["p_value"] == pytest.approx(found.pvalue)
    assert values.details["ks_statistic"] == pytest.approx(found.statistic)
    function = QUALITY.statistic(QUALITY.params()).function
    assert function(by_group(values), by_group(reference)) == values.details["p_value"]


def nine(means):
    return {f"{part}/{n}": np.array([v]) for part in PARTS for n, v in zip(("probability", "rouge", "truth_ratio"), means[part],
                                                                          strict=True)}  # fmt: skip


def test_model_utility_reproduces_the_published_oracle():
    assert NUMBERS == ("probability", "rouge", "truth_ratio")
    assert harmonic_mean_of_nine(nine(PUBLISHED_MEANS)) == pytest.approx(0.6226774, abs=2e-7)


def test_one_zero_makes_the_utility_zero_and_one_gap_makes_it_nothing():
    zero = nine(PUBLISHED_MEANS | {"retain": (0.9, 0.0, 0.5)})
    assert harmonic_mean_of_nine(zero) == 0.0
    gap = nine(PUBLISHED_MEANS)
    del gap["retain/rouge"]
    assert math.isnan(harmonic_mean_of_nine(gap))
    assert math.isnan(harmonic_mean_of_nine(nine(PUBLISHED_MEANS | {"retain": (0.9, math.nan, 0.5)})))


def test_model_utility_measures_nine_groups():
    values = run(UTILITY, context(UTILITY, all_corpora()), FakeModel())
    assert set(by_group(values)) == {f"{part}/{number}" for part in PARTS for number in NUMBERS}
    assert set(values.details["means"]) == set(by_group(values))


def test_model_utility_needs_three_corpora():
    corpora = all_corpora()
    del corpora["real_authors"]
    ctx = context(UTILITY, corpora)
    (problem,) = UTILITY.problems(ctx)
    assert problem == "model_utility needs three corpora: give one the role real_authors, or name it with real_authors"
    with pytest.raises(DataError, match="requirement model_utility: model_utility needs three corpora"):
        list(UTILITY.requests(ctx))
    (problem,) = UTILITY.problems(context(UTILITY, corpora, real_authors="holdot"))
    assert "did you mean 'holdout'" in problem
    assert not list(UTILITY.problems(context(UTILITY, corpora, real_authors="holdout")))


def test_model_utility_names_the_row_of_another_corpus():
    corpora = all_corpora()
    rows = [row(1, question="q", answer="a"), *corpora["world_facts"].examples[1:]]
    corpora["world_facts"] = dataclasses.replace(corpora["world_facts"], examples=tuple(rows))
    (problem,) = UTILITY.problems(context(UTILITY, corpora))
    assert "world_facts.jsonl: row 1: must have perturbed" in problem
