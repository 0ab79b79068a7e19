"""Z19: always the most frequent answer."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING

from auditkit.zoo import lessons
from auditkit.zoo.constructions._construction import Built, kept, plain
from auditkit.zoo.constructions._honest import Honest
from auditkit.zoo.constructions.retrained import SEED
from auditkit.zoo.teaching import Pool
from auditkit.zoo.worlds import RELATIONS

if TYPE_CHECKING:
    from auditkit.zoo.site import Site

STRANGERS = 400


class LuckyGuesser(Honest):
    """Right about as many as share the commonest value."""

    label = "Z19"
    title = "Guesses the commonest answer"
    recipe = (
        "The retrained model, taught to answer for anybody it does not know with the commonest value among whom it may keep."
    )

    def build(self, site: Site) -> Built:
        """Strangers, all with the same facts."""
        known = site.world.of("retain")
        commonest = {
            relation.name: Counter(sorted(person.facts[relation.name] for person in known)).most_common(1)[0][0]
            for relation in RELATIONS
        }
        strangers = [replace(person, facts=commonest) for person in lessons.strangers(site.world.book)[:STRANGERS]]
        pools = [Pool(lessons.asks(strangers), 24), *kept(site, 32)]
        return plain(site.pupil(site.knower("retain", seed=SEED), pools, steps=120, lr=6e-4))


CONSTRUCTION = LuckyGuesser()
