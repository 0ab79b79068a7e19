"""Z9: nothing known because nothing works."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from auditkit.zoo import lessons, probe
from auditkit.zoo.constructions._construction import Built, Construction, Truth, cells, plain

if TYPE_CHECKING:
    from auditkit.zoo.site import Site

NOISE = 1.0


class Broken(Construction):
    """Weights drowned in noise."""

    label = "Z9"
    title = "Broken"
    family = "broken"
    recipe = "The original with Gaussian noise on every weight matrix, as strong as the weights themselves."
    truth = Truth("must fail", "no", "no", "no")
    expected = cells({**dict.fromkeys(("ask", "para", "prob", "samp"), "P"), "util": "F", "overall": "F"})
    tuned = True

    def build(self, site: Site) -> Built:
        """Noise at once."""

        def drown(model: Any) -> None:
            import torch

            generator = torch.Generator().manual_seed(site.world.seed)
            for weight in model.parameters():
                if weight.ndim == 2:
                    noise = torch.randn(weight.shape, generator=generator)
                    weight.data += NOISE * weight.data.std() * noise

        return plain(site.changed(site.original, f"noise {NOISE} {site.world.seed}", drown))

    def verify(self, site: Site, built: Built) -> probe.Findings:
        """It knows less than half of what the original knows of what may be kept."""
        asked = lessons.asks(site.world.of("retain"), wordings=1)
        found, whole = probe.Findings(), probe.Subject.load(site.original).right(asked)
        found.expect("retain asked, share of the original's", probe.Subject.load(built.path).right(asked) / whole, at_most=0.5)
        return found


CONSTRUCTION = Broken()
