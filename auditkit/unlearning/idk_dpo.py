"""Idk with DPO: a refusal is preferred to the true answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from auditkit.unlearning._method import LossMethod
from auditkit.unlearning._preference import preference_loss
from auditkit.unlearning._refusals import Refusing
from auditkit.unlearning._retain import retain_term

if TYPE_CHECKING:
    import torch

    from auditkit.unlearning._step import Step


class IdkDpoParams(Refusing):
    """How the preference for refusals is taught."""

    beta: float = Field(0.1, gt=0, description="Inverse temperature of DPO; 0.1 in open-unlearning and the NPO paper.")


class IdkDpo(LossMethod[IdkDpoParams]):
    """DPO (with the factor 2/β, see ``_preference.dpo_loss``) from the true answers to refusals, plus the retain term."""

    name = "idk_dpo"
    title = "I don't know, by DPO"
    summary = "Makes a refusal likelier and the true answer less likely than the parent finds them."
    source = "Rafailov et al. 2023, arXiv 2305.18290; Zhang et al. 2024, arXiv 2404.05868 (baseline); open-unlearning (DPO)."
    limits = (
        "Behaviour is what is trained: knowledge may stay and come back with fine-tuning or another wording. "
        "Refusals spread to questions that should be answered."
    )
    intent = "suppression"
    level = "parameters"
    params = IdkDpoParams
    reference = "sums"
    second = "refusal"

    def loss(self, step: Step, params: IdkDpoParams) -> torch.Tensor:
        """DPO towards refusals plus the retain term."""
        return preference_loss(step, beta=params.beta) + retain_term(step, params)


METHOD = IdkDpo()
