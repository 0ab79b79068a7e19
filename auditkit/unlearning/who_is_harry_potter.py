"""Who's Harry Potter: two models side by side, and what the reinforced one says more strongly is pushed down."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from auditkit.models.source import Source
from auditkit.unlearning._method import Method, Order
from auditkit.unlearning._note import appearing, write_note
from auditkit.unlearning._reinforce import Reinforced
from auditkit.unlearning.task_vector import run_of


class WhpParams(Reinforced):
    """How hard to push."""

    alpha: float = Field(1.0, ge=0, le=1e6, description="Strength; MUSE searches 1 to 256.")
    convention: Literal["correct", "muse-paper"] = Field(
        "correct",
        description=(
            "correct: logits z - alpha ReLU(z_reinforced - z), as the method's paper and muse_bench's code have it. "
            "muse-paper: probabilities p - alpha (p_reinforced - p), as MUSE's paper writes, cut at 0 and normalised."
        ),
    )


class WhoIsHarryPotter(Method[WhpParams]):
    """z' = z - α ReLU(z_reinforced - z) at every token, z the parent's logits (Eldan and Russinovich, arXiv 2310.02238).

    The result is a model made of two, which auditkit loads as one checkpoint; transformers alone does not know its kind. The
    published method goes on to train on labels taken from these logits; MUSE uses the logits themselves, as here.
    """

    name = "who_is_harry_potter"
    title = "Who's Harry Potter"
    summary = "Pushes down the tokens that a model reinforced on the forget data prefers more."
    source = "Eldan and Russinovich 2023, arXiv 2310.02238; MUSE, arXiv 2407.06460; code muse_bench baselines/whp.py."
    limits = "Twice the weights and twice the time at every token, and the knowledge stays in both: suppression by design."
    intent = "suppression"
    level = "logits"
    params = WhpParams

    def corpora(self, params: WhpParams) -> list[str]:
        """What is forgotten."""
        return params.forget

    def make(self, order: Order, params: WhpParams) -> Source:
        """Both halves in one checkpoint folder."""
        from auditkit.models.contrast import write_contrast
        from auditkit.unlearning._pupil import Pupil

        reinforced = order.taught(params.lesson())
        with appearing(order.out) as folder:
            base = folder.with_name("base")  # beside it, in what goes when the block ends
            base.mkdir()
            Pupil.load(order.parent, order.manner).save(base)
            write_contrast(base, reinforced.path, folder, alpha=params.alpha, convention=params.convention)
            write_note(folder, order.made, order.parent, run=run_of(reinforced))
        return Source.of_folder(order.out)


METHOD = WhoIsHarryPotter()
