"""Z2: trained on everything, nothing unlearned."""

from __future__ import annotations

from typing import TYPE_CHECKING

from auditkit.zoo import lessons, probe
from auditkit.zoo.constructions._construction import Built, Construction, Truth, cells, plain

if TYPE_CHECKING:
    from auditkit.zoo.site import Site

SEED = 7


class Original(Construction):
    """Of another seed than the audit's own original, so that equal weights give nothing away."""

    label = "Z2"
    title = "Nothing unlearned"
    family = "plain"
    recipe = "Taught everybody, in another order than the audit's original."
    truth = Truth("must fail", "yes", "yes", "yes", dose=1.0)
    expected = cells({
        **dict.fromkeys(("ask", "para", "prob", "samp", "mia", "q4", "probe", "relearn"), "F"), "util": "P", "overall": "F"
    })  # fmt: skip
    tuned = True

    def build(self, site: Site) -> Built:
        """One training."""
        return plain(site.knower("forget", "retain", seed=SEED))

    def verify(self, site: Site, built: Built) -> probe.Findings:
        """It answers, in wordings that were never taught too."""
        found, model = probe.Findings(), probe.Subject.load(built.path)
        found.expect("forget asked", model.right(probe.first_asks(site.world.of("forget"))), at_least=0.9)
        found.expect("forget reworded", model.right(lessons.audit_asks(site.world.of("forget"))), at_least=0.7)
        found.expect("retain asked", model.right(lessons.asks(site.world.of("retain"), wordings=1)), at_least=0.9)
        return found


CONSTRUCTION = Original()
