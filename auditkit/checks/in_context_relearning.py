"""Does the knowledge come back when the context hints at it? Ununlearning, measured."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Literal

from pydantic import Field

from auditkit.checks._base import Answers, Check, Context, Metric, Statistic, Values
from auditkit.checks._contains import same_answer
from auditkit.checks._contexts import HOLDS_ANSWER, SINGLE, Kind, Probe, Probes, build, pool
from auditkit.checks._dose import curve, ed50
from auditkit.checks._likelihood import probability
from auditkit.checks._prompting import Asker, PromptParams, make_asker, shot_problems, solved_rows
from auditkit.checks._questions import MUSE_STOP
from auditkit.checks._records import cut_note
from auditkit.checks._rouge import best_rouge_l
from auditkit.checks._rows import Columns, lacking, mean, require, unmeasured
from auditkit.models.protocol import Generate, Generated, Record, Request, Score, Scored

BASELINE = "none@0"
CONTROL = f"answer@1{HOLDS_ANSWER}"
MUST_READ = 0.5
"""Share of the original's score with the answer in the context below which the candidate counts as unable to read."""

MIN_SHARE = 0.5
"""Share of the subjects that a kind and dose must reach to decide."""

Dose = Annotated[int, Field(ge=1, le=256)]


class RelearningParams(PromptParams):
    """Which contexts are tried, how much they hold, and how the answer is scored."""

    contexts: list[Kind] = Field(
        default_factory=lambda: list[Kind](("definition", "few_shot", "few_shot_same")),
        min_length=1,
        description=(
            "Kinds of context: definition, alias, few_shot, few_shot_same, neighbours, chain, paraphrase, answer, retrieved. "
            "none and answer are always measured, as baseline and as control."
        ),
    )
    facts: list[Dose] = Field(
        default_factory=lambda: [1, 2, 4], min_length=1, max_length=12, description="Doses: numbers of facts in the context."
    )
    score: Literal["probability", "rouge_recall", "exact"] = Field(
        "probability",
        description=(
            "probability: length-normalised probability of the answer, one pass, no generation, the most sensitive. "
            "rouge_recall: ROUGE-L recall (stemmer) of a greedy answer. exact: equal to the answer after normalisation."
        ),
    )
    max_new_tokens: int = Field(32, ge=1, le=4096, description="Longest generated answer, in tokens.")

    @property
    def kinds(self) -> list[Kind]:
        """What is measured: baseline, the chosen kinds, control."""
        return list(dict.fromkeys(["none", *self.contexts, "answer"]))


class InContextRelearning(Check[RelearningParams]):
    """Score of the right answer in 0 to 1 when the prompt holds k facts that do not state it; lower is better.

    Ununlearning (Shumailov et al. 2407.00106) is a position paper without numbers: kinds, doses and scores are ours. Any model
    can copy an answer out of its context; only one that still holds a fact can complete it from hints. So contexts that state
    the answer (substring of any alias, or 0.8 of its words) make groups of their own, which are shown and never decide. The
    worst of the other groups decides; ``none@0`` is the baseline. Bound it by the reference: facts in a context help an honest
    model too. A truncated context counts as not measured, and a dose that fewer than half of the subjects can be given is
    shown without deciding.
    """

    name = "in_context_relearning"
    title = "In-context relearning"
    summary = "Whether hints in the prompt, none of which states the answer, bring the forgotten answer back."
    source = "Ununlearning, Shumailov et al. 2024, arXiv 2407.00106; kinds, doses and scores by auditkit."
    limits = (
        "Only the listed kinds of context were tried. Removal from the weights does not prevent use of the same knowledge "
        "supplied in a prompt: see the rate with the answer in the context."
    )
    remediation = (
        "The model answers from hints that do not help the reference: the knowledge is hidden and not gone. "
        "Unlearn the facts around the subject as well, or retrain."
    )
    dimension = "robustness"
    metric = Metric("answer score in context", "fraction", 0.0, 1.0, "lower")
    params = RelearningParams
    fields = ("question", "answer")
    figures = ("dose_response",)

    def statistic(self, params: RelearningParams) -> Statistic:
        """The mean of each kind and dose; the worst decides."""
        return Statistic("mean", worst_group=True)

    def fields_for(self, params: RelearningParams) -> tuple[str, ...]:
        """Question and answer; the context is built here, whatever the template."""
        return self.fields

    def problems(self, context: Context[RelearningParams]) -> Iterable[str]:
        """Kinds for which the data hold nothing, and solved examples that cannot be drawn."""
        return [*_kind_problems(context), *shot_problems(context, context.params)]

    def requests(self, context: Context[RelearningParams]) -> Iterable[Request]:
        """Per question, kind and dose one pass per answer, or one generation."""
        asker, probes = _prepared(context)
        return [request for probe in probes.made for request in _requests(asker, context.params, probe)]

    def values(self, context: Context[RelearningParams], answers: Answers, reference: Answers | None) -> Values:
        """The answer's score per question, kind and dose; details: dose-response, ED50, reading ability, unreachable doses."""
        asker, probes = _prepared(context)
        columns, records = Columns(), []
        for probe in probes.made:
            found = [answers(request) for request in _requests(asker, context.params, probe)]
            records += found
            columns.add(context.corpus, probe.example, _score(context.params, probe, found), group=probe.group)
        unreachable = _unreachable(probes, len(context.corpus.examples))
        shown = [group for group in dict.fromkeys(columns.groups) if group == BASELINE or group.endswith(HOLDS_ANSWER)]
        thin = _thin(columns, shown, len(context.corpus.subjects()))
        decisive = set(columns.groups) - set(shown) - set(thin)
        notes = [
            cut_note(records),
            unmeasured(columns.numbers, "the context did not fit, or nothing was scored"),
            *(f"{group}: {words}." for group, words in unreachable.items()),
            *(f"{group} is shown and does not decide: it has {words}." for group, words in thin.items()),
        ]
        return columns.values(
            details={**_details(columns, probes), "unreachable": unreachable, "score": context.params.score},
            notes=notes,
            shown_only=(*shown, *thin),
            inconclusive="" if decisive or not columns.ids else "no kind and dose without the answer reaches enough subjects",
        )

    def veto(self, params: RelearningParams, samples: Mapping[str, Values]) -> str:
        """A collapsed candidate reads nothing: with the answer in the context it must reach half of the original's score."""
        read = {model: values.details.get("reads_context") for model, values in samples.items()}
        mine, theirs = read.get("candidate"), read.get("original")
        if mine is None or theirs is None or mine >= MUST_READ * theirs:
            return ""
        return (
            f"the candidate cannot read its context: with the answer in the prompt it scores {mine:.2f}, "
            f"the original {theirs:.2f}"
        )


def _prepared(context: Context[RelearningParams]) -> tuple[Asker, Probes]:
    require(context, lacking(context.corpus, "question", "answer"))
    return make_asker(context, context.params), build(context, context.params.kinds, sorted(set(context.params.facts)))


def _requests(asker: Asker, params: RelearningParams, probe: Probe) -> list[Score | Generate]:
    prompt = asker.prompt(probe.question, probe.passage)
    if params.score == "probability":
        return [Score(prompt, asker.continuation(answer)) for answer in probe.answers]
    return [Generate(prompt, params.max_new_tokens, MUSE_STOP)]


def _score(params: RelearningParams, probe: Probe, records: list[Record]) -> float:
    """NaN where the context was cut: it is not the dose that was meant."""
    if any(record.cut_tokens for record in records):
        return math.nan
    if params.score == "probability":
        numbers = [probability(record) for record in records if isinstance(record, Scored)]
        return math.nan if any(map(math.isnan, numbers)) else max(numbers)
    text = records[0].text if isinstance(records[0], Generated) else ""
    if params.score == "exact":
        return float(same_answer(text, probe.answers))
    return best_rouge_l(text, probe.answers, measure="recall", stem=True)


def _kind_problems(context: Context[RelearningParams]) -> list[str]:
    kinds, corpus = context.params.contexts, context.corpus
    others = pool(context)
    problems = []
    if set(kinds) <= {"none", *SINGLE}:
        problems.append("contexts must name a kind that does not state the answer, such as definition or few_shot_same")
    if "chain" in kinds and not any(example.many("facts") for example in corpus.examples):
        problems.append(f"contexts: chain needs rows with facts; {corpus.name} has none")
    if "alias" in kinds and not corpus.has_subjects:
        problems.append(f"contexts: alias needs rows that name their subject; {corpus.name} has none")
    for kind in ("few_shot", "neighbours"):
        if kind in kinds and (others is None or others.name == corpus.name or not solved_rows(others)):
            problems.append(f"contexts: {kind} needs another corpus with question and answer: name one with shots_from")
    return problems


def _unreachable(probes: Probes, questions: int) -> dict[str, str]:
    """What could not be asked, in words."""
    return {
        f"{kind}@{dose}": "unreachable, no question has so many facts"
        if count == questions
        else f"{count} of {questions} questions have fewer facts and were left out"
        for (kind, dose), count in sorted(probes.short.items())
    }


def _thin(columns: Columns, shown: list[str], subjects: int) -> dict[str, str]:
    """Groups with fewer than half of the subjects: they differ in kind from the whole corpus, and are too few to decide."""
    seen: dict[str, set[str]] = {}
    for group, subject in zip(columns.groups, columns.subjects, strict=True):
        seen.setdefault(group, set()).add(subject)
    return {
        group: f"{len(found)} of {subjects} subjects"
        for group, found in seen.items()
        if group not in shown and len(found) < MIN_SHARE * subjects
    }


def _details(columns: Columns, probes: Probes) -> dict[str, Any]:
    points: dict[str, dict[int, list[float]]] = {}
    baseline = columns.of_group(BASELINE)
    for probe, value in zip(probes.made, columns.numbers, strict=True):
        if not probe.holds_answer and probe.kind != "none":
            points.setdefault(probe.kind, {0: baseline}).setdefault(probe.dose, []).append(value)
    curves = {kind: curve(by_dose) for kind, by_dose in points.items()}
    reads = mean(columns.of_group(CONTROL))
    return {
        "dose_response": curves,
        "ed50": {kind: ed50(shape, 1.0 if reads is None else reads) for kind, shape in curves.items()},
        "reads_context": reads,
    }


CHECK = InContextRelearning()
