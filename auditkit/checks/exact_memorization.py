"""How many tokens of a text or answer are the model's first choice?"""

from __future__ import annotations

from auditkit.checks._base import Metric
from auditkit.checks._likelihood import exact_memorization
from auditkit.checks._scored_leak import ScoredLeakCheck, ScoredLeakParams
from auditkit.models.protocol import Scored


class ExactMemorization(ScoredLeakCheck[ScoredLeakParams]):
    """EM = (1/T) sum_t [argmax_t = y_t], teacher-forced, without the end token; 0 to 1, lower is better.

    Tirumala et al. 2022 (2205.10770); open-unlearning ``exact_memorization``.
    """

    name = "exact_memorization"
    title = "Exact memorization"
    summary = "The share of tokens that the model would choose itself when it reads the true answer or text along."
    source = "Tirumala et al. 2022, arXiv 2205.10770; open-unlearning src/evals/metrics/memorization.py."
    limits = (
        "Function words and names already read are guessed by any model: a retrained one reaches about 0.6 on TOFU, "
        "so only the gap to the reference means something."
    )
    remediation = "Compare with extraction strength and answer probability to see which part of the answers is still held."
    dimension = "forgetting"
    metric = Metric("exact memorization", "fraction", 0.0, 1.0, "lower")
    params = ScoredLeakParams

    def read(self, params: ScoredLeakParams, record: Scored) -> float:
        """EM of one row."""
        return exact_memorization(record)


CHECK = ExactMemorization()
