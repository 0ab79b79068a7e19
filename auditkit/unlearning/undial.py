"""UNDIAL: the model is distilled from its parent, with the memorised token's logit lowered."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from auditkit.unlearning._method import LossMethod, Retained
from auditkit.unlearning._retain import retain_term

if TYPE_CHECKING:
    import torch

    from auditkit.unlearning._step import Step


class UndialParams(Retained):
    """How UNDIAL trains."""

    epochs: float = Field(10, gt=0, le=1000, description="Passes over the forget rows; 10 in open-unlearning.")
    lr: float = Field(
        1e-4, gt=0, lt=1, description="Peak learning rate of AdamW; 1e-4 in the paper (LoRA of rank 8) and open-unlearning."
    )
    beta: float = Field(
        10.0, ge=0, description="By how much the parent's logit of the true token is lowered; 10 in open-unlearning (3 to 30)."
    )
    retain_loss: Literal["none", "nll", "kl"] = Field(
        "none",
        description="none: the paper, which keeps by distilling. nll and kl: a retain term as in the other methods.",
    )
    convention: Literal["correct", "open-unlearning"] = Field(
        "correct",
        description=(
            "correct: mean over answer tokens. open-unlearning: as its code, mean over every token, prompt included; "
            "on the prompt it lowers the logit of vocabulary entry V - 100. The kl of retain_loss as there, too."
        ),
    )


def undial_loss(logits: torch.Tensor, labels: torch.Tensor, parent_logits: torch.Tensor, *, beta: float) -> torch.Tensor:
    """E_t CE(softmax(z_parent − β·1[y]), softmax(z_model)); least, the target's entropy, where the model is the target.

    ``logits`` and ``parent_logits`` are (positions, vocabulary), ``labels`` (positions,) the true tokens y. Dong et al. 2024,
    arXiv 2402.10052. open-unlearning means over padding as well, which is not reproduced: a loss must not depend on how rows
    are batched.
    """
    import torch

    adjusted = parent_logits.scatter_add(-1, labels[:, None], torch.full_like(parent_logits[:, :1], -beta))
    return torch.nn.functional.cross_entropy(logits, adjusted.softmax(-1))


class Undial(LossMethod[UndialParams]):
    """Self-distillation on the forget rows plus the retain term."""

    name = "undial"
    title = "UNDIAL (self-distillation with adjusted logits)"
    summary = "Distils the parent's predictions on the forget rows, with the true token's logit lowered."
    source = "Dong et al. 2024, arXiv 2402.10052; open-unlearning (UNDIAL)."
    limits = (
        "The lowered token leaves the parent's ranking of all others in place, which can give the answer away; high learning "
        "rates ruin the model (at 3e-4 on TOFU 5 % of its utility stays). The parent must be in memory, or an adapter trained."
    )
    intent = "removal"
    level = "parameters"
    params = UndialParams
    reference = "model"

    def loss(self, step: Step, params: UndialParams) -> torch.Tensor:
        """Distillation in the chosen convention plus the retain term."""
        everywhere = params.convention == "open-unlearning"
        found = step.model.logits(step.forget, everywhere=everywhere)
        parent_logits = step.parent.logits(step.forget, everywhere=everywhere).values
        labels = _published_labels(step, found.values.shape[-1]) if everywhere else found.labels
        return undial_loss(found.values, labels, parent_logits, beta=params.beta) + retain_term(step, params)


def _published_labels(step: Step, vocabulary: int) -> torch.Tensor:
    """The labels as open-unlearning indexes with them: IGNORED = -100 counts from the vocabulary's end."""
    from auditkit.unlearning._step import positions

    wanted, _ = positions(step.forget, everywhere=True)
    return step.forget.labels[:, 1:][wanted].remainder(vocabulary)


METHOD = Undial()
