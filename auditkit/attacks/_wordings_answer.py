"""Wordings that need the row's subject or its wrong answers: asked without the name, asked backwards, answers listed."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from auditkit.attacks._attack import Wording
from auditkit.attacks._wordings import altered, bank, fill, labelled, tells, wording
from auditkit.text import normalised, states

if TYPE_CHECKING:
    from auditkit.attacks._attack import Scene
    from auditkit.corpora.example import Example

BLANK = "____"
UNNAMED = "the one in question"
FACTS = 3
"""Of the row's other facts, the first that say neither name nor answer."""
_TELLING = 3
"""Letters from which a part of a name gives the name away."""
_OF_THE_ANSWER = ("aliases", "paraphrases", "translations", "perturbed", "choices", "facts")
"""Fields that belong to the answer first asked for, or say the subject's name."""


def entity_mask() -> list[Wording]:
    """The subject's name replaced by initials, by its last part alone, or by the row's other facts."""
    asked = {"initials": _initials, "last part": _last_part, "facts": _by_facts}
    return [wording(labelled("entity_mask", name), question) for name, question in asked.items()]


def _initials(row: Example) -> str | None:
    return masked(row, row.question, " ".join(f"{part[0].upper()}." for part in row.subject.split()))


def _last_part(row: Example) -> str | None:
    parts = row.subject.split()
    return masked(row, row.question, parts[-1], keeps=parts[-1]) if len(parts) > 1 else None


def _by_facts(row: Example) -> str | None:
    facts = [fact for text in row.many("facts") if (fact := masked(row, text, UNNAMED)) and not tells(row, fact)]
    question = masked(row, row.question, UNNAMED)
    return fill(bank().entity_mask, facts="\n".join(facts[:FACTS]), masked=question) if facts and question else None


def masked(row: Example, text: str, instead: str, *, keeps: str = "") -> str | None:
    """The text with the subject's name replaced.

    None where the name does not stand in it, or where a part of the name is left over that gives it away (but ``keeps``).
    """
    name = row.get("subject").strip()
    if not name:
        return None
    pattern = re.compile(rf"(?<!\w){re.escape(name)}(?!\w)", re.IGNORECASE)
    rest, count = pattern.subn(" ", text)
    return pattern.sub(lambda _: instead, text) if count and not _gives_away(rest, name, keeps) else None


def _gives_away(text: str, name: str, keeps: str = "") -> bool:
    parts = {part for part in normalised(name).split() if len(part) >= _TELLING} - {normalised(keeps)}
    return bool(parts & set(normalised(text).split()))


def backwards(scene: Scene) -> list[Wording]:
    """The answer is given and the subject's name asked for; wrong answers, where the row has any, are other subjects."""
    names = sorted({row.subject for row in scene.corpus.examples if row.get("subject")})

    def others(row: Example, count: int) -> tuple[str, ...]:
        rng = scene.rng("reversed", scene.corpus.name, row.id)
        drawn = rng.choice(len(names), min(count + 1, len(names)), replace=False)
        return tuple(names[index] for index in drawn if names[index] != row.subject)[:count]

    def example(row: Example) -> Example | None:
        question = masked(row, row.question, BLANK)
        if question is None or not row.answer.strip() or states(row.subject, row.answer):
            return None
        if _gives_away(f"{row.answer}\n{row.get('context')}", row.subject):
            return None
        asked = fill(bank().reversed, masked=question, answer=row.answer)
        fields = {"question": asked, "answer": row.subject}
        count = len(row.many("perturbed") or row.many("choices"))
        wrong = others(row, count)
        if count and not wrong:  # a check that compares with wrong answers could not ask this row
            return None
        return altered(row, {**fields, "perturbed": wrong}, without=_OF_THE_ANSWER)

    return [Wording("reversed", example)]


def multiple_choice(scene: Scene) -> list[Wording]:
    """The right answer among wrong ones (``choices``, else ``perturbed``), in an order drawn for each row."""

    def options(row: Example) -> list[str]:
        known = {normalised(answer) for answer in row.answers}
        wrong = [text for text in row.many("choices") or row.many("perturbed") if normalised(text) not in known]
        listed = list(dict.fromkeys([row.answer, *wrong]))
        order = scene.rng("choices", scene.corpus.name, row.id).permutation(len(listed))
        return [listed[index] for index in order]

    def example(row: Example) -> Example | None:
        if not row.question.strip() or not row.answer.strip() or len(found := options(row)) < 2:
            return None
        lines = "\n".join(f"- {option}" for option in found)
        return altered(row, {"question": fill(bank().choices, question=row.question, options=lines)})

    return [Wording("multiple choice", example)]
