"""Run every benchmark, one after another, each in a process of its own; ``--write`` keeps the tables in RESULTS.md."""

from __future__ import annotations

import argparse
import datetime as dt
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
SCRIPTS = ("scoring", "generation", "likelihood_metrics", "memory", "unlearning", "attacks", "startup")


def main() -> None:
    """Print each script's words and table; other options are passed on (``--model tiny``)."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--write", action="store_true", help="write benchmarks/RESULTS.md")
    given, passed_on = options.parse_known_args()
    parts = [f"# Results\n\nMeasured on {dt.datetime.now(dt.UTC):%Y-%m-%d} by `make bench`.\n"]
    for name in SCRIPTS:
        parts.append(f"## {name.replace('_', ' ')}\n\n{purpose(HERE / f'{name}.py')}\n\n{output(name, passed_on)}")
        print(parts[-1], flush=True)
    if given.write:
        (HERE / "RESULTS.md").write_text("\n".join(parts), encoding="utf-8")


def purpose(script: Path) -> str:
    """The script's own first words."""
    return script.read_text(encoding="utf-8").split('"""')[1].strip()


def output(name: str, arguments: list[str]) -> str:
    """What the script prints; its errors go to the terminal."""
    command = [sys.executable, str(HERE / f"{name}.py"), *arguments]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


if __name__ == "__main__":
    main()
