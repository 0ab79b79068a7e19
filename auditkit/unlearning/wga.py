"""WGA: gradient ascent in which tokens count by how likely they still are."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from auditkit.unlearning._method import LossMethod, Retained
from auditkit.unlearning._retain import retain_term

if TYPE_CHECKING:
    import torch

    from auditkit.unlearning._step import Step


class WgaParams(Retained):
    """How WGA trains."""

    beta: float = Field(
        1.0, ge=0, description="Power of a token's probability in its weight; 0 is gradient ascent. 1 in open-unlearning."
    )


def wga_loss(logprob: torch.Tensor, *, beta: float) -> torch.Tensor:
    """E_t sg(p_t^β) log p_t, sg without gradient; at most 0, and near 0 again once tokens are forgotten.

    ``logprob`` is (tokens,), in nats. The gradient of token t is ascent's times p_t^β, so ascent ends by itself.
    Wang et al. 2025, arXiv 2502.19301.
    """
    return ((beta * logprob.detach()).exp() * logprob).mean()


class Wga(LossMethod[WgaParams]):
    """WGA on the forget rows plus the retain term."""

    name = "wga"
    title = "Weighted gradient ascent"
    summary = "Raises the loss of forget tokens, each by how likely it still is."
    source = "Wang et al. 2025, arXiv 2502.19301; open-unlearning (WGA)."
    limits = (
        "Tokens that the model finds unlikely are left alone, so what is held weakly stays; common words of the forget rows "
        "are pushed with the facts."
    )
    intent = "removal"
    level = "parameters"
    params = WgaParams

    def loss(self, step: Step, params: WgaParams) -> torch.Tensor:
        """Weighted ascent plus the retain term."""
        return wga_loss(step.model.tokens(step.forget).logprob, beta=params.beta) + retain_term(step, params)


METHOD = Wga()
