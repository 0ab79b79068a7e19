"""Records → per-example values, one check a file; no check touches a model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from auditkit.registry import Registry

if TYPE_CHECKING:
    from auditkit.checks._base import Check

CHECKS: Registry[Check[Any]] = Registry("check", "auditkit.checks", "CHECK")
