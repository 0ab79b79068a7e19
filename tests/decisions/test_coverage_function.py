"""Bootstrap by subject: error rates of both bounds at the truth, for the functions that are shipped, fixed seeds."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest
from scipy.special import ndtr

from auditkit.decisions.auc import auc
from auditkit.decisions.bootstrap import bootstrap_interval, replicates, value_of
from auditkit.decisions.samples import Sample

ALPHA = 0.05
AUDITS = 250
RESAMPLES = 100
ALLOWED = ALPHA + 3 * np.sqrt(ALPHA * (1 - ALPHA) / AUDITS)
ByGroup = Mapping[str, np.ndarray]


def frame(layout: list[tuple[str, str, int]]) -> Sample:
    """One row per (corpus, group, subjects)."""
    keys = sorted((f"{corpus}/{i:03d}", group, f"{corpus}/{i:03d}{group}") for corpus, group, n in layout for i in range(n))
    subjects = tuple(sorted({key[0] for key in keys}))
    index = {subject: code for code, subject in enumerate(subjects)}
    codes = np.array([index[key[0]] for key in keys])
    return Sample(tuple(keys), np.zeros(len(keys)), np.array([], dtype=np.int64), codes, subjects, "subject")


def filled(template: Sample, by_group: ByGroup) -> Sample:
    values = template.values.copy()
    groups = np.array([key[1] for key in template.keys])
    for group, rows in by_group.items():
        values[groups == group] = rows
    return template.with_values(values)


def harmonic(values: ByGroup, _: ByGroup | None) -> float:
    means = [float(rows.mean()) for rows in values.values()]
    return 0.0 if min(means) <= 0 else len(means) / sum(1 / mean for mean in means)


def privacy_leakage(values: ByGroup, reference: ByGroup | None) -> float:
    """100 (A - A_ref) / A_ref with A the complement of the members' AUC, as MUSE defines it."""
    assert reference is not None
    mine, theirs = (1 - _area(one) for one in (values, reference))
    return 100 * (mine - theirs) / theirs if theirs else float("nan")


def _area(values: ByGroup) -> float:
    members, others = values["members"], values["others"]
    return auc(np.concatenate([members, others]), np.r_[np.ones(len(members)), np.zeros(len(others))].astype(np.int64))


@pytest.mark.parametrize("skewed", [False, True])
def test_the_harmonic_mean_of_nine_in_small(skewed: bool) -> None:
    rng = np.random.default_rng(0)
    subjects, means = 20, {"p": 0.5, "r": 0.6, "t": 0.4}
    template = frame([("retain", "p", subjects), ("retain", "r", subjects), ("facts", "t", subjects)])
    truth = 3 / sum(1 / mean for mean in means.values())
    low = high = 0
    for _ in range(AUDITS):
        person = rng.normal(0, 0.12, subjects)
        rows = {
            name: rng.beta(mean, 1 - mean, subjects) if skewed else mean + person * (name != "t") + rng.normal(0, 0.1, subjects)
            for name, mean in means.items()
        }
        sample = filled(template, rows)
        draws = replicates(harmonic, sample, None, resamples=RESAMPLES, rng=rng)
        found = bootstrap_interval(value_of(harmonic, sample, None), draws, alpha=ALPHA)
        low += found.lower > truth
        high += found.upper < truth
    assert low / AUDITS <= ALLOWED
    assert high / AUDITS <= ALLOWED


def test_privacy_leakage_against_a_correlated_reference() -> None:
    rng = np.random.default_rng(1)
    subjects, shift = 30, 0.5
    template = frame([("forget", "members", subjects), ("holdout", "others", subjects)])
    truth = 100 * ((1 - ndtr(shift / np.sqrt(2))) - 0.5) / 0.5
    low = high = 0
    for _ in range(AUDITS):
        base = rng.normal(size=(2, subjects)) * np.sqrt(0.5)
        mine, theirs = (base + rng.normal(size=(2, subjects)) * np.sqrt(0.5) for _ in range(2))
        sample = filled(template, {"members": mine[0] + shift, "others": mine[1]})
        reference = filled(template, {"members": theirs[0], "others": theirs[1]})
        draws = replicates(privacy_leakage, sample, reference, resamples=RESAMPLES, rng=rng)
        found = bootstrap_interval(value_of(privacy_leakage, sample, reference), draws, alpha=ALPHA)
        low += found.lower > truth
        high += found.upper < truth
    assert low / AUDITS <= ALLOWED
    assert high / AUDITS <= ALLOWED
