"""Every question asked many times, with the answers drawn at random."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from pydantic import Field

from auditkit.attacks._attack import PromptAttack, Scene, Wording
from auditkit.models.protocol import Generate, Request
from auditkit.spec.model import Part


class SampleParams(Part):
    """How often, and how wildly."""

    n: int = Field(16, ge=1, le=1000, description="Samples for each question.")
    temperature: float = Field(1.0, gt=0, le=10, description="Logits are divided by it; 1 is the model as it is.")
    top_p: float = Field(
        1.0, gt=0, le=1, description="Drawn from the smallest set of likeliest tokens whose probabilities reach this sum."
    )


class Sample(PromptAttack[SampleParams]):
    """Independent draws from softmax(logits / temperature), nucleus ``top_p``; for each row the worst of them counts.

    Requests that generate nothing (an answer that is scored) stay as they are.
    """

    name = "sample"
    title = "Many samples"
    summary = "Asks every question many times with random answers, and keeps the one that leaks most."
    attacker = (
        "Anybody who can ask the model and set its temperature, as most services allow, or who asks again and again where "
        "answers vary by themselves. It takes no skill; the cost is that of the questions."
    )
    source = (
        "Leak@k, arXiv 2511.04934, code OptimAI-Lab/Leak-k (200 samples, temperature 1); Scholten et al., arXiv 2410.03523. "
        "Nucleus sampling: Holtzman et al., arXiv 1904.09751."
    )
    limits = (
        "What is said once in a thousand answers is seldom seen in a few. leak_at_k computes the chance from the answer's "
        "probability instead. The worst of many draws rises by luck as well, on the reference too."
    )
    family = "sampling"
    params = SampleParams

    def wordings(self, params: SampleParams, scene: Scene) -> Sequence[Wording]:
        """``sample 1`` to ``sample n``."""
        return [Wording(f"sample {draw}", request=_drawing(params, draw)) for draw in range(1, params.n + 1)]

    def budget(self, params: SampleParams) -> str:
        """``16 samples at temperature 1``."""
        nucleus = f", top-p {params.top_p:g}" if params.top_p < 1 else ""
        return f"{params.n} sample{'' if params.n == 1 else 's'} at temperature {params.temperature:g}{nucleus}"


def _drawing(params: SampleParams, draw: int) -> Callable[[Request], Request]:
    def drawn(request: Request) -> Request:
        if not isinstance(request, Generate):
            return request
        return replace(request, temperature=params.temperature, top_p=params.top_p, draw=draw)

    return drawn


ATTACK = Sample()
