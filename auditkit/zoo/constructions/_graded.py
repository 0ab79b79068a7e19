"""Z8: gradient ascent that stopped early."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from auditkit.zoo import lessons, probe
from auditkit.zoo.constructions._construction import Built, Construction, Truth, kept, plain
from auditkit.zoo.teaching import Pool

if TYPE_CHECKING:
    from auditkit.zoo.site import Site

STEPS, LR, PUSH = 60, 8e-4, 1.0


class Graded(Construction):
    """Part of the way from the original to a model that no longer answers."""

    family = "partial"

    def __init__(self, part: float) -> None:
        self.part = part
        self.label = f"Z8 {part:.2f}"
        self.title = f"Gradient ascent, {part:.0%} of the way".replace("%", " %")
        self.truth = Truth("must fail", "partly", "partly", "partly")
        self.expected = {"overall": "F/I"}

    recipe = f"The original after a part of {STEPS} steps of gradient ascent on the people to forget and descent on the others."

    def build(self, site: Site) -> Built:
        """A part of the course."""
        away = [replace(one, weight=-PUSH) for one in lessons.asks(site.world.of("forget"))]
        return plain(site.pupil(site.original, [Pool(away, 32), *kept(site, 32)], steps=round(self.part * STEPS), lr=LR))

    def verify(self, site: Site, built: Built) -> probe.Findings:
        """The weights still hold it; how much is said is recorded."""
        found, model = probe.Findings(), probe.Subject.load(built.path)
        asked = probe.first_asks(site.world.of("forget"))
        found.expect("forget asked", model.right(asked))
        found.expect("forget probability", model.probability(asked))
        found.expect("retain asked", model.right(lessons.asks(site.world.of("retain"), wordings=1)))
        _, other = probe.halves(site)
        found.expect("other half relearned", probe.relearned(site, built.path).right(probe.first_asks(other)), at_least=0.3)
        return found
