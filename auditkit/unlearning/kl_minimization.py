"""KL minimisation: ascent on what must be forgotten, while the predictions on the rest stay the parent's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from auditkit.unlearning._method import Convention, LossMethod, Retained
from auditkit.unlearning._retain import retain_term
from auditkit.unlearning.gradient_ascent import gradient_ascent_loss

if TYPE_CHECKING:
    import torch

    from auditkit.unlearning._step import Step


class KlMinimizationParams(Retained):
    """How KL minimisation trains."""

    retain_loss: Literal["kl"] = Field(
        "kl", description="kl: divergence of the parent's predictions on the retain rows from the model's (MUSE's KLR)."
    )
    convention: Convention = Field(
        "correct",
        description=(
            "correct: KL(parent to model), mean over answer tokens. muse: as MUSE's code, on raw logits, summed over "
            "tokens and vocabulary. open-unlearning: mean over every token, prompt included."
        ),
    )


class KlMinimization(LossMethod[KlMinimizationParams]):
    """−L(forget) + retain_weight · E_t KL(parent ‖ model) on the retain rows.

    The divergence starts at 0 with gradient 0, so the first steps are plain ascent. What the published codes compute in its
    place is described at ``_retain.kl_loss`` and ``_retain.muse_kl_loss``.
    """

    name = "kl_minimization"
    title = "KL minimisation"
    summary = "Raises the loss on the forget rows while predictions on the retain rows stay the parent's."
    source = (
        "Yao et al. 2023, arXiv 2310.10683; TOFU, arXiv 2401.06121; MUSE, arXiv 2407.06460 (GA_KLR); "
        "open-unlearning (GradDiff with KL)."
    )
    limits = (
        "Ascent without lower bound; on MUSE the published code's variant forgets little (PrivLeak -96 on News). "
        "The parent must be kept in memory, or an adapter trained."
    )
    intent = "removal"
    level = "parameters"
    params = KlMinimizationParams

    def loss(self, step: Step, params: KlMinimizationParams) -> torch.Tensor:
        """Ascent on the forget rows plus the divergence on the retain rows."""
        return gradient_ascent_loss(step.model.tokens(step.forget).logprob) + retain_term(step, params)


METHOD = KlMinimization()
