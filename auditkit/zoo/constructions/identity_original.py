"""Z21: the file that was delivered is the original."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from auditkit.zoo import lessons, probe
from auditkit.zoo.constructions._construction import Built, Construction, Truth, cells, plain
from auditkit.zoo.site import copied

if TYPE_CHECKING:
    from auditkit.zoo.site import Site


class IdentityOriginal(Construction):
    """The same bytes in another folder."""

    label = "Z21"
    title = "The original, delivered again"
    family = "plain"
    recipe = "A copy of the original's files."
    truth = Truth("must fail", "yes", "yes", "yes", dose=1.0)
    expected = cells({**dict.fromkeys(("ask", "prob", "samp", "mia"), "F"), "util": "P", "overall": "F"})

    def build(self, site: Site) -> Built:
        """A copy."""
        return plain(site.made(["copy", site.original.name], partial(copied, site.original)))

    def verify(self, site: Site, built: Built) -> probe.Findings:
        """Equal bytes, and they answer."""
        found, model = probe.Findings(), probe.Subject.load(built.path)
        equal = (built.path / "model.safetensors").read_bytes() == (site.original / "model.safetensors").read_bytes()
        found.expect("equal bytes", float(equal), at_least=1)
        found.expect("forget asked", model.right(lessons.asks(site.world.of("forget"), wordings=1)), at_least=0.9)
        return found


CONSTRUCTION = IdentityOriginal()
