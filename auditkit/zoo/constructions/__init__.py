"""The zoo: one construction a file, each with its planted truth."""

from __future__ import annotations

from typing import TYPE_CHECKING

from auditkit.registry import Registry

if TYPE_CHECKING:
    from auditkit.zoo.constructions._construction import Construction

CONSTRUCTIONS: Registry[Construction] = Registry("construction", "auditkit.zoo.constructions", "CONSTRUCTION")
