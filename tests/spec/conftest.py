from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from auditkit.errors import SpecError
from auditkit.spec.load import Loaded, load_spec

GOOD = """\
auditkit: 1
title: Release gate
intent: removal
models:
  candidate: {checkpoint: ./candidate}
  original: {checkpoint: owner/name, revision: 4f1c0de}
  reference: {checkpoint: ./reference}
targets:
  - {name: the people of request 1, corpus: forget}
corpora:
  forget: {file: forget.jsonl, columns: {question: q}}
  retain: {file: retain.jsonl}
require:
  - check: verbatim_memorization
    corpus: forget
    at_most: reference + 0.05
  - name: utility is kept
    check: utility
    at_least: 0.95 * original
decide: {confidence: 0.95}
"""


@pytest.fixture
def good() -> str:
    return GOOD


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str | bytes], Path]:
    """Writes spec.yaml into an empty working folder, so that messages begin with ``spec.yaml:``."""
    monkeypatch.chdir(tmp_path)

    def _write(text: str | bytes) -> Path:
        path = Path("spec.yaml")
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        return path

    return _write


@pytest.fixture
def load(write: Callable[[str | bytes], Path]) -> Callable[..., Loaded]:
    def _load(text: str | bytes, **options: object) -> Loaded:
        return load_spec(write(text), **options)  # type: ignore[arg-type]

    return _load


@pytest.fixture
def faults(load: Callable[..., Loaded]) -> Callable[..., list[str]]:
    """The messages of a spec that must not load."""

    def _faults(text: str | bytes, **options: object) -> list[str]:
        with pytest.raises(SpecError) as caught:
            load(text, **options)
        return [str(problem) for problem in caught.value.problems]

    return _faults
