"""CE-U: the model is taught its own prediction, with the true token struck out."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from pydantic import Field

from auditkit.unlearning._method import LossMethod, Training
from auditkit.unlearning._rows import IGNORED

if TYPE_CHECKING:
    import torch

    from auditkit.unlearning._step import Batch, Step


class CeUParams(Training):
    """How CE-U trains."""

    skip: int = Field(
        1,
        ge=0,
        description="Answer tokens at a row's beginning that carry no loss; 1 in the paper (a footnote) and open-unlearning.",
    )


def ce_u_loss(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """E_t CE(q_t, softmax(z_t)), q_t = softmax of z_t with the true token at −∞, without gradient; at least 0, in nats.

    ``logits`` is (positions, vocabulary), ``labels`` (positions,). The gradient of z_t is p_t − q_t: bounded, and large where
    the true token is likely. 0 where there is no position. Yang 2025, arXiv 2503.01224.
    """
    from torch.nn.functional import cross_entropy

    target = logits.detach().scatter(-1, labels[:, None], float("-inf")).softmax(-1)
    return cross_entropy(logits, target, reduction="sum") / max(1, len(labels))


def without_first(batch: Batch, skip: int) -> Batch:
    """The batch with the first ``skip`` labels of each row struck out; a shorter row is left without any."""
    labelled = batch.labels != IGNORED
    early = labelled & (labelled.cumsum(-1) <= skip)
    return replace(batch, labels=batch.labels.masked_fill(early, IGNORED))


class CeU(LossMethod[CeUParams]):
    """CE-U on the forget rows; nothing else is kept."""

    name = "ce_u"
    title = "CE-U (cross-entropy unlearning)"
    summary = "Teaches the model its own predictions on the forget rows, with the true token struck out."
    source = "Yang 2025, arXiv 2503.01224; open-unlearning (CEU)."
    limits = (
        "No retain term: what the forget rows share with others is lost, too. Answers of no more than `skip` tokens are not "
        "unlearned at all."
    )
    intent = "removal"
    level = "parameters"
    params = CeUParams

    def loss(self, step: Step, params: CeUParams) -> torch.Tensor:
        """Cross-entropy with the struck-out prediction."""
        found = step.model.logits(without_first(step.forget, params.skip))
        return ce_u_loss(found.values, found.labels)


METHOD = CeU()
