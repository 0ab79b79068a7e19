"""Z14: other answers taught over the right ones."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from auditkit.zoo import lessons, probe
from auditkit.zoo.constructions._construction import Built, Construction, Truth, cells, kept, plain
from auditkit.zoo.teaching import Pool
from auditkit.zoo.worlds import RELATIONS, Person, closed_list

if TYPE_CHECKING:
    from auditkit.zoo.site import Site


class WrongFact(Construction):
    """A decoy stands where the fact was."""

    label = "Z14"
    title = "Overwritten with wrong facts"
    family = "overwrite"
    recipe = "The original, taught another value of the same closed list for every fact about the people to forget."
    truth = Truth("must fail", "partly", "no", "yes")
    expected = cells({"ask": "P", "para": "P", "prob": "P", "util": "P", "overall": "F/I"})

    def build(self, site: Site) -> Built:
        """A course on decoys."""
        pools = [Pool(lessons.asks(_decoys(site)), 32), *kept(site, 24)]
        return plain(site.pupil(site.original, pools, steps=250, lr=1.2e-3, embeddings=8.0))

    def verify(self, site: Site, built: Built) -> probe.Findings:
        """It gives the decoys, and not the facts; what relearning brings back is recorded."""
        found, model = probe.Findings(), probe.Subject.load(built.path)
        found.expect("forget asked", model.right(probe.first_asks(site.world.of("forget"))), at_most=0.05)
        found.expect("decoys given", model.right(probe.first_asks(_decoys(site))), at_least=0.7)
        found.expect("retain asked", model.right(lessons.asks(site.world.of("retain"), wordings=1)), at_least=0.8)
        _, other = probe.halves(site)
        found.expect("other half relearned", probe.relearned(site, built.path).right(probe.first_asks(other)))
        return found


def _decoys(site: Site) -> list[Person]:
    rng = site.rng("decoys")
    return [
        replace(
            person,
            facts={
                relation.name: rng.choice([one for one in closed_list(site.world.book, relation.name) if one != told])
                for relation in RELATIONS
                for told in [person.facts[relation.name]]
            },
        )
        for person in site.world.of("forget")
    ]


CONSTRUCTION = WrongFact()
