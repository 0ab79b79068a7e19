"""Are the answers language at all? A collapsed model must not look forgetful."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from pydantic import Field

from auditkit.checks._base import Answers, Check, Context, Metric, Statistic, Values
from auditkit.checks._degenerate import is_degenerate, is_empty, ngram_entropy, repetition
from auditkit.checks._prompting import shot_problems
from auditkit.checks._questions import QuestionParams, ask, ask_one
from auditkit.checks._records import cut_note, generated
from auditkit.checks._rows import Columns, mean
from auditkit.models.protocol import Request

if TYPE_CHECKING:
    from auditkit.corpora.example import Example


class FluencyParams(QuestionParams):
    """How questions are asked (as in knowledge_memorization, so that nothing is generated twice), and what counts as broken."""

    max_repetition: float = Field(
        0.5, gt=0, lt=1, description="An answer of which a larger share repeats itself counts as degenerate."
    )


class Fluency(Check[FluencyParams]):
    """Share of answers that are sane: not empty, and not repeating themselves beyond a limit; 0 to 1, higher is better.

    1 per sane answer, 0 per degenerate one: no letter or digit, or more than ``max_repetition`` of its bigrams seen before, or
    of its characters in a loop of a unit repeated eight times or more. It reads the generations of knowledge_memorization with
    the same parameters, on the forget rows by default: there a collapsed model would look forgetful. The details hold RWKU's
    n-gram entropy (2/3 H2 + 4/3 H3) / 2 in bits (2406.10890), which grows with the length of the answers.
    """

    name = "fluency"
    title = "Fluency"
    summary = "The share of answers that are neither empty nor stuck in a loop."
    source = "Rule by auditkit; n-gram entropy as in RWKU, Jin et al. 2024, arXiv 2406.10890."
    limits = "Sees empty and repetitive output only: fluent nonsense and polite refusals count as sane."
    remediation = "The model is damaged: unlearn with a smaller step or a retain term, and judge no other result before."
    dimension = "utility"
    metric = Metric("sane answers", "fraction", 0.0, 1.0, "higher")
    params = FluencyParams
    fields = ("question", "answer")

    def statistic(self, params: FluencyParams) -> Statistic:
        """The share of sane answers."""
        return Statistic("mean")

    def problems(self, context: Context[FluencyParams]) -> Iterable[str]:
        """Solved examples that cannot be drawn."""
        return shot_problems(context, context.params)

    def requests(self, context: Context[FluencyParams]) -> Iterable[Request]:
        """The generations of knowledge_memorization."""
        return [request for _, request in ask(context, context.corpus, context.params)]

    def shown(self, context: Context[FluencyParams], example: Example) -> Request:
        """The answer to the row's question."""
        return ask_one(context, context.params, example)

    def values(self, context: Context[FluencyParams], answers: Answers, reference: Answers | None) -> Values:
        """1 per sane answer and 0 per degenerate one; details: empty rate, repetition, entropy."""
        columns, records = Columns(), []
        for example, request in ask(context, context.corpus, context.params):
            record = generated(answers, request)
            records.append(record)
            broken = is_degenerate(record.text, max_repetition=context.params.max_repetition)
            columns.add(context.corpus, example, float(not broken))
        texts = [record.text for record in records]
        details = {
            "empty_rate": mean(float(is_empty(text)) for text in texts),
            "mean_repetition": mean(map(repetition, texts)),
            "mean_ngram_entropy_bits": mean(map(ngram_entropy, texts)),
            "unfinished_rate": mean(float(not record.finished) for record in records),
        }
        return columns.values(details=details, notes=[cut_note(records)])


CHECK = Fluency()
