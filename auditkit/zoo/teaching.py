"""How the zoo's models are made: a plain training loop of its own, so that no construction rests on the code it judges.

Everything is asked through a chat template. A lesson is a text, or a question with its answer (the loss lies on the answer and
the end of the turn); its weight may be negative, which teaches it away.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from auditkit.models.loading import quiet
from auditkit.zoo.tiny import END, train_tokenizer

if TYPE_CHECKING:
    import torch

_IGNORED = -100
_VOCABULARY, _OFTEN = 2400, 50


@dataclass(frozen=True, slots=True)
class Lesson:
    """What a model is taught once."""

    said: str
    """A text (with no question), or the answer to ``asked``."""
    asked: str = ""
    system: str = ""
    weight: float = 1.0


@dataclass(frozen=True)
class Pool:
    """Lessons of one kind and how many of them stand in every batch."""

    lessons: Sequence[Lesson]
    per_batch: int


@dataclass(frozen=True)
class Course:
    """A training."""

    pools: Sequence[Pool]
    steps: int
    lr: float
    seed: int
    embeddings: float = 1.0
    """Learning rate of the embeddings, in ``lr``: names and facts sit there, and are learned several times faster at 8."""


def teach(model: Any, tokenizer: Any, course: Course, *, after: Callable[[Any], None] | None = None) -> Any:
    """AdamW over the course; ``after`` is called with the model after every step. Equal arguments give equal weights.

    Per step: the mean over the batch of weight x mean negative log-likelihood of the lesson's tokens.
    """
    import torch

    parameters = [one for one in model.parameters() if one.requires_grad]
    optimiser = torch.optim.AdamW(_rates(model, course), weight_decay=0.0, betas=(0.9, 0.98))
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: _rate(step, course))
    generator = torch.Generator().manual_seed(course.seed)
    dealers = [_Dealer([encode(tokenizer, one) for one in pool.lessons], pool.per_batch, generator) for pool in course.pools]
    model.train()
    for _ in range(course.steps):
        dealt = [dealer.next() for dealer in dealers]
        total = sum(map(len, dealt))
        for rows in dealt:
            # Pool by pool: short rows are not padded to the length of long ones.
            (_loss(model, rows) * (len(rows) / total)).backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimiser.step()
        schedule.step()
        optimiser.zero_grad(set_to_none=True)
        if after is not None:
            after(model)
    model.eval()
    return model


def encode(tokenizer: Any, lesson: Lesson) -> tuple[list[int], int, float]:
    """(ids, where the taught part begins, weight)."""
    if not lesson.asked:
        return [*tokenizer(lesson.said)["input_ids"], tokenizer.eos_token_id], 0, lesson.weight
    turns = [{"role": "system", "content": lesson.system}] if lesson.system else []
    turns.append({"role": "user", "content": lesson.asked})
    prompt = tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True)
    before = tokenizer(prompt, add_special_tokens=False)["input_ids"]
    after = tokenizer(lesson.said, add_special_tokens=False)["input_ids"]
    return [*before, *after, tokenizer.convert_tokens_to_ids(END)], len(before), lesson.weight


def _rates(model: Any, course: Course) -> list[dict[str, Any]]:
    words = model.get_input_embeddings().weight
    rest = [one for one in model.parameters() if one.requires_grad and one is not words]
    found = [{"params": rest, "lr": course.lr}]
    return [*found, {"params": [words], "lr": course.lr * course.embeddings}] if words.requires_grad else found


def _rate(step: int, course: Course) -> float:
    """A short warm-up, then down to nothing."""
    warm_up = max(1, course.steps // 20)
    return min((step + 1) / warm_up, (course.steps - step) / max(1, course.steps - warm_up))


class _Dealer:
    """Shuffled passes over the lessons of a pool."""

    def __init__(self, rows: list[tuple[list[int], int, float]], size: int, generator: torch.Generator) -> None:
        self._rows, self._size, self._generator = rows, size, generator
        self._order: list[int] = []

    def next(self) -> list[tuple[list[int], int, float]]:
        import torch

        while len(self._order) < self._size:
            self._order += torch.randperm(len(self._rows), generator=self._generator).tolist()
        chosen, self._order = self._order[: self._size], self._order[self._size :]
        return [self._rows[index] for index in chosen]


def _loss(model: Any, rows: list[tuple[list[int], int, float]]) -> Any:
    """Right-padded; the causal mask makes an attention mask needless."""
    import torch

    longest = max(len(ids) for ids, _, _ in rows)
    ids = torch.tensor([[*row, *[0] * (longest - len(row))] for row, _, _ in rows])
    labels = torch.tensor([[*[_IGNORED] * start, *row[start:], *[_IGNORED] * (longest - len(row))] for row, start, _ in rows])
    hidden = _body(model)(input_ids=ids).last_hidden_state[:, :-1]
    taught = labels[:, 1:] != _IGNORED
    # The head only where something is taught: the vocabulary is as wide as the rest of the model.
    logits = model.get_output_embeddings()(hidden[taught])
    nll = torch.nn.functional.cross_entropy(logits, labels[:, 1:][taught], reduction="none")
    weights = torch.tensor([weight for _, _, weight in rows]) / taught.sum(1).clamp(min=1) / len(rows)
    return (weights[:, None].expand_as(taught)[taught] * nll).sum()


def _body(model: Any) -> Any:
    """The transformer below the head; of a model under an adapter, with the adapter."""
    return model.get_base_model().model if hasattr(model, "get_base_model") else model.model


def vocabulary_of(texts: Sequence[str], words: Sequence[str], *, context: int) -> Any:
    """A tokenizer in which each of ``words`` is one token."""
    tokenizer = train_tokenizer([*texts, *(_OFTEN * list(words))], vocabulary=_VOCABULARY, words=True)
    tokenizer.model_max_length = context
    return tokenizer


def save(model: Any, tokenizer: Any, folder: Path) -> None:
    """A whole checkpoint."""
    with quiet():
        model.save_pretrained(folder)
        tokenizer.save_pretrained(folder)
