"""Gradient difference: ascent on what must be forgotten, descent on what must be kept."""

from __future__ import annotations

from typing import TYPE_CHECKING

from auditkit.unlearning._method import LossMethod, Retained
from auditkit.unlearning._retain import retain_term
from auditkit.unlearning.gradient_ascent import gradient_ascent_loss

if TYPE_CHECKING:
    import torch

    from auditkit.unlearning._step import Step


class GradientDifferenceParams(Retained):
    """How gradient difference trains."""


class GradientDifference(LossMethod[GradientDifferenceParams]):
    """−L(forget) + retain_weight · L(retain), both mean token cross-entropies."""

    name = "gradient_difference"
    title = "Gradient difference"
    summary = "Raises the loss on the forget rows while it lowers the loss on the retain rows."
    source = (
        "Liu, Liu and Stone 2022, arXiv 2203.12817; TOFU, arXiv 2401.06121; MUSE, arXiv 2407.06460 (GA_GDR); "
        "open-unlearning (GradDiff)."
    )
    limits = (
        "The forget term has no lower bound and in the end outgrows the retain term. On MUSE News it leaves forget texts "
        "stranger to the model than unseen ones (PrivLeak near +100), which shows what was forgotten."
    )
    intent = "removal"
    level = "parameters"
    params = GradientDifferenceParams

    def loss(self, step: Step, params: GradientDifferenceParams) -> torch.Tensor:
        """Ascent on the forget rows plus the retain term."""
        return gradient_ascent_loss(step.model.tokens(step.forget).logprob) + retain_term(step, params)


METHOD = GradientDifference()
