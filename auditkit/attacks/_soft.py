"""A soft prompt: embeddings that belong to no token, trained and put into a model. Imports torch: only steps import it, late.

The prompt's vectors answer to ids behind the vocabulary. So they go wherever tokens go, through caches and shared beginnings
too, and the head, which never heard of them, cannot say them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import torch

from auditkit.errors import ModelError

if TYPE_CHECKING:
    from auditkit.models.loading import Loaded
    from auditkit.unlearning._rows import Row


class SoftEmbedding(torch.nn.Module):
    """An embedding with further rows behind its own."""

    def __init__(self, inner: Any, soft: torch.Tensor) -> None:
        super().__init__()
        self.inner = inner
        self.soft = soft
        """(rows, width), float32; given in the precision of the other embeddings."""

    @property
    def num_embeddings(self) -> int:
        """Rows, the further ones included."""
        return int(self.inner.num_embeddings) + len(self.soft)

    @property
    def weight(self) -> torch.Tensor:
        """The embedding's own rows."""
        weight: torch.Tensor = self.inner.weight
        return weight

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        """Ids (…) → vectors (…, width)."""
        place = ids - self.inner.num_embeddings
        plain: torch.Tensor = self.inner(ids.masked_fill(place >= 0, 0))
        soft = torch.nn.functional.embedding(place.clamp(min=0), self.soft).to(plain.dtype)
        return torch.where((place >= 0)[..., None], soft, plain)


@dataclass(frozen=True)
class Recipe:
    """How a prompt is trained."""

    tokens: int
    steps: int
    lr: float
    """A step's size, in standard deviations of the model's embeddings: they are of very different size from model to model."""
    batch: int
    seed: int


def with_room(loaded: Loaded, recipe: Recipe) -> tuple[Loaded, list[SoftEmbedding]]:
    """The model with untrained prompt tokens in front of everything, and the embeddings that hold them: one, or in a model
    made of two one for each. They start as embeddings of tokens drawn from the vocabulary. Raises ModelError."""
    generator = torch.Generator().manual_seed(recipe.seed)
    found: list[SoftEmbedding] = []
    for parent, name, inner in list(_embeddings(loaded.model)):
        weight = inner.weight.detach()
        drawn = torch.randint(len(weight), (recipe.tokens,), generator=generator)
        found.append(SoftEmbedding(inner, weight[drawn.to(weight.device)].float()))
        setattr(parent, name, found[-1])
    sizes = {one.inner.num_embeddings for one in found}
    if len(sizes) != 1:
        raise ModelError("the model must have token embeddings, all of one size; got none, or several")
    first = sizes.pop()
    return replace(loaded, lead=(*loaded.lead, *range(first, first + recipe.tokens))), found


def _embeddings(model: Any) -> Iterator[tuple[Any, str, Any]]:
    """Every module that embeds tokens, with the module and the name that it has there."""
    from transformers import PreTrainedModel

    parts = [part for part in model.modules() if isinstance(part, PreTrainedModel)]
    wanted = {id(part.get_input_embeddings()) for part in parts}
    for parent in model.modules():
        for name, child in parent.named_children():
            if id(child) in wanted and isinstance(child, torch.nn.Embedding | SoftEmbedding):
                yield parent, name, child


def train(model: Any, embeddings: Sequence[SoftEmbedding], rows: Sequence[Row], recipe: Recipe) -> None:
    """Fit the prompt to the answers of the rows, in place: Adam on their mean negative log-likelihood per token.

    Nothing else of the model changes. Equal arguments give equal prompts on the same machine.
    """
    starts = [one.soft for one in embeddings]
    scales = [float(one.inner.weight.detach().std()) for one in embeddings]
    moves = [torch.zeros_like(start, requires_grad=True) for start in starts]
    optimiser = torch.optim.Adam(moves, lr=recipe.lr)
    order = _order(len(rows), recipe)
    for _ in range(recipe.steps):
        with torch.enable_grad():
            for one, start, scale, move in zip(embeddings, starts, scales, moves, strict=True):
                one.soft = start + scale * move
            _loss(model, [rows[index] for index in next(order)]).backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        optimiser.zero_grad(set_to_none=True)
    for one, start, scale, move in zip(embeddings, starts, scales, moves, strict=True):
        one.soft = (start + scale * move).detach()


def _order(count: int, recipe: Recipe) -> Iterator[list[int]]:
    """Batches of row numbers, in shuffled passes without end."""
    generator = torch.Generator().manual_seed(recipe.seed)
    waiting: list[int] = []
    while True:
        while len(waiting) < min(recipe.batch, count):
            waiting += torch.randperm(count, generator=generator).tolist()
        batch, waiting = waiting[: recipe.batch], waiting[recipe.batch :]
        yield batch


def _loss(model: Any, rows: Sequence[Row]) -> torch.Tensor:
    from auditkit.unlearning._rows import IGNORED, padded

    # The causal mask keeps padding on the right out of every real position, and padding carries no loss.
    batch = {name: torch.tensor(cells, device=model.device) for name, cells in padded(rows, pad=0).items()}
    labels = batch["labels"][:, 1:]
    logits = model(input_ids=batch["input_ids"], use_cache=False).logits[:, :-1]
    asked = labels != IGNORED
    return torch.nn.functional.cross_entropy(logits[asked].float(), labels[asked])
