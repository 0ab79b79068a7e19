"""Model → model: teaching it (``finetune``) and making it forget, one method a file."""

from __future__ import annotations

from typing import Any

from auditkit.registry import Registry
from auditkit.unlearning._finetune import Manner, finetune, finetune_adapter, materialise, recipe

__all__ = ["METHODS", "Manner", "finetune", "finetune_adapter", "materialise", "recipe"]

METHODS: Registry[Any] = Registry("unlearning method", "auditkit.unlearning", "METHOD")
