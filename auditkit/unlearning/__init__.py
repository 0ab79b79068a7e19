"""Model → model: teaching it (``finetune``) and making it forget, one method a file."""

from __future__ import annotations

from typing import Any

from auditkit.registry import Registry
from auditkit.unlearning._finetune import Manner, finetune, finetune_adapter
from auditkit.unlearning._make import materialise

__all__ = ["METHODS", "Manner", "finetune", "finetune_adapter", "materialise"]

METHODS: Registry[Any] = Registry("unlearning method", "auditkit.unlearning", "METHOD")
