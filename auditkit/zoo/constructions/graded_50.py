"""Z8, 50 % of the way."""

from __future__ import annotations

from auditkit.zoo.constructions._graded import Graded

CONSTRUCTION = Graded(0.50)
