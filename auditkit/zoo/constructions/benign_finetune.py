"""Z16: trained on after retraining."""

from __future__ import annotations

from typing import TYPE_CHECKING

from auditkit.zoo.constructions._construction import Built, kept, plain
from auditkit.zoo.constructions._honest import Honest
from auditkit.zoo.constructions.retrained import SEED

if TYPE_CHECKING:
    from auditkit.zoo.site import Site


class BenignFinetune(Honest):
    """A change that has nothing to do with unlearning."""

    label = "Z16"
    title = "Retrained, then trained on"
    recipe = "The retrained model after 60 more steps on what may be kept."

    def build(self, site: Site) -> Built:
        """A short course."""
        return plain(site.pupil(site.knower("retain", seed=SEED), kept(site, 48), steps=60, lr=3e-4))


CONSTRUCTION = BenignFinetune()
