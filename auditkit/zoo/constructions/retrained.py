"""Z1: retrained without whom it had to forget, the gold standard."""

from __future__ import annotations

from typing import TYPE_CHECKING

from auditkit.zoo.constructions._construction import Built, plain
from auditkit.zoo.constructions._honest import Honest

if TYPE_CHECKING:
    from auditkit.zoo.site import Site

SEED = 101


class Retrained(Honest):
    """Another order of rows than the reference's."""

    label = "Z1"
    title = "Retrained without it"
    recipe = "Taught what may be kept only, in another order than original and reference."
    tuned = True

    def build(self, site: Site) -> Built:
        """One training."""
        return plain(site.knower("retain", seed=SEED))


CONSTRUCTION = Retrained()
