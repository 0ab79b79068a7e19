"""Wordings that leave the question and change what stands around it: system prompt, template, examples, first words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from auditkit.attacks._wordings import bank, fill, labelled, wording
from auditkit.models.protocol import Generate, Hidden, Lens, Prompt, Request, Score
from auditkit.text import states

if TYPE_CHECKING:
    from auditkit.attacks._attack import Scene, Wording
    from auditkit.corpora.example import Corpus, Example

POOL = 32
"""Solved rows that are drawn and of which the examples are chosen."""

Change = Callable[[Prompt], Prompt]


def reprompted(change: Change, request: Request) -> Request:
    """The request with another prompt. What follows it gets the space that it needs, where it now follows something else.

    A request without a prompt, or with an empty one (a text that is scored from its beginning), asks nothing: it stays.
    """
    if not isinstance(request, Score | Lens | Generate | Hidden) or not request.prompt.text:
        return request
    prompt = change(request.prompt)
    front, was = before(prompt), before(request.prompt)
    if not isinstance(request, Score | Lens) or front[-1:] == was[-1:]:
        return replace(request, prompt=prompt)
    return replace(request, prompt=prompt, continuation=apart(front, request.continuation))


def before(prompt: Prompt) -> str:
    """Text that the answer follows directly; '' where a template stands between."""
    return prompt.start or ("" if prompt.chat else prompt.text)


def apart(front: str, text: str) -> str:
    """The text as it follows ``front``: after a space where neither brings one."""
    needed = front and text and not front[-1].isspace() and not text[0].isspace()
    return f" {text}" if needed else text


def _changing(change: Change) -> Callable[[Request], Request]:
    return lambda request: reprompted(change, request)


def answer_prefix() -> list[Wording]:
    """The answer's first words are put into the model's mouth."""

    def begun(start: str) -> Change:
        return lambda prompt: replace(prompt, start=prompt.start + apart(before(prompt), start))

    return [
        wording(labelled("answer_prefix", name), request=_changing(begun(start)), beside=start)
        for name, start in bank().answer_prefix.items()
    ]


def system_override() -> list[Wording]:
    """Another system prompt; the same text in front of everything where there is no template."""

    def told(text: str) -> Change:
        def change(prompt: Prompt) -> Prompt:
            return replace(prompt, system=text) if prompt.chat else replace(prompt, text=f"{text}\n\n{prompt.text}")

        return change

    return [
        wording(labelled("system_override", name), request=_changing(told(text)), beside=text)
        for name, text in bank().system_override.items()
    ]


def template_off(scene: Scene) -> list[Wording]:
    """The chat template is left away. No row has this wording where there is none."""

    def plain(template: str) -> Change:
        def change(prompt: Prompt) -> Prompt:
            return replace(prompt, text=fill(template, prompt=prompt.text), chat=False, system=None) if prompt.chat else prompt

        return change

    return [
        wording(labelled("template_off", name), None if scene.chat else _none, request=_changing(plain(template)))
        for name, template in bank().template_off.items()
    ]


def few_shot(scene: Scene, shots: int) -> list[Wording]:
    """Solved pairs of the retain corpus, the same in front of every question. No row has it where there are too few."""
    chosen = _chosen(scene, shots)
    solved = "".join(fill(bank().few_shot, question=shot.question, answer=shot.answer) for shot in chosen)

    def shown(prompt: Prompt) -> Prompt:
        return replace(prompt, text=solved + prompt.text)

    return [wording("few shot", None if chosen else _none, request=_changing(shown), beside=solved)]


def _none(row: Example) -> None:
    """For a wording that no row has."""


def _chosen(scene: Scene, shots: int) -> list[Example]:
    """Of solved rows drawn from the retain corpus those that state the fewest answers of the measured one, in file order.

    Where answers come from a closed list (a profession) some will be stated; rows that ask for them then have no examples.
    """
    corpus = scene.role("retain")
    if corpus is None or _same(corpus, scene.corpus) or len(rows := _solved(corpus)) < shots:
        return []
    drawn = scene.rng("few_shot", corpus.name).permutation(len(rows))[: max(POOL, shots)]
    wanted = Counter(answer for row in scene.corpus.examples for answer in row.answers)

    def told(row: Example) -> int:
        passage = f"{row.question}\n{row.answer}"
        return sum(count for answer, count in wanted.items() if states(passage, answer))

    return sorted(sorted((rows[index] for index in drawn), key=told)[:shots], key=lambda row: row.number)


def _same(corpus: Corpus, measured: Corpus) -> bool:
    return corpus.name == measured.name or bool(corpus.digest and corpus.digest == measured.digest)


def _solved(corpus: Corpus) -> list[Example]:
    """Rows with question and answer, in file order."""
    rows = [row for row in corpus.examples if row.question.strip() and row.answer.strip()]
    return sorted(rows, key=lambda row: row.number)
