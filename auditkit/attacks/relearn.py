"""Relearning: train the model a little, and see what comes back that it was not taught."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from auditkit.attacks._attack import ModelAttack, Scene, Setting, Step, Target
from auditkit.attacks._lesson import RelearnParams, lesson_of, parts, problems_of
from auditkit.attacks._memory import identity
from auditkit.files import alone, cache_folder, digest
from auditkit.unlearning import Course, Pupil, doses, teach_in_doses, with_dose

if TYPE_CHECKING:
    from auditkit.corpora.example import Corpus
    from auditkit.models.loading import Loaded

VERSION = 1
"""Grows whenever the same parameters would train another model."""


class Relearn(ModelAttack[RelearnParams]):
    """Retraining on T (Deeb & Roger, arXiv 2410.08827): train on some subjects, measure others.

    What comes back of V cannot have been learned from T, so it was still there. Learning rate and number of steps are those
    with the smallest loss on a part of T that is kept apart, chosen for every model alike: an attacker's best guess, and no
    maximum over what is measured. Rows of T in which an answer of V stands are left out.
    """

    name = "relearn"
    title = "Relearning"
    summary = "Trains the model on a part of what it had to forget, or on other text, and measures what it was not taught."
    attacker = (
        "The weights, a few examples of the kind that was to be forgotten (or any text at all), and a rented computer for "
        "minutes to hours. Whoever fine-tunes a published model for their own purpose may do it without meaning to."
    )
    source = "Deeb & Roger 2024, arXiv 2410.08827; Hu et al. 2024, arXiv 2406.13356; Lucki et al. 2024, arXiv 2409.18025."
    limits = (
        "Only these data, learning rates and steps were tried; a longer or cleverer training may bring back more. Facts that "
        "were taught by a short fine-tuning come back less easily than what was learned in pretraining."
    )
    family = "relearning"
    params = RelearnParams
    axis = "training steps"
    start = 0.0
    chooses = True

    def measured(self, params: RelearnParams, corpus: Corpus, seed: int) -> Corpus:
        """V: the subjects or rows that are not trained on."""
        return parts(params, corpus, seed)[1]

    def settings(self, params: RelearnParams) -> Sequence[Setting]:
        """Every number of steps, with every seed."""
        return [
            Setting(label_of(steps), {"steps": steps, "seed": seed}, repeat=seed, x=float(steps))
            for steps in sorted(params.steps)
            for seed in range(params.seeds)
        ]

    def budget(self, params: RelearnParams) -> str:
        """``on a part of the subjects: up to 200 steps of 4 rows at 3 learning rates, 3 seeds, all weights``."""
        how = "an adapter" if params.lora else "all weights"
        rates = "1 learning rate" if len(params.lr) == 1 else f"{len(params.lr)} learning rates"
        seeds = "1 seed" if params.seeds == 1 else f"{params.seeds} seeds"
        what = (
            params.corpus
            or {"subject": "a part of the subjects", "row": "a part of the rows", "none": "all rows"}[params.split]
        )
        return f"on {what}: up to {max(params.steps)} steps of {params.batch} rows at {rates}, {seeds}, {how}"

    def training_steps(self, params: RelearnParams) -> int:
        """Of every learning rate and seed."""
        return max(params.steps) * len(params.lr) * params.seeds

    def problems(self, params: RelearnParams, scene: Scene) -> Iterable[str]:
        """Too few subjects for the parts, no corpus, nothing left to train on."""
        return problems_of(params, scene)

    def chosen(self, target: Target, params: RelearnParams, scene: Scene) -> str:
        """The number of steps with the smallest validation loss at the best learning rate."""
        return label_of(self._choice(target, params, scene)[1])

    def account(self, target: Target, params: RelearnParams, scene: Scene) -> Mapping[str, Any]:
        """What was chosen, the validation losses behind it, and what the trainings cost."""
        lr, steps = self._choice(target, params, scene)
        notes = [note for rate in params.lr for note in self._notes(target, params, scene, rate)]
        lesson = lesson_of(params, scene)
        return {
            "lr": lr,
            "steps": steps,
            "validation_loss": {f"{rate:g}": self._losses(target, params, scene, rate) for rate in params.lr},
            "rows_trained": len(lesson.train.examples),
            "rows_validation": len(lesson.validation.examples),
            "seconds": round(sum(note["run"]["seconds"] for note in notes), 1),
            "peak_memory_bytes": max((note["run"].get("peak_memory_bytes") or 0 for note in notes), default=0),
        }

    def apply(self, target: Target, setting: Setting, params: RelearnParams, scene: Scene) -> Target:
        """The trainings happen when the model is loaded, or are found."""

        def relearned(loaded: Loaded) -> Loaded:
            lr, _ = self._choice(target, params, scene)
            folder = self._trained(target, params, scene, lr, setting.values["seed"])
            return with_dose(loaded, folder / f"step-{setting.values['steps']}", label=target.source.label)

        recipe = [_recipe(target, params, scene), params.lr, params.steps, params.seeds, dict(setting.values)]
        return target.then(Step(digest(recipe), relearned))

    def _choice(self, target: Target, params: RelearnParams, scene: Scene) -> tuple[float, int]:
        """(learning rate, steps). Of equal losses the smaller rate and fewer steps; a loss that is no number never wins."""
        losses = {
            (lr, steps): loss
            for lr in sorted(params.lr)
            for steps, loss in self._losses(target, params, scene, lr).items()
            if loss is not None
        }
        if params.split == "none" and not params.elsewhere(scene.corpus):
            # Whoever is taught the answers ends up knowing them: only how soon says something.
            first = min(params.steps)
            losses = {key: loss for key, loss in losses.items() if key[1] == first}
        if not losses:
            return min(params.lr), min(params.steps)
        return min(losses, key=lambda key: (losses[key], key))

    def _losses(self, target: Target, params: RelearnParams, scene: Scene, lr: float) -> dict[int, float | None]:
        """Mean over the seeds of the validation loss by steps; None where one of them is not a number."""
        found = [note["validation_loss"] for note in self._notes(target, params, scene, lr)]
        by_steps = {steps: [losses[str(steps)] for losses in found] for steps in sorted(params.steps)}
        return {steps: None if None in losses else sum(losses) / len(losses) for steps, losses in by_steps.items()}

    def _notes(self, target: Target, params: RelearnParams, scene: Scene, lr: float) -> list[dict[str, Any]]:
        folders = [self._trained(target, params, scene, lr, seed) for seed in range(params.seeds)]
        return [note for folder in folders if (note := doses(folder)) is not None]

    def _trained(self, target: Target, params: RelearnParams, scene: Scene, lr: float, seed: int) -> Path:
        """The folder of one training, made once."""
        made = {"recipe": _recipe(target, params, scene), "steps": sorted(params.steps), "lr": lr, "seed": seed}
        out = cache_folder() / "attacked" / digest(made)
        if doses(out) is None:
            with alone(out):
                if doses(out) is None:
                    scene.note(f"{target.name}: relearning at {lr:g}, seed {seed}")
                    lesson = lesson_of(params, scene)
                    course = Course(tuple(sorted(params.steps)), lr, params.batch, params.lora, scene.seed + seed)
                    pupil = Pupil.of(target.load(dtype="float32"), target.manner, label=target.source.label)
                    teach_in_doses(pupil, lesson.train, lesson.validation, course, out=out, made=made, base=target.source.label)
        return out


def label_of(steps: int) -> str:
    """``50 steps``."""
    return f"{steps} step{'' if steps == 1 else 's'}"


def _recipe(target: Target, params: RelearnParams, scene: Scene) -> str:
    """Digest of everything that a training depends on besides its learning rate, steps and seed."""
    lesson, manner = lesson_of(params, scene), target.manner
    return digest(
        [
            VERSION,
            identity(target),
            [lesson.train.digest, lesson.validation.digest],
            [params.batch, params.model_dump(mode="json")["lora"], scene.seed],
            [manner.chat, manner.system],
        ]
    )


ATTACK = Relearn()
