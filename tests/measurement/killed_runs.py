"""Run by ``test_kill_and_resume``: children that measure into one folder, each killed at a random moment.

A process of its own, so that children are forked from one that has no threads of torch. Prints the number of files that
each kill left behind.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from auditkit.measurement.plan import Budget, Plan, Subject
from auditkit.measurement.runner import Measurements, measure
from auditkit.measurement.store import Store, to_bytes, to_table
from auditkit.models.protocol import Record
from tests.measurement.fake_model import PRINT, FakeModel, some_requests

BATCH_SECONDS = 0.004


class Slow(FakeModel):
    def answer(self, requests: Sequence[Any]) -> list[Record]:
        time.sleep(BATCH_SECONDS)
        return super().answer(requests)


def run(folder: Path) -> Measurements:
    subject = Subject(PRINT, "float32", "cpu")
    plan = Plan.build({"candidate": subject}, {"candidate": [("row", some_requests(100))]})
    return measure(plan, lambda _: Slow(), Store(folder), budget=Budget(12, 4 * 12))


def files(folder: Path) -> int:
    return len(list(folder.rglob("*.parquet")))


def killed(folder: Path, rng: random.Random) -> int:
    """Start a run and kill it: at once, or a random moment after its next batch is recorded. Returns the files there are."""
    before, at_once = files(folder), rng.random() < 0.2
    child = os.fork()
    if child == 0:
        run(folder)
        os._exit(0)
    while not at_once and files(folder) == before:
        time.sleep(0.001)
    time.sleep(rng.uniform(0, 0.04))
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return files(folder)


def main(folder: Path, kills: int, seed: int) -> None:
    # Loads pyarrow and all that it brings once, not in every child.
    one = some_requests(1)[:1]
    to_bytes(to_table(["x"], FakeModel().answer(one), [1]))
    rng = random.Random(seed)
    print(json.dumps([killed(folder, rng) for _ in range(kills)]))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
