"""Nothing is lost: a run killed at any moment goes on, and ends with the very bytes of one that was not killed."""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time

import world as builder


def command(spec, run, cache):
    environment = {**os.environ, "AUDITKIT_CACHE": str(cache), "OMP_NUM_THREADS": "1"}
    arguments = [sys.executable, "-m", "auditkit", "verify", str(spec), "--run-dir", str(run), "--quiet", "--exit-zero"]
    # Whoever runs the tests in the background has made them deaf to interrupts, which a child inherits.
    hears = {"preexec_fn": lambda: signal.signal(signal.SIGINT, signal.SIG_DFL)}
    return subprocess.Popen(arguments, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **hears)


def without_run(folder):
    results = json.loads((folder / "results.json").read_text())
    del results["run"]
    return results


def test_a_run_killed_again_and_again_ends_with_the_same_results(world, tmp_path):
    place = builder.copy(world, tmp_path / "place")
    spec = builder.spec(place)
    whole = command(spec, tmp_path / "whole", tmp_path / "cache")
    began = time.monotonic()
    assert whole.wait(300) == 0
    length = time.monotonic() - began
    shutil.rmtree(tmp_path / "cache" / "measurements")
    moments = random.Random(0)
    for _ in range(4):
        killed = command(spec, tmp_path / "killed", tmp_path / "cache")
        time.sleep(moments.uniform(0.5, 1.0) * length)
        killed.send_signal(signal.SIGKILL)
        killed.wait()
        assert not (tmp_path / "killed").exists() or (tmp_path / "killed" / "MANIFEST.sha256").exists()
    last = command(spec, tmp_path / "killed", tmp_path / "cache")
    assert last.wait(300) == 0
    assert without_run(tmp_path / "killed") == without_run(tmp_path / "whole")


def test_an_interrupt_exits_130_and_says_how_to_go_on(world, tmp_path):
    place = builder.copy(world, tmp_path / "place")
    process = command(builder.spec(place), tmp_path / "run", tmp_path / "cache")
    recorded = tmp_path / "cache" / "measurements"
    deadline = time.monotonic() + 120
    while not recorded.exists() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.005)  # in the middle of the work, however fast the machine is
    process.send_signal(signal.SIGINT)
    assert process.wait(60) == 130
    assert not (tmp_path / "run").exists()
