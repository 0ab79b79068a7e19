"""Model → model: teaching it (``finetune``) and making it forget, one method a file."""

from __future__ import annotations

from typing import Any

from auditkit.registry import Registry

METHODS: Registry[Any] = Registry("unlearning method", "auditkit.unlearning", "METHOD")
