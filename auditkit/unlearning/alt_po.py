"""AltPO: another plausible answer is preferred to the true one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from auditkit.unlearning._method import LossMethod, Retained
from auditkit.unlearning._preference import preference_loss
from auditkit.unlearning._retain import retain_term

if TYPE_CHECKING:
    import torch

    from auditkit.unlearning._step import Step


class AltPoParams(Retained):
    """How AltPO trains. The forget rows must have the field ``alternative``."""

    epochs: float = Field(
        2, gt=0, le=1000, description="Passes over the forget rows; 2 in open-unlearning's script for this method."
    )
    beta: float = Field(
        0.1, gt=0, description="Inverse temperature of DPO; 0.1 is the middle of open-unlearning's grid 0.05, 0.1, 0.5."
    )


class AltPo(LossMethod[AltPoParams]):
    """DPO (with the factor 2/β, see ``_preference.dpo_loss``) from true answers to alternatives, plus the retain term."""

    name = "alt_po"
    title = "Alternate preference optimisation"
    summary = "Makes another plausible answer likelier and the true one less likely than the parent finds them."
    source = "Mekala et al. 2024, arXiv 2409.13474; open-unlearning (community method AltPO)."
    limits = (
        "Needs an alternative for every forget row, from a person or a model, and teaches it as if it were true. "
        "Behaviour is what is trained: the knowledge may stay."
    )
    intent = "suppression"
    level = "parameters"
    params = AltPoParams
    reference = "sums"
    second = "alternative"

    def loss(self, step: Step, params: AltPoParams) -> torch.Tensor:
        """DPO towards the alternatives plus the retain term."""
        return preference_loss(step, beta=params.beta) + retain_term(step, params)


METHOD = AltPo()
