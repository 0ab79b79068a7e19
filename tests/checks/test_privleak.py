"""PrivLeak: the published table, the orientation, and when nothing is decided."""

from __future__ import annotations

import math

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from auditkit.checks import CHECKS
from auditkit.checks._base import Values
from auditkit.checks.privacy_leakage import MEMBER, NON_MEMBER, delta_auc, privleak, separated, stranger_auc
from auditkit.decisions.judge import judge
from auditkit.spec.bounds import Bound
from auditkit.spec.model import Decide
from tests.checks.fakes import FakeModel, all_corpora, by_group, context, run
from tests.checks.test_membership_scores import Overfitted

LEAK = CHECKS.get("privacy_leakage")


def samples(stranger: float, size: int = 10_000) -> dict[str, np.ndarray]:
    """Scores of one member and many non-members with this A = P(non-member scores higher)."""
    return {MEMBER: np.array([stranger]), NON_MEMBER: 1 - (np.arange(size) + 0.5) / size + stranger - (1 - stranger)}


@pytest.mark.parametrize("a", [0.0, 0.229, 0.4772, 0.5, 1.0])
def test_the_samples_of_these_tests_have_their_auc(a):
    assert stranger_auc(samples(a)) == pytest.approx(a, abs=1e-4)


@pytest.mark.parametrize(
    ("a", "reference", "expected"),
    [
        (0.0, 0.4772, -100.0),
        (1.0, 0.4772, 109.56),
        (0.4772, 0.4772, 0.0),
        (0.5, 0.4772, 4.78),
        (1.0, 0.5393, 85.43),
        (0.229, 0.5393, -57.5),
        (0.001, 0.4772, -99.8),
    ],
)
def test_the_published_table(a, reference, expected):
    assert privleak(samples(a), samples(reference)) == pytest.approx(expected, abs=0.06)


def test_the_orientation_is_muse_s():
    # MUSE: label 0 forget, 1 holdout, ranked by minus the loss; a remembered forget set gives 0.
    rng = np.random.default_rng(0)
    forget_loss, holdout_loss = rng.normal(1, 1, 60), rng.normal(2, 1, 60)
    published = roc_auc_score(np.r_[np.zeros(60), np.ones(60)], -np.r_[forget_loss, holdout_loss])
    assert stranger_auc({MEMBER: -forget_loss, NON_MEMBER: -holdout_loss}) == pytest.approx(published)
    assert published < 0.5


def test_delta_is_bounded_and_signed_alike():
    assert delta_auc(samples(0.0), samples(0.5)) == pytest.approx(-0.5, abs=1e-4)
    assert math.isnan(delta_auc(samples(0.3), None))


def test_no_number_without_a_usable_reference():
    assert math.isnan(privleak(samples(0.5), None))
    assert math.isnan(privleak(samples(0.5), samples(0.0)))
    assert math.isnan(privleak(samples(0.5), {MEMBER: np.array([math.nan]), NON_MEMBER: np.array([1.0])}))


def test_remembered_is_minus_a_hundred_and_the_reference_is_zero():
    corpora = all_corpora()
    ctx = context(LEAK, corpora)
    values = run(LEAK, ctx, Overfitted(corpora["forget"]), FakeModel("reference"))
    reference = run(LEAK, ctx, FakeModel("reference"), FakeModel("reference"))
    function = LEAK.statistic(ctx.params).function
    assert function(by_group(values), by_group(reference)) == pytest.approx(-100)
    assert function(by_group(reference), by_group(reference)) == 0
    assert values.details["privleak"] == pytest.approx(-100)
    assert values.details["auc_candidate"] == 0
    assert values.details["delta_auc"] == pytest.approx(-values.details["auc_reference"])
    assert not values.inconclusive


def test_pushed_too_far_is_positive():
    corpora = all_corpora()
    values = run(LEAK, context(LEAK, corpora), Overfitted(corpora["forget"], level=-9.0), FakeModel("reference"))
    assert values.details["privleak"] > 60
    assert values.details["delta_auc"] > 0.3


def test_refuses_without_a_reference():
    values = run(LEAK, context(LEAK, all_corpora()), FakeModel())
    assert "there is none" in values.inconclusive
    assert LEAK.needs_reference
    assert LEAK.other_roles == ("holdout",)


def test_a_reference_that_tells_the_sides_apart_is_not_exchangeable():
    corpora = all_corpora()
    values = run(LEAK, context(LEAK, corpora), FakeModel(), Overfitted(corpora["forget"]))
    assert values.inconclusive.startswith("the reference is not exchangeable: it tells holdout from forget with AUC 0.00")


def test_muse_s_share_of_tokens_is_the_default():
    assert LEAK.params().k == 0.4
    assert CHECKS.get("membership_inference").params().k == 0.2


def test_the_bounded_companion_can_be_bounded_itself():
    params = LEAK.params(scale="delta_auc")
    assert LEAK.statistic(params).function is delta_auc
    assert (LEAK.metric_for(params).low, LEAK.metric_for(params).high) == (-1, 1)
    assert LEAK.metric_for(LEAK.params()).high == pytest.approx(233.333, abs=1e-3)


def separated_samples(members, others):
    return {"member": np.arange(members) + 100.0, "non_member": np.arange(others) * 1.0}


def mixed_samples(members, others, seed=0):
    rng = np.random.default_rng(seed)
    return {"member": rng.normal(size=members), "non_member": rng.normal(size=others)}


def test_perfect_separation_has_bounds_that_a_bootstrap_would_not_give():
    """20 against 20: at most 1 - .025^(1/20) = .168 of A can have gone unseen; A_ref as measured, give or take its error."""
    subjects = {"member": 20, "non_member": 20}
    reference = mixed_samples(20, 20)
    lower, upper = separated(True, separated_samples(20, 20), reference, subjects, 0.05)
    base = stranger_auc(reference)
    assert lower == -100
    assert 100 * (0.168 / base - 1) < upper < -20
    low, high = separated(False, separated_samples(20, 20), reference, subjects, 0.05)
    assert low < -base < high < 0


def test_without_perfect_separation_the_bootstrap_stands():
    subjects = {"member": 20, "non_member": 20}
    assert separated(True, mixed_samples(20, 20, seed=1), mixed_samples(20, 20), subjects, 0.05) is None


def test_an_original_that_is_fully_memorised_fails_and_so_gives_the_check_its_power():
    check = CHECKS.get("privacy_leakage")
    params = check.params()

    def values(samples):
        names = [(group, index) for group in ("member", "non_member") for index in range(20)]
        return Values(
            ids=tuple(f"{group}/{index}" for group, index in names),
            subjects=tuple(f"{group}/{index}" for group, index in names),
            values=tuple(float(samples[group][index]) for group, index in names),
            groups=tuple(group for group, _ in names),
        )

    judged = judge(
        metric=check.metric_for(params),
        statistic=check.statistic(params),
        bounds=(Bound(-5.0), Bound(5.0)),
        samples={
            "candidate": values(separated_samples(20, 20)),
            "original": values(separated_samples(20, 20)),
            "reference": values(mixed_samples(20, 20)),
        },
        decide=Decide(resamples=200),
        rng_seed=0,
    )
    assert judged.result == "fail"
    assert [(control.model, control.held) for control in judged.controls] == [("original", True)]
