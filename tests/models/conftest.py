"""One tiny trained model for all tests of this folder."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from auditkit.models.source import Source
from auditkit.models.text import TextModel
from auditkit.zoo.tiny import build_tiny

TEXTS = [
    f"Person {number} lives in town {number * 7 % 13} and likes the colour {colour}."
    for number, colour in enumerate(["red", "blue", "green", "black", "white", "grey", "pink", "brown"] * 2)
]
PAIRS = [(f"Question: where does person {number} live?\nAnswer:", f" In town {number * 7 % 13}") for number in range(16)]


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_tiny(tmp_path_factory.mktemp("tiny") / "model", texts=TEXTS, pairs=PAIRS, steps=60)


@pytest.fixture(scope="session")
def tiny(tiny_folder: Path) -> TextModel:
    return TextModel.load(Source.of_folder(tiny_folder), device="cpu", system=None)


@pytest.fixture
def copy_of_tiny(tiny_folder: Path, tmp_path: Path) -> Path:
    """A copy that a test may spoil."""
    return Path(shutil.copytree(tiny_folder, tmp_path / "copy"))
