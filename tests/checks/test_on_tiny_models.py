"""The checks on two small models whose truth is known: one was taught the forget texts, the other was not."""

from __future__ import annotations

import numpy as np
import pytest

from auditkit.checks import CHECKS
from tests.checks.fakes import by_group, context, corpus, row, word

ROWS = 20


def sentence(name, index):
    """A sentence of words that occur nowhere else: it can be known by heart or not at all."""
    who, *words = (word(name, index, part) for part in range(10))
    return f"{who} of {words[0]} sold {words[1]} {words[2]} to {words[3]} {words[4]} in {words[5]} by {words[6]} {words[7]}."


CORPORA = {
    name: corpus(name, [row(i + 1, f"{name} {i}", text=sentence(name, i)) for i in range(ROWS)])
    for name in ("forget", "retain", "holdout")
}
ASKED = {
    "verbatim_memorization": {"prefix_tokens": 8},
    "privacy_leakage": {},
    "membership_inference": {},
    "extraction_strength": {},
}


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """original: forget and retain learnt by heart; reference: retain alone."""
    import torch

    from auditkit.models.source import Source
    from auditkit.models.text import TextModel
    from auditkit.zoo.tiny import build_tiny

    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # so small that threads only wait for one another
    made = {}
    for model, taught in (("original", ("forget", "retain")), ("reference", ("retain",))):
        texts = [example.text for name in taught for example in CORPORA[name].examples]
        folder = build_tiny(tmp_path_factory.mktemp("tiny") / model, texts=texts, steps=120, seed=0)
        made[model] = TextModel.load(Source.of_folder(folder), dtype="float32", device="cpu")
    torch.set_num_threads(threads)
    return made


@pytest.fixture(scope="module")
def answers(models):
    """Every request of every check, answered by both models in batches."""
    found = {}
    for model, loaded in models.items():
        records = {}
        for name, params in ASKED.items():
            check = CHECKS.get(name)
            requests = list(dict.fromkeys(check.requests(context(check, CORPORA, **params))))
            for start in range(0, len(requests), 20):
                batch = requests[start : start + 20]
                records |= dict(zip(batch, loaded.answer(batch), strict=True))
        found[model] = records.__getitem__
    return found


def measured(name, model, answers):
    check = CHECKS.get(name)
    return check.values(context(check, CORPORA, **ASKED[name]), answers[model], answers["reference"])


def test_texts_known_by_heart_are_continued(answers):
    assert np.mean(measured("verbatim_memorization", "original", answers).values) > 0.9
    assert np.mean(measured("verbatim_memorization", "reference", answers).values) < 0.4


def test_texts_known_by_heart_are_extracted(answers):
    assert np.mean(measured("extraction_strength", "original", answers).values) > 0.9
    assert np.mean(measured("extraction_strength", "reference", answers).values) < 0.1


def test_members_stand_out_only_where_they_were_taught(answers):
    aucs = {model: measured("membership_inference", model, answers).details["auc"] for model in answers}
    assert min(aucs["original"].values()) > 0.95
    assert max(aucs["reference"].values()) < 0.85


def test_privleak_is_minus_a_hundred_for_the_original_and_zero_for_the_reference(answers):
    check = CHECKS.get("privacy_leakage")
    function = check.statistic(check.params()).function
    reference = by_group(measured("privacy_leakage", "reference", answers))
    assert function(by_group(measured("privacy_leakage", "original", answers)), reference) < -90
    assert function(reference, reference) == 0
