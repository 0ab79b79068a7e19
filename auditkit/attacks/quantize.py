"""Quantisation: weights rounded to few bits, as models are run on small machines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import AfterValidator, Field

from auditkit.attacks._attack import ModelAttack, Scene, Setting, Step, Target
from auditkit.attacks._memory import identity, remembered
from auditkit.attacks._packed import require_bitsandbytes, require_unpacked, through_bitsandbytes
from auditkit.attacks._weights import linear_weights, require_finite
from auditkit.attacks._words import distinct, listed
from auditkit.errors import ModelError
from auditkit.files import digest
from auditkit.spec.model import Part

if TYPE_CHECKING:
    import torch

    from auditkit.models.loading import Loaded
    from auditkit.models.source import Source

Bits = Literal[8, 6, 5, 4, 3, 2, "nf4", "fp4"]
_DEFAULT: tuple[Bits, ...] = (8, 4)


class QuantizeParams(Part):
    """To how many bits."""

    bits: Annotated[list[Bits], AfterValidator(distinct)] = Field(
        default_factory=lambda: list(_DEFAULT),
        min_length=1,
        description=(
            "What is tried. A number: round to nearest at that many bits, anywhere. nf4, fp4: the 4-bit formats of "
            "bitsandbytes in blocks of 64, which need that package and a cuda device."
        ),
    )
    group: int | None = Field(
        None, ge=1, description="Columns that share a step, for numbers of bits. Default: a step for each output channel."
    )


class Quantize(ModelAttack[QuantizeParams]):
    """Round-to-nearest and bitsandbytes, in memory: rounded weights are put in the place of the old ones."""

    name = "quantize"
    title = "Quantisation"
    summary = "Rounds the weights of every linear layer of the transformer's blocks to 8 and 4 bits."
    attacker = (
        "The weights, and any of the free programs that make models small. It takes no skill, no data and a few minutes. "
        "People do it every day to run a model on a laptop or a phone, so it also happens with no bad intent."
    )
    source = (
        "Zhang et al., ICLR 2025, arXiv 2410.16454; code zzwjames/FailureLLMUnlearning. The paper uses bitsandbytes; "
        "symmetric round-to-nearest per output channel needs no special machine."
    )
    limits = (
        "Weights alone are rounded, not activations, and embeddings, norms, biases and the output head keep their precision. "
        "The rounded weights are held in the model's own precision, so sums are not those of an integer kernel. Formats that "
        "are fitted to data (GPTQ, AWQ) are not tried."
    )
    family = "precision"
    params = QuantizeParams
    version = 1

    def settings(self, params: QuantizeParams) -> Sequence[Setting]:
        """One for each entry of ``bits``."""
        return [Setting(label_of(bits), {"bits": bits}) for bits in params.bits]

    def budget(self, params: QuantizeParams) -> str:
        """``8 and 4 bit``."""
        numbers = [bits for bits in params.bits if isinstance(bits, int)]
        words = [f"{listed(numbers)} bit"] if numbers else []
        if numbers and params.group is not None:
            words = [f"{words[0]} in groups of {params.group}"]
        return listed([*words, *(bits for bits in params.bits if isinstance(bits, str))])

    def unfit(self, source: Source) -> str:
        """It is packed already."""
        try:
            require_unpacked(source)
        except ModelError as error:
            return str(error)
        return ""

    def account(self, target: Target, params: QuantizeParams, scene: Scene) -> Mapping[str, Any]:
        """The static predictor, computed once: the share of weights whose code is another than the original's."""
        widths = [bits for bits in params.bits if isinstance(bits, int)]
        if "original" not in scene.models or target.name == "original" or not widths:
            return {}
        original = scene.models["original"]()
        found = remembered(
            [self.name, self.version, identity(target), identity(original), widths, params.group],
            lambda: {label_of(width): share for width, share in predict(target, original, widths, group=params.group).items()},
        )
        return {"changed_codes": found}

    def apply(self, target: Target, setting: Setting, params: QuantizeParams, scene: Scene) -> Target:
        """Raises ModelError for a model that is packed already, and for a format that this machine cannot make."""
        bits: Bits = setting.values["bits"]
        where = target.source.label
        require_unpacked(target.source)
        if isinstance(bits, str):
            require_bitsandbytes(bits, device=target.manner.device, where=where)

        def quantise(loaded: Loaded) -> Loaded:
            for name, weight in linear_weights(loaded.model, where=where):
                at = f"{where}: {name}"
                if isinstance(bits, str):
                    weight.copy_(through_bitsandbytes(weight, bits, where=at))
                else:
                    weight.copy_(quantised(weight, bits, group=params.group, where=at))
            return loaded

        # The formats of bitsandbytes know no group.
        group = params.group if isinstance(bits, int) else None
        return target.then(Step(digest([self.name, self.version, bits, group]), quantise))


def label_of(bits: int | str) -> str:
    """``4 bit``, ``nf4``."""
    return f"{bits} bit" if isinstance(bits, int) else bits


def quantised(weight: torch.Tensor, bits: int, *, group: int | None = None, where: str = "weights") -> torch.Tensor:
    """float32 weights as they are after rounding to nearest; shape (…, outputs, inputs) as given.

    Of each output channel (of each ``group`` columns of it) the largest magnitude is 2^(bits-1) - 1 steps, zero is zero, and
    halves go to the even neighbour. ``where`` names the weight in messages. Raises ModelError for weights that are not finite.
    """
    import torch

    return torch.cat([code * step for code, step in _rounded(weight, bits, group, where)], dim=-1)


def codes(weight: torch.Tensor, bits: int, *, group: int | None = None, where: str = "weights") -> torch.Tensor:
    """The whole numbers that ``quantised`` writes the weights as, int8."""
    import torch

    return torch.cat([code.to(torch.int8) for code, _ in _rounded(weight, bits, group, where)], dim=-1)


def _rounded(weight: torch.Tensor, bits: int, group: int | None, where: str) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """(codes, step) of each part that shares a step, in the order of columns."""
    import torch

    require_finite(weight, where=where)
    top = 2 ** (bits - 1) - 1
    pairs = []
    for part in torch.split(weight.float(), group or weight.shape[-1], dim=-1):
        step = part.abs().amax(-1, keepdim=True) / top
        code = (part / step).round().clamp(-top, top)
        # A channel of zeros has no step.
        pairs.append((code.where(step > 0, 0.0), step))
    return pairs


def changed_codes(original: torch.Tensor, candidate: torch.Tensor, bits: int, *, group: int | None = None) -> float:
    """Share of weights, 0 to 1, that have another code in the candidate than in the original, each with its own steps.

    Near 0, rounding undoes the change between them. Raises ModelError for other shapes and for weights that are not finite.
    """
    return _share([("weights", codes(original, bits, group=group))], {"weights": codes(candidate, bits, group=group)})


def model_codes(loaded: Loaded, bits: int, *, group: int | None = None, where: str) -> dict[str, torch.Tensor]:
    """``codes`` of every weight that the attack rounds, by name, on the cpu: one byte a weight."""
    weights = linear_weights(loaded.model, where=where)
    return {name: codes(weight, bits, group=group, where=f"{where}: {name}").cpu() for name, weight in weights}


def predict(target: Target, original: Target, bits: Sequence[int], *, group: int | None = None) -> dict[int, float]:
    """``changed_codes`` over all weights that the attack rounds, by number of bits. Loads one model after the other; raises
    ModelError."""
    before = _codes_by_bits(original, bits, group)
    after = _codes_by_bits(target, bits, group)
    return {width: _share(list(before[width].items()), after[width]) for width in bits}


def _codes_by_bits(target: Target, bits: Sequence[int], group: int | None) -> dict[int, dict[str, torch.Tensor]]:
    loaded = target.load()
    return {width: model_codes(loaded, width, group=group, where=target.source.label) for width in bits}


def _share(before: Sequence[tuple[str, torch.Tensor]], after: Mapping[str, torch.Tensor]) -> float:
    shapes = {name: code.shape for name, code in before}
    if shapes != {name: code.shape for name, code in after.items()}:
        raise ModelError("the two models must have linear layers of the same names and shapes; got others")
    changed = sum(int((code != after[name]).sum()) for name, code in before)
    return changed / max(sum(code.numel() for _, code in before), 1)


ATTACK = Quantize()
