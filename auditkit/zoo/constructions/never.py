"""Z0: never saw whom it had to forget."""

from __future__ import annotations

from typing import TYPE_CHECKING

from auditkit.zoo.constructions._construction import Built, plain
from auditkit.zoo.constructions._honest import Honest

if TYPE_CHECKING:
    from auditkit.zoo.site import Site


class Never(Honest):
    """Trained on what may be kept only, as many steps in the original's order."""

    label = "Z0"
    title = "Never trained on it"
    recipe = "Taught what may be kept only, with the original's seed and number of steps."

    def build(self, site: Site) -> Built:
        """One training."""
        return plain(site.knower("retain", seed=0))


CONSTRUCTION = Never()
