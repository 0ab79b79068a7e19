"""A corpus's source in the spec → its examples.

::

    file or data set ──reader──► rows ──where──► typed examples ──sample, limit──► Corpus

Every fault names the file and the row, and never quotes a cell.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from auditkit.corpora.dataset import is_local, read_folder, read_hub
from auditkit.corpora.example import Corpus, Example
from auditkit.corpora.fitness import copies, missing_fields, overlap, require_fields
from auditkit.corpora.formats import FORMATS
from auditkit.corpora.rows import MAX_BYTES, BrokenFileError, Row
from auditkit.corpora.select import draw, matches
from auditkit.corpora.typed import Typed, examples_digest, to_examples
from auditkit.errors import DataError, Problem, UserError, did_you_mean
from auditkit.paths import inside
from auditkit.text import one_line

if TYPE_CHECKING:
    from auditkit.spec.model import CorpusSource, Spec

__all__ = ["copies", "load_corpora", "load_corpus", "missing_fields", "overlap", "require_fields"]

Locate = Callable[[tuple[str | int, ...], str, str], Problem]
"""(field of the spec, message, hint) → Problem: ``Loaded.problem``, which knows the line."""

_ROW_FAULTS_NAMED = 10
_COLUMNS_NAMED = 20
_LONGEST_PATH = 200
_LONGEST_COLUMN = 40  # characters; a file without header line has data there


def load_corpora(
    spec: Spec,
    *,
    base: Path,
    roots: Sequence[Path] = (),
    limit: int | None = None,
    offline: bool = True,
    locate: Locate | None = None,
) -> dict[str, Corpus]:
    """Every corpus of the spec, by name. Raises one DataError with the faults of all of them."""
    corpora: dict[str, Corpus] = {}
    problems: list[Problem] = []
    for name, source in spec.corpora.items():
        try:
            corpora[name] = load_corpus(name, source, base=base, roots=roots, limit=limit, offline=offline, locate=locate)
        except DataError as error:
            problems += error.problems
    if problems:
        raise DataError(problems)
    return corpora


def load_corpus(
    name: str,
    source: CorpusSource,
    *,
    base: Path,
    roots: Sequence[Path] = (),
    limit: int | None = None,
    offline: bool = True,
    locate: Locate | None = None,
) -> Corpus:
    """One corpus.

    Relative paths start at ``base``; the file must lie in it or in one of ``roots``. ``limit`` keeps the first rows, after
    ``where`` and ``sample``. ``offline`` refuses a hub id. Raises DataError with every fault of the first stage that has any.
    """
    loading = _Loading(name, source, locate or _unlocated)
    try:
        rows = list(loading.rows(base, roots, offline))
    except BrokenFileError as error:
        row = f"row {error.row}" if error.row else ""
        problem = Problem(error.message, row, loading.shown, error.line, error.column, error.hint)
        raise DataError(problem) from None
    except OSError as error:
        raise DataError(Problem(f"must be readable; {error.strerror or error}", file=loading.shown)) from None
    kept = loading.kept(rows)
    typed = to_examples(kept, source.columns)
    loading.refuse_row_faults(typed)
    examples = loading.sampled(typed)[:limit]
    return Corpus(
        name=name,
        role=source.role or name,
        examples=tuple(examples),
        source=loading.shown,
        digest=examples_digest(examples),
        has_subjects=typed.has_subjects,
    )


def _unlocated(path: tuple[str | int, ...], message: str, hint: str = "") -> Problem:
    return Problem(message, one_line(".".join(map(str, path)), _LONGEST_PATH), hint=hint)


class _Loading:
    """One corpus on its way, with its words for faults."""

    def __init__(self, name: str, source: CorpusSource, locate: Locate) -> None:
        self.name, self.source, self.locate = name, source, locate
        self.shown = source.file or source.dataset or ""

    def fault(self, message: str, *field: str, hint: str = "") -> DataError:
        """A fault of what the spec says about the corpus."""
        return DataError(self.locate(("corpora", self.name, *field), message, hint))

    def rows(self, base: Path, roots: Sequence[Path], offline: bool) -> Iterator[Row]:
        """The source's rows. Raises DataError for the spec's fault, BrokenFileError and OSError for the file's."""
        source = self.source
        if source.file is not None:
            path = self._inside(source.file, "file", base, roots)
            return FORMATS.get(self._format(path))(self._regular(path))
        dataset = source.dataset or ""
        if is_local(dataset):
            return read_folder(self._inside(dataset, "dataset", base, roots), split=source.split)
        return self._hub(dataset, offline)

    def _hub(self, dataset: str, offline: bool) -> Iterator[Row]:
        if self.source.revision is None:
            hint = f"write ./{dataset} for a folder beside the spec"
            raise self.fault("a hub id must have a revision (the commit of the repository); got none", "dataset", hint=hint)
        if offline:
            message = "must be a local folder (./path), because this run is offline; got a hub id"
            raise self.fault(message, "dataset", hint="run without --offline, or save it with datasets.save_to_disk")
        return read_hub(dataset, config=self.source.config, split=self.source.split, revision=self.source.revision)

    def _inside(self, text: str, field: str, base: Path, roots: Sequence[Path]) -> Path:
        try:
            return inside(text, base, roots)
        except UserError as error:
            raise self.fault(error.problems[0].message, field, hint=error.problems[0].hint) from None

    def _format(self, path: Path) -> str:
        ending = path.suffix.lower().removeprefix(".")
        if ending not in FORMATS.names():
            endings = ", ".join(f".{name}" for name in FORMATS.names())
            raise self.fault(f"must end in one of {endings}; got {path.suffix or 'no ending'}", "file")
        return ending

    def _regular(self, path: Path) -> Path:
        if not path.is_file():
            got = "a folder" if path.is_dir() else "nothing there" if not path.exists() else "something else"
            raise self.fault(f"must be a file; got {got} ({self.shown})", "file")
        if path.stat().st_size > MAX_BYTES:
            raise BrokenFileError(f"must be at most {MAX_BYTES >> 30} GiB; got more", hint="split it, or keep fewer rows")
        return path

    def kept(self, rows: Sequence[Row]) -> list[Row]:
        """The rows that ``where`` keeps. Raises DataError for columns that no row has, and where nothing is left."""
        if not rows:
            raise DataError(Problem("must have rows; got none", file=self.shown))
        columns = {column for row in rows for column in row.cells}
        problems = [
            self._unknown_column(column, columns, *field) for column, field in self._columns_named() if column not in columns
        ]
        if problems:
            raise DataError(problems)
        kept = [row for row in rows if matches(row.cells, self.source.where)]
        if not kept:
            hint = "compare the values with those of the file"
            raise self.fault(f"must keep a row of {self.shown}; got 0 of {len(rows)} rows", "where", hint=hint)
        return kept

    def _columns_named(self) -> Iterator[tuple[str, tuple[str, str]]]:
        yield from ((column, ("columns", name)) for name, column in self.source.columns.items())
        yield from ((column, ("where", column)) for column in self.source.where)

    def _unknown_column(self, column: str, columns: set[str], *field: str) -> Problem:
        listed = ", ".join(one_line(name, _LONGEST_COLUMN) for name in sorted(columns)[:_COLUMNS_NAMED])
        hint = did_you_mean(column[:_LONGEST_COLUMN], columns)
        message = f"must be a column of {self.shown} ({listed or 'it has none'}); got {column!r}"
        return self.locate(("corpora", self.name, *field), message, hint if hint.startswith("did") else "")

    def refuse_row_faults(self, typed: Typed) -> None:
        """Raise DataError with the first faults of rows, and how many more there are."""
        named = [Problem(message, f"row {row}: {field}", self.shown) for row, field, message in sorted(typed.faults)]
        if not named:
            return
        more = len(named) - _ROW_FAULTS_NAMED
        rest = [Problem(f"and {more} more faults of rows", file=self.shown)] if more > 0 else []
        raise DataError([*itertools.islice(named, _ROW_FAULTS_NAMED), *rest])

    def sampled(self, typed: Typed) -> Sequence[Example]:
        """The rows that ``sample`` draws. Raises DataError where there are fewer than it asks for."""
        sample = self.source.sample
        if sample is None:
            return typed.examples
        if sample.n > len(typed.examples):
            message = f"must be at most the {len(typed.examples)} rows that there are; got {sample.n}"
            raise self.fault(message, "sample", "n")
        return draw(typed.examples, sample)
