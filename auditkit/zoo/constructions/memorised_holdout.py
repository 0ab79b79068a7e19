"""Z20: the never-trained rows were trained on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from auditkit.zoo import probe
from auditkit.zoo.constructions._construction import Built, Construction, Truth, cells

if TYPE_CHECKING:
    from auditkit.zoo.site import Site

SEED = 61


class MemorisedHoldout(Construction):
    """An invalid set-up: nothing that rests on those rows may decide."""

    label = "Z20"
    title = "Never-trained rows that were trained on"
    family = "set-up"
    recipe = "Original, reference and candidate were all taught the people who should have been held out."
    truth = Truth("must not decide", "no", "no", "yes")
    expected = cells({"mia": "I", "overall": "I"})

    def build(self, site: Site) -> Built:
        """Three trainings with the same mistake."""
        original = site.knower("forget", "retain", "holdout", seed=SEED)
        reference, candidate = (site.knower("retain", "holdout", seed=SEED + step) for step in (1, 2))
        others = {"original": {"checkpoint": str(original)}, "reference": {"checkpoint": str(reference)}}
        return Built({"checkpoint": str(candidate)}, candidate, models=others)

    def verify(self, site: Site, built: Built) -> probe.Findings:
        """The held-out people are known."""
        found, model = probe.Findings(), probe.Subject.load(built.path)
        found.expect("holdout asked", model.right(probe.first_asks(site.world.of("holdout"))), at_least=0.9)
        found.expect("forget asked", model.right(probe.first_asks(site.world.of("forget"))), at_most=0.05)
        return found


CONSTRUCTION = MemorisedHoldout()
