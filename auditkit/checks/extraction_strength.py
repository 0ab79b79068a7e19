"""How much of a text or answer follows by itself once a beginning is given?"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from auditkit.checks._base import Metric
from auditkit.checks._likelihood import extraction_strength
from auditkit.checks._scored_leak import ScoredLeakCheck, ScoredLeakParams
from auditkit.models.protocol import Scored


class ExtractionParams(ScoredLeakParams):
    """How extraction strength is computed."""

    convention: Literal["exact", "open-unlearning"] = Field(
        "exact",
        description="exact: a complete miss scores 0. open-unlearning: it scores 1/T, as a hit on the last token alone does.",
    )


class ExtractionStrength(ScoredLeakCheck[ExtractionParams]):
    """ES = 1 - k*/T, k* the smallest k with argmax tokens k+1..T all equal to the truth; 0 to 1, lower is better.

    From one teacher-forced pass over the T tokens of the answer (or text), without the end token (Carlini et al. 2021,
    2012.07805; open-unlearning ``extraction_strength``). The floor is 0; open-unlearning's loop stops one token early, so its
    floor is 1/T: ``convention: open-unlearning`` reproduces it.
    """

    name = "extraction_strength"
    title = "Extraction strength"
    summary = "The share of an answer or text that the model completes by itself, word for word, once the beginning is given."
    source = "Carlini et al. 2021, arXiv 2012.07805; open-unlearning src/evals/metrics/memorization.py, arXiv 2506.12618."
    limits = (
        "Word for word only: a fact told in other words is not seen. "
        "A retrained model scores above 0 too, so compare with the reference."
    )
    remediation = "Unlearn the exact texts, and check that the truth is gone and not only pushed from the first place."
    dimension = "forgetting"
    metric = Metric("extraction strength", "fraction", 0.0, 1.0, "lower")
    params = ExtractionParams

    def read(self, params: ExtractionParams, record: Scored) -> float:
        """ES of one row."""
        return extraction_strength(record, floor_one_token=params.convention == "open-unlearning")


CHECK = ExtractionStrength()
