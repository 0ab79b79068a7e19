"""Does the model answer questions about what it had to forget? MUSE's C2, KnowMem."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from auditkit.checks._base import Answers, Context, Metric, Values
from auditkit.checks._leaks import LeakCheck, LeakParams
from auditkit.checks._prompting import shot_problems
from auditkit.checks._questions import QuestionParams, answer_details, answer_notes, ask, ask_one, mark
from auditkit.checks._records import generated
from auditkit.checks._rows import Columns, unmeasured
from auditkit.models.protocol import Request

if TYPE_CHECKING:
    from auditkit.corpora.example import Example

ROUGE_BLIND = "ROUGE sees only a-z and 0-9, and the right answer has none"


class KnowledgeParams(QuestionParams, LeakParams):
    """How questions are asked and answers marked."""


class KnowledgeMemorization(LeakCheck[KnowledgeParams]):
    """KnowMem(f, D) = mean over (q, a) of ROUGE-L F1(f(q), a), 0 to 1, lower is better (Shi et al. 2407.06460, C2).

    Prompt ``Question: q\\nAnswer: `` (with the trailing space), greedy, 32 new tokens, cut at a blank line or at the next
    question, no stemmer. The published code puts 10 solved pairs first: name their corpus with ``shots_from``. Where a row has
    ``aliases``, the best match counts.
    """

    name = "knowledge_memorization"
    title = "Knowledge memorization"
    summary = "How well the model answers direct questions about what it had to forget."
    source = "MUSE, Shi et al. 2024, arXiv 2407.06460, C2; code muse_bench metrics/knowmem.py. TOFU: arXiv 2401.06121."
    limits = (
        "Word overlap with the expected answer: a right answer in other words is missed, common words count. "
        "A model that refuses or babbles scores low without having forgotten."
    )
    remediation = "Unlearn with questions in several wordings; then check with in-context relearning and answer probability."
    dimension = "forgetting"
    metric = Metric("ROUGE-L", "fraction", 0.0, 1.0, "lower")
    params = KnowledgeParams
    fields = ("question", "answer")

    def problems(self, context: Context[KnowledgeParams]) -> Iterable[str]:
        """Solved examples that cannot be drawn."""
        return shot_problems(context, context.params)

    def requests(self, context: Context[KnowledgeParams]) -> Iterable[Request]:
        """One greedy answer per row."""
        return [request for _, request in ask(context, context.corpus, context.params)]

    def shown(self, context: Context[KnowledgeParams], example: Example) -> Request:
        """The answer to the row's question."""
        return ask_one(context, context.params, example)

    def values(self, context: Context[KnowledgeParams], answers: Answers, reference: Answers | None) -> Values:
        """ROUGE-L per row; details: shares of empty, degenerate and unfinished answers."""
        columns, records = Columns(), []
        for example, request in ask(context, context.corpus, context.params):
            record = generated(answers, request)
            records.append(record)
            columns.add(context.corpus, example, mark(context.params, example, record))
        notes = [
            *answer_notes(context.params, records, chat=context.chat),
            unmeasured(columns.numbers, f"{ROUGE_BLIND}, or the logits were no numbers"),
        ]
        return columns.values(details=answer_details(records), notes=notes)


CHECK = KnowledgeMemorization()
