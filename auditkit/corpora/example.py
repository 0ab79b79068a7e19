"""Examples and corpora.

A row is a mapping of fields. The text fields have accessors below; other kinds of model read their own fields from the same
mapping (an image row holds ``image`` and ``label``, a tabular or series row ``features`` and ``target``), so a new kind
of data adds a loader and a request, and changes nothing here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

TEXT_FIELDS = ("text", "prompt", "continuation", "question", "answer", "context", "subject", "relation", "id")
LIST_FIELDS = ("paraphrases", "translations", "perturbed", "choices", "aliases", "facts")


@dataclass(frozen=True, slots=True)
class Example:
    """One row of a corpus."""

    id: str
    """Unique inside the corpus: the row's own ``id``, else its 1-based number."""
    subject: str
    """Whom the row is about: the unit of inference. The id where the row names nobody."""
    number: int
    """1-based row number in the source, for messages."""
    fields: Mapping[str, Any] = field(hash=False)
    """The row after ``columns`` was applied. Text fields are str, list fields are tuples of str."""

    def get(self, name: str) -> str:
        """A text field, or '' where the row does not have it."""
        value = self.fields.get(name)
        return value if isinstance(value, str) else ""

    def many(self, name: str) -> tuple[str, ...]:
        """A list field, or () where the row does not have it."""
        return tuple(self.fields.get(name) or ())

    @property
    def text(self) -> str:
        """The document."""
        return self.get("text")

    @property
    def question(self) -> str:
        """The question."""
        return self.get("question")

    @property
    def answer(self) -> str:
        """The true answer."""
        return self.get("answer")

    @property
    def answers(self) -> tuple[str, ...]:
        """The answer and its aliases."""
        return (self.answer, *self.many("aliases"))


@dataclass(frozen=True, slots=True)
class Corpus:
    """Named examples with a role."""

    name: str
    role: str
    """``forget``, ``retain``, ``holdout`` or another word."""
    examples: tuple[Example, ...]
    source: str
    """File or data set as the spec names it."""
    digest: str
    """sha256 of the examples in canonical form."""
    has_subjects: bool
    """False: every row counts as its own subject, and the report says so."""

    def subjects(self) -> tuple[str, ...]:
        """The distinct subjects, in the order of their first row."""
        return tuple(dict.fromkeys(example.subject for example in self.examples))
