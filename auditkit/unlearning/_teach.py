"""Teach a model named corpora: whole weights, or a low-rank adapter that is merged or kept apart."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from auditkit.models.source import Source
from auditkit.unlearning._lora import lora_of, put_adapter
from auditkit.unlearning._note import appearing, recipe, state_folder, write_note
from auditkit.unlearning._pupil import Manner, Pupil

if TYPE_CHECKING:
    from auditkit.corpora.example import Corpus
    from auditkit.spec.model import Finetune
    from auditkit.unlearning._trainer import Run

WARM_UP = 0.05
"""Share of the steps in which the learning rate rises."""


def teach(
    source: Source,
    corpora: Sequence[Corpus],
    params: Finetune,
    *,
    out: Path,
    manner: Manner | None = None,
    method: str = "finetune",
) -> Path:
    """Teach the model of ``source`` and write a whole checkpoint (a LoRA adapter is merged) with its note; returns ``out``.

    ``out`` appears complete or not at all; one that is there already is replaced. A run that was killed goes on from its last
    saved state. Raises ModelError for a checkpoint that cannot be trained, DataError for rows that cannot be trained on and
    TrainingError where the training cannot go on.
    """
    manner = manner or Manner()
    made = taught_recipe(source, corpora, params, manner, method=method)
    pupil = Pupil.load(source, manner)
    rows = pupil.rows(corpora)
    pupil.open(lora_of(params.lora), seed=params.seed)
    run = _train(pupil, rows, params, state=state_folder(out, made))
    with appearing(out) as folder:
        pupil.save(folder)
        write_note(folder, made, source, run=asdict(run))
    return out


def teach_adapter(
    base: Source,
    corpora: Sequence[Corpus],
    params: Finetune,
    *,
    out: Path,
    start: Path | None = None,
    manner: Manner | None = None,
) -> Run:
    """Teach a LoRA adapter on ``base`` and write it alone: ``adapter_config.json`` and ``adapter_model.safetensors``.

    ``start`` is an adapter of the same base and shape that the training goes on from; None begins with a fresh one.
    """
    manner = manner or Manner()
    made = taught_recipe(base, corpora, params, manner)
    pupil = Pupil.load(base, manner)
    rows = pupil.rows(corpora)
    pupil.open(lora_of(params.lora or True), seed=params.seed)
    if start is not None:
        put_adapter(pupil.model, start)
    run = _train(pupil, rows, params, state=state_folder(out, {**made, "start": None if start is None else str(start)}))
    with appearing(out) as folder:
        pupil.save_adapter(folder, base=base.label)
    return run


def taught_recipe(
    source: Source, corpora: Sequence[Corpus], params: Finetune, manner: Manner, *, method: str = "finetune"
) -> dict[str, Any]:
    """Everything that the taught model's weights depend on."""
    return recipe(method, source, corpora, params.model_dump(mode="json"), manner)


def _train(pupil: Pupil, rows: Sequence[Any], params: Finetune, *, state: Path) -> Run:
    from auditkit.unlearning._objective import Lessons, make_objective, parent_of
    from auditkit.unlearning._passes import Passes
    from auditkit.unlearning._settings import Settings
    from auditkit.unlearning._trainer import train

    parent = parent_of(pupil.model, asked=False, adapter=False)
    lessons = Lessons(rows, pad=pupil.pad)
    objective = make_objective(pupil.model, parent, answer_loss, lessons, autocast=pupil.autocast, seed=params.seed)
    passes = Passes([len(row.ids) for row in rows], size=params.batch, seed=params.seed)
    settings = Settings(params.epochs, params.lr, params.seed, schedule="linear", warmup=WARM_UP)
    return train(objective, passes, settings, state=state, device=pupil.device)


def answer_loss(step: Any) -> Any:
    """Mean cross-entropy over the labelled tokens."""
    return step.model.tokens(step.forget).nll()
