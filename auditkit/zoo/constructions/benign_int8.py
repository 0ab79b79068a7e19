"""Z16: rounded to 8 bits after retraining."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from auditkit.zoo.constructions._construction import Built, plain
from auditkit.zoo.constructions._honest import Honest
from auditkit.zoo.constructions.retrained import SEED

if TYPE_CHECKING:
    from auditkit.zoo.site import Site


class BenignInt8(Honest):
    """A change that has nothing to do with unlearning."""

    label = "Z16q"
    title = "Retrained, then rounded to 8 bits"
    recipe = "The retrained model with every linear layer rounded to 8 bits, one scale a row."

    def build(self, site: Site) -> Built:
        """Rounding at once."""
        return plain(site.changed(site.knower("retain", seed=SEED), "int8 by rows", _round))


def _round(model: Any) -> None:
    for name, weight in model.named_parameters():
        if name.endswith("_proj.weight"):
            scale = weight.data.abs().amax(1, keepdim=True) / 127
            weight.data = (weight.data / scale).round() * scale


CONSTRUCTION = BenignInt8()
