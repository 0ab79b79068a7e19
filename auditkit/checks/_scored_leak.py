"""The common form of checks that read one number per row from one teacher-forced pass."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import TypeVar

from auditkit.checks._base import Answers, Context, Values
from auditkit.checks._leaks import LeakCheck, LeakParams
from auditkit.checks._prompting import PromptParams, shot_problems
from auditkit.checks._records import cut_note, scored
from auditkit.checks._rows import Columns, in_words, unmeasured
from auditkit.checks._scoring import SCORED_FIELDS, pair_problems, score_rows
from auditkit.models.protocol import Request, Scored


class ScoredLeakParams(PromptParams, LeakParams):
    """How rows are put to the model and bounded."""


S = TypeVar("S", bound=ScoredLeakParams)


class ScoredLeakCheck(LeakCheck[S], ABC):
    """One pass per row over its continuation, text or answer; the same requests whichever number is read."""

    fields = SCORED_FIELDS

    @abstractmethod
    def read(self, params: S, record: Scored) -> float:
        """The number of one row; NaN where nothing was scored."""

    def problems(self, context: Context[S]) -> Iterable[str]:
        """Rows without their other half, and solved examples that cannot be drawn."""
        return [*in_words(pair_problems(context.corpus)), *shot_problems(context, context.params)]

    def requests(self, context: Context[S]) -> Iterable[Request]:
        """One teacher-forced pass per row."""
        return [row.request for row in score_rows(context, context.corpus, context.params)]

    def values(self, context: Context[S], answers: Answers, reference: Answers | None) -> Values:
        """One number per row."""
        columns, records = Columns(), []
        for row in score_rows(context, context.corpus, context.params):
            record = scored(answers, row.request)
            records.append(record)
            columns.add(context.corpus, row.example, self.read(context.params, record))
        return columns.values(notes=[cut_note(records), unmeasured(columns.numbers, "no token could be scored")])
