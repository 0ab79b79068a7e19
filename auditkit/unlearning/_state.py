"""What a run keeps on disk while it goes on, so that one that was killed can be taken up again.

::

    STATE/checkpoint-N/    after step N: trainable.safetensors, optimizer.pt, scheduler.pt, rng_state.pth, trainer_state.json
                           history.json, written last: a state without it is not one
"""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path

from auditkit.errors import TrainingError
from auditkit.files import write_atomically

HISTORY = "history.json"
WEIGHTS = "trainable.safetensors"


@dataclass
class History:
    """What a state must remember that the Trainer does not."""

    losses: list[float] = field(default_factory=list)
    tokens: int = 0
    seconds: float = 0.0
    stopped: int | None = None


class Clock:
    """Wall time of a run's pieces, looks from outside left out."""

    def __init__(self, history: History) -> None:
        self._history = history
        self._before = history.seconds
        self._started = time.monotonic()

    @contextmanager
    def stopped(self) -> Iterator[None]:
        """What is done inside is not part of the run."""
        began = time.monotonic()
        try:
            yield
        finally:
            self._started += time.monotonic() - began

    def stop(self) -> None:
        """Bring the history up to now."""
        self._history.seconds = self._before + time.monotonic() - self._started


def last_state(folder: Path) -> Path | None:
    """The newest whole state; those that were being written when a run was killed do not count."""
    whole = [path.parent for path in folder.glob(f"checkpoint-*/{HISTORY}")]
    return max(whole, key=lambda path: int(path.name.rpartition("-")[2]), default=None)


def history_of(state: Path | None) -> History:
    return History() if state is None else History(**json.loads((state / HISTORY).read_text()))


def finish_state(folder: Path, history: History) -> None:
    """Declare a state whole, and remove the older ones."""
    write_atomically(folder / HISTORY, json.dumps(asdict(history)) + "\n")
    for other in folder.parent.glob("checkpoint-*"):
        if other != folder:
            shutil.rmtree(other)


@contextmanager
def saving(folder: Path) -> Iterator[None]:
    """A disk that is full takes the unfinished state with it, not the one before. Raises TrainingError."""
    from safetensors import SafetensorError

    try:
        yield
    except (OSError, RuntimeError, SafetensorError) as error:  # torch reports a full disk as RuntimeError
        shutil.rmtree(folder, ignore_errors=True)
        before = last_state(folder.parent)
        kept = f"; the state of step {before.name.rpartition('-')[2]} is kept" if before else ""
        number = folder.name.rpartition("-")[2]
        why = getattr(error, "strerror", None) or str(error).strip().split("\n")[0][:200]
        raise TrainingError(f"the training's state of step {number} must be saved; got: {why}{kept}; run again") from error
