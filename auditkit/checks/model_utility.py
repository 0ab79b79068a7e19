"""Is the model still useful? TOFU's model utility, the harmonic mean of nine numbers."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from pydantic import Field

from auditkit.checks._base import Answers, Check, Context, Metric, Params, Statistic, Values
from auditkit.checks._choices import TRUTH_FIELDS, Choices, choices, losses
from auditkit.checks._prompting import Template
from auditkit.checks._questions import QuestionParams, ask, mark
from auditkit.checks._records import generated
from auditkit.checks._rows import Columns, in_words, lacking, mean, unmeasured
from auditkit.errors import DataError, Problem, did_you_mean
from auditkit.models.protocol import Request

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from auditkit.corpora.example import Corpus

PARTS = ("retain", "real_authors", "world_facts")
NUMBERS = ("probability", "rouge", "truth_ratio")


class UtilityParams(Params):
    """Which corpora stand for TOFU's three."""

    real_authors: str | None = Field(None, description="Corpus of real authors. Default: the one with role real_authors.")
    world_facts: str | None = Field(None, description="Corpus of world facts. Default: the one with role world_facts.")
    prompt: Template | None = Field(
        None, max_length=20_000, description="Template with {question}, as in knowledge_memorization."
    )
    max_new_tokens: int = Field(200, ge=1, le=4096, description="Longest answer, in tokens.")

    @property
    def questions(self) -> QuestionParams:
        """How questions are asked: TOFU's convention."""
        return QuestionParams(convention="tofu", prompt=self.prompt, max_new_tokens=self.max_new_tokens)


class ModelUtility(Check[UtilityParams]):
    """Harmonic mean of {probability, ROUGE-L recall, truth ratio} x {retain, real authors, world facts}.

    0 to 1, higher is better (TOFU 2401.06121; open-unlearning). Probability is P(answer) on retain and
    P_right / (P_right + sum P_wrong) on the other two, with length-normalised P; ROUGE-L recall with stemmer on 200 greedy
    tokens; truth ratio is max(0, 1 - TR). The end token is scored. One zero makes the whole 0. Oracle: the nine published
    means of the taught Llama-2-7b give 0.6226774.
    """

    name = "model_utility"
    title = "Model utility (TOFU)"
    summary = "How much of its other abilities the model has kept: nine numbers on three sets in one harmonic mean."
    source = "TOFU, Maini et al. 2024, arXiv 2401.06121; open-unlearning configs/eval/tofu_metrics/model_utility.yaml."
    limits = (
        "Knows three small sets of questions only; the harmonic mean hides which of the nine numbers fell (see the details)."
    )
    remediation = "Unlearn with a smaller step or a stronger retain term; see which of the nine numbers fell."
    dimension = "utility"
    metric = Metric("model utility", "fraction", 0.0, 1.0, "higher")
    params = UtilityParams
    role = "retain"
    fields = TRUTH_FIELDS

    def statistic(self, params: UtilityParams) -> Statistic:
        """The harmonic mean of the nine group means."""
        return Statistic("function", function=harmonic_mean_of_nine)

    def problems(self, context: Context[UtilityParams]) -> Iterable[str]:
        """Corpora that are missing, or rows in them that lack a field."""
        for part in PARTS[1:]:
            try:
                corpus = _corpus(context, part)
            except DataError as error:
                yield str(error.problems[0].message)
            else:
                yield from in_words(lacking(corpus, *TRUTH_FIELDS))

    def requests(self, context: Context[UtilityParams]) -> Iterable[Request]:
        """Per row one generation and one pass per right and wrong answer. Raises DataError where a corpus is missing."""
        questions = context.params.questions
        for part in PARTS:
            corpus = _corpus(context, part)
            yield from (request for _, request in ask(context, corpus, questions))
            yield from (request for choice in _choices(context, corpus) for request in choice.requests)

    def values(self, context: Context[UtilityParams], answers: Answers, reference: Answers | None) -> Values:
        """Nine groups; details: their means."""
        columns = Columns()
        for part in PARTS:
            _measure(context, part, answers, columns)
        details = {"means": {group: mean(columns.of_group(group)) for group in dict.fromkeys(columns.groups)}}
        empty = [part for part in PARTS if f"{part}/rouge" not in columns.groups]
        reason = f"nothing was measured on {', '.join(empty)}: the corpus is empty" if empty else ""
        return columns.values(
            details=details, notes=[unmeasured(columns.numbers, "an answer could not be scored")], inconclusive=reason
        )


def harmonic_mean_of_nine(
    values: Mapping[str, NDArray[np.float64]], reference: Mapping[str, NDArray[np.float64]] | None = None
) -> float:
    """The harmonic mean of the nine groups' means; 0 where one is 0, NaN where one is missing or NaN."""
    groups = [f"{part}/{number}" for part in PARTS for number in NUMBERS]
    if any(group not in values or values[group].size == 0 for group in groups):
        return math.nan
    means = [float(values[group].mean()) for group in groups]
    if not all(map(math.isfinite, means)):
        return math.nan
    return 0.0 if min(means) <= 0 else len(means) / math.fsum(1 / number for number in means)


def _corpus(context: Context[UtilityParams], part: str) -> Corpus:
    """The corpus of one of the three parts. Raises DataError where the spec has none."""
    if part == "retain":
        return context.corpus
    named: str | None = getattr(context.params, part)
    found = context.role(part) if named is None else context.corpora.get(named)
    if found is not None:
        return found
    if named is not None:
        hint = did_you_mean(named, context.corpora)
        raise DataError(Problem(f"{part} must name a corpus of this spec; got {named!r}; {hint}", where=context.requirement))
    message = f"model_utility needs three corpora: give one the role {part}, or name it with {part}"
    raise DataError(Problem(message, where=context.requirement))


def _choices(context: Context[UtilityParams], corpus: Corpus) -> list[Choices]:
    return choices(context, corpus, context.params.questions, score_end=True)


def _measure(context: Context[UtilityParams], part: str, answers: Answers, columns: Columns) -> None:
    corpus, questions = _corpus(context, part), context.params.questions
    for choice in _choices(context, corpus):
        found = losses(answers, choice)
        likely = math.exp(-found.right) if part == "retain" else found.choice_probability
        columns.add(corpus, choice.example, likely, group=f"{part}/probability")
        columns.add(corpus, choice.example, found.trueness, group=f"{part}/truth_ratio")
    for example, request in ask(context, corpus, questions):
        columns.add(corpus, example, mark(questions, example, generated(answers, request)), group=f"{part}/rouge")


CHECK = ModelUtility()
