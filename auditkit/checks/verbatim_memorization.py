"""Does the model continue a text as it was written? MUSE's C1, VerbMem."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING

from pydantic import Field

from auditkit.checks._base import Answers, Context, Metric, Values
from auditkit.checks._leaks import LeakCheck, LeakParams
from auditkit.checks._questions import CONVENTIONS, ConventionName, answer_details
from auditkit.checks._records import cut_note, generated
from auditkit.checks._rouge import rouge_l
from auditkit.checks._rows import Columns, in_words, lacking, require, unmeasured, unpaired
from auditkit.models.protocol import Continue, Generate, Generated, Prompt, Request

if TYPE_CHECKING:
    from auditkit.corpora.example import Corpus, Example
    from auditkit.errors import Problem

NEW_TOKENS: dict[ConventionName, int] = {"muse": 128, "open-unlearning": 128, "tofu": 200}


class VerbatimParams(LeakParams):
    """How texts are continued and compared."""

    prefix_tokens: int = Field(
        32, ge=1, le=8192, description="Tokens of a row's text that are given; rows with prompt and continuation ignore it."
    )
    max_new_tokens: int | None = Field(
        None, ge=1, le=8192, description="Longest continuation, in tokens. Default: 128 (200 for tofu)."
    )
    convention: ConventionName = Field(
        "muse",
        description=(
            "muse: ROUGE-L F1 without stemmer against the truth cut to the same number of tokens. "
            "open-unlearning: with stemmer against the whole truth. tofu: recall, stemmer, whole truth."
        ),
    )


class VerbatimMemorization(LeakCheck[VerbatimParams]):
    """VerbMem(f, D) = mean over x of ROUGE-L F1(f(x[:l]), x[l+1:]), 0 to 1, lower is better (Shi et al. 2407.06460, C1).

    Greedy, 128 new tokens; the truth is cut to as many. The published code counts the BOS token among the 128 of the truth,
    which is not done here. Rows hold ``text`` (the model's own tokens decide where the prefix ends), or ``prompt`` and
    ``continuation``. The truth of a ``text`` row is cut in every convention. Texts are given as they stand, never through a
    chat template.
    """

    name = "verbatim_memorization"
    title = "Verbatim memorization"
    summary = "How closely the model continues a text from the forget set when it is given the beginning."
    source = "MUSE, Shi et al. 2024, arXiv 2407.06460, C1; code muse_bench metrics/verbmem.py."
    limits = "Greedy decoding from the true beginning: another prompt, sampling or an attack may still bring the text out."
    remediation = "Unlearn the text itself, not only questions about it, and test with several prefix lengths."
    dimension = "forgetting"
    metric = Metric("ROUGE-L", "fraction", 0.0, 1.0, "lower")
    params = VerbatimParams
    fields = ("text|continuation",)

    def problems(self, context: Context[VerbatimParams]) -> Iterable[str]:
        """Rows with a prompt and no continuation, or the other way round."""
        return in_words(_pair_problems(context.corpus))

    def requests(self, context: Context[VerbatimParams]) -> Iterable[Request]:
        """One greedy continuation per row."""
        return [request for _, request in _asked(context)]

    def shown(self, context: Context[VerbatimParams], example: Example) -> Request:
        """The continuation of the row."""
        return _request(context.params, example)

    def values(self, context: Context[VerbatimParams], answers: Answers, reference: Answers | None) -> Values:
        """ROUGE-L per row; NaN where a text is not longer than its prefix."""
        columns, records = Columns(), []
        for example, request in _asked(context):
            record = generated(answers, request)
            records.append(record)
            columns.add(context.corpus, example, _mark(context.params, example, record))
        why = (
            "nothing is left behind the prefix, or nothing that ROUGE can compare (it sees only a-z and 0-9), or the logits "
            "were no numbers"
        )
        notes = [cut_note(records), unmeasured(columns.numbers, why)]
        return columns.values(details=answer_details(records), notes=notes)


def _pair_problems(corpus: Corpus) -> list[Problem]:
    return [*unpaired(corpus, "prompt", "continuation", unless="text"), *unpaired(corpus, "continuation", "prompt")]


def _asked(context: Context[VerbatimParams]) -> list[tuple[Example, Generate | Continue]]:
    require(context, [*lacking(context.corpus, "text|continuation"), *_pair_problems(context.corpus)])
    return [(example, _request(context.params, example)) for example in context.corpus.examples]


def _request(params: VerbatimParams, example: Example) -> Generate | Continue:
    limit = params.max_new_tokens or NEW_TOKENS[params.convention]
    if example.get("continuation"):
        return Generate(Prompt(example.get("prompt")), limit, target=example.get("continuation"))
    return Continue(example.text, params.prefix_tokens, limit)


def _mark(params: VerbatimParams, example: Example, record: Generated) -> float:
    if record.broken:
        return math.nan
    rules = CONVENTIONS[params.convention]
    whole = "" if params.convention == "muse" else example.get("continuation")
    return rouge_l(record.text, whole or record.target or "", measure=rules.measure, stem=rules.stem)


CHECK = VerbatimMemorization()
