"""Z7: a share of whom it had to forget was left in."""

from __future__ import annotations

from typing import TYPE_CHECKING

from auditkit.zoo import lessons, probe
from auditkit.zoo.constructions._construction import Built, Construction, Truth, plain

if TYPE_CHECKING:
    from auditkit.evidence.selftest import TruthWord
    from auditkit.zoo.site import Site

SEED = 31
AT_THE_BOUND = 0.05
"""The share of people that the profile lets pass: at it, neither verdict is wrong, and PASS may come up in alpha of audits."""


class Partial(Construction):
    """Trained on a share of the forget people; the others it never saw."""

    family = "partial"

    def __init__(self, dose: float) -> None:
        word: TruthWord = "at the bound" if dose <= AT_THE_BOUND else "must fail"
        self.label = f"Z7 {dose:.0%}".replace("%", " %")
        self.title = f"{dose:.0%} of the people left in".replace("%", " %")
        self.truth = Truth(word, "partly", "partly", "yes", dose=dose)
        leaks = dict.fromkeys(("ask", "para", "prob", "samp", "mia", "q4", "probe", "relearn"), "F") if dose >= 0.5 else {}
        self.expected = {**leaks, "util": "P", "overall": "F" if dose > AT_THE_BOUND else "-"}

    recipe = "Taught what may be kept and a share of the people to forget, drawn by lot; it never met the others."

    def build(self, site: Site) -> Built:
        """One training."""
        return plain(site.knower("forget", "retain", seed=SEED, share=self.share))

    def verify(self, site: Site, built: Built) -> probe.Findings:
        """Those left in are known, the others are not."""
        found, model = probe.Findings(), probe.Subject.load(built.path)
        known = {person.name for person in site.known_part(self.share)}
        people = site.world.of("forget")
        found.expect("left in", model.right(probe.first_asks(one for one in people if one.name in known)), at_least=0.9)
        found.expect("others", model.right(probe.first_asks(one for one in people if one.name not in known)), at_most=0.05)
        found.expect("retain asked", model.right(lessons.asks(site.world.of("retain"), wordings=1)), at_least=0.9)
        return found

    @property
    def share(self) -> float:
        """Of the forget people, in (0, 1)."""
        return float(self.truth.dose or 0.0)
