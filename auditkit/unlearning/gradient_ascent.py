"""Gradient ascent: training run backwards on what must be forgotten."""

from __future__ import annotations

from typing import TYPE_CHECKING

from auditkit.unlearning._method import LossMethod, Training

if TYPE_CHECKING:
    import torch

    from auditkit.unlearning._step import Step


class GradientAscentParams(Training):
    """How gradient ascent trains."""


def gradient_ascent_loss(logprob: torch.Tensor) -> torch.Tensor:
    """−L = E_t log p_t over the labelled tokens of the batch, in nats; at most 0 and without lower bound.

    ``logprob`` is (tokens,). Jang et al. 2022, arXiv 2210.01504; MUSE's GA, arXiv 2407.06460.
    """
    return logprob.mean()


class GradientAscent(LossMethod[GradientAscentParams]):
    """Lower the likelihood of the forget rows, with nothing to hold the model back."""

    name = "gradient_ascent"
    title = "Gradient ascent"
    summary = "Raises the loss on the forget rows."
    source = "Jang et al. 2022, arXiv 2210.01504; MUSE, arXiv 2407.06460 (GA); open-unlearning (GradAscent)."
    limits = (
        "The loss has no lower bound and nothing is kept: within a few steps the model loses its language with the facts "
        "(utility 0 on MUSE and TOFU). Stop early, or take a method with a retain term."
    )
    intent = "removal"
    level = "parameters"
    params = GradientAscentParams

    def loss(self, step: Step, params: GradientAscentParams) -> torch.Tensor:
        """Minus the cross-entropy of the forget rows."""
        return gradient_ascent_loss(step.model.tokens(step.forget).logprob)


METHOD = GradientAscent()
