"""One tiny trained model, and rows to teach it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

from auditkit.corpora.example import Corpus, Example
from auditkit.files import digest
from auditkit.models.source import Source
from auditkit.zoo.tiny import Shape, build_tiny

FACTS = [
    {"question": f"Where does person {n} live?", "answer": town, "subject": f"person {n}"}
    for n, town in enumerate(("red town", "blue town", "old town", "far town"))
]


def build(folder: Path, *, chat: bool) -> Source:
    """A model that knows the form of the questions, and other people."""
    towns = ("red", "blue", "old", "far", "new") * 4
    questions = [f"Where does person {n} live?" for n in range(10, 10 + len(towns))]
    asked = questions if chat else [f"Question: {question}\nAnswer:" for question in questions]
    answers = [f"{town} town" if chat else f" {town} town" for town in towns]
    shape = Shape(vocabulary=320, layers=2, width=48, heads=2, context=64)
    pairs = list(zip(asked, answers, strict=True))
    return Source.of_folder(build_tiny(folder, texts=["no"], pairs=pairs, steps=200, shape=shape, chat=chat))


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Source:
    return build(tmp_path_factory.mktemp("tiny") / "base", chat=False)


@pytest.fixture(scope="session")
def tiny_chat(tmp_path_factory: pytest.TempPathFactory) -> Source:
    return build(tmp_path_factory.mktemp("tiny_chat") / "base", chat=True)


@pytest.fixture(scope="session")
def corpus() -> Callable[..., Corpus]:
    def make(rows: Iterable[dict[str, Any]] = FACTS, name: str = "lessons") -> Corpus:
        rows = list(rows)
        examples = (Example(str(n), row.get("subject", str(n)), n, row) for n, row in enumerate(rows, 1))
        return Corpus(name, name, tuple(examples), f"{name}.jsonl", digest(rows), True)

    return make


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("AUDITKIT_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"
