"""SimNPO: NPO without a parent, on the mean log-probability of a token."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from auditkit.unlearning._method import LossMethod, Retained
from auditkit.unlearning._retain import retain_term

if TYPE_CHECKING:
    import torch

    from auditkit.unlearning._step import Step


class SimnpoParams(Retained):
    """How SimNPO trains."""

    beta: float = Field(
        4.5, gt=0, description="Inverse temperature. 4.5 in open-unlearning; 2.5 in the authors' code for TOFU forget05."
    )
    delta: float = Field(
        0.0,
        ge=0,
        description="Mean loss, in nats a token, that counts as half forgotten; the paper's margin is beta * delta. 0 in both.",
    )
    forget_weight: float = Field(
        0.125,
        gt=0,
        description="Weight of the forget term. 0.125 in open-unlearning; 0.1375 in the authors' code for TOFU forget05.",
    )


def simnpo_loss(means: torch.Tensor, *, beta: float, delta: float = 0.0) -> torch.Tensor:
    """−(2/β) E log σ(β (−S/|y| − δ)), S/|y| the mean log-probability of a row's answer tokens; positive, near 0 once forgotten.

    ``means`` is (rows,), in nats a token. Fan et al. 2024, arXiv 2410.07163, which writes the margin γ = β δ outside the
    product; the form is open-unlearning's, the same for δ = 0.
    """
    from torch.nn.functional import logsigmoid

    return -(2 / beta) * logsigmoid(beta * (-means - delta)).mean()


class Simnpo(LossMethod[SimnpoParams]):
    """forget_weight · SimNPO on the forget rows plus the retain term."""

    name = "simnpo"
    title = "SimNPO"
    summary = "NPO without a parent: pushes on answers that the model still finds likely, whatever their length."
    source = "Fan et al. 2024, arXiv 2410.07163; open-unlearning (SimNPO)."
    limits = (
        "Without a parent it goes on pushing on answers that were unlikely before. On MUSE it forgets little in ten epochs "
        "(PrivLeak -86 on News, open-unlearning)."
    )
    intent = "removal"
    level = "parameters"
    params = SimnpoParams

    def loss(self, step: Step, params: SimnpoParams) -> torch.Tensor:
        """The weighted forget term plus the retain term."""
        forget = simnpo_loss(step.model.tokens(step.forget).means(), beta=params.beta, delta=params.delta)
        return params.forget_weight * forget + retain_term(step, params)


METHOD = Simnpo()
