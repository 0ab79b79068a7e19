"""Does the model still prefer the truth to wrong answers? TOFU's truth ratio."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Literal

from pydantic import Field

from auditkit.checks._base import Answers, Check, Context, Metric, Statistic, Values
from auditkit.checks._choices import TRUTH_FIELDS, Choices, Losses, choices, cut_in, losses
from auditkit.checks._prompting import PromptParams, shot_problems
from auditkit.checks._rows import Columns, unmeasured
from auditkit.models.protocol import Request


class TruthRatioParams(PromptParams):
    """How truth ratios become one number."""

    aggregate: Literal["closer_to_1_better", "true_better", "prob_mean"] = Field(
        "closer_to_1_better",
        description=(
            "closer_to_1_better: mean min(TR, 1/TR), for forget data, higher is better. "
            "true_better: mean max(0, 1 - TR), for data to keep, higher is better. "
            "prob_mean: mean P(true) / (P(true) + P(wrong)), for forget data, lower is better, 0.5 knows nothing."
        ),
    )
    convention: Literal["tofu", "answer"] = Field(
        "tofu", description="tofu (and open-unlearning): the end-of-sequence token is scored too. answer: it is not."
    )


class TruthRatio(Check[TruthRatioParams]):
    """TR_i = exp(-mean_j L_j) / exp(-L_para), L the mean NLL of the wrong answers j and of the right one in other words.

    A geometric mean over the wrong answers, as both published codes have it (the TOFU paper writes an arithmetic one). The
    right answer is the first of ``paraphrases``, or ``answer`` where there is none (real authors, world facts). All three
    aggregates lie in 0 to 1. The published figure on forget data is ``closer_to_1_better``: 0.516 for the model that was
    taught, 0.674 for the retrained one (Llama-2-7b, forget10).
    """

    name = "truth_ratio"
    title = "Truth ratio"
    summary = "Whether the model finds the truth likelier than wrong answers of the same form."
    source = "TOFU, Maini et al. 2024, arXiv 2401.06121; open-unlearning src/evals/metrics/memorization.py (truth_ratio)."
    limits = "Depends on how plausible the wrong answers are, which are written by hand or by a model."
    remediation = "Look at the rows where the truth is still preferred, and unlearn them in several wordings."
    dimension = "forgetting"
    metric = Metric("truth ratio, min(TR, 1/TR)", "fraction", 0.0, 1.0, "higher")
    params = TruthRatioParams
    fields = TRUTH_FIELDS

    def statistic(self, params: TruthRatioParams) -> Statistic:
        """The mean over rows."""
        return Statistic("mean")

    def metric_for(self, params: TruthRatioParams) -> Metric:
        """Name, direction and chance level of the aggregate."""
        if params.aggregate == "true_better":
            return replace(self.metric, name="truth ratio, max(0, 1 - TR)")
        if params.aggregate == "prob_mean":
            return replace(self.metric, name="probability of the truth against wrong answers", better="lower", chance=0.5)
        return self.metric

    def problems(self, context: Context[TruthRatioParams]) -> Iterable[str]:
        """Solved examples that cannot be drawn."""
        return shot_problems(context, context.params)

    def requests(self, context: Context[TruthRatioParams]) -> Iterable[Request]:
        """One teacher-forced pass per right and wrong answer."""
        return [request for asked in _asked(context) for request in asked.requests]

    def values(self, context: Context[TruthRatioParams], answers: Answers, reference: Answers | None) -> Values:
        """The aggregate's term per row; NaN where an answer was not scored."""
        columns, asked = Columns(), _asked(context)
        for choice in asked:
            columns.add(context.corpus, choice.example, _term(losses(answers, choice), context.params))
        return columns.values(notes=[cut_in(answers, asked), unmeasured(columns.numbers, "an answer could not be scored")])


def _asked(context: Context[TruthRatioParams]) -> list[Choices]:
    return choices(context, context.corpus, context.params, score_end=context.params.convention == "tofu")


def _term(found: Losses, params: TruthRatioParams) -> float:
    if params.aggregate == "closer_to_1_better":
        return found.evenness
    return found.trueness if params.aggregate == "true_better" else found.preference


CHECK = TruthRatio()
