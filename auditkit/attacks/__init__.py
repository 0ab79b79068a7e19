"""Model → model, or prompt → prompts, one attack a file."""

from __future__ import annotations

from typing import Any

from auditkit.registry import Registry

ATTACKS: Registry[Any] = Registry("attack", "auditkit.attacks", "ATTACK")
