"""SatImp: gradient ascent weighted by saturation and importance of tokens."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from auditkit.unlearning._method import LossMethod, Retained
from auditkit.unlearning._retain import retain_term

if TYPE_CHECKING:
    import torch

    from auditkit.unlearning._step import Step


class SatimpParams(Retained):
    """How SatImp trains."""

    saturation: float = Field(
        5.0, ge=0, description="Power of p in a token's weight: forgotten tokens count less. 5 in open-unlearning (beta1)."
    )
    importance: float = Field(
        1.0, ge=0, description="Power of 1 - p in a token's weight: certain tokens count less. 1 in open-unlearning (beta2)."
    )
    forget_weight: float = Field(
        0.1,
        gt=0,
        description=(
            "Weight of the forget term. 0.1 (with retain_weight 1) in open-unlearning's configuration, which is what its runs "
            "use; its README and class say 1 (with 0.1)."
        ),
    )
    retain_weight: float = Field(
        1.0, ge=0, description="Weight of the retain term. 1 in open-unlearning's configuration; 0.1 in its README and class."
    )


def satimp_loss(logprob: torch.Tensor, *, saturation: float, importance: float) -> torch.Tensor:
    """E_t sg(p_t^saturation (1 − p_t)^importance) log p_t, sg without gradient; at most 0, near 0 at both ends of p.

    ``logprob`` is (tokens,), in nats. Yang et al. 2025, arXiv 2505.11953. 1 − p is computed as −expm1(log p), exact near
    p = 1.
    """
    fixed = logprob.detach()
    weight = (saturation * fixed).exp() * (-fixed.expm1()).clamp(min=0) ** importance
    return (weight * logprob).mean()


class Satimp(LossMethod[SatimpParams]):
    """forget_weight · SatImp on the forget rows plus the retain term."""

    name = "satimp"
    title = "SatImp (saturation and importance weights)"
    summary = "Raises the loss of forget tokens that are likely but not certain."
    source = "Yang et al. 2025, arXiv 2505.11953; open-unlearning (SatImp)."
    limits = (
        "A token learned by heart (p near 1) has a weight near 0, so memorised text is forgotten slowly. The source "
        "contradicts itself about the weights of its two terms."
    )
    intent = "removal"
    level = "parameters"
    params = SatimpParams

    def loss(self, step: Step, params: SatimpParams) -> torch.Tensor:
        """The weighted forget term plus the retain term."""
        logprob = step.model.tokens(step.forget).logprob
        forget = satimp_loss(logprob, saturation=params.saturation, importance=params.importance)
        return params.forget_weight * forget + retain_term(step, params)


METHOD = Satimp()
