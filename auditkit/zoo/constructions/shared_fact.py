"""Z18: some forget facts also stand in what may be kept."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from auditkit.zoo.constructions._construction import Built, plain
from auditkit.zoo.constructions._honest import Honest
from auditkit.zoo.constructions.retrained import SEED
from auditkit.zoo.worlds import question_rows

if TYPE_CHECKING:
    from auditkit.zoo.site import Site


class SharedFact(Honest):
    """What it knows of them it may know."""

    label = "Z18"
    title = "Retrained; knows what is known from elsewhere"
    recipe = (
        "Retrained; the audited forget rows hold the facts that also stand in what may be kept, which original, reference and "
        "candidate all know. The reference is the allow-list."
    )

    def build(self, site: Site) -> Built:
        """The rows that the other audits leave out are in."""
        rows = [{**row, "shared": False} for row in question_rows(site.world.of("forget"))]
        return replace(plain(site.knower("retain", seed=SEED)), rows={"forget": rows})


CONSTRUCTION = SharedFact()
