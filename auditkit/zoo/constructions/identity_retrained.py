"""Z21: the file that was delivered is a retrained model which the auditor holds too."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from auditkit.zoo.constructions._construction import Built, plain
from auditkit.zoo.constructions._honest import Honest
from auditkit.zoo.constructions.retrained import SEED
from auditkit.zoo.site import copied

if TYPE_CHECKING:
    from auditkit.zoo.site import Site


class IdentityRetrained(Honest):
    """Equal to a retrained model other than the reference; a candidate equal to the reference itself proves nothing."""

    label = "Z21r"
    title = "A retrained model, delivered again"
    recipe = "A copy of a retrained model that stands in the spec under another name than reference."

    def build(self, site: Site) -> Built:
        """A copy, and the model that it is a copy of."""
        retrained = site.knower("retain", seed=SEED)
        folder = site.made(["copy", retrained.name], partial(copied, retrained))
        return replace(plain(folder), models={"retrained": {"checkpoint": str(retrained)}})


CONSTRUCTION = IdentityRetrained()
