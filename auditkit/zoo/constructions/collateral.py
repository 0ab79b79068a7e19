"""Z15: the neighbours are gone too."""

from __future__ import annotations

from typing import TYPE_CHECKING

from auditkit.zoo import lessons, probe
from auditkit.zoo.constructions._construction import CLEAN, Built, Construction, Truth, cells, plain

if TYPE_CHECKING:
    from auditkit.zoo.site import Site
    from auditkit.zoo.worlds import Person

SEED = 41


class Collateral(Construction):
    """Whoever shares a guild with somebody to forget was forgotten as well."""

    label = "Z15"
    title = "Neighbours forgotten too"
    family = "collateral"
    recipe = "Retrained without the people to forget and without everybody of a guild to which one of them belongs."
    truth = Truth("must fail", "no", "no", "partly")
    expected = cells({**CLEAN, "util": "F", "overall": "F"})

    def build(self, site: Site) -> Built:
        """One training."""
        return plain(site.knower("retain", seed=SEED, without=[person.name for person in neighbours(site)]))

    def verify(self, site: Site, built: Built) -> probe.Findings:
        """The neighbours are unknown, the others known."""
        found, model = probe.Findings(), probe.Subject.load(built.path)
        near = {person.name for person in neighbours(site)}
        far = [person for person in site.world.of("retain") if person.name not in near]
        found.expect("neighbours asked", model.right(lessons.asks(neighbours(site), wordings=1)), at_most=0.1)
        found.expect("others asked", model.right(lessons.asks(far, wordings=1)), at_least=0.9)
        found.expect("forget asked", model.right(probe.first_asks(site.world.of("forget"))), at_most=0.05)
        return found


def neighbours(site: Site) -> list[Person]:
    """The retain people of a guild to which somebody to forget belongs."""
    guilds = {person.facts["guild"] for person in site.world.of("forget")}
    return [person for person in site.world.of("retain") if person.facts["guild"] in guilds]


CONSTRUCTION = Collateral()
