"""Carry out a method that is a loss: rows, parent, training, result."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from auditkit.corpora.example import Corpus, Example
from auditkit.errors import DataError
from auditkit.models.loading import quiet
from auditkit.models.source import Source
from auditkit.unlearning._lora import lora_of
from auditkit.unlearning._note import appearing, state_folder, write_note, writing
from auditkit.unlearning._pupil import Pupil

if TYPE_CHECKING:
    from auditkit.unlearning._method import LossMethod, Order, Training
    from auditkit.unlearning._objective import Lessons
    from auditkit.unlearning._trainer import Run

EPOCH = "epoch"
"""Folder in the run's state that holds the model of the epoch that is being looked at."""


def unlearn(method: LossMethod[Any], order: Order, params: Training) -> Source:
    """The model of ``order.parent`` after unlearning: a checkpoint folder, or an adapter in ``order.out`` on the parent.

    Raises DataError for rows that the method cannot use, ModelError for weights that it cannot train, TrainingError where the
    training cannot go on.
    """
    parent, out = order.parent, order.out
    pupil = Pupil.load(parent, order.manner)
    lessons = _lessons(method, pupil, order.corpora, params)
    state = state_folder(out, order.made)
    run = _train(method, pupil, lessons, params, state=state, examine=_looker(pupil, parent, state, order.examine))
    as_adapter = params.save == "adapter"
    with appearing(out) as folder:
        if as_adapter:
            pupil.save_adapter(folder, base=parent.label)
        else:
            pupil.save(folder)
        write_note(folder, order.made, parent, run=asdict(run))
    return made_source(parent, out, as_adapter=as_adapter)


def made_source(parent: Source, out: Path, *, as_adapter: bool) -> Source:
    """Where the made model is loaded from."""
    return replace(parent, adapters=(*parent.adapters, out)) if as_adapter else Source.of_folder(out, label=parent.label)


def _lessons(method: LossMethod[Any], pupil: Pupil, corpora: Mapping[str, Corpus], params: Training) -> Lessons:
    from auditkit.unlearning._objective import Lessons

    forget = [corpora[name] for name in params.forget]
    by_answer = [pupil.rows([_answered(corpus, answer) for corpus in forget]) for answer in _other_answers(method, params)]
    return Lessons(
        pupil.rows(forget),
        retain=pupil.rows([corpora[name] for name in params.retained]),
        others=[list(rows) for rows in zip(*by_answer, strict=True)],
        pad=pupil.pad,
    )


def _other_answers(method: LossMethod[Any], params: Any) -> list[Callable[[Example], str]]:
    """What stands in the answer's place in ``Step.other``: one function for each answer that a row has."""
    if method.second == "refusal":
        return [lambda _, words=words: words for words in params.refusals]  # type: ignore[misc]
    return [lambda example: example.get("alternative")] if method.second == "alternative" else []


def _answered(corpus: Corpus, answer: Callable[[Example], str]) -> Corpus:
    """The corpus's questions with another answer. Raises DataError for rows without question or without that answer."""
    examples = [replace(row, fields={**row.fields, "answer": answer(row)}) for row in corpus.examples]
    lacking = [row.number for row in examples if not (row.question and row.answer) or row.get("continuation")]
    if lacking:
        raise DataError(f"every row of {corpus.source} must have a question and the other answer; got none in row {lacking[0]}")
    return replace(corpus, examples=tuple(examples))


def _train(
    method: LossMethod[Any],
    pupil: Pupil,
    lessons: Lessons,
    params: Training,
    *,
    state: Path,
    examine: Callable[[int], bool] | None,
) -> Run:
    from auditkit.unlearning._objective import make_objective, parent_of
    from auditkit.unlearning._passes import Passes
    from auditkit.unlearning._settings import Settings
    from auditkit.unlearning._trainer import train

    uses, lora = method.uses_parent(params), lora_of(params.lora)
    if uses == "sums":
        lessons.remember_parent(parent_of(pupil.model, asked=True, adapter=True), pupil.device, autocast=pupil.autocast)
    layers = pupil.model.config.get_text_config(decoder=True).num_hidden_layers
    copied = parent_of(pupil.model, asked=uses == "model" and lora is None, adapter=False)
    pupil.open(lora, seed=params.seed, trainable=lambda name: method.trainable(name, params, layers))
    parent = parent_of(pupil.model, asked=True, adapter=True) if uses == "model" and lora is not None else copied
    if params.gradient_checkpointing:
        with quiet():
            pupil.model.gradient_checkpointing_enable()
        pupil.model.enable_input_require_grads()
    objective = make_objective(
        pupil.model, parent, lambda step: method.loss(step, params), lessons, autocast=pupil.autocast, seed=params.seed
    )
    passes = Passes(
        [len(row.ids) for row in lessons.forget],
        size=-(-params.batch // params.accumulate),
        seed=params.seed,
        retain=len(lessons.retain),
        others=len(lessons.others[0]) if lessons.others else 0,
        pairing=getattr(params, "pairing", "random"),
    )
    settings = Settings(
        params.epochs,
        params.lr,
        params.seed,
        params.accumulate,
        params.schedule,
        params.warmup,
        params.weight_decay,
        params.clip,
        params.checkpoint_every,
    )
    return train(objective, passes, settings, state=state, device=pupil.device, examine=examine)


def _looker(
    pupil: Pupil, parent: Source, state: Path, examine: Callable[[Source], bool] | None
) -> Callable[[int], bool] | None:
    """``examine`` for the trainer: it gets the model of an epoch on disk."""
    if examine is None:
        return None

    def look(_epoch: int) -> bool:
        folder = state / EPOCH
        shutil.rmtree(folder, ignore_errors=True)
        try:
            with writing(folder.name):
                folder.mkdir()
                snapshot = pupil.snapshot(folder, parent)
            return examine(snapshot)
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    return look
