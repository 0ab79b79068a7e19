"""Right and wrong answers to one question, scored: the parts of answer probability, truth ratio and model utility."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from auditkit.checks._base import Answers, Context
from auditkit.checks._likelihood import mean_nll
from auditkit.checks._prompting import Asker, PromptParams, make_asker
from auditkit.checks._records import cut_note, scored
from auditkit.checks._rows import lacking, require
from auditkit.models.protocol import Request, Score, Scored

if TYPE_CHECKING:
    from auditkit.corpora.example import Corpus, Example

TRUTH_FIELDS = ("question", "answer", "perturbed")


@dataclass(frozen=True)
class Choices:
    """A question and the answers that are scored after it."""

    example: Example
    right: Score
    """The row's answer."""
    told: Score
    """The right answer in other words (the first of ``paraphrases``), or the answer where there is none."""
    wrong: tuple[Score, ...]
    """``perturbed``."""

    @property
    def requests(self) -> tuple[Request, ...]:
        """Everything to ask; equal requests are merged by the plan."""
        return (self.right, self.told, *self.wrong)


def choices(context: Context[Any], corpus: Corpus, params: PromptParams, *, score_end: bool) -> list[Choices]:
    """One per row. Raises DataError for rows without question, answer or wrong answers."""
    require(context, lacking(corpus, *TRUTH_FIELDS))
    asker = make_asker(context, params)
    return [_choices(asker, example, score_end) for example in corpus.examples]


def _choices(asker: Asker, example: Example, score_end: bool) -> Choices:
    def score(answer: str) -> Score:
        return answer_score(asker, example, answer, score_end=score_end)

    told = next(iter(example.many("paraphrases")), example.answer)
    return Choices(example, score(example.answer), score(told), tuple(map(score, example.many("perturbed"))))


def answer_score(asker: Asker, example: Example, answer: str, *, score_end: bool) -> Score:
    """An answer after its question, scored."""
    return Score(asker.of(example), asker.continuation(answer), score_end)


@dataclass(frozen=True)
class Losses:
    """Mean NLL of the answers to one question, in nats per token."""

    right: float
    told: float
    wrong: tuple[float, ...]

    @property
    def log_truth_ratio(self) -> float:
        """ln of TR = exp(-mean_j L_j) / exp(-L_told): the geometric mean over the wrong answers against the right one."""
        return self.told - math.fsum(self.wrong) / len(self.wrong)

    @property
    def preference(self) -> float:
        """P_c / (P_c + P_w) = 1 / (1 + TR), 0 to 1: how far the model prefers the truth; 0.5 knows nothing."""
        if not math.isfinite(self.log_truth_ratio):
            return math.nan
        return _logistic(-self.log_truth_ratio)

    @property
    def evenness(self) -> float:
        """min(TR, 1/TR), 0 to 1: 1 where truth and falsehood are equally likely."""
        return math.exp(-abs(self.log_truth_ratio))

    @property
    def trueness(self) -> float:
        """max(0, 1 - TR), 0 to 1: how much likelier the truth is."""
        ratio = self.log_truth_ratio
        return math.nan if math.isnan(ratio) else max(0.0, -math.expm1(min(ratio, 0.0)))

    @property
    def choice_probability(self) -> float:
        """P_right / (P_right + sum_j P_j) with length-normalised P, 0 to 1."""
        everything = (self.right, *self.wrong)
        if not all(map(math.isfinite, everything)):
            return math.nan
        return 1 / math.fsum(math.exp(min(self.right - loss, 700.0)) for loss in everything)


def _logistic(x: float) -> float:
    return 1 / (1 + math.exp(-x)) if x >= 0 else math.exp(x) / (1 + math.exp(x))


def losses(answers: Answers, asked: Choices) -> Losses:
    """The losses of one question on one model."""
    right, told, *wrong = (mean_nll(record) for record in records(answers, asked))
    return Losses(right, told, tuple(wrong))


def records(answers: Answers, asked: Choices) -> list[Scored]:
    """The records of one question: right, told, wrong answers."""
    return [scored(answers, request) for request in (asked.right, asked.told, *asked.wrong)]


def cut_in(answers: Answers, asked: Sequence[Choices]) -> str:
    """The note on cut prompts."""
    return cut_note(scored(answers, choice.right) for choice in asked)
