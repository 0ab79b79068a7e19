"""Every fault that a user can mend, and the exit codes.

::

    AuditkitError                 carries problems; printed without a traceback
    ├── UserError        exit 2   the spec, the data, a checkpoint or the command is wrong
    │   ├── SpecError             the YAML, its fields or its cross-references
    │   ├── DataError             a corpus file
    │   └── ModelError            a checkpoint, an adapter, a tokenizer
    ├── TrainingError    exit 4   a training that cannot go on: its loss is no number, its state cannot be saved
    └── IntegrityError   exit 4   evidence does not match its digest, weights changed during the run

Anything else is a defect of auditkit: it keeps its traceback and exits 4.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import IntEnum


class ExitCode(IntEnum):
    """What the process returns; printed in ``--help`` and never renumbered."""

    PASS = 0  # PASS or PASS WITH EXCEPTIONS
    FAIL = 1
    USAGE = 2  # the spec or the command is wrong, or selects nothing
    INCOMPLETE = 3
    BROKEN = 4  # the audit itself broke, or evidence does not match its digest
    INTERRUPTED = 130


@dataclass(frozen=True, slots=True)
class Problem:
    """One fault: where it is, what was expected, what was found, how to mend it."""

    message: str
    """What was expected and what was found, for example ``must be 0 to 1; got 7``."""
    where: str = ""
    """The dotted path of the field (``require.2.at_most``), a row (``row 12``) or a file's part."""
    file: str = ""
    line: int = 0
    """1-based; 0 where no line is known."""
    column: int = 0
    hint: str = ""
    """The nearest valid spelling or the next thing to do."""

    def __str__(self) -> str:
        position = ":".join(str(part) for part in (self.file, self.line, self.column) if part)
        head = ": ".join(part for part in (position, self.where) if part)
        body = self.message if not self.hint else f"{self.message}; {self.hint}"
        return f"{head}: {body}" if head else body


class AuditkitError(Exception):
    """A fault that is reported in words, never as a traceback."""

    exit_code = ExitCode.BROKEN

    def __init__(self, problems: Problem | str | Sequence[Problem]) -> None:
        if isinstance(problems, str):
            problems = Problem(problems)
        self.problems: tuple[Problem, ...] = (problems,) if isinstance(problems, Problem) else tuple(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))


class UserError(AuditkitError):
    """Something the user can mend: exit 2."""

    exit_code = ExitCode.USAGE


class SpecError(UserError):
    """The spec's text, a field of it or a cross-reference in it."""


class DataError(UserError):
    """A corpus: missing, unreadable, empty, or with a broken row."""


class ModelError(UserError):
    """A checkpoint, adapter or tokenizer that cannot be used, or may not be."""


class TrainingError(AuditkitError):
    """A training that cannot go on; its last good state is kept: exit 4."""


class IntegrityError(AuditkitError):
    """Evidence that does not match its digest: exit 4."""


def did_you_mean(word: str, options: Iterable[str]) -> str:
    """A hint for an unknown name: ``did you mean 'x'?`` or the list of what there is."""
    known = sorted(options)
    close = difflib.get_close_matches(word, known, n=1, cutoff=0.6)
    if close:
        return f"did you mean {close[0]!r}?"
    return f"known: {', '.join(known)}" if known else "none are known"
