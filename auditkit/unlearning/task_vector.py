"""Task arithmetic: learn the forget data harder, and walk the other way."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from pydantic import Field

from auditkit.models.source import Source
from auditkit.unlearning._method import Method, Order
from auditkit.unlearning._note import appearing, read_note, write_note
from auditkit.unlearning._reinforce import Reinforced

if TYPE_CHECKING:
    from collections.abc import Mapping


class TaskVectorParams(Reinforced):
    """How far to walk."""

    alpha: float = Field(
        5.0, ge=0, le=1e6, description="Length of the step. MUSE searches 1 to 512; its training script writes 5."
    )


class TaskVector(Method[TaskVectorParams]):
    """θ_u = θ - α (θ_reinforced - θ), θ_reinforced the parent fine-tuned further on the forget data.

    Ilharco et al. 2023 (arXiv 2212.04089); in MUSE (arXiv 2407.06460) α is the smallest that meets the stop rule.
    """

    name = "task_vector"
    title = "Task vector"
    summary = "Subtracts from the weights what further training on the forget data adds to them."
    source = "Ilharco et al. 2023, arXiv 2212.04089; MUSE, arXiv 2407.06460; code muse_bench baselines/task_vector.py."
    limits = "A model that knows the data by heart moves little when reinforced: in MUSE hardly anything was forgotten."
    intent = "removal"
    level = "parameters"
    params = TaskVectorParams

    def corpora(self, params: TaskVectorParams) -> list[str]:
        """What is forgotten."""
        return params.forget

    def make(self, order: Order, params: TaskVectorParams) -> Source:
        """Weights in the precision that the models are written in; the sum is taken in float32."""
        from auditkit.unlearning._pupil import Pupil

        reinforced = order.taught(params.lesson())
        away = dict(Pupil.load(reinforced, order.manner).model.named_parameters())
        pupil = Pupil.load(order.parent, order.manner)
        walk_away(dict(pupil.model.named_parameters()), away, alpha=params.alpha)
        with appearing(order.out) as folder:
            pupil.save(folder)
            write_note(folder, order.made, order.parent, run=run_of(reinforced))
        return Source.of_folder(order.out)


def walk_away(weights: Mapping[str, Any], reinforced: Mapping[str, Any], *, alpha: float) -> None:
    """θ ← θ - α (θ_reinforced - θ), in place; both hold the same names and shapes. α = 0 changes no bit."""
    import torch

    if alpha == 0:
        return
    with torch.no_grad():
        for name, weight in weights.items():
            weight.sub_(alpha * (reinforced[name] - weight))


def run_of(source: Source) -> dict[str, Any]:
    """What the reinforcement cost: the cost of the method, whose arithmetic takes seconds."""
    run: dict[str, Any] = json.loads(json.dumps((read_note(source) or {}).get("run") or {}))
    return run


METHOD = TaskVector()
