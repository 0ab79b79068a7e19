"""Adapters are taken off: what unlearned the model may be a small file beside it."""

from __future__ import annotations

from dataclasses import replace

from auditkit.attacks._attack import ModelAttack, Scene, Setting, Target
from auditkit.spec.model import Part


class DisableAdapterParams(Part):
    """Nothing to choose."""


class DisableAdapter(ModelAttack[DisableAdapterParams]):
    """The base checkpoint without its adapters."""

    name = "disable_adapter"
    title = "Adapter taken off"
    summary = "Loads the checkpoint without the adapters that lie beside it."
    attacker = (
        "The files of the model: an adapter is a file of its own, and it is enough not to load it. "
        "It takes no skill, no data and no time."
    )
    source = "Standard practice with PEFT (`disable_adapter`)."
    limits = (
        "Finds adapters that the spec names. One that was merged into the weights before is not found: rescaling the change "
        "looks at that."
    )
    family = "construction"
    params = DisableAdapterParams

    def budget(self, params: DisableAdapterParams) -> str:
        """What was tried."""
        return "adapters off"

    def concerns(self, target: Target) -> str:
        """Where the spec puts no adapter on the model, there is none to take off."""
        return "" if target.source.adapters else "the model has no adapter"

    def apply(self, target: Target, setting: Setting, params: DisableAdapterParams, scene: Scene) -> Target:
        """The base, measured as any model on disk; a remark where it is the original itself."""
        if not target.source.adapters:
            return target
        base = replace(target, source=replace(target.source, adapters=()))
        return replace(base, remarks=(*base.remarks, *_remarks(base, scene)))


def _remarks(base: Target, scene: Scene) -> list[str]:
    """That the base's weight files are the original's, byte for byte, where they are."""
    from auditkit.models.checkpoint import fingerprint

    if base.name == "original" or "original" not in scene.models:
        return []
    original = fingerprint(scene.models["original"]().source)
    if original.adapter or fingerprint(base.source).weights != original.weights:
        return []
    return ["Without its adapter the model is the original: its weight files are equal byte for byte."]


ATTACK = DisableAdapter()
