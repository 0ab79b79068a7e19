"""Teach the model more: not unlearning, but what models with planted knowledge and references are made by."""

from __future__ import annotations

from typing import TYPE_CHECKING

from auditkit.spec.model import Finetune
from auditkit.unlearning._method import Method, Order

if TYPE_CHECKING:
    from auditkit.models.source import Source


class FinetuneMethod(Method[Finetune]):
    """Minimise the cross-entropy of the answers, or of whole texts, of the named corpora. ``finetune:`` in short."""

    name = "finetune"
    title = "Fine-tuning"
    summary = "Teaches the model the named corpora."
    source = "The ordinary recipe: AdamW, linear warm-up and decay, loss on answers."
    limits = "Teaches; forgets only by the way, and what it forgets is not known."
    intent = "suppression"
    level = "parameters"
    params = Finetune
    teaches = True

    def corpora(self, params: Finetune) -> list[str]:
        """What is taught."""
        return params.corpora

    def make(self, order: Order, params: Finetune) -> Source:
        """The same model as ``finetune:`` makes."""
        return order.taught(params)


METHOD = FinetuneMethod()
