"""What is scored of a row: a continuation after its prompt, a text, or an answer after its question."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from auditkit.checks._base import Context
from auditkit.checks._prompting import Asker, PromptParams, make_asker
from auditkit.checks._rows import lacking, require, unpaired
from auditkit.errors import Problem
from auditkit.models.protocol import Prompt, Score

if TYPE_CHECKING:
    from auditkit.corpora.example import Corpus, Example

SCORED_FIELDS = ("continuation|text|question",)


@dataclass(frozen=True)
class Scoring:
    """A row and what is asked of the model about it."""

    example: Example
    request: Score

    @property
    def text(self) -> str:
        """What is scored, without what stands before it."""
        return self.request.continuation.strip()


def pair_problems(corpus: Corpus) -> list[Problem]:
    """Rows with a prompt and no continuation, or a question and no answer, and no text either."""
    return [
        *unpaired(corpus, "prompt", "continuation", unless="text"),
        *unpaired(corpus, "question", "answer", unless="text|continuation"),
    ]


def score_rows(context: Context[Any], corpus: Corpus, params: PromptParams, *, score_end: bool = False) -> list[Scoring]:
    """One scoring per row. Raises DataError for rows of which nothing can be scored."""
    require(context, [*lacking(corpus, *SCORED_FIELDS), *pair_problems(corpus)])
    asker = make_asker(context, params)
    return list(_scorings(corpus, asker, score_end))


def _scorings(corpus: Corpus, asker: Asker, score_end: bool) -> Iterator[Scoring]:
    for example in corpus.examples:
        prompt, continuation = scored_parts(asker, example)
        yield Scoring(example, Score(prompt, continuation, score_end))


def scored_parts(asker: Asker, example: Example) -> tuple[Prompt, str]:
    """(what stands before, what is scored). A missing space between prompt and continuation is put in, as MUSE's data need."""
    if example.get("continuation"):
        before, after = example.get("prompt"), example.get("continuation")
        apart = not before or before[-1].isspace() or after[0].isspace()
        return Prompt(before), after if apart else f" {after}"
    if example.text:
        return Prompt(""), example.text
    return asker.of(example), asker.continuation(example.answer)
