"""How long the command line takes to answer: a process of its own each time, best of the rounds."""

from __future__ import annotations

import resource
import subprocess
import sys
import time
from pathlib import Path

from _common import parser, table

SPEC = Path(__file__).parents[1] / "specs" / "demo.yaml"
LIMITS = {"--help": 0.3, "validate": 1.0}


def main() -> None:
    """Measure and print."""
    rounds = max(10, parser(__doc__ or "").parse_args().rounds)
    rows = []
    for name, arguments in (("--help", ["--help"]), ("validate", ["validate", str(SPEC)])):
        wall, processor = zip(*(once(arguments) for _ in range(rounds)), strict=True)
        rows.append((f"auditkit {name}", f"{min(wall):.2f}", f"{min(processor):.2f}", f"{LIMITS[name]:.1f}"))
    table(("command", "seconds", "processor seconds", "limit"), rows)


def once(arguments: list[str]) -> tuple[float, float]:
    """Wall and processor seconds of one call, which must succeed."""
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run([sys.executable, "-m", "auditkit", *arguments], check=True, capture_output=True)
    wall, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


if __name__ == "__main__":
    main()
