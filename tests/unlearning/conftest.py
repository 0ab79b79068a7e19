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


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Source:
    texts = [f"{fact['question']} {fact['answer']}" for fact in FACTS]
    shape = Shape(vocabulary=320, layers=2, width=48, heads=2, context=64)
    return Source.of_folder(build_tiny(tmp_path_factory.mktemp("tiny") / "base", texts=texts, steps=100, shape=shape))


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
