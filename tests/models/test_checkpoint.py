from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

from auditkit.models import _digests
from auditkit.models.checkpoint import changed, fingerprint, inspect, manifest
from auditkit.models.source import Source


def complaints(folder: Path, **words: object) -> str:
    source = Source("folder", str(folder), "candidate", **words)  # type: ignore[arg-type]
    return "\n".join(str(problem) for problem in inspect(source))


def set_json(path: Path, **entries: object) -> None:
    content = json.loads(path.read_text()) if path.exists() else {}
    path.write_text(json.dumps({**content, **entries}))


def test_nothing_is_wrong_with_a_whole_checkpoint(tiny_folder: Path) -> None:
    assert inspect(Source.of_folder(tiny_folder)) == []


@pytest.mark.parametrize(
    ("file", "message"),
    [
        ("model.safetensors", "must hold weights; got a folder without any"),
        ("config.json", "config.json: must be there"),
        ("tokenizer.json", "must hold a tokenizer; got none"),
    ],
)
def test_missing_files_are_named(copy_of_tiny: Path, file: str, message: str) -> None:
    (copy_of_tiny / file).unlink()
    assert message in complaints(copy_of_tiny)


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    assert "got nothing there" in complaints(tmp_path / "none")
    (tmp_path / "file").touch()
    assert "got a file" in complaints(tmp_path / "file")


@pytest.mark.parametrize("text", ["{", "[]", "null", "\xff", "[" * 5000])
def test_a_config_that_is_no_json_object(copy_of_tiny: Path, text: str) -> None:
    (copy_of_tiny / "config.json").write_bytes(text.encode("latin-1"))
    assert "config.json: must be a JSON object" in complaints(copy_of_tiny)


@pytest.mark.parametrize("file", ["config.json", "tokenizer_config.json", "processor_config.json", "generation_config.json"])
def test_own_code_is_refused_by_name(copy_of_tiny: Path, file: str) -> None:
    set_json(copy_of_tiny / file, auto_map={"AutoModelForCausalLM": "evil.Model"})
    assert f"{file}: must not bring its own code; got auto_map" in complaints(copy_of_tiny)


def test_code_in_nested_entries_and_kernels_from_a_hub(copy_of_tiny: Path) -> None:
    set_json(copy_of_tiny / "config.json", text_config={"auto_map": {}}, _attn_implementation="someone/kernel")
    found = complaints(copy_of_tiny)
    assert "got auto_map" in found
    assert "got _attn_implementation from a hub" in found


@pytest.mark.parametrize("size", [0, 7, 8, 100, -1])
def test_a_truncated_shard_is_named(copy_of_tiny: Path, size: int) -> None:
    shard = copy_of_tiny / "model.safetensors"
    content = shard.read_bytes()
    shard.write_bytes(content[:size])
    assert "model.safetensors: must" in complaints(copy_of_tiny)


def test_a_header_that_promises_more_than_the_file(copy_of_tiny: Path) -> None:
    (copy_of_tiny / "model.safetensors").write_bytes((1 << 60).to_bytes(8, "little") + b"{}")
    assert f"header length of {1 << 60}" in complaints(copy_of_tiny)


def test_an_index_must_name_shards_that_are_there(copy_of_tiny: Path) -> None:
    (copy_of_tiny / "model.safetensors").rename(copy_of_tiny / "model-00001-of-00002.safetensors")
    index = copy_of_tiny / "model.safetensors.index.json"
    index.write_text(
        json.dumps({"weight_map": {"a": "model-00001-of-00002.safetensors", "b": "model-00002-of-00002.safetensors"}})
    )
    assert "model-00002-of-00002.safetensors: must be there, the index names it" in complaints(copy_of_tiny)
    for name in ("../secret.safetensors", "weights.bin"):
        index.write_text(json.dumps({"weight_map": {"a": name}}))
        assert f"must name safetensors files beside it; got {name!r}" in complaints(copy_of_tiny)
    index.write_text("{}")
    assert "must hold a weight_map" in complaints(copy_of_tiny)


def test_pickled_weights_only_where_the_spec_allows_them(copy_of_tiny: Path) -> None:
    (copy_of_tiny / "model.safetensors").unlink()
    (copy_of_tiny / "pytorch_model.bin").write_bytes(b"x")
    assert "must be safetensors; got pytorch_model.bin" in complaints(copy_of_tiny)
    assert complaints(copy_of_tiny, allow_pickle=True) == ""


def test_pickles_beside_safetensors_are_not_read_and_not_refused(copy_of_tiny: Path) -> None:
    (copy_of_tiny / "training_args.bin").write_bytes(b"x")
    assert complaints(copy_of_tiny) == ""


def test_links_may_not_leave_the_folder(copy_of_tiny: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    shutil.move(copy_of_tiny / "config.json", elsewhere / "config.json")
    (copy_of_tiny / "config.json").symlink_to(elsewhere / "config.json")
    assert "config.json: must not be a link out of the checkpoint's folder" in complaints(copy_of_tiny)
    # As in the hub's cache, where snapshots link to blobs of the same repository.
    assert complaints(copy_of_tiny, links=tmp_path) == ""


def test_a_gguf_file_must_be_one(tmp_path: Path) -> None:
    path = tmp_path / "m.gguf"
    assert "got nothing there" in str(inspect(Source("gguf", str(path), "c"))[0])
    path.write_bytes(b"GGML" + bytes(100))
    assert "got something else" in str(inspect(Source("gguf", str(path), "c"))[0])


def test_a_source_that_is_not_on_disk_has_nothing_to_look_at() -> None:
    assert inspect(Source("hub", "a/b", "a/b")) == []


def test_the_manifest_lists_every_file_and_adapters(tiny_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "lora").mkdir()
    (tmp_path / "lora" / "adapter_config.json").write_text("{}")
    files = manifest(Source.of_folder(tiny_folder, adapters=[tmp_path / "lora"]))
    assert set(files) == {path.name for path in tiny_folder.iterdir()} | {"@adapter-1/adapter_config.json"}
    assert files["config.json"]["size"] == (tiny_folder / "config.json").stat().st_size


@pytest.mark.parametrize(
    ("file", "part"),
    [
        ("model.safetensors", "weights"),
        ("config.json", "config"),
        ("generation_config.json", "config"),
        ("tokenizer.json", "tokenizer"),
        ("chat_template.jinja", "chat_template"),
    ],
)
def test_each_part_of_the_fingerprint_moves_with_its_file(copy_of_tiny: Path, file: str, part: str) -> None:
    source = Source.of_folder(copy_of_tiny)
    before = fingerprint(source)
    content = bytearray((copy_of_tiny / file).read_bytes())
    content[-1] ^= 1
    (copy_of_tiny / file).write_bytes(content)
    after = fingerprint(source)
    moved = {name for name in before.parts() if before.parts()[name] != after.parts()[name]}
    assert moved == {part}
    assert before.digest != after.digest


def test_the_fingerprint_is_of_content_and_not_of_place(tiny_folder: Path, copy_of_tiny: Path) -> None:
    assert fingerprint(Source.of_folder(tiny_folder)) == fingerprint(Source.of_folder(copy_of_tiny))


def test_adapters_have_their_own_part(tiny_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "adapter_config.json").write_text("{}")
    plain = fingerprint(Source.of_folder(tiny_folder))
    adapted = fingerprint(Source.of_folder(tiny_folder, adapters=[tmp_path]))
    assert plain.adapter == ""
    assert adapted.adapter
    assert adapted.weights == plain.weights


def test_digests_are_remembered_until_the_file_changes(copy_of_tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = Source.of_folder(copy_of_tiny)
    for path in copy_of_tiny.iterdir():
        os.utime(path, (1_600_000_000, 1_600_000_000))
    before = manifest(source)
    read: list[str] = []

    def counted(path: Path) -> str:
        read.append(path.name)
        return "0" * 64

    monkeypatch.setattr(_digests, "file_digest", counted)
    assert manifest(source) == before
    assert read == []
    os.utime(copy_of_tiny / "config.json", (1_600_000_001, 1_600_000_001))
    manifest(source)
    assert read == ["config.json"]
    read.clear()
    manifest(source, recheck=True)
    assert sorted(read) == sorted(before)


def test_a_change_that_keeps_size_and_time_is_found_by_a_recheck(copy_of_tiny: Path) -> None:
    source = Source.of_folder(copy_of_tiny)
    config = copy_of_tiny / "config.json"
    os.utime(config, (1_600_000_000, 1_600_000_000))
    before = manifest(source)
    assert changed(source, before) == []
    config.write_bytes(config.read_bytes().replace(b"silu", b"relu"))
    os.utime(config, (1_600_000_000, 1_600_000_000))
    (copy_of_tiny / "new.txt").touch()
    assert changed(source, before) == ["config.json", "new.txt"]
