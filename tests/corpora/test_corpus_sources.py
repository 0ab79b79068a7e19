from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from auditkit.corpora.load import load_corpora, load_corpus
from auditkit.errors import DataError
from auditkit.spec.load import load_spec
from auditkit.spec.model import CorpusSource, Spec

ROWS = [{"question": "Who?", "answer": "Ada", "subject": "Ada"}, {"question": "When?", "answer": "1815", "subject": "Ada"}]


def load(base: Path, *, roots: tuple[Path, ...] = (), offline: bool = True, **source: object):
    return load_corpus("forget", CorpusSource.model_validate(source), base=base, roots=roots, offline=offline)


def fault(base: Path, **source: object) -> str:
    with pytest.raises(DataError) as caught:
        load(base, **source)
    (problem,) = caught.value.problems
    return str(problem)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A folder with a spec's file, and a file outside of it."""
    folder = tmp_path / "home"
    folder.mkdir()
    (folder / "in.jsonl").write_text('{"text": "inside"}\n')
    (tmp_path / "out.jsonl").write_text('{"text": "outside"}\n')
    return folder


def test_paths_start_at_the_specs_folder(home, monkeypatch):
    monkeypatch.chdir("/")
    assert load(home, file="in.jsonl").examples[0].text == "inside"
    assert load(home, file="./in.jsonl").source == "./in.jsonl"
    assert load(home, file=str(home / "in.jsonl")).examples[0].text == "inside"


def test_a_root_opens_another_folder(home):
    assert load(home, file="../out.jsonl", roots=(home.parent,)).examples[0].text == "outside"


@pytest.mark.parametrize("kind", ["dotdot", "absolute", "symlink"])
def test_paths_do_not_lead_out(kind, home):
    (home / "link.jsonl").symlink_to(home.parent / "out.jsonl")
    file = {"dotdot": "../out.jsonl", "absolute": str(home.parent / "out.jsonl"), "symlink": "link.jsonl"}[kind]
    says = fault(home, file=file)
    assert says.startswith("corpora.forget.file: must lie in the spec's folder or in a folder given with --root; got ")


@pytest.mark.parametrize("file", ["~/in.jsonl", "https://example.org/in.jsonl", "file:///etc/passwd", "", "a\0.jsonl"])
def test_paths_are_paths(file, home):
    assert fault(home, file=file).startswith("corpora.forget.file: must be a path")


def test_what_is_no_file(home):
    (home / "folder.jsonl").mkdir()
    os.mkfifo(home / "pipe.jsonl")
    assert fault(home, file="gone.jsonl") == "corpora.forget.file: must be a file; got nothing there (gone.jsonl)"
    assert fault(home, file="folder.jsonl") == "corpora.forget.file: must be a file; got a folder (folder.jsonl)"
    assert fault(home, file="pipe.jsonl") == "corpora.forget.file: must be a file; got something else (pipe.jsonl)"


def saved(folder: Path, rows: list[dict]) -> None:
    import datasets

    datasets.disable_progress_bars()
    datasets.Dataset.from_list(rows).save_to_disk(folder)


def test_a_saved_dataset_is_read_as_its_own_library_reads_it(home):
    import datasets

    rows = [{"question": f"q{n}", "answer": f"a{n}", "tags": [n], "split": "x"} for n in range(2500)]
    saved(home / "data", rows)
    loaded = load(home, dataset="./data")
    assert [dict(example.fields) for example in loaded.examples] == datasets.load_from_disk(home / "data").to_list()
    assert loaded.source == "./data"


def test_splits_of_a_saved_dataset(home):
    import datasets

    parts = {name: datasets.Dataset.from_list([{"text": name}]) for name in ("train", "test")}
    datasets.disable_progress_bars()
    datasets.DatasetDict(parts).save_to_disk(home / "data")
    assert load(home, dataset="./data").examples[0].text == "train"
    assert load(home, dataset="./data", split="test").examples[0].text == "test"
    assert fault(home, dataset="./data", split="tset") == (
        "./data: must have the split 'tset'; got others; did you mean 'test'?"
    )


def test_a_dataset_folder_that_is_none(home):
    (home / "empty").mkdir()
    assert fault(home, dataset="./gone") == "./gone: must be a folder made by datasets.save_to_disk; got no folder there"
    assert fault(home, dataset="./empty") == (
        "./empty: must be a folder made by datasets.save_to_disk; got no state.json in it"
    )
    assert fault(home, dataset="../home2").startswith("corpora.forget.dataset: must lie in the spec's folder")


@pytest.mark.parametrize("name", ["../../out.arrow", "/etc/passwd", "gone.arrow", 7])
def test_a_dataset_folder_cannot_name_files_elsewhere(name, home):
    saved(home / "data", ROWS)
    (home.parent / "out.arrow").write_bytes(b"x")
    state = json.loads((home / "data" / "state.json").read_text())
    state["_data_files"].append({"filename": name})
    (home / "data" / "state.json").write_text(json.dumps(state))
    assert fault(home, dataset="./data") == (
        "./data: must hold the arrow files that its state.json names; got none or not all of them"
    )


def test_a_broken_dataset_folder(home):
    saved(home / "data", ROWS)
    (arrow,) = (home / "data").glob("*.arrow")
    arrow.write_bytes(arrow.read_bytes()[:40])
    assert fault(home, dataset="./data").startswith("./data: must hold arrow files; ")
    (home / "data" / "state.json").write_text("[")
    assert fault(home, dataset="./data").startswith("./data:1:2: must be JSON; ")
    (home / "data" / "state.json").write_text("[]")
    assert fault(home, dataset="./data").endswith("got a broken state.json")


def test_a_hub_id_needs_a_revision_and_a_network(home):
    assert fault(home, dataset="owner/name") == (
        "corpora.forget.dataset: a hub id must have a revision (the commit of the repository); got none; "
        "write ./owner/name for a folder beside the spec"
    )
    assert fault(home, dataset="owner/name", revision="abc") == (
        "corpora.forget.dataset: must be a local folder (./path), because this run is offline; got a hub id; "
        "run without --offline, or save it with datasets.save_to_disk"
    )


def test_a_hub_id_that_cannot_be_fetched_is_a_fault_of_the_data(home, monkeypatch):
    import datasets

    def refuse(name: str, config: str | None, *, split: str, revision: str) -> None:
        assert (name, config, split, revision) == ("owner/name", None, "train", "abc")
        raise ConnectionError("no route\nsecond line")

    monkeypatch.setattr(datasets, "load_dataset", refuse)
    assert fault(home, dataset="owner/name", revision="abc", offline=False) == (
        "owner/name: must be a data set that can be fetched; ConnectionError: no route"
    )


def spec_of(corpora: dict) -> Spec:
    return Spec.model_validate(
        {
            "auditkit": 1,
            "title": "t",
            "intent": "removal",
            "models": {"candidate": {"checkpoint": "./c"}},
            "corpora": corpora,
            "require": [{"check": "fluency", "at_least": 0.5}],
        }
    )


def test_corpora_are_loaded_by_name_with_their_roles(home):
    found = load_corpora(spec_of({"forget": {"file": "in.jsonl"}, "kept": {"file": "in.jsonl", "role": "retain"}}), base=home)
    assert {name: (corpus.name, corpus.role) for name, corpus in found.items()} == {
        "forget": ("forget", "forget"),
        "kept": ("kept", "retain"),
    }


def test_the_faults_of_all_corpora_come_together(home):
    (home / "broken.jsonl").write_text("{")
    spec = spec_of({"a": {"file": "gone.jsonl"}, "b": {"file": "in.jsonl"}, "c": {"file": "broken.jsonl"}})
    with pytest.raises(DataError) as caught:
        load_corpora(spec, base=home)
    assert [str(problem)[:24] for problem in caught.value.problems] == ["corpora.a.file: must be ", "broken.jsonl:1:2: row 1:"]


def test_faults_of_the_spec_have_its_lines(home):
    (home / "spec.yaml").write_text(
        "auditkit: 1\ntitle: t\nintent: removal\nmodels: {candidate: {checkpoint: ./c}}\ncorpora:\n"
        "  forget:\n    file: in.jsonl\n    columns:\n      question: q\n  gone: {file: gone.jsonl}\n"
        "require:\n  - {check: fluency, at_least: 0.5}\n"
    )
    loaded = load_spec(home / "spec.yaml")
    with pytest.raises(DataError) as caught:
        load_corpora(loaded.spec, base=home, locate=loaded.problem)
    assert [(problem.line, problem.column, problem.where) for problem in caught.value.problems] == [
        (9, 17, "corpora.forget.columns.question"),
        (10, 16, "corpora.gone.file"),
    ]
