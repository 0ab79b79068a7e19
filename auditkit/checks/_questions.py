"""Questions asked and answers marked, in the three conventions; shared by every check that reads free answers."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from auditkit.checks._base import Context
from auditkit.checks._degenerate import is_degenerate, is_empty
from auditkit.checks._prompting import PLAIN, Asker, PromptParams, make_asker
from auditkit.checks._records import cut_note
from auditkit.checks._rouge import Measure, best_rouge_l
from auditkit.checks._rows import lacking, mean, require
from auditkit.models.protocol import Generate, Generated

if TYPE_CHECKING:
    from auditkit.corpora.example import Corpus, Example

MUSE_STOP = ("\n\n", "\nQuestion", "Question:")
REPORTED_REPETITION = 0.5
"""Above this share an answer is counted as degenerate in the details."""

ConventionName = Literal["muse", "open-unlearning", "tofu"]


@dataclass(frozen=True)
class Convention:
    """How a benchmark asks and marks."""

    template: str
    max_new_tokens: int
    stop: tuple[str, ...]
    measure: Measure
    stem: bool


CONVENTIONS: dict[ConventionName, Convention] = {
    "muse": Convention("Question: {question}\nAnswer: ", 32, MUSE_STOP, "f1", stem=False),
    "open-unlearning": Convention("Question: {question}\nAnswer: ", 32, MUSE_STOP, "f1", stem=True),
    "tofu": Convention(PLAIN, 200, (), "recall", stem=True),
}


class QuestionParams(PromptParams):
    """How questions are asked and answers marked."""

    convention: ConventionName = Field(
        "muse",
        description=(
            "muse: 32 new tokens, ROUGE-L F1, no stemmer. open-unlearning: the same with the stemmer. "
            "tofu: 200 new tokens, ROUGE-L recall, stemmer."
        ),
    )
    max_new_tokens: int | None = Field(None, ge=1, le=4096, description="Longest answer, in tokens. Default: the convention's.")

    @property
    def rules(self) -> Convention:
        """The convention in force."""
        return CONVENTIONS[self.convention]


def ask(context: Context[Any], corpus: Corpus, params: QuestionParams) -> list[tuple[Example, Generate]]:
    """One generation per row. Raises DataError for rows without question or answer."""
    require(context, lacking(corpus, "question", "answer"))
    asker = make_asker(context, params, plain=params.rules.template)
    return [(example, _generation(asker, params, example)) for example in corpus.examples]


def ask_one(context: Context[Any], params: QuestionParams, example: Example) -> Generate:
    """The generation of one row, equal to the one in ``ask``."""
    return _generation(make_asker(context, params, plain=params.rules.template), params, example)


def _generation(asker: Asker, params: QuestionParams, example: Example) -> Generate:
    rules = params.rules
    return Generate(asker.of(example), params.max_new_tokens or rules.max_new_tokens, rules.stop)


def mark(params: QuestionParams, example: Example, record: Generated) -> float:
    """ROUGE-L of the answer given against the right one (the best of its aliases), 0 to 1; NaN where the model broke."""
    rules = params.rules
    return math.nan if record.broken else best_rouge_l(record.text, example.answers, measure=rules.measure, stem=rules.stem)


def answer_details(records: Iterable[Generated]) -> dict[str, Any]:
    """What an auditor must see beside a score: shares of empty, degenerate and unfinished answers."""
    records = list(records)
    return {
        "empty_answers": mean(float(is_empty(record.text)) for record in records),
        "degenerate_answers": mean(float(is_degenerate(record.text, max_repetition=REPORTED_REPETITION)) for record in records),
        "unfinished_answers": mean(float(not record.finished) for record in records),
    }


def answer_notes(params: QuestionParams, records: Iterable[Generated], *, chat: bool) -> list[str]:
    """What an auditor must know about how the questions were asked."""
    notes = [cut_note(records)]
    if params.convention != "tofu" and params.shot_count == 0 and not chat:
        notes.append(
            "The questions were asked without solved examples; the published MUSE code puts 10 first "
            "(name a corpus for them with shots_from)."
        )
    return [note for note in notes if note]
