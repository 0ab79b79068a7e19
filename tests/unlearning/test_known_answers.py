"""What every method does to a model whose knowledge is known: forget knowledge falls, and utility as far as the method cares.

The world's ``original`` answers nearly every question about twelve people to forget and twelve to keep; its ``reference``
never saw the first twelve. Knowledge is KnowMem (mean ROUGE-L of greedy answers) of the forget questions, utility the same
of the retain questions, both asked as they were taught.

============================  ======  =======  ===========================================================================
method                        forget  utility  what happened to utility
============================  ======  =======  ===========================================================================
original                        0.98     0.97
reference                       0.03     0.92
gradient_ascent                 0.00     0.00  collapses: nothing holds it
ce_u                            0.23     0.35  falls with the forget knowledge: no retain term, shared wordings
gradient_difference             0.10     1.00  kept, at retain_weight 5; at 1 a third is lost
kl_minimization                 0.08     0.93  kept, at retain_weight 20; at 1 nearly half is lost
npo                             0.01     0.99  kept, at retain_weight 5 and beta 0.5; at 1 and 0.1 a third is lost
simnpo                          0.09     0.97  kept
wga                             0.01     0.97  kept
satimp                          0.17     0.98  kept; at forget_weight 0.1 forget stays at 0.41: known by heart weighs little
undial                          0.15     1.00  kept, at retain_loss nll and retain_weight 5; alone two thirds are lost
idk_nll                         0.05     0.97  kept
idk_dpo                         0.14     1.00  kept
alt_po                          0.04     1.00  kept, at retain_weight 5; at 1 a quarter is lost
rmu                             0.05     0.72  a quarter is lost: two layers, and one of them is steered
task_vector                     0.22     0.71  a quarter is lost: the vector holds the form of the answers, too
who_is_harry_potter             0.12     0.92  kept
============================  ======  =======  ===========================================================================

Bands are wide enough for three seeds and other machines. Learning rates are those of a model of a hundred thousand weights.
"""

from __future__ import annotations

import json

import pytest

from auditkit.checks import CHECKS
from auditkit.checks._base import Context
from auditkit.corpora.example import Corpus, Example
from auditkit.files import digest
from auditkit.models.protocol import Prompt, Score
from auditkit.models.source import Source
from auditkit.models.text import TextModel
from auditkit.spec.model import Model
from auditkit.unlearning import METHODS, materialise
from auditkit.unlearning._method import LossMethod
from tests.world import QUESTION, QUICK

COLLAPSED, KEPT = (0.0, 0.1), (0.8, 1.1)
KNOWN = {
    "gradient_ascent": ({"lr": 1e-3, "epochs": 3}, COLLAPSED),
    "ce_u": ({"lr": 1e-4, "epochs": 8}, (0.1, 0.7)),
    "gradient_difference": ({"lr": 3e-4, "epochs": 10, "retain_weight": 5.0}, KEPT),
    "kl_minimization": ({"lr": 5e-4, "epochs": 10, "retain_weight": 20.0}, KEPT),
    "npo": ({"lr": 1e-3, "epochs": 10, "beta": 0.5, "retain_weight": 5.0}, KEPT),
    "simnpo": ({"lr": 1e-3, "epochs": 10}, KEPT),
    "wga": ({"lr": 1e-3, "epochs": 10}, KEPT),
    "satimp": ({"lr": 1e-3, "epochs": 15, "forget_weight": 1.0}, KEPT),
    "undial": ({"lr": 1e-3, "epochs": 15, "retain_loss": "nll", "retain_weight": 5.0}, KEPT),
    "idk_nll": ({"lr": 1e-3, "epochs": 10}, KEPT),
    "idk_dpo": ({"lr": 1e-3, "epochs": 15}, KEPT),
    "alt_po": ({"lr": 1e-3, "epochs": 10, "retain_weight": 5.0}, KEPT),
    "rmu": ({"lr": 1e-3, "epochs": 15, "retain_weight": 5.0}, (0.45, 1.1)),
    "task_vector": ({"lr": 1e-3, "epochs": 5, "alpha": 2.0}, (0.45, 0.9)),
    "who_is_harry_potter": ({"lr": 1e-3, "epochs": 10, "alpha": 4.0}, KEPT),
}
"""Parameters, and the band of utility as a share of the original's; training on retain rows may raise it a little."""


@pytest.fixture(scope="module", autouse=True)
def _one_thread():
    """A model so small that threads only wait for one another."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def corpora(world):
    def read(name):
        rows = [json.loads(line) for line in (world / f"{name}.jsonl").read_text().splitlines()]
        rows = [{**row, "alternative": row["perturbed"][0]} for row in rows]
        examples = tuple(Example(row["id"], row["subject"], n, row) for n, row in enumerate(rows, 1))
        return Corpus(name, name, examples, f"{name}.jsonl", digest(rows), True)

    return {name: read(name) for name in ("forget", "retain")}


@pytest.fixture(scope="module")
def knowledge(corpora):
    """(forget knowledge, utility) of a model."""
    check = CHECKS.get("knowledge_memorization")
    params = check.params.model_validate(QUICK)
    contexts = [Context(corpora[name], corpora, params, 0, False, "known") for name in ("forget", "retain")]

    def measured(source):
        model = TextModel.load(source, device="cpu")
        found = []
        for context in contexts:
            requests = list(check.requests(context))
            records = dict(zip(requests, model.answer(requests), strict=True))
            values = check.values(context, records.__getitem__, None).values
            found.append(sum(values) / len(values))
        return tuple(found)

    return measured


@pytest.fixture(scope="module")
def unlearned(world, corpora, tmp_path_factory):
    """The original after a method of the table; made once."""
    cache = tmp_path_factory.mktemp("known")

    def make(name, **changes):
        words = {"method": name, "batch": 16, **KNOWN[name][0], **changes}
        models = {
            "original": Model(checkpoint="./original"),
            "candidate": Model.model_validate({"from": "original", "unlearn": words}),
        }
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("AUDITKIT_CACHE", str(cache))
            return materialise("candidate", models, corpora, base=world, offline=True)

    return make


@pytest.fixture(scope="module")
def original(world, knowledge):
    return knowledge(Source.of_folder(world / "original"))


def likelihood(source, corpus):
    """Mean log-probability of a token of the true answers."""
    requests = [Score(Prompt(QUESTION.format(question=e.question)), f" {e.answer}", score_end=True) for e in corpus.examples]
    tokens = [value for record in TextModel.load(source, device="cpu").answer(requests) for value in record.logprob.tolist()]
    return sum(tokens) / len(tokens)


def test_the_world_is_as_the_table_says(world, knowledge, original):
    assert min(original) > 0.9
    forget, utility = knowledge(Source.of_folder(world / "reference"))
    assert forget < 0.2 and utility > 0.8


def test_every_method_that_forgets_is_in_the_table():
    losses = {name for name in METHODS.names() if isinstance(METHODS.get(name), LossMethod)}
    assert set(KNOWN) >= losses
    assert set(METHODS.names()) - set(KNOWN) == {"finetune", "retrain"}


@pytest.mark.parametrize("name", KNOWN)
def test_forget_knowledge_halves_and_utility_stays_in_its_band(unlearned, knowledge, original, name):
    forget, utility = knowledge(unlearned(name))
    low, high = KNOWN[name][1]
    assert forget < original[0] / 2
    assert low <= utility / original[1] <= high


def test_a_stronger_retain_term_keeps_more(unlearned, knowledge):
    """Why the table's weights are above the usual 1."""
    usual, strong = (knowledge(unlearned("kl_minimization", retain_weight=weight))[1] for weight in (1.0, 20.0))
    assert usual < strong - 0.2


def test_refusals_leave_the_true_answers_likelier_than_removal_does(unlearned, knowledge, corpora):
    """Both answer nothing any more; one of the two still knows, as its ``limits`` say."""
    refusing, removed = unlearned("idk_nll"), unlearned("npo")
    assert max(knowledge(source)[0] for source in (refusing, removed)) < 0.3
    assert likelihood(refusing, corpora["forget"]) > likelihood(removed, corpora["forget"]) + 1


def test_a_longer_way_forgets_more(unlearned, knowledge):
    for name, lengths in (("task_vector", (0.5, 2.0, 6.0)), ("who_is_harry_potter", (0.5, 4.0, 20.0))):
        near, middle, far = (knowledge(unlearned(name, alpha=alpha)) for alpha in lengths)
        assert near[0] > middle[0] > far[0] - 0.05
        assert near[1] > middle[1] - 0.05 and middle[1] > far[1]
