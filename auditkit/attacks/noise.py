"""Noise: every weight is disturbed a little, at random."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

from pydantic import AfterValidator, Field

from auditkit.attacks._attack import ModelAttack, Scene, Setting, Step, Target
from auditkit.attacks._weights import require_finite
from auditkit.attacks._words import distinct, listed
from auditkit.files import digest
from auditkit.spec.model import Part

if TYPE_CHECKING:
    import torch

    from auditkit.models.loading import Loaded

Scale = Annotated[float, Field(gt=0, le=10)]


class NoiseParams(Part):
    """How much noise, and how often it is drawn."""

    scales: Annotated[list[Scale], AfterValidator(distinct)] = Field(
        default_factory=lambda: [0.01, 0.03, 0.1],
        min_length=1,
        description=(
            "Standard deviation of the noise in a tensor, as a multiple of its weights'. From about 0.004 down it is lost in "
            "the rounding of bfloat16."
        ),
    )
    seeds: int = Field(3, ge=1, le=100, description="How often it is drawn for each scale; the draws' rows are pooled.")


class Noise(ModelAttack[NoiseParams]):
    """Gaussian noise, relative to each tensor's own spread."""

    name = "noise"
    title = "Noise on the weights"
    summary = "Adds Gaussian noise to every tensor of the model, in proportion to the spread of its weights."
    attacker = (
        "The weights, and a few lines of code. It takes no data, no skill and a few minutes, and can be repeated until "
        "something comes back."
    )
    source = "After the SoK, arXiv 2506.09227: Gaussian noise at three relative levels. The levels are auditkit's own choice."
    limits = (
        "Blind: nothing aims at what suppresses, so it brings back only what is hidden by very small changes. Much noise "
        "breaks the model, which is no sign that it forgot: look at its utility."
    )
    family = "weights"
    params = NoiseParams
    version = 1

    def settings(self, params: NoiseParams) -> Sequence[Setting]:
        """Every scale with every draw."""
        return [
            Setting(f"noise {scale:g}", {"scale": scale}, repeat) for scale in params.scales for repeat in range(params.seeds)
        ]

    def budget(self, params: NoiseParams) -> str:
        """``noise of 0.01, 0.03 and 0.1 of the weights' spread, 3 draws each``."""
        draws = "1 draw" if params.seeds == 1 else f"{params.seeds} draws"
        return f"noise of {listed(f'{scale:g}' for scale in params.scales)} of the weights' spread, {draws} each"

    def apply(self, target: Target, setting: Setting, params: NoiseParams, scene: Scene) -> Target:
        """The draw of a tensor depends on the audit's seed, the repeat and the tensor's name: the same for every model."""
        scale: float = setting.values["scale"]
        label = [self.name, self.version, scene.seed, setting.repeat]
        where = target.source.label

        def disturb(loaded: Loaded) -> Loaded:
            # Tied weights and shared modules come once.
            for name, weight in loaded.model.named_parameters():
                seed = int(digest([*label, name])[:16], 16)
                weight.detach().copy_(disturbed(weight.detach(), scale, seed=seed, where=f"{where}: {name}"))
            return loaded

        return target.then(Step(digest([*label, scale]), disturb))


def disturbed(weight: torch.Tensor, scale: float, *, seed: int, where: str = "weights") -> torch.Tensor:
    """float32 w + scale * std(w) * z, z standard normal, drawn on the cpu, so that every device adds the same.

    A tensor whose weights are all equal has no spread and stays. ``where`` names it in messages. Raises ModelError for
    weights that are not finite.
    """
    import torch

    require_finite(weight, where=where)
    drawn = torch.randn(weight.shape, generator=torch.Generator().manual_seed(seed))
    values = weight.float()
    return values + scale * values.std(correction=0) * drawn.to(weight.device)


ATTACK = Noise()
