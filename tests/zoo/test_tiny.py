from __future__ import annotations

from pathlib import Path

import pytest

from auditkit.files import file_digest
from auditkit.models.checkpoint import inspect
from auditkit.models.protocol import Generate, Generated, Prompt
from auditkit.models.source import Source
from auditkit.models.text import TextModel
from auditkit.zoo.tiny import SPECIAL_TOKENS, Shape, build_tiny, train_tokenizer

TEXTS = [f"Person {number} likes the colour {colour}." for number, colour in enumerate(["red", "blue", "green", "black"])]
PAIRS = [(f"Q: what does person {number} like?\nA:", f" {colour}") for number, colour in enumerate(["red", "blue", "green"])]
SMALL = Shape(vocabulary=320, layers=1, width=32, heads=2, context=64)


def answers(folder: Path, *, chat: bool = False) -> list[str]:
    model = TextModel.load(Source.of_folder(folder), device="cpu", chat="template" if chat else "plain")
    records = model.answer([Generate(Prompt(question, chat=chat), 6) for question, _ in PAIRS])
    return [record.text for record in records if isinstance(record, Generated)]


@pytest.mark.parametrize("chat", [False, True])
def test_it_learns_its_pairs_and_stops(tmp_path: Path, chat: bool) -> None:
    folder = build_tiny(tmp_path / "m", texts=TEXTS, pairs=PAIRS, steps=300, shape=SMALL, chat=chat, batch=8)
    assert answers(folder, chat=chat) == [answer for _, answer in PAIRS]


def test_it_is_a_whole_checkpoint_in_safetensors(tmp_path: Path) -> None:
    folder = build_tiny(tmp_path / "m", texts=TEXTS, steps=0, shape=SMALL)
    assert inspect(Source.of_folder(folder)) == []
    names = {path.name for path in folder.iterdir()}
    assert {"model.safetensors", "config.json", "generation_config.json", "tokenizer.json", "chat_template.jinja"} <= names


def test_the_seed_decides_every_bit(tmp_path: Path) -> None:
    def digest(name: str, seed: int, steps: int) -> str:
        folder = build_tiny(tmp_path / name, texts=TEXTS, pairs=PAIRS, steps=steps, seed=seed, shape=SMALL, batch=4)
        return file_digest(folder / "model.safetensors")

    assert digest("a", 0, 5) == digest("b", 0, 5)
    assert len({digest("c", seed, steps) for seed in (0, 1) for steps in (0, 5)}) == 4


def test_nothing_global_is_seeded(tmp_path: Path) -> None:
    import torch

    before = torch.random.get_rng_state()
    build_tiny(tmp_path / "m", texts=TEXTS, steps=1, shape=SMALL)
    assert torch.equal(torch.random.get_rng_state(), before)


def test_the_tokenizer_knows_every_byte_and_its_special_tokens() -> None:
    tokenizer = train_tokenizer(TEXTS, vocabulary=300)
    text = "é漢\x00🙂 red"
    ids = tokenizer(text)["input_ids"]
    assert ids[0] == tokenizer.bos_token_id
    assert tokenizer.decode(ids, skip_special_tokens=True) == text
    assert [tokenizer.convert_tokens_to_ids(token) for token in SPECIAL_TOKENS] == list(range(len(SPECIAL_TOKENS)))


def test_rows_longer_than_the_context_are_cut(tmp_path: Path) -> None:
    folder = build_tiny(tmp_path / "m", texts=[TEXTS[0] * 40], steps=1, shape=SMALL)
    assert TextModel.load(Source.of_folder(folder), device="cpu").context_length == SMALL.context
