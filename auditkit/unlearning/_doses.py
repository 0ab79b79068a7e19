"""Teach a model in doses: one training that leaves the model of several steps behind, with its loss on rows kept apart.

::

    OUT/step-10/…      what the training changed up to step 10: a LoRA adapter, or all weights
    OUT/doses.json     steps, the loss of each on the validation rows, what the run was
"""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from auditkit.files import write_atomically
from auditkit.models.loading import quiet
from auditkit.unlearning._lora import lora_of, save_adapter
from auditkit.unlearning._note import appearing, state_folder, writing
from auditkit.unlearning._pupil import Pupil

if TYPE_CHECKING:
    from auditkit.corpora.example import Corpus
    from auditkit.models.loading import Loaded
    from auditkit.spec.model import Lora
    from auditkit.unlearning._objective import Lessons

DOSES = "doses.json"
WEIGHTS = "weights.safetensors"
_VALIDATION_ROWS = 16
"""Rows of one pass when the loss on the validation rows is taken."""


@dataclass(frozen=True)
class Course:
    """A training in doses."""

    steps: tuple[int, ...]
    """Optimiser steps after which the model is kept; the last one ends the training."""
    lr: float
    """Of AdamW, constant: a step's model does not depend on how many steps follow."""
    batch: int
    lora: Lora | bool
    seed: int


def teach_in_doses(
    pupil: Pupil, train: Corpus, validation: Corpus, course: Course, *, out: Path, made: Mapping[str, Any], base: str
) -> Path:
    """Train ``pupil`` on ``train`` and write the model of every dose; returns ``out``, which appears whole or not at all.

    ``made`` identifies the training: a run that was killed goes on where the folder's state is of the same. Raises DataError
    for rows that cannot be trained on, TrainingError where the training cannot go on.
    """
    from auditkit.unlearning._objective import Lessons, make_objective, parent_of
    from auditkit.unlearning._passes import Passes
    from auditkit.unlearning._settings import Settings
    from auditkit.unlearning._teach import answer_loss
    from auditkit.unlearning._trainer import train as trained

    rows, kept = pupil.rows([train]), Lessons(pupil.rows([validation]), pad=pupil.pad)
    pupil.open(lora_of(course.lora), seed=course.seed)
    parent = parent_of(pupil.model, asked=False, adapter=False)
    lessons = Lessons(rows, pad=pupil.pad)
    objective = make_objective(pupil.model, parent, answer_loss, lessons, autocast=pupil.autocast, seed=course.seed)
    passes = Passes([len(row.ids) for row in rows], size=course.batch, seed=course.seed)
    last = max(course.steps)
    settings = Settings(last / len(passes), course.lr, course.seed, save_every=max(1, min(last, len(passes))))
    state = state_folder(out, made)

    def look(step: int) -> None:
        if step in course.steps:
            _keep(pupil, state / f"step-{step}", validation_loss(pupil, kept), base)

    run = trained(objective, passes, settings, state=state, device=pupil.device, look=look)
    with appearing(out) as folder:
        losses = {}
        for step in course.steps:
            losses[str(step)] = json.loads((state / f"step-{step}" / "loss.json").read_text())
            shutil.copytree(state / f"step-{step}", folder / f"step-{step}")
        note = {**made, "validation_loss": losses, "run": asdict(run)}
        write_atomically(folder / DOSES, json.dumps(note, indent=2, sort_keys=True) + "\n")
    return out


def _keep(pupil: Pupil, folder: Path, loss: float, base: str) -> None:
    """The model as it is now; a folder left by a killed run is replaced."""
    with writing(folder.name):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        if pupil.lora is not None:
            save_adapter(pupil.model, pupil.lora, folder, dtype="float32", base=base)
        else:
            from safetensors.torch import save_file

            weights = {name: weight.detach().cpu().contiguous() for name, weight in pupil.model.named_parameters()}
            save_file(weights, folder / WEIGHTS)
        write_atomically(folder / "loss.json", json.dumps(loss if math.isfinite(loss) else None))


def validation_loss(pupil: Pupil, lessons: Lessons) -> float:
    """Mean negative log-likelihood of the labelled tokens of all rows, in nats; the model is left in training mode."""
    import torch

    from auditkit.unlearning._objective import batch_of
    from auditkit.unlearning._passes import Draw
    from auditkit.unlearning._step import Network

    training = pupil.model.training
    pupil.model.eval()
    network, found = Network(pupil.model, nullcontext), []
    with torch.no_grad():
        for start in range(0, len(lessons), _VALIDATION_ROWS):
            draws = [Draw(index) for index in range(start, min(start + _VALIDATION_ROWS, len(lessons)))]
            found.append(network.tokens(batch_of(lessons.collate(draws)["forget"], pupil.device)).logprob.double().cpu())
    pupil.model.train(training)
    return -float(torch.cat(found).mean())


def with_dose(loaded: Loaded, folder: Path, *, label: str) -> Loaded:
    """A loaded model with what the training changed up to a step. Raises ModelError where it does not fit."""
    if (folder / WEIGHTS).is_file():
        import torch
        from safetensors.torch import load_file

        saved = load_file(folder / WEIGHTS)
        with torch.no_grad():
            for name, weight in loaded.model.named_parameters():
                weight.copy_(saved[name])
        return loaded
    from auditkit.models._adapter import merge_adapter

    with quiet():
        return replace(loaded, model=merge_adapter(loaded.model, folder, label=label, may_be_idle=True))


def doses(folder: Path) -> dict[str, Any] | None:
    """The note of a finished training; None where there is none."""
    path = folder / DOSES
    if not path.is_file():
        return None
    note: dict[str, Any] = json.loads(path.read_text())
    return note
