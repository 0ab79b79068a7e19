"""A tiny model that knows who lives where, and the scene of an audit around it."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from auditkit.attacks import ATTACKS, Scene, Target
from auditkit.corpora.example import Corpus, Example
from auditkit.corpora.typed import examples_digest
from auditkit.models.source import Source
from auditkit.unlearning import Manner
from auditkit.zoo.tiny import Shape, build_tiny

NAMES = [
    "Alda", "Bruno", "Carla", "Dmitri", "Elena", "Farid", "Greta", "Hugo",
    "Ines", "Jonas", "Katja", "Luis", "Mira", "Nils", "Olga", "Pavel",
]  # fmt: skip
TOWNS = [
    "Oslo", "Rome", "Lima", "Cairo", "Delhi", "Kyoto", "Quito", "Paris",
    "Turin", "Minsk", "Dakar", "Sofia", "Tunis", "Havana", "Berlin", "Tokyo",
]  # fmt: skip
QUESTION = "Question: {question}\nAnswer:"


def question(name: str) -> str:
    return f"Where does {name} live?"


def corpus(name: str, role: str, people: range) -> Corpus:
    rows = tuple(
        Example(str(n), NAMES[n], n + 1, {"question": question(NAMES[n]), "answer": TOWNS[n], "subject": NAMES[n]})
        for n in people
    )
    return Corpus(name, role, rows, f"{name}.jsonl", examples_digest(rows), True)


FORGET, RETAIN = corpus("forget", "forget", range(8)), corpus("retain", "retain", range(8, 16))


def build(folder: Path, *, steps: int = 60, seed: int = 0) -> Path:
    pairs = [(QUESTION.format(question=question(name)), f" {town}") for name, town in zip(NAMES, TOWNS, strict=True)]
    return build_tiny(folder, texts=[], pairs=pairs, steps=steps, seed=seed, lr=5e-3, shape=Shape(vocabulary=400, context=128))


def target(folder: Path, name: str = "candidate", **manner: object) -> Target:
    return Target(name, Source.of_folder(folder, label=name), Manner(device="cpu", **manner))  # type: ignore[arg-type]


def scene(*, seed: int = 0, **models: Target) -> Scene:
    there = {name: lambda one=one: one for name, one in models.items()}
    return Scene(FORGET, {"forget": FORGET, "retain": RETAIN}, seed, models=there)


def attacked(name: str, one: Target, scene: Scene, *, index: int = 0, **params: Any) -> Target:
    """Under the attack's setting of that number."""
    attack = ATTACKS.get(name)
    chosen = attack.params(**params)
    return attack.apply(one, attack.settings(chosen)[index], chosen, scene)  # type: ignore[attr-defined, no-any-return]


def weights(one: Target) -> dict[str, Any]:
    return {name: weight.clone() for name, weight in one.load().model.named_parameters()}


def distance(one: dict[str, Any], other: dict[str, Any]) -> float:
    """Relative L2 distance over all tensors."""
    gap = sum(float((one[name] - other[name]).square().sum()) for name in one)
    return math.sqrt(gap / sum(float(weight.square().sum()) for weight in one.values()))
