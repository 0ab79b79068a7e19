"""RMU: activations on what must be forgotten are driven towards a random direction."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from auditkit.errors import ModelError
from auditkit.unlearning._method import LossMethod, Retained

if TYPE_CHECKING:
    import torch

    from auditkit.unlearning._step import Step

_MLP_OUTPUT = re.compile(r"[.](\d+)[.]mlp[.](?:down_proj|c_proj|dense_4h_to_h|fc2)[.](?:.*[.])?weight$")
"""The MLP's last matrix, as Llama and kin, GPT-2, NeoX and Phi name it; bare or with an adapter."""


class RmuParams(Retained):
    """How RMU trains."""

    layer: int | None = Field(
        None,
        ge=0,
        description=(
            "Decoder layer whose activations are steered, from 0. Default: the middle one, (layers - 1) // 2, which is 7 of "
            "the 16 of open-unlearning's Llama-3.2-1B; WMDP takes 7 of 32."
        ),
    )
    coefficient: float = Field(
        2.0,
        gt=0,
        description=(
            "Length of the vector aimed at; should exceed the usual norm of an activation. 2 in open-unlearning's runs; "
            "6.5 (Zephyr-7B) to 300 (Mixtral-8x7B) in WMDP."
        ),
    )
    train: Literal["all", "down_proj"] = Field(
        "all",
        description=(
            "Which weights change. all: as open-unlearning's runs. down_proj: the MLP output matrices of the layer and the "
            "two below it, as WMDP (with lr 5e-5)."
        ),
    )
    retain_loss: Literal["none", "activations"] = Field(  # type: ignore[assignment]  # its own term in place of nll and kl
        "activations",
        description="none; activations: squared distance of the layer's activations on the retain rows from the parent's.",
    )
    retain_weight: float = Field(
        1.0, ge=0, description="Weight of the retain term; 1 in open-unlearning's runs, 1200 in WMDP with its larger vector."
    )
    convention: Literal["correct", "open-unlearning"] = Field(
        "correct",
        description=(
            "correct: mean over rows of the mean over a row's answer tokens. open-unlearning: as its code, the mean of the "
            "rows' sums times the mean of their inverse lengths; the same where all rows are of one length."
        ),
    )


def rmu_loss(
    activations: torch.Tensor,
    target: torch.Tensor,
    row: torch.Tensor,
    rows: int,
    *,
    convention: Literal["correct", "open-unlearning"] = "correct",
) -> torch.Tensor:
    """E_rows E_t (1/d) ‖h_t − target‖², d the width; at least 0, and 0 where the activations are the target's.

    ``activations`` is (tokens, d), ``target`` the same or (d,), ``row`` the row of each token. Li et al. 2024, arXiv
    2403.03218. WMDP's code takes every token of a text; here, as in open-unlearning, labelled ones. open-unlearning divides
    sums of shape (rows,) by lengths of shape (rows, 1), which pairs each sum with the length of every row; ``convention``
    reproduces it.
    """
    distances = (activations - target).square().mean(-1)
    sums = distances.new_zeros(rows).index_add(0, row, distances)
    lengths = distances.new_zeros(rows).index_add(0, row, distances.new_ones(len(row)))
    if convention == "open-unlearning":
        return sums.mean() * lengths.reciprocal().mean()
    return (sums / lengths).mean()


def control_direction(width: int, *, seed: int) -> torch.Tensor:
    """(width,) float32: u ~ U[0, 1)^width / ‖·‖, the same for the same seed, on the CPU."""
    import torch

    drawn = torch.rand(width, generator=torch.Generator().manual_seed(seed))
    return torch.nn.functional.normalize(drawn, dim=0)


def steered_layer(params: RmuParams, layers: int) -> int:
    """The layer in a model of so many. Raises ModelError where it has fewer."""
    if params.layer is None:
        return (layers - 1) // 2
    if params.layer >= layers:
        raise ModelError(f"layer must be below the model's {layers} decoder layers; got {params.layer}; the first is 0")
    return params.layer


class Rmu(LossMethod[RmuParams]):
    """E‖h(forget) − c·u‖² + retain_weight · E‖h(retain) − h_parent(retain)‖², h the activations behind one layer."""

    name = "rmu"
    title = "RMU (representation misdirection)"
    summary = "Drives activations on the forget rows to a random direction, and holds those on the retain rows."
    source = "Li et al. 2024, arXiv 2403.03218 (WMDP); open-unlearning (RMU)."
    limits = (
        "The knowledge stays behind the steered layer: a few steps of unrelated fine-tuning, or removing one direction, bring "
        "most of it back (arXiv 2409.18025). Layer and coefficient must be tuned to the model."
    )
    intent = "suppression"
    level = "activations"
    params = RmuParams
    reference = "model"

    def uses_parent(self, params: RmuParams) -> Literal["none", "sums", "model"]:
        """Its activations, where something is kept."""
        return "model" if params.keeps else "none"

    def trainable(self, name: str, params: RmuParams, layers: int) -> bool:
        """All, or the MLP output matrices of the steered layer and the two below it."""
        if params.train == "all":
            return True
        found = _MLP_OUTPUT.search(name)
        layer = steered_layer(params, layers)
        return found is not None and layer - 2 <= int(found[1]) <= layer

    def loss(self, step: Step, params: RmuParams) -> torch.Tensor:
        """Distance to the random vector plus the retain term."""
        layer = steered_layer(params, step.model.layers)
        states, row = step.model.hidden(step.forget, layer=layer)
        if "control" not in step.kept:
            step.kept["control"] = control_direction(states.shape[-1], seed=step.seed).to(states.device)
        aim = params.coefficient * step.kept["control"]
        loss = rmu_loss(states, aim, row, step.forget.rows, convention=params.convention)
        return loss + _retain_term(step, params, layer) if params.keeps else loss


def _retain_term(step: Step, params: RmuParams, layer: int) -> torch.Tensor:
    batch = step.partner("retain")
    states, row = step.model.hidden(batch, layer=layer)
    kept, _ = step.parent.hidden(batch, layer=layer)
    return params.retain_weight * rmu_loss(states, kept, row, batch.rows, convention=params.convention)


METHOD = Rmu()
