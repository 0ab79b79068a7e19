"""The whole suite of ``specs/removal.yaml`` in one audit, against each requirement audited alone and with nothing kept.

Alone, every requirement loads its models, makes its attacked models and asks its questions anew, as separate scripts would.
Six people instead of thirty, so that loading and training weigh more than they do in the full audit.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from _common import about, parser, table

from auditkit.evidence.audit import run
from auditkit.evidence.prepare import Options, prepare
from auditkit.files import cache_folder
from auditkit.measurement.progress import Silent

if TYPE_CHECKING:
    from collections.abc import Iterator

SPEC = Path(__file__).parent.parent / "specs" / "removal.yaml"
ROWS = 24
"""Of each corpus: six people with four facts each."""
HALVES = "require.does not come back with fine-tuning.under.relearn.fraction=0.5"
"""A third of six people is too few to train on."""


def main() -> None:
    """Measure and print."""
    given = parser(__doc__ or "").parse_args()
    names = [job.name for job in prepare(SPEC, options()).jobs]
    with nothing_kept():
        together, asked, ran = audited(())
    alone = [audit_alone(name) for name in names]
    seconds = sum(part[0] for part in alone)
    requests = sum(part[2] for part in alone)
    rows = [
        ("one audit", f"{together:,.0f}", f"{ran:,} (of {asked:,} asked for)", "1.00"),
        (f"{len(names)} audits of one requirement each", f"{seconds:,.0f}", f"{requests:,}", f"{seconds / together:.2f}"),
    ]
    table(("removal suite", "processor seconds", "requests run", "ratio"), rows, model=about(given))


def options(only: tuple[str, ...] = ()) -> Options:
    """As on the command line."""
    return Options(limit=ROWS, only=only, overrides=(HALVES,))


def audit_alone(name: str) -> tuple[float, int, int]:
    """One requirement with an empty cache."""
    with nothing_kept():
        return audited((name,))


def audited(only: tuple[str, ...]) -> tuple[float, int, int]:
    """(processor seconds, requests asked for, requests run)."""
    with tempfile.TemporaryDirectory() as folder:
        began = time.process_time()
        outcome = run(prepare(SPEC, options(only)), progress=Silent(), run_dir=Path(folder) / "run")
        work = outcome.results.work
        return time.process_time() - began, work.requests_asked_for, work.requests_run


@contextmanager
def nothing_kept() -> Iterator[None]:
    """An empty cache but for the converted model."""
    before, models = os.environ.get("AUDITKIT_CACHE"), cache_folder() / "models"
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "models").symlink_to(models.resolve())
        os.environ["AUDITKIT_CACHE"] = folder
        try:
            yield
        finally:
            shutil.rmtree(Path(folder) / "attacked", ignore_errors=True)
            if before is None:
                os.environ.pop("AUDITKIT_CACHE")
            else:
                os.environ["AUDITKIT_CACHE"] = before


if __name__ == "__main__":
    main()
