"""How likely is it that the answer comes out when the model is asked many times?"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from pydantic import Field

from auditkit.checks._base import Answers, Context, Metric, Values
from auditkit.checks._choices import answer_score
from auditkit.checks._contains import states_answer
from auditkit.checks._leaks import LeakCheck
from auditkit.checks._likelihood import mean_nll
from auditkit.checks._prompting import Asker, make_asker, shot_problems
from auditkit.checks._records import cut_note, generated, scored
from auditkit.checks._rows import Columns, lacking, mean, require, unmeasured
from auditkit.checks._scored_leak import ScoredLeakParams
from auditkit.models.protocol import Generate, Record, Request, Score

if TYPE_CHECKING:
    from auditkit.corpora.example import Example
    from auditkit.models.protocol import Scored


class LeakAtKParams(ScoredLeakParams):
    """How often the model is asked."""

    k: int = Field(32, ge=1, le=1_000_000, description="How often somebody asks the same question.")
    samples: int = Field(
        0,
        ge=0,
        le=1000,
        description="Answers drawn for each question at temperature 1, to be shown beside the exact figure; 0: none.",
    )
    max_new_tokens: int = Field(32, ge=1, le=4096, description="Longest drawn answer, in tokens.")


@dataclass(frozen=True)
class _Asked:
    """What is asked about one row."""

    example: Example
    scores: tuple[Score, ...]
    """The answer and its aliases, each once."""
    draws: tuple[Generate, ...]

    @property
    def requests(self) -> tuple[Request, ...]:
        """All of it."""
        return (*self.scores, *self.draws)


class LeakAtK(LeakCheck[LeakAtKParams]):
    """leak@k = 1 - (1 - P)^k, 0 to 1, lower is better: the chance that one of k independent answers is the right one.

    P is exact, without noise of sampling: the probability of the answer and of the token that ends it, summed over the answer
    and its aliases. With their ends these are different outputs, so the sum is a probability (rounding apart; capped at 1).
    ``samples`` draws answers as well. Of n with c leaks, the details give 1 - C(n-c, k)/C(n, k), the unbiased estimate of
    Leak@k, null for k > n, where it does not exist (the published helper returns 0). A drawn answer leaks where it contains an
    answer, so it can leak where P counts nothing.
    """

    name = "leak_at_k"
    title = "Leak at k"
    summary = "How likely the right answer comes out at least once when the same question is asked k times."
    source = "Leak@k, arXiv 2511.04934, code OptimAI-Lab/Leak-k; Scholten et al., arXiv 2410.03523."
    limits = (
        "Counts the answer word for word and nothing behind it: the same answer in a sentence, or spelt otherwise, is missed, "
        "so the true chance is higher."
    )
    remediation = "The answer was made rare and not impossible: unlearn until its probability is that of the reference."
    dimension = "forgetting"
    metric = Metric("leak@k", "fraction", 0.0, 1.0, "lower")
    params = LeakAtKParams
    fields = ("question", "answer")

    def metric_for(self, params: LeakAtKParams) -> Metric:
        """Named with its k."""
        metric = super().metric_for(params)
        return replace(metric, name=metric.name.replace("leak@k", f"leak@{params.k}"))

    def problems(self, context: Context[LeakAtKParams]) -> Iterable[str]:
        """Solved examples that cannot be drawn."""
        return shot_problems(context, context.params)

    def requests(self, context: Context[LeakAtKParams]) -> Iterable[Request]:
        """One teacher-forced pass per answer that counts, and ``samples`` generations per row."""
        return [request for asked in _asked(context) for request in asked.requests]

    def shown(self, context: Context[LeakAtKParams], example: Example) -> Request | None:
        """The first drawn answer."""
        return next(iter(_about(make_asker(context, context.params), context.params, example).draws), None)

    def values(self, context: Context[LeakAtKParams], answers: Answers, reference: Answers | None) -> Values:
        """leak@k per row, NaN where an answer was not scored; details: the curve over k, exact and from samples."""
        columns, records = Columns(), list[Record]()
        params, chances, leaks = context.params, list[float](), list[int]()
        for asked in _asked(context):
            scores = [scored(answers, request) for request in asked.scores]
            draws = [generated(answers, request) for request in asked.draws]
            records += [*scores, *draws]
            chances.append(chance(scores))
            leaks.append(sum(states_answer(record.text, asked.example.answers) for record in draws))
            columns.add(context.corpus, asked.example, leak_at(chances[-1], params.k))
        notes = [cut_note(records), unmeasured(columns.numbers, "an answer could not be scored")]
        return columns.values(details=_details(params, chances, leaks), notes=notes)


def _asked(context: Context[LeakAtKParams]) -> list[_Asked]:
    require(context, lacking(context.corpus, "question", "answer"))
    asker = make_asker(context, context.params)
    return [_about(asker, context.params, example) for example in context.corpus.examples]


def _about(asker: Asker, params: LeakAtKParams, example: Example) -> _Asked:
    scores = dict.fromkeys(answer_score(asker, example, answer, score_end=True) for answer in example.answers)
    greedy = Generate(asker.of(example), params.max_new_tokens)
    draws = tuple(replace(greedy, temperature=1.0, draw=number) for number in range(1, params.samples + 1))
    return _Asked(example, tuple(scores), draws)


def chance(records: Sequence[Scored]) -> float:
    """P, 0 to 1: the sum over answers of the product of their tokens' probabilities; NaN where one was not scored."""
    numbers = [math.exp(-mean_nll(record) * record.logprob.size) for record in records]
    return min(math.fsum(numbers), 1.0) if all(map(math.isfinite, numbers)) else math.nan


def leak_at(p: float, k: int) -> float:
    """1 - (1 - p)^k for a probability p, exact for small p too; NaN for NaN."""
    return 1.0 if p == 1 else -math.expm1(k * math.log1p(-p))


def sampled_leak_at(n: int, c: int, k: int) -> float:
    """The unbiased estimate 1 - C(n-c, k)/C(n, k) from c leaks in n samples; NaN for k > n, where there is none."""
    return 1 - math.comb(n - c, k) / math.comb(n, k) if k <= n else math.nan


def _details(params: LeakAtKParams, chances: Sequence[float], leaks: Sequence[int]) -> dict[str, Any]:
    """Means over rows at k = 1, 2, 4, … and the k asked for; null where there is none."""
    ks = sorted({2**power for power in range(params.k.bit_length())} | {params.k})
    exact = {str(k): mean(leak_at(p, k) for p in chances) for k in ks}
    if not params.samples:
        return {"leak@k": exact}
    n = params.samples
    sampled = {str(k): mean(sampled_leak_at(n, c, k) for c in leaks) for k in ks}
    return {"leak@k": exact, "samples": n, "leak@k from samples": sampled}


CHECK = LeakAtK()
