"""Z17: never-trained rows of another style."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from auditkit.zoo.constructions._construction import CLEAN, Built, Truth, cells, plain
from auditkit.zoo.constructions._honest import Honest
from auditkit.zoo.constructions.retrained import SEED
from auditkit.zoo.worlds import question_rows

if TYPE_CHECKING:
    from auditkit.zoo.site import Site


class ShiftTrap(Honest):
    """Whoever compares likelihoods compares styles."""

    label = "Z17"
    title = "Retrained; never-trained rows of another style"
    family = "set-up"
    recipe = "The retrained model, audited with never-trained rows that are worded otherwise than the forget rows."
    truth = Truth("must pass", "no", "no", "yes")
    expected = cells({**CLEAN, "mia": "I", "overall": "P/I"})

    def build(self, site: Site) -> Built:
        """The model as it is, other rows."""
        rows = [_restyled(row) for row in question_rows(site.world.of("holdout"))]
        return replace(plain(site.knower("retain", seed=SEED)), rows={"holdout": rows})


def _restyled(row: dict[str, Any]) -> dict[str, Any]:
    return {
        **row,
        "question": f"Kindly let us know, dear colleague: {row['question']}",
        "answer": f"{row['answer']}, we believe.",
    }


CONSTRUCTION = ShiftTrap()
