"""What a spec asks of its models and their files rule out: told before anything runs, with the line."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from auditkit.attacks import ModelAttack
from auditkit.evidence.variants import asks_the_same, prompt_attacks
from auditkit.models._inspect import read_json

if TYPE_CHECKING:
    from auditkit.errors import Problem
    from auditkit.evidence.prepare import Job
    from auditkit.models.source import Source
    from auditkit.spec._document import FieldPath
    from auditkit.spec.load import Loaded

_DEPTH = ("num_hidden_layers", "n_layer", "num_layers")


def unfit(loaded: Loaded, jobs: Iterable[Job], sources: Mapping[str, Source]) -> list[Problem]:
    """Layers that a model does not have, attacks that a checkpoint does not allow."""
    selected = [job for job in jobs if job.selected]
    return [*_layers(loaded, selected, sources), *_refused(loaded, selected, sources)]


def idle_wordings(loaded: Loaded, job: Job) -> Iterator[Problem]:
    """A prompt attack that would leave every question of the check as it is: a pass under it would show nothing."""
    if asks_the_same(job):
        names = " and ".join(attack.name for attack, _ in prompt_attacks(job))
        hint = "use a check that lets the model answer, such as knowledge_memorization"
        yield loaded.problem((*job.path, "under"), f"{names} changes nothing that {job.check.name} asks", hint)


def _refused(loaded: Loaded, jobs: Iterable[Job], sources: Mapping[str, Source]) -> Iterator[Problem]:
    for job in jobs:
        for one in job.attacks:
            attack = one.attack
            there = [source for source in sources.values() if source.kind in ("folder", "gguf")]
            reasons = [attack.unfit(source) for source in there] if isinstance(attack, ModelAttack) else []
            for reason in dict.fromkeys(filter(None, reasons)):
                yield loaded.problem((*job.path, "under"), f"{attack.name}: {reason}")


def _layers(loaded: Loaded, jobs: Iterable[Job], sources: Mapping[str, Source]) -> Iterator[Problem]:
    """One for each place that names a layer which one of the models does not have; models that are not on disk are not looked
    at. A check counts the embeddings as layer 0, an attack counts blocks from 0."""
    depths = {name: depth for name, source in sources.items() if (depth := _depth(source)) is not None}
    if not depths:
        return
    shallow = min(depths, key=lambda name: depths[name])
    for job in jobs:
        places: list[tuple[FieldPath, Any, int]] = [((*job.path, "with", "layers"), job.context.params, depths[shallow])]
        places += [((*job.path, "under"), one.params, depths[shallow] - 1) for one in job.attacks]
        for at, params, last in places:
            named = getattr(params, "layers", None)
            wrong = [layer for layer in named if layer > last] if isinstance(named, list) else []
            if wrong:
                yield loaded.problem(at, f"layers must be 0 to {last} for {shallow}; got {wrong[0]}")


def _depth(source: Source) -> int | None:
    """Number of blocks by the checkpoint's configuration; None where it does not say."""
    if source.kind != "folder":
        return None
    config = read_json(source.path / "config.json") or {}
    text = config.get("text_config")
    found = [part.get(key) for part in (config, text) if isinstance(part, dict) for key in _DEPTH]
    return next((value for value in found if isinstance(value, int)), None)
