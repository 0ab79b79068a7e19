from __future__ import annotations

from pathlib import Path

import pytest

from auditkit.errors import ModelError
from auditkit.models.source import Source, localise, resolve
from auditkit.spec.model import Model


def models(**kinds: dict[str, object]) -> dict[str, Model]:
    return {name: Model.model_validate(fields) for name, fields in kinds.items()}


def test_every_spelling_of_a_checkpoint(tmp_path: Path) -> None:
    spec = models(
        folder={"checkpoint": "./a"},
        gguf={"checkpoint": "./a.gguf"},
        hub={"checkpoint": "acme/acme-7b", "revision": "4f1c0de"},
        builtin={"checkpoint": "builtin:smollm2-135m-instruct"},
        here={"checkpoint": "."},
    )
    found = {name: resolve(name, spec, base=tmp_path) for name in spec}
    assert {name: source.kind for name, source in found.items()} == {
        "folder": "folder",
        "gguf": "gguf",
        "hub": "hub",
        "builtin": "builtin",
        "here": "folder",
    }
    assert found["folder"].path == tmp_path.resolve() / "a"
    assert found["hub"].revision == "4f1c0de"
    assert found["builtin"].location == "smollm2-135m-instruct"


def test_another_model_of_the_spec_brings_its_adapters_and_gets_more(tmp_path: Path) -> None:
    spec = models(
        base={"checkpoint": "./base", "allow_pickle": True},
        first={"checkpoint": "base", "adapter": "./one"},
        second={"checkpoint": "first", "adapter": "./two"},
    )
    source = resolve("second", spec, base=tmp_path)
    assert source.path == tmp_path.resolve() / "base"
    assert [folder.name for folder in source.adapters] == ["one", "two"]
    assert source.allow_pickle


def test_a_made_model_has_its_folder_once_it_is_made(tmp_path: Path) -> None:
    tuned = {"from": "base", "finetune": {"corpora": ["retain"]}}
    spec = models(base={"checkpoint": "./base"}, reference=tuned, other={"checkpoint": "reference", "adapter": "./lora"})
    source = resolve("other", spec, base=tmp_path)
    assert (source.kind, source.location) == ("made", "reference")
    with pytest.raises(ModelError, match="has not been made"):
        localise(source, offline=True)
    made = resolve("other", spec, base=tmp_path, made={"reference": tmp_path / "made"})
    assert made.path == tmp_path.resolve() / "made"
    assert [folder.name for folder in made.adapters] == ["lora"]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"checkpoint": "acme/acme-7b"}, "needs a revision"),
        ({"checkpoint": "acme/acme-7b", "revision": "--upload"}, "revision must be"),
        ({"checkpoint": "canddate"}, "did you mean 'candidate'"),
        ({"checkpoint": "../outside"}, "leads out"),
        ({"checkpoint": "/etc"}, "leads out"),
        ({"checkpoint": "./a", "adapter": "../lora"}, "x.adapter"),
        ({"checkpoint": "./a", "adapter": "~/lora"}, "without ~"),
        ({"checkpoint": "a/b/c", "revision": "1"}, "must be a path"),
        ({"from": "nobody", "finetune": {"corpora": ["c"]}}, "from must be a model of this spec"),
    ],
)
def test_what_is_refused_and_how(tmp_path: Path, fields: dict[str, object], message: str) -> None:
    spec = models(candidate={"checkpoint": "./c"}, x=fields)
    with pytest.raises(ModelError, match=message):
        resolve("x", spec, base=tmp_path / "spec")


def test_circles_are_named(tmp_path: Path) -> None:
    spec = models(a={"checkpoint": "b"}, b={"from": "c", "finetune": {"corpora": ["x"]}}, c={"checkpoint": "a"})
    with pytest.raises(ModelError, match="a -> b -> c -> a"):
        resolve("a", spec, base=tmp_path)


def test_offline_a_hub_id_must_be_in_the_local_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    spec = models(x={"checkpoint": "acme/not-there", "revision": "4f1c0de"})
    assert resolve("x", spec, base=tmp_path).kind == "hub"
    with pytest.raises(ModelError, match="not in the hub's local cache"):
        resolve("x", spec, base=tmp_path, offline=True)


def test_a_source_on_disk_stays_as_it_is(tmp_path: Path) -> None:
    source = Source.of_folder(tmp_path, adapters=[tmp_path / "lora"])
    assert localise(source, offline=True) is source
