"""Prompts from templates and solved examples.

A template is text with the fields ``{question}``, ``{answer}`` and ``{context}``; ``{{`` and ``}}`` stand for braces. It is
taken apart with ``string.Formatter.parse`` and put together by hand: attribute access, indices, conversions and format
specifications are refused, so a template can only place text.

A prompt ends where the answer begins: at ``{answer}``, or at the template's end. From front to back it holds the solved
examples (equal for every question, so that their cache is shared), the context, and the question.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from string import Formatter
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import AfterValidator, Field

from auditkit.checks._base import Context, Params
from auditkit.errors import DataError, Problem, did_you_mean
from auditkit.models.protocol import Prompt

if TYPE_CHECKING:
    from auditkit.corpora.example import Corpus, Example

PLAIN = "Question: {question}\nAnswer:"
CHAT = "{question}"
FIELDS = ("question", "answer", "context")
DEFAULT_SHOTS = 10
"""MUSE's number of solved examples, where a corpus for them is named."""

Piece = tuple[str, str | None]


def parse_template(template: str) -> list[Piece]:
    """A template as (text, field or None) pieces. Raises ValueError in words for anything but the known fields."""
    try:
        parts = list(Formatter().parse(template))
    except ValueError as error:
        raise ValueError(f"must double a brace that is meant as text ({{{{ or }}}}): {error}") from None
    for _, name, spec, conversion in parts:
        if name is not None and (name not in FIELDS or spec or conversion):
            shown = name + (f"!{conversion}" if conversion else "") + (f":{spec}" if spec else "")
            raise ValueError(f"must use only {{question}}, {{answer}} and {{context}}; got {{{shown}}}")
    return [(text, name) for text, name, _, _ in parts]


def fill(pieces: list[Piece], words: Mapping[str, str]) -> str:
    """The pieces with each field replaced by its words, which are never parsed again."""
    return "".join(text + (words[name] if name else "") for text, name in pieces)


def _fields(template: str) -> list[str]:
    return [name for _, name in parse_template(template) if name]


def _checked(template: str) -> str:
    names = _fields(template)
    if names.count("question") != 1 or names.count("answer") > 1:
        raise ValueError("must hold {question} once, and {answer} once at most")
    if "answer" in names and names[-1] != "answer":
        raise ValueError("must not have a field after {answer}")
    return template


Template = Annotated[str, AfterValidator(_checked)]


class PromptParams(Params):
    """How a question is put to the model."""

    prompt: Template | None = Field(
        None,
        max_length=20_000,
        description=(
            "Template with {question}, and {context} or {answer} where wanted. "
            "Default: 'Question: {question}\\nAnswer:', or '{question}' alone for a model that is asked through its template."
        ),
    )
    shots: int | None = Field(
        None, ge=0, le=64, description="Solved examples put before the question. Default: 0, or 10 where shots_from is named."
    )
    shots_from: str | None = Field(
        None,
        description="Corpus that solved examples are drawn from, never the measured one. Default: the one with role retain.",
    )

    @property
    def row_fields(self) -> tuple[str, ...]:
        """A template with a place for a context needs rows that have one."""
        return ("context",) if self.prompt is not None and "context" in _fields(self.prompt) else ()

    @property
    def shot_count(self) -> int:
        """Solved examples in force."""
        if self.shots is not None:
            return self.shots
        return DEFAULT_SHOTS if self.shots_from is not None else 0


@dataclass(frozen=True)
class Asker:
    """Turns questions into prompts, all in one form."""

    before: tuple[Piece, ...]
    """The template up to the answer."""
    after: str
    """What a solved example has behind its answer."""
    chat: bool
    prefix: str = ""
    """Solved examples, the same before every question."""

    @property
    def reads_context(self) -> bool:
        """The template has a place for a context."""
        return any(name == "context" for _, name in self.before)

    def prompt(self, question: str, context: str = "") -> Prompt:
        """The prompt of a question; a context for which the template has no place stands before it."""
        text = self._ask(question, context)
        if context and not self.reads_context:
            text = f"{context}\n\n{text}"
        return Prompt(self.prefix + text, chat=self.chat)

    def of(self, example: Example) -> Prompt:
        """The prompt of a row; its own ``context`` is used only where the template has a place for it."""
        return self.prompt(example.question, example.get("context") if self.reads_context else "")

    def continuation(self, answer: str) -> str:
        """The answer as it follows the prompt: after a space in plain text, bare as a chat turn."""
        return answer if self.chat else self._gap + answer

    def solved(self, question: str, answer: str, context: str = "") -> str:
        """Question and answer in the prompt's own form."""
        return self._ask(question, context) + self._gap + answer + self.after

    def _ask(self, question: str, context: str) -> str:
        return fill(list(self.before), {"question": question, "context": context})

    @property
    def _gap(self) -> str:
        return "" if self._ask("?", "?")[-1].isspace() else " "


def make_asker(context: Context[Any], params: PromptParams, *, plain: str = PLAIN) -> Asker:
    """The asker of a check, with its solved examples drawn. Raises DataError where they cannot be."""
    template = params.prompt or (CHAT if context.chat and params.shot_count == 0 else plain)
    before, after = _split(parse_template(template))
    bare = Asker(before, after, context.chat)
    shots = draw_shots(context, params)
    if not shots:
        return bare
    solved = (bare.solved(shot.question, shot.answer, shot.get("context")) for shot in shots)
    return Asker(before, after, context.chat, "".join(f"{text}\n\n" for text in solved))


def _split(pieces: list[Piece]) -> tuple[tuple[Piece, ...], str]:
    """The pieces before ``{answer}``, and the text after it."""
    for index, (text, name) in enumerate(pieces):
        if name == "answer":
            return (*pieces[:index], (text, None)), "".join(text for text, _ in pieces[index + 1 :])
    return tuple(pieces), ""


def draw_shots(context: Context[Any], params: PromptParams) -> list[Example]:
    """Solved examples, drawn with the audit's seed and kept in file order. Raises DataError where there are not enough."""
    problems = shot_problems(context, params)
    if problems:
        raise DataError([Problem(problem, where=context.requirement) for problem in problems])
    corpus = _shot_corpus(context, params)
    if params.shot_count == 0 or corpus is None:
        return []
    rows = solved_rows(corpus)
    chosen = context.rng("shots", corpus.name, params.shot_count).choice(len(rows), params.shot_count, replace=False)
    return [rows[index] for index in sorted(chosen)]


def solved_rows(corpus: Corpus) -> list[Example]:
    """The rows with question and answer, in file order."""
    rows = [example for example in corpus.examples if example.question and example.answer]
    return sorted(rows, key=lambda example: example.number)


def _shot_corpus(context: Context[Any], params: PromptParams) -> Corpus | None:
    if params.shots_from is not None:
        return context.corpora.get(params.shots_from)
    return context.role("retain")


def shot_problems(context: Context[Any], params: PromptParams) -> list[str]:
    """What stands against drawing the solved examples, in words."""
    if params.shots_from is not None and params.shots_from not in context.corpora:
        hint = did_you_mean(params.shots_from, context.corpora)
        return [f"shots_from must name a corpus of this spec; got {params.shots_from!r}; {hint}"]
    if params.shot_count == 0:
        return []
    corpus = _shot_corpus(context, params)
    if corpus is None:
        return [f"shots: {params.shot_count} needs a corpus to draw from: name one with shots_from"]
    return _unfit(context, corpus, params.shot_count)


def _unfit(context: Context[Any], corpus: Corpus, count: int) -> list[str]:
    """What stands against drawing from that corpus."""
    if corpus.name == context.corpus.name or (corpus.digest and corpus.digest == context.corpus.digest):
        return [f"shots_from must not be the corpus that is measured ({corpus.name}): its answers would stand in the prompts"]
    if corpus.role == "forget":
        return [f"shots_from must not be a corpus that had to be forgotten; got {corpus.name}"]
    rows = len(solved_rows(corpus))
    if rows < count:
        return [f"shots: {count} needs as many rows with question and answer; {corpus.name} has {rows}"]
    return []
