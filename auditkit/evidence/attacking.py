"""The attacks of a requirement: found, their parameters read, their faults told, their cost summed. Loads no model."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from auditkit.attacks import ATTACKS, ModelAttack, PromptAttack, Scene
from auditkit.errors import did_you_mean
from auditkit.evidence.results import AttackDoc
from auditkit.files import digest

if TYPE_CHECKING:
    from auditkit.attacks import Attack
    from auditkit.checks._base import Statistic
    from auditkit.corpora.example import Corpus
    from auditkit.errors import Problem
    from auditkit.evidence.prepare import Job
    from auditkit.spec._document import FieldPath
    from auditkit.spec.load import Loaded
    from auditkit.spec.profiles import Entry


@dataclass(frozen=True)
class Chosen:
    """An attack with its parameters."""

    attack: Attack[Any]
    params: Any

    def document(self, scene: Scene) -> AttackDoc:
        """For the results."""
        attack = self.attack
        return AttackDoc(
            name=attack.name,
            params=self.params.model_dump(mode="json", by_alias=True),
            title=attack.title,
            family=attack.family,
            attacker=attack.attacker,
            budget=attack.budget(self.params),
            limits=attack.limits,
            kinds=list(attack.kinds(self.params, scene)),
            indicative=attack.indicative,
        )


def choose(loaded: Loaded, entry: Entry, found: list[Chosen]) -> Iterator[Problem]:
    """The attacks of a requirement, in the order in which they are carried out, into ``found``; what is wrong with them."""
    for index, intervention in enumerate(entry.requirement.under):
        at = _place(loaded, entry, index, intervention.name)
        if intervention.name not in ATTACKS.names():
            hint = did_you_mean(intervention.name, ATTACKS.names())
            yield loaded.problem(at, f"unknown attack {intervention.name!r}", hint)
            continue
        attack = ATTACKS.get(intervention.name)
        try:
            found.append(Chosen(attack, attack.params.model_validate(intervention.params)))
        except ValidationError as error:
            yield from loaded.explain(error, model=attack.params, value=intervention.params, at=at)
    models = [index for index, one in enumerate(found) if isinstance(one.attack, ModelAttack)]
    prompts = [index for index, one in enumerate(found) if isinstance(one.attack, PromptAttack)]
    if models and prompts and min(prompts) < max(models):
        message = "must name what is done to the model before what is done to the prompt"
        yield loaded.problem((*entry.path, "under"), message)


def _place(loaded: Loaded, entry: Entry, index: int, name: str) -> FieldPath:
    """Where the attack's parameters stand: under its name, in a list or not."""
    listed = (*entry.path, "under", index)
    return (*listed, name) if loaded.positions.known(listed) else (*entry.path, "under", name)


def measured_rows(chosen: Sequence[Chosen], corpus: Corpus, seed: int) -> Corpus:
    """The rows that are measured when all of these attacks leave out theirs."""
    return reduce(lambda rows, one: one.attack.measured(one.params, rows, seed), chosen, corpus)


def misfits(loaded: Loaded, entry: Entry, chosen: Sequence[Chosen], statistic: Statistic, scene: Scene) -> Iterator[Problem]:
    """Attacks against the models, the data and the quantity that there are."""
    for index, one in enumerate(chosen):
        at = _place(loaded, entry, index, one.attack.name)
        for name in one.attack.needs:
            if name not in loaded.spec.models:
                yield loaded.problem(at, f"{one.attack.name} needs a model named {name}; got none", f"add models.{name}")
        for message in one.attack.problems(one.params, scene):
            yield loaded.problem(at, f"{one.attack.name}: {message}")
        settings = _deciding(one)
        if statistic.kind == "function" and len(settings) > 1:
            message = f"{entry.requirement.check} forms one number from all its rows, so it goes with one setting at a time"
            yield loaded.problem(at, f"{message}; got {len(settings)}: {', '.join(settings)}", "name one of them")


def _deciding(one: Chosen) -> list[str]:
    """Labels of the settings of which each is decided for itself."""
    if not isinstance(one.attack, ModelAttack) or one.attack.chooses:
        return [""]
    return list(dict.fromkeys(setting.label for setting in one.attack.settings(one.params) if not setting.shown_only))


def excess(loaded: Loaded, jobs: Iterable[Job], models: Mapping[str, Sequence[str]]) -> Iterator[Problem]:
    """What the attacks cost beyond the spec's ``limits``. ``models``: those that each requirement is measured on, by slug."""
    steps, derived = costs(jobs, models)
    limits = loaded.spec.limits
    for name, got, most in (
        ("training_steps", steps, limits.training_steps),
        ("attacked_models", derived, limits.attacked_models),
    ):
        if got > most:
            hint = "try fewer settings, or raise the limit"
            yield loaded.problem(("limits", name), f"must cover what the attacks ask for, {got:,}; got {most:,}", hint)


def costs(jobs: Iterable[Job], models: Mapping[str, Sequence[str]]) -> tuple[int, int]:
    """(optimiser steps, attacked models) of all attacks together, each counted once."""
    trained: dict[str, int] = {}
    derived: set[str] = set()
    for job in jobs:
        for model in models[job.slug] if job.attacks else ():
            trail: list[Any] = [
                model,
                job.scene.corpus.digest if any(one.attack.training_steps(one.params) for one in job.attacks) else "",
            ]
            settings = 1
            for one in job.attacks:
                if not isinstance(one.attack, ModelAttack):
                    continue
                trail.append([one.attack.name, one.params.model_dump(mode="json")])
                trained[digest(trail)] = settings * one.attack.training_steps(one.params)
                settings *= len(one.attack.settings(one.params))
            if len(trail) > 2:
                derived |= {digest([*trail, index]) for index in range(settings)}
    return sum(trained.values()), len(derived)
