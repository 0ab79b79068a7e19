from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from auditkit.corpora.example import Corpus
from auditkit.corpora.load import load_corpus
from auditkit.errors import DataError
from auditkit.spec.model import CorpusSource


@pytest.fixture
def corpus(tmp_path: Path) -> Callable[..., Corpus]:
    """Writes a file and loads it: ``corpus("f.jsonl", content, where={...})``."""

    def _corpus(file: str, content: str | bytes, *, limit: int | None = None, **source: Any) -> Corpus:
        (tmp_path / file).write_bytes(content if isinstance(content, bytes) else content.encode())
        described = CorpusSource.model_validate({"file": file, **source})
        return load_corpus("forget", described, base=tmp_path, limit=limit)

    return _corpus


@pytest.fixture
def faults(corpus: Callable[..., Corpus]) -> Callable[..., list[str]]:
    """The messages of a file that must not load."""

    def _faults(file: str, content: str | bytes, **source: Any) -> list[str]:
        with pytest.raises(DataError) as caught:
            corpus(file, content, **source)
        return [str(problem) for problem in caught.value.problems]

    return _faults
