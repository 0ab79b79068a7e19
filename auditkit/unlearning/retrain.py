"""Train again from the base, without what is to be forgotten: exact by construction, and the reference of every audit."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from pydantic import Field

from auditkit.spec.model import Finetune, Name
from auditkit.unlearning._method import Method, Order, shared_rows

if TYPE_CHECKING:
    from auditkit.corpora.example import Corpus
    from auditkit.models.source import Source


class RetrainParams(Finetune):
    """How the model is trained again; the same recipe as the original's makes the two comparable."""

    corpora: list[Name] = Field(
        default_factory=lambda: ["retain"], min_length=1, description="Corpora to train on, by name: all but what is forgotten."
    )
    forget: list[Name] = Field(
        default_factory=lambda: ["forget"], description="Corpora that must not be among them, not even by a row."
    )


class Retrain(Method[RetrainParams]):
    """Fine-tune the base (``from:`` names it, never the original) on everything but the forget data.

    The gold standard (Cao and Yang 2015; MUSE's f_retrain). Exact for what was learned in this training; what the base knew
    before stays.
    """

    name = "retrain"
    title = "Retraining"
    summary = "Trains the base again on what is kept."
    source = "MUSE, Shi et al. 2024, arXiv 2407.06460, f_retrain; TOFU's retain models, arXiv 2401.06121."
    limits = "As costly as training. The base must not know the forget data either; this cannot be seen from here."
    intent = "removal"
    level = "data"
    params = RetrainParams
    teaches = True

    def corpora(self, params: RetrainParams) -> list[str]:
        """What is taught."""
        return params.corpora

    def problems(self, params: RetrainParams, corpora: Mapping[str, Corpus]) -> Iterable[str]:
        """Forget rows among those taught."""
        there = [name for name in params.forget if name in corpora]
        return shared_rows(there, params.corpora, corpora)

    def make(self, order: Order, params: RetrainParams) -> Source:
        """The same model as ``finetune:`` of the base on these corpora."""
        return order.taught(Finetune(**{key: getattr(params, key) for key in Finetune.model_fields}))


METHOD = Retrain()
