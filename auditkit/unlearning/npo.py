"""Negative preference optimisation: ascent that slows down where the model has already left its parent."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from auditkit.unlearning._method import Convention, LossMethod, Retained
from auditkit.unlearning._preference import parent_sums
from auditkit.unlearning._retain import retain_term

if TYPE_CHECKING:
    import torch

    from auditkit.unlearning._step import Step


class NpoParams(Retained):
    """How NPO trains."""

    beta: float = Field(
        0.1,
        gt=0,
        description="Inverse temperature: small is near to gradient ascent. 0.1 in the paper, MUSE and open-unlearning.",
    )
    convention: Convention = Field(
        "correct",
        description=(
            "correct: NPO as published, on log-probabilities of whole answers. muse: as MUSE's code, on raw logits of every "
            "token and the whole vocabulary, and its kl on raw logits. open-unlearning: correct, but the kl of retain_loss is "
            "a mean over every token, prompt included."
        ),
    )


def npo_loss(sums: torch.Tensor, parent_sums: torch.Tensor, *, beta: float) -> torch.Tensor:
    """−(2/β) E log σ(−β (S − S_parent)), S the summed log-probability of a row's answer; positive, near 0 once forgotten.

    Both arguments are (rows,), in nats. (2/β) ln 2 where model and parent agree; there its gradient is that of ascent on S,
    and as β → 0 it is ascent everywhere. Zhang et al. 2024, arXiv 2404.05868.
    """
    from torch.nn.functional import logsigmoid

    return -(2 / beta) * logsigmoid(-beta * (sums - parent_sums)).mean()


def muse_npo_loss(logits: torch.Tensor, parent_logits: torch.Tensor, *, beta: float) -> torch.Tensor:
    """−(2/β) E log σ(β (z_parent − z_model)), mean over positions and the whole vocabulary, on raw logits z.

    Both arguments are (positions, vocabulary). This is what MUSE's code trains under the name NPO (and what codes that grew
    out of it inherit): it lowers every logit alike, whatever the token, and softmax does not see a common shift. Only for
    matching published figures. MUSE's windows have no padding; their last position, which predicts nothing, is left out here.
    """
    from torch.nn.functional import logsigmoid

    return -(2 / beta) * logsigmoid(beta * (parent_logits - logits)).mean()


class Npo(LossMethod[NpoParams]):
    """NPO on the forget rows plus the retain term."""

    name = "npo"
    title = "Negative preference optimisation"
    summary = "Makes the forget answers less likely than the parent finds them, with a bounded push."
    source = "Zhang et al. 2024, arXiv 2404.05868; MUSE, arXiv 2407.06460 (NPO, NPO_GDR, NPO_KLR); open-unlearning (NPO)."
    limits = (
        "Stops pushing where the model has left its parent, so short runs forget little (MUSE News with the correct loss: "
        "PrivLeak -86). Sums favour long answers. What was forgotten comes back after 4-bit quantisation (arXiv 2410.16454)."
    )
    intent = "removal"
    level = "parameters"
    params = NpoParams
    reference = "sums"

    def uses_parent(self, params: NpoParams) -> Literal["none", "sums", "model"]:
        """Sums are enough, unless MUSE's form or a divergence asks for logits."""
        return "model" if params.convention == "muse" else super().uses_parent(params)

    def loss(self, step: Step, params: NpoParams) -> torch.Tensor:
        """The forget term in the chosen convention plus the retain term."""
        if params.convention == "muse":
            logits = step.model.logits(step.forget, everywhere=True).values
            parent_logits = step.parent.logits(step.forget, everywhere=True).values
            return muse_npo_loss(logits, parent_logits, beta=params.beta) + retain_term(step, params)
        sums = step.model.tokens(step.forget).sums()
        return npo_loss(sums, parent_sums(step, step.forget), beta=params.beta) + retain_term(step, params)


METHOD = Npo()
