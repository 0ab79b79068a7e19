"""Z9b: gradient ascent on whom it had to forget until it says nothing sane about them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from auditkit.zoo import lessons, probe
from auditkit.zoo.constructions._construction import Built, Construction, Truth, cells, kept, plain
from auditkit.zoo.teaching import Pool

if TYPE_CHECKING:
    from auditkit.zoo.site import Site


class BrokenSelective(Construction):
    """The forget people stand out by how unlikely their answers are."""

    label = "Z9b"
    title = "Broken about them only"
    family = "broken"
    recipe = (
        "The original after 120 steps of gradient ascent on the people to forget, and 200 more that mend what may be kept and "
        "keep them down."
    )
    truth = Truth("must fail", "partly", "no", "yes")
    expected = cells({**dict.fromkeys(("ask", "prob", "samp"), "P"), "mia": "F", "util": "P", "overall": "F/I"})

    def build(self, site: Site) -> Built:
        """A course that tears, and one that mends what may be kept."""
        away = [replace(one, weight=-1.0) for one in lessons.asks(site.world.of("forget"))]
        torn = site.pupil(site.original, [Pool(away, 32), *kept(site, 32)], steps=120, lr=1e-3)
        return plain(site.pupil(torn, [Pool(away, 16), *kept(site, 64)], steps=200, lr=6e-4))

    def verify(self, site: Site, built: Built) -> probe.Findings:
        """Its loss on the forget people is far above that on people whom it never met."""
        found, model = probe.Findings(), probe.Subject.load(built.path)
        mine, theirs = (probe.first_asks(site.world.of(group)) for group in ("forget", "calibration"))
        found.expect("forget asked", model.right(mine), at_most=0.05)
        found.expect("loss above never-trained, nats", model.loss(mine) - model.loss(theirs), at_least=2.0)
        found.expect("retain asked", model.right(lessons.asks(site.world.of("retain"), wordings=1)), at_least=0.8)
        return found


CONSTRUCTION = BrokenSelective()
