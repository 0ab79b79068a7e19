"""What preference losses share: the parent's log-probabilities, and DPO."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

    from auditkit.unlearning._step import Batch, Step


def parent_sums(step: Step, batch: Batch) -> torch.Tensor:
    """(rows,) float32: the parent's log-probability of each row's answer, remembered or, where it is at hand, asked."""
    return step.parent.tokens(batch).sums() if batch.parent_sums is None else batch.parent_sums


def dpo_loss(
    win: torch.Tensor, win_parent: torch.Tensor, lose: torch.Tensor, lose_parent: torch.Tensor, *, beta: float
) -> torch.Tensor:
    """−(2/β) E log σ(β [(W − W_parent) − (L − L_parent)]); W, L: log-probability of the better and of the worse answer.

    All four are (rows,), in nats. Positive; (2/β) ln 2 where model and parent agree. Rafailov et al. 2023, arXiv 2305.18290,
    whose loss has no factor 2/β: the unlearning papers add it, so that β changes the shape and not the size of the first
    gradient (NPO is this loss without W), and it is kept here.
    """
    from torch.nn.functional import logsigmoid

    return -(2 / beta) * logsigmoid(beta * ((win - win_parent) - (lose - lose_parent))).mean()


def preference_loss(step: Step, *, beta: float) -> torch.Tensor:
    """DPO from the forget rows towards ``step.other``, the same questions with the answers to prefer."""
    other = step.partner("other")
    win, lose = step.model.tokens(other).sums(), step.model.tokens(step.forget).sums()
    return dpo_loss(win, parent_sums(step, other), lose, parent_sums(step, step.forget), beta=beta)
