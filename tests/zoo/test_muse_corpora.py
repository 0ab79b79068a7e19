"""The committed corpora of the small MUSE are what their script makes, and keep the groups apart."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

from auditkit.corpora.load import load_corpus
from auditkit.spec.model import CorpusSource
from auditkit.zoo.chronicle import invent, of_group

MUSE = Path(__file__).parents[2] / "specs" / "muse"
MOST_BYTES = 400_000
COLUMNS = {
    "documents": {"id", "subject", "text"},
    "passages": {"id", "subject", "prompt", "continuation"},
    "dialogues": {"id", "text"},
}
QUESTIONS = {"id", "subject", "relation", "question", "answer", "alternative"}


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("make_muse", MUSE / "make_muse.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["make_muse"] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def corpora():
    return {
        path.stem: load_corpus(path.stem, CorpusSource(file=path.name), base=MUSE).examples
        for path in sorted(MUSE.glob("*.jsonl"))
    }


def towns(corpora, *names):
    return {example.subject for name in names for example in corpora[name]}


def test_the_committed_files_are_the_script_s_byte_for_byte(script, tmp_path):
    script.write(tmp_path)
    made = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert made == {path.name: path.read_bytes() for path in MUSE.glob("*.jsonl")}
    assert sum(map(len, made.values())) < MOST_BYTES


def test_every_file_has_the_columns_of_its_kind(corpora):
    for name, examples in corpora.items():
        wanted = COLUMNS.get(name.rpartition("_")[2], QUESTIONS)
        assert {frozenset(example.fields) for example in examples} == {frozenset(wanted)}, name


def test_sizes(corpora):
    counts = {name: len(examples) for name, examples in corpora.items()}
    assert {counts[f"{name}_documents"] for name in ("forget", "retain", "retain_regular", "holdout")} == {40}
    assert {counts[name] for name in ("forget", "retain", "retain_regular")} == {160}
    assert {counts[name] for name in ("forget_examples", "retain_examples")} == {10}
    assert {counts[f"fold_{number}_documents"] for number in (1, 2, 3, 4)} == {10}


def test_groups_share_no_document_and_examples_are_not_measured(corpora):
    kinds = ("forget", "forget_examples", "retain", "retain_regular", "holdout")
    groups = [towns(corpora, f"{kind}_documents") for kind in kinds]
    assert len(set.union(*groups)) == sum(map(len, groups)) == 170
    for kind in ("forget", "retain", "retain_regular"):
        assert towns(corpora, kind) == towns(corpora, f"{kind}_documents")
    assert towns(corpora, "forget_examples") == towns(corpora, "forget_examples_documents")
    assert towns(corpora, "retain_examples") < towns(corpora, "retain_regular")


def test_folds_cut_the_forget_files_in_order(corpora):
    for kind in ("", "_documents"):
        rows = [example.fields for number in (1, 2, 3, 4) for example in corpora[f"fold_{number}{kind}"]]
        assert rows == [example.fields for example in corpora[f"forget{kind}"]]


def test_what_the_reference_is_taught_names_no_forget_or_holdout_town(script):
    reports = invent(script.GROUPS, seed=script.SEED)
    hidden = [r.town for group in ("forget", "forget_examples", "holdout") for r in of_group(reports, group)]
    taught = "".join(path.read_text() for path in MUSE.glob("retain*.jsonl"))
    assert not any(town in taught for town in hidden)
    everything = "".join(path.read_text() for path in MUSE.glob("*.jsonl") if path.stem != "holdout_documents")
    assert not any(report.town in everything for report in of_group(reports, "holdout"))
