"""A from-scratch Llama of a few hundred thousand weights, trained in seconds: the tests' model.

It is a whole checkpoint: safetensors, a fast byte-level BPE tokenizer trained on the same texts (which puts ``<s>`` before
plain text, as Llama's does), a chat template whose turns end with ``<|end|>``, and a generation config.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from auditkit.models.loading import quiet

if TYPE_CHECKING:
    import torch

BOS, EOS, PAD, USER, ASSISTANT, SYSTEM, END = "<s>", "</s>", "<pad>", "<|user|>", "<|assistant|>", "<|system|>", "<|end|>"
SPECIAL_TOKENS = (BOS, EOS, PAD, USER, ASSISTANT, SYSTEM, END)
CHAT_TEMPLATE = (
    "{{ bos_token }}{% for message in messages %}{{ '<|' + message['role'] + '|>' + message['content'] }}"
    "{{ '<|end|>' }}{% endfor %}{% if add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}"
)
_IGNORED = -100
_WORDS = r"[A-Z][a-z]* ?|[a-z]+ ?|[0-9]|\n+|[^A-Za-z0-9\n]+"


@dataclass(frozen=True)
class Shape:
    """Size of the model; the default has about 0.2 M weights."""

    vocabulary: int = 512
    layers: int = 2
    width: int = 64
    heads: int = 4
    context: int = 512
    """Longest sequence, in tokens."""
    inner: float = 4.0
    """Width of the feed-forward layers, in widths."""
    embedding_scale: float | None = None
    """Standard deviation of the first embeddings; None: transformers' 0.02. Facts are learned several times faster at 0.08."""


def build_tiny(
    folder: Path,
    *,
    texts: Sequence[str],
    pairs: Sequence[tuple[str, str]] = (),
    steps: int,
    seed: int = 0,
    shape: Shape | None = None,
    chat: bool = False,
    lr: float = 3e-3,
    batch: int = 32,
) -> Path:
    """Train and save a tiny model; returns ``folder``.

    The tokenizer is trained on ``texts`` and ``pairs``. The model learns ``texts`` (loss on every token) and ``pairs`` of
    (prompt, answer), read as one string prompt + answer with the loss on the answer and the end token; with ``chat`` the
    prompt is a user's turn of the chat template. ``steps`` 0 gives a random model. Equal arguments give equal weights on
    the same machine and number of threads.
    """
    import torch

    shape = shape or Shape()
    tokenizer = train_tokenizer([*texts, *(text for pair in pairs for text in pair)], vocabulary=shape.vocabulary)
    tokenizer.model_max_length = shape.context
    model = random_model(tokenizer, shape, seed=seed)
    rows = [_document(tokenizer, text) for text in texts] + [_pair(tokenizer, pair, chat=chat) for pair in pairs]
    if steps and rows:
        cut = [(ids[: shape.context], labels[: shape.context]) for ids, labels in rows]
        _train(model, cut, steps=steps, lr=lr, batch=batch, generator=torch.Generator().manual_seed(seed))
    with quiet():
        model.save_pretrained(folder)
        tokenizer.save_pretrained(folder)
    return folder


def random_model(tokenizer: Any, shape: Shape, *, seed: int) -> Any:
    """A Llama of that shape with random weights and a generation config that stops where a turn ends."""
    import torch
    from transformers import LlamaForCausalLM

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = LlamaForCausalLM(_config(tokenizer, shape))
    if shape.embedding_scale is not None:
        embeddings = model.get_input_embeddings().weight.data
        embeddings.mul_(shape.embedding_scale / model.config.initializer_range)
    _set_generation_config(model, tokenizer)
    return model


def train_tokenizer(texts: Sequence[str], *, vocabulary: int, words: bool = False) -> Any:
    """A fast byte-level BPE tokenizer with the special tokens above; at least 256 + 7 entries, whatever ``vocabulary``.

    ``words``: a space belongs to the word before it, so that a word is the same token at the beginning of an answer and within
    a sentence: a small model learns to copy it from its context. A capital begins a token.
    """
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, processors, trainers
    from transformers import PreTrainedTokenizerFast

    raw = Tokenizer(models.BPE())
    as_bytes = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=not words)
    parts = pre_tokenizers.Split(Regex(_WORDS), "isolated")
    raw.pre_tokenizer = pre_tokenizers.Sequence([parts, as_bytes]) if words else as_bytes
    raw.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=list(SPECIAL_TOKENS),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    raw.train_from_iterator(texts, trainer)
    raw.post_processor = processors.Sequence(
        [
            processors.ByteLevel(trim_offsets=False),
            processors.TemplateProcessing(single=f"{BOS} $A", special_tokens=[(BOS, raw.token_to_id(BOS))]),
        ]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=raw,
        bos_token=BOS,
        eos_token=EOS,
        pad_token=PAD,
        additional_special_tokens=[USER, ASSISTANT, SYSTEM, END],
        chat_template=CHAT_TEMPLATE,
        clean_up_tokenization_spaces=False,
    )


def _config(tokenizer: Any, shape: Shape) -> Any:
    from transformers import LlamaConfig

    return LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=shape.width,
        intermediate_size=round(shape.inner * shape.width),
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads,
        num_key_value_heads=max(1, shape.heads // 2),
        max_position_embeddings=shape.context,
        tie_word_embeddings=True,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )


def _set_generation_config(model: Any, tokenizer: Any) -> None:
    config = model.generation_config
    config.bos_token_id = tokenizer.bos_token_id
    config.eos_token_id = [tokenizer.eos_token_id, tokenizer.convert_tokens_to_ids(END)]
    config.pad_token_id = tokenizer.pad_token_id


def _document(tokenizer: Any, text: str) -> tuple[list[int], list[int]]:
    ids = [*tokenizer(text)["input_ids"], tokenizer.eos_token_id]
    return ids, ids


def _pair(tokenizer: Any, pair: tuple[str, str], *, chat: bool) -> tuple[list[int], list[int]]:
    """Ids and labels; the loss lies on tokens that end behind the prompt."""
    prompt, answer = pair
    if chat:
        turns = [{"role": "user", "content": prompt}]
        prompt = tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True)
    encoded = tokenizer(prompt + answer, add_special_tokens=not chat, return_offsets_mapping=True)
    end = tokenizer.convert_tokens_to_ids(END) if chat else tokenizer.eos_token_id
    ids = [*encoded["input_ids"], end]
    labels = [
        token if stop > len(prompt) else _IGNORED
        for token, (_, stop) in zip(encoded["input_ids"], encoded["offset_mapping"], strict=True)
    ]
    return ids, [*labels, end]


def _train(
    model: Any,
    rows: Sequence[tuple[list[int], list[int]]],
    *,
    steps: int,
    lr: float,
    batch: int,
    generator: torch.Generator,
) -> None:
    """AdamW with a short warm-up and a linear decay; rows are drawn in shuffled passes."""
    import torch

    optimiser = torch.optim.AdamW(model.parameters(), lr=lr, weight_decay=0.0)
    warm_up = max(1, steps // 20)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimiser, lambda step: min((step + 1) / warm_up, (steps - step) / max(1, steps - warm_up))
    )
    model.train()
    order: list[int] = []
    for _ in range(steps):
        if len(order) < min(batch, len(rows)):
            order += torch.randperm(len(rows), generator=generator).tolist()
        chosen, order = order[:batch], order[batch:]
        ids, labels = _padded([rows[index] for index in chosen])
        loss = model(input_ids=ids, labels=labels).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        schedule.step()
        optimiser.zero_grad(set_to_none=True)
    model.eval()


def _padded(rows: Sequence[tuple[list[int], list[int]]]) -> tuple[torch.Tensor, torch.Tensor]:
    """Right-padded ids and labels, shape (rows, longest); the causal mask makes an attention mask needless."""
    import torch

    longest = max(len(ids) for ids, _ in rows)
    ids = [[*row, *[0] * (longest - len(row))] for row, _ in rows]
    labels = [[*row, *[_IGNORED] * (longest - len(row))] for _, row in rows]
    return torch.tensor(ids), torch.tensor(labels)
