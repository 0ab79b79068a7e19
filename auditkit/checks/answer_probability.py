"""How likely does the model find the right answer?"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from auditkit.checks._base import Answers, Context, Metric, Values
from auditkit.checks._choices import answer_score
from auditkit.checks._leaks import LeakCheck
from auditkit.checks._likelihood import probability
from auditkit.checks._prompting import make_asker, shot_problems
from auditkit.checks._records import cut_note, scored
from auditkit.checks._rows import Columns, lacking, require, unmeasured
from auditkit.checks._scored_leak import ScoredLeakParams
from auditkit.models.protocol import Request, Score

if TYPE_CHECKING:
    from auditkit.corpora.example import Example


class ProbabilityParams(ScoredLeakParams):
    """How the answer's probability is taken."""

    convention: Literal["answer", "open-unlearning", "tofu"] = Field(
        "answer",
        description="answer: the answer's own tokens. open-unlearning, tofu: the end-of-sequence token is scored too.",
    )
    aliases: Literal["best", "ignored"] = Field(
        "best", description="best: the likeliest of the answer and its aliases. ignored: the answer alone."
    )


class AnswerProbability(LeakCheck[ProbabilityParams]):
    """P = exp(-(1/T) sum_t -log p_t) of the answer given the question, 0 to 1, lower is better (TOFU 2401.06121).

    Length-normalised, so probabilities of several answers do not add up: of an answer and its aliases the likeliest counts.
    """

    name = "answer_probability"
    title = "Answer probability"
    summary = "How likely the model finds the right answer, even where it would not say it."
    source = "TOFU, Maini et al. 2024, arXiv 2401.06121; open-unlearning src/evals/metrics/memorization.py."
    limits = "A fluent model finds many well-formed answers likely: only the gap to the reference shows what is still held."
    remediation = (
        "The answer was pushed below others but kept: use a method that changes what the model knows, not what it says."
    )
    dimension = "forgetting"
    metric = Metric("answer probability", "fraction", 0.0, 1.0, "lower")
    params = ProbabilityParams
    fields = ("question", "answer")

    def problems(self, context: Context[ProbabilityParams]) -> Iterable[str]:
        """Solved examples that cannot be drawn."""
        return shot_problems(context, context.params)

    def requests(self, context: Context[ProbabilityParams]) -> Iterable[Request]:
        """One teacher-forced pass per answer that counts."""
        return [request for _, requests in _asked(context) for request in requests]

    def values(self, context: Context[ProbabilityParams], answers: Answers, reference: Answers | None) -> Values:
        """The likeliest answer's probability per row; NaN where one of them was not scored."""
        columns, records = Columns(), []
        for example, requests in _asked(context):
            found = [scored(answers, request) for request in requests]
            records += found
            numbers = [probability(record) for record in found]
            value = math.nan if any(map(math.isnan, numbers)) else max(numbers)
            columns.add(context.corpus, example, value)
        return columns.values(notes=[cut_note(records), unmeasured(columns.numbers, "no token could be scored")])


def _asked(context: Context[ProbabilityParams]) -> list[tuple[Example, list[Score]]]:
    require(context, lacking(context.corpus, "question", "answer"))
    params = context.params
    asker, end = make_asker(context, params), params.convention != "answer"
    return [
        (example, [answer_score(asker, example, answer, score_end=end) for answer in _answers(params, example)])
        for example in context.corpus.examples
    ]


def _answers(params: ProbabilityParams, example: Example) -> tuple[str, ...]:
    return example.answers if params.aliases == "best" else (example.answer,)


CHECK = AnswerProbability()
