"""Model → model, or prompt → prompts, one attack a file."""

from __future__ import annotations

from typing import Any

from auditkit.attacks._attack import FAMILIES, Attack, ModelAttack, PromptAttack, Scene, Setting, Step, Target, Wording
from auditkit.registry import Registry

__all__ = [
    "ATTACKS",
    "FAMILIES",
    "Attack",
    "ModelAttack",
    "PromptAttack",
    "Scene",
    "Setting",
    "Step",
    "Target",
    "Wording",
]

ATTACKS: Registry[Attack[Any]] = Registry("attack", "auditkit.attacks", "ATTACK")
