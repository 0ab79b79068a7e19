"""The system prompt is left out: what unlearned the model may be a sentence before the question."""

from __future__ import annotations

from dataclasses import replace

from auditkit.attacks._attack import ModelAttack, Scene, Setting, Target
from auditkit.spec.model import Part


class RemoveSystemPromptParams(Part):
    """Nothing to choose."""


class RemoveSystemPrompt(ModelAttack[RemoveSystemPromptParams]):
    """The same questions, without the words before them."""

    name = "remove_system_prompt"
    title = "System prompt left out"
    summary = "Asks the model without the system prompt that the spec puts before every question."
    attacker = (
        "The weights, or an interface that lets its users write the system prompt, as most do. "
        "It takes no skill, no data and no time."
    )
    source = "Standard practice; in-context unlearning (Pawelczyk et al., arXiv 2310.07579) works through such words alone."
    limits = "Instructions that were trained into the weights stay, and so do those that the chat template writes itself."
    family = "construction"
    params = RemoveSystemPromptParams

    def budget(self, params: RemoveSystemPromptParams) -> str:
        """What was tried."""
        return "no system prompt"

    def concerns(self, target: Target) -> str:
        """Where the spec gives the model no system prompt, there is none to leave out."""
        return "" if target.manner.system else "the model has no system prompt"

    def apply(self, target: Target, setting: Setting, params: RemoveSystemPromptParams, scene: Scene) -> Target:
        """The model as it is, asked otherwise."""
        return replace(target, manner=replace(target.manner, system=None))


ATTACK = RemoveSystemPrompt()
