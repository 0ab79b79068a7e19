"""The prompt bank as it is read, templates, and the rule that no wording says the answer."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import Field

from auditkit.attacks._attack import Wording
from auditkit.spec._document import parse_document
from auditkit.spec.model import Part
from auditkit.text import states

if TYPE_CHECKING:
    from auditkit.corpora.example import Example
    from auditkit.models.protocol import Request

_FILE = Path(__file__).parent / "prompts.yaml"
_FIELD = re.compile(r"\{([a-z]+)\}")

Texts = dict[str, str]
"""Name of the wording → template."""


class Bank(Part):
    """``prompts.yaml``: the templates of every family, some of which have one only."""

    version: int = Field(ge=1)
    paraphrase: Texts
    cloze: Texts
    reversed: str
    choices: str
    answer_prefix: Texts
    few_shot: str
    role_play: Texts
    override: Texts
    system_override: Texts
    base64: str
    entity_mask: str
    template_off: Texts
    trigger_sweep: Texts


@cache
def bank() -> Bank:
    """The bank."""
    document = parse_document(_FILE.read_text(encoding="utf-8"))
    if document.faults:
        raise ValueError(f"{_FILE.name}: {document.faults[0]}")
    return Bank.model_validate(document.value)


def fill(template: str, **words: str) -> str:
    """The template with each field replaced by its words, which are never read again. Raises KeyError for another field."""
    return _FIELD.sub(lambda found: words[found[1]], template)


def tells(row: Example, passage: str) -> bool:
    """The passage states an answer of the row that the row's own question does not."""
    return any(states(passage, answer) and not states(row.question, answer) for answer in row.answers)


def wording(
    label: str,
    question: Callable[[Example], str | None] | None = None,
    *,
    request: Callable[[Request], Request] = lambda request: request,
    beside: str = "",
) -> Wording:
    """A wording that keeps the answer.

    ``question``: the row's question in other words, None where the row has none; without it the question stays as it is.
    ``beside``: text that ``request`` adds to it. A row is left out where either states its answer, or where nothing changes.
    """

    def example(row: Example) -> Example | None:
        asked = row.question if question is None else question(row)
        if not row.question.strip() or not asked or (question is not None and asked == row.question):
            return None
        return None if tells(row, f"{asked}\n{beside}") else altered(row, {"question": asked})

    return Wording(label, example, request)


def altered(row: Example, fields: Mapping[str, Any], *, without: tuple[str, ...] = ()) -> Example:
    """The row with these fields in place of its own; id, subject and number stay."""
    kept = {name: value for name, value in row.fields.items() if name not in without}
    return replace(row, fields={**kept, **fields})


def labelled(family: str, name: str) -> str:
    """``role play: novelist``."""
    return f"{family.replace('_', ' ')}: {name}"
