"""Kill the process at any point and run the same command: finished batches are kept, and the records are the same bytes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from auditkit.measurement import store as store_module
from tests.measurement.killed_runs import run

ROOT = Path(__file__).parents[2]
KILLS = 24


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*.parquet")}


def test_a_run_killed_again_and_again_ends_like_an_uninterrupted_one(tmp_path: Path) -> None:
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    broken.mkdir()
    uninterrupted = run(whole)
    done = subprocess.run(
        [sys.executable, "-m", "tests.measurement.killed_runs", str(broken), str(KILLS), "7"],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    left = json.loads(done.stdout)
    assert len(left) == KILLS
    assert left == sorted(left)
    assert 0 < left[KILLS // 2] < len(files(whole))
    resumed = run(broken)
    # What the killed runs finished was not asked again: their files and the last run's are those of one run.
    assert resumed.cached > 0
    assert files(broken) == files(whole)
    assert resumed.export(key=None) == uninterrupted.export(key=None)
    assert resumed.tokens == uninterrupted.tokens


@pytest.mark.parametrize("moment", [0, 7, 30])
def test_a_crash_between_writing_and_renaming_loses_one_batch(
    tmp_path: Path, moment: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    writes = 0
    write = store_module.write_atomically

    def crashing(path: Path, content: str | bytes) -> None:
        nonlocal writes
        if writes == moment:
            (path.parent / f".{path.name}.part").write_bytes(
                bytes(content[:20], "utf-8") if isinstance(content, str) else content[:20]
            )
            raise KeyboardInterrupt
        writes += 1
        write(path, content)

    with monkeypatch.context() as patch:
        patch.setattr(store_module, "write_atomically", crashing)
        with pytest.raises(KeyboardInterrupt):
            run(tmp_path)
    assert len(files(tmp_path)) == moment
    resumed = run(tmp_path)
    assert resumed.cached < len(resumed.plan.work["candidate"].requests)
    assert not resumed.shelves["candidate"].warnings
