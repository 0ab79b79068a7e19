"""Z7 with 25 % of the people left in."""

from __future__ import annotations

from auditkit.zoo.constructions._partial import Partial

CONSTRUCTION = Partial(0.25)
