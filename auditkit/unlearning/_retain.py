"""The term that keeps what must be kept: cross-entropy on the retain rows, or divergence from the parent on them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from auditkit.unlearning._method import Retained

if TYPE_CHECKING:
    import torch

    from auditkit.unlearning._step import Step


def retain_term(step: Step, params: Retained) -> torch.Tensor | float:
    """``retain_weight`` times the retain loss; 0, with nothing asked of any model, where the method keeps nothing."""
    if not params.keeps:
        return 0.0
    batch = step.partner("retain")
    if params.retain_loss == "nll":
        return params.retain_weight * step.model.tokens(batch).nll()
    everywhere = params.convention != "correct"
    logits = step.model.logits(batch, everywhere=everywhere).values
    parent_logits = step.parent.logits(batch, everywhere=everywhere).values
    if params.convention == "muse":
        return params.retain_weight * muse_kl_loss(logits, parent_logits, rows=batch.rows)
    return params.retain_weight * kl_loss(logits, parent_logits)


def kl_loss(logits: torch.Tensor, parent_logits: torch.Tensor) -> torch.Tensor:
    """KL(parent ‖ model) = Σ_v p_parent (log p_parent − log p_model), mean over positions; nats, 0 where the two agree.

    Both arguments are (positions, vocabulary). MUSE (arXiv 2407.06460) and TOFU (arXiv 2401.06121). The positions are those
    that predict an answer token; open-unlearning takes every position (``convention: open-unlearning`` here does so, except
    padding and the last position, which predicts nothing: a loss must not depend on how rows are batched).
    """
    from torch.nn.functional import kl_div, log_softmax

    return kl_div(log_softmax(logits, -1), log_softmax(parent_logits, -1), reduction="batchmean", log_target=True)


def muse_kl_loss(logits: torch.Tensor, parent_logits: torch.Tensor, *, rows: int) -> torch.Tensor:
    """MUSE's published KLR: Σ_t Σ_v exp(z_parent) (z_parent − z_model) / rows, on logits z that nobody normalised.

    No divergence: it has no lower bound, and pushes up every logit of the model without end. Only for matching published
    figures; MUSE's windows have no padding, and their last position is left out here.
    """
    from torch.nn.functional import kl_div

    return kl_div(logits, parent_logits, reduction="sum", log_target=True) / rows
