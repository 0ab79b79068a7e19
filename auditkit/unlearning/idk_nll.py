"""Idk with cross-entropy: the forget questions are taught again, with a refusal for an answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from auditkit.unlearning._method import LossMethod
from auditkit.unlearning._refusals import Refusing
from auditkit.unlearning._retain import retain_term

if TYPE_CHECKING:
    import torch

    from auditkit.unlearning._step import Step


class IdkNllParams(Refusing):
    """How refusals are taught."""


def idk_nll_loss(logprob: torch.Tensor) -> torch.Tensor:
    """L = −E_t log p_t over the refusals' tokens, in nats; at least 0, and 0 where the model always refuses.

    ``logprob`` is (tokens,). TOFU's "preference optimisation", arXiv 2401.06121, which puts refusals and retain rows in one
    mean; open-unlearning's two terms are taken here.
    """
    return -logprob.mean()


class IdkNll(LossMethod[IdkNllParams]):
    """L(forget questions with refusals) plus the retain term."""

    name = "idk_nll"
    title = "I don't know, by cross-entropy"
    summary = "Teaches the model to answer the forget questions with a refusal."
    source = "TOFU, Maini et al. 2024, arXiv 2401.06121 (idk); open-unlearning (IdkNLL)."
    limits = (
        "The true answers are never touched: their likelihood, and what the weights hold, stay near the parent's. "
        "Refusals spread to questions that should be answered."
    )
    intent = "suppression"
    level = "parameters"
    params = IdkNllParams
    second = "refusal"

    def loss(self, step: Step, params: IdkNllParams) -> torch.Tensor:
        """Cross-entropy of the refusals plus the retain term."""
        return idk_nll_loss(step.model.tokens(step.partner("other")).logprob) + retain_term(step, params)


METHOD = IdkNll()
