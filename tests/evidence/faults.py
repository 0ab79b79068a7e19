"""What the fault injection starts from: audits that are right without a fault, and models made from those of the small world.

``leaky`` is the original with one norm a little larger: other weights, the same knowledge.
"""

from __future__ import annotations

import itertools
import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import world as builder

from auditkit.errors import AuditkitError
from auditkit.evidence.audit import run
from auditkit.evidence.bundle import Outcome
from auditkit.evidence.prepare import Options, prepare
from auditkit.measurement.progress import Silent

ANSWERS, PROBABILITY, MEMBERSHIP = builder.REQUIRE
KEPT = {"check": "utility", "name": "kept", "corpus": "retain", "at_least": "0.5 * original", "with": builder.QUICK}
FLUENT = {"check": "fluency", "name": "fluent", "corpus": "retain", "at_least": 0.5, "with": builder.QUICK}
SAMPLED = {**ANSWERS, "name": "sampled", "under": {"sample": {"n": 4}}}
WHOLE = [ANSWERS, PROBABILITY, MEMBERSHIP, KEPT, FLUENT]
Tensors = dict[str, Any]
_NUMBERS = itertools.count()


class Told(Silent):
    """Remembers what it is told."""

    def __init__(self) -> None:
        self.notes: list[str] = []

    def note(self, text: str) -> None:
        self.notes.append(text)


def prepared(world: Path, folder: Path) -> Path:
    """A private copy of the world, with ``leaky``."""
    place = builder.copy(world, folder)
    weights(place, "leaky", lambda tensors: scaled(tensors, "model.norm.weight", 1.0001))
    return place


def scaled(tensors: Tensors, name: str, by: float) -> Tensors:
    """The weights with one tensor multiplied."""
    return {**tensors, name: tensors[name] * by}


def weights(place: Path, name: str, change: Callable[[Tensors], Tensors], *, base: str = "original", **metadata: str) -> Path:
    """A model with changed weights, beside the others."""
    from safetensors.torch import load_file, save_file

    folder = place / name
    shutil.copytree(place / base, folder)
    save_file(change(load_file(folder / "model.safetensors")), folder / "model.safetensors", {"format": "pt", **metadata})
    return folder


def checkpoints(**folders: str) -> dict[str, dict[str, str]]:
    """``models:`` of a spec: candidate, original and reference as they should be, but for what is named; '' leaves one out."""
    named = {"candidate": "clean", "original": "original", "reference": "reference"} | folders
    return {name: {"checkpoint": f"./{folder}"} for name, folder in named.items() if folder}


def audit(place: Path, *require: Mapping[str, Any], progress: Silent | None = None, **changes: Any) -> Outcome:
    """The whole way: spec, models, results. ``candidate`` names another one."""
    path = builder.spec(place, require=list(require or WHOLE), **changes)
    return run(prepare(path, Options()), progress=progress or Silent(), run_dir=place / f"run-{next(_NUMBERS)}")


def word(place: Path, *require: Mapping[str, Any], **changes: Any) -> str:
    """The verdict, or ``error`` and the exit code."""
    try:
        return audit(place, *require, **changes).results.verdict
    except AuditkitError as error:
        return f"error {int(error.exit_code)}"


def results(outcome: Outcome) -> dict[str, str]:
    """Result by requirement."""
    return {requirement.name: requirement.result for requirement in outcome.results.requirements}


def reason(outcome: Outcome, name: str) -> str:
    """Why a requirement came to its result."""
    return next(requirement.reason for requirement in outcome.results.requirements if requirement.name == name)


def rows(place: Path, name: str) -> list[dict[str, Any]]:
    """Of a corpus file."""
    return [json.loads(line) for line in (place / f"{name}.jsonl").read_text().splitlines()]


def corpora(**files: str) -> dict[str, dict[str, str]]:
    """``corpora:`` of a spec: the world's, but for the files that are named."""
    usual = {"forget": "forget", "retain": "retain", "forget_texts": "forget_texts", "holdout": "holdout_texts"}
    return {name: {"file": f"{file}.jsonl"} for name, file in (usual | files).items()}
