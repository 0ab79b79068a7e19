"""What every benchmark shares: the machine, the model, the texts, the clock and the table.

Times are processor time of this process, all threads together: on a shared host the wall clock tells about the neighbours.
What is compared is measured in turns in one process, and the best of the rounds counts on both sides.
"""

from __future__ import annotations

import argparse
import os
import platform
import random
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from auditkit.errors import ModelError
from auditkit.measurement.plan import Plan, Subject
from auditkit.measurement.runner import Measurements, measure
from auditkit.measurement.store import Store
from auditkit.models.protocol import Request
from auditkit.models.source import Source
from auditkit.models.text import TextModel

BUILTIN = "smollm2-135m-instruct"
_TEXT = (
    "the river house of small people knows about green light and every morning walks into town where nobody asks "
    "for names while old letters travel slowly between two harbours that once were one"
)


def parser(description: str) -> argparse.ArgumentParser:
    """Options that all benchmarks take."""
    options = argparse.ArgumentParser(description=description)
    options.add_argument("--model", choices=("builtin", "tiny"), default="builtin")
    options.add_argument("--dtype", default="float32")
    options.add_argument("--device", default="cpu")
    options.add_argument("--rounds", type=int, default=3)
    return options


def source_of(model: str) -> Source:
    """The embedded pretrained model, or a random tiny one where it is not installed."""
    if model == "builtin":
        from auditkit.models.builtin import builtin_folder

        try:
            return Source.of_folder(builtin_folder(BUILTIN), label=BUILTIN)
        except ModelError as error:
            print(f"{error}; the tiny model takes its place\n")
    from auditkit.zoo.tiny import build_tiny

    folder = Path(tempfile.mkdtemp(prefix="auditkit-benchmark-")) / "tiny"
    return Source.of_folder(build_tiny(folder, texts=documents(50, shortest=20, longest=140), steps=0))


def documents(count: int, *, shortest: int, longest: int, seed: int = 0) -> list[str]:
    """Texts of random common words, ``shortest`` to ``longest`` words each."""
    rng = random.Random(seed)
    words = _TEXT.split()
    return [" ".join(rng.choice(words) for _ in range(rng.randint(shortest, longest))) for _ in range(count)]


def run(model: TextModel, requests: Sequence[Request], folder: Path) -> Measurements:
    """Everything a real run does after loading: merge, batch, ask, record on disk."""
    subject = Subject(model.fingerprint, model.dtype, model.device)
    plan = Plan.build({"candidate": subject}, {"candidate": [("benchmark", requests)]})
    return measure(plan, lambda _: _KeepsOpen(model), Store(folder))


class _KeepsOpen:
    """A model that the runner may not close: the next round uses it again."""

    def __init__(self, model: TextModel) -> None:
        self._model = model

    def __getattr__(self, name: str) -> object:
        return getattr(self._model, name)

    def close(self) -> None:
        """Nothing."""


def fresh_folder() -> Path:
    """An empty folder: nothing is recorded yet."""
    return Path(tempfile.mkdtemp(prefix="auditkit-benchmark-"))


def seconds(work: Callable[[], object]) -> float:
    """Processor time of one call; on an accelerator, wall time until it is idle."""
    import torch

    clock = time.perf_counter if torch.cuda.is_available() else time.process_time
    began = clock()
    work()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return clock() - began


def best(rounds: int, works: Iterable[tuple[str, Callable[[], object]]]) -> dict[str, float]:
    """Best time of each work over so many rounds, taken in turns."""
    named = list(works)
    found = dict.fromkeys((name for name, _ in named), float("inf"))
    for _ in range(rounds):
        for name, work in named:
            found[name] = min(found[name], seconds(work))
    return found


def about(options: argparse.Namespace) -> str:
    """The model that is measured."""
    name = "SmolLM2-135M-Instruct" if options.model == "builtin" else "a random tiny Llama"
    return f"{name}, {options.dtype}, on {options.device}. "


def table(head: Sequence[str], rows: Iterable[Sequence[object]], *, model: str = "") -> None:
    """Print a Markdown table, and of which model and machine it is."""
    print(f"| {' | '.join(head)} |\n|{'---|' * len(head)}")
    for row in rows:
        print(f"| {' | '.join(str(cell) for cell in row)} |")
    print(f"\n{model}{machine()}\n")


def machine() -> str:
    """One line about where this ran."""
    import torch
    import transformers

    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    name = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.processor())
    if torch.cuda.is_available():
        name = f"{torch.cuda.get_device_name()}, {name}"
    return (
        f"{name}, {os.cpu_count()} cores, {torch.get_num_threads()} threads of torch; Python {platform.python_version()}, "
        f"torch {torch.__version__}, transformers {transformers.__version__}"
    )
