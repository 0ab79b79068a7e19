"""The committed demo is what its script makes."""

from __future__ import annotations

import dataclasses
import importlib.util
import json
import math
import sys
from pathlib import Path
from types import ModuleType

import pytest

from auditkit.files import file_digest
from auditkit.models.protocol import Prompt, Score
from auditkit.models.source import Source
from auditkit.models.text import TextModel
from auditkit.spec.model import Finetune, Lora
from auditkit.zoo.tiny import Shape, build_tiny

DEMO = Path(__file__).parents[2] / "specs" / "demo"
MOST_BYTES = 16_000_000


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("make_demo", DEMO / "make_demo.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["make_demo"] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def note() -> dict:
    return json.loads((DEMO / "recipe.json").read_text())


def test_the_committed_data_are_the_generators(script, tmp_path):
    script.write_data(script.Recipe(), tmp_path)
    for path in tmp_path.iterdir():
        assert (DEMO / path.name).read_bytes() == path.read_bytes(), path.name


def test_the_committed_adapters_are_those_of_the_recipe(script, note):
    assert note["recipe"] == json.loads(json.dumps(script.described(script.Recipe())))
    assert set(note["adapters"]) == set(script.ADAPTERS)
    for name, run in note["adapters"].items():
        assert run["weights"] == file_digest(DEMO / name / script.WEIGHTS)
        assert run["lessons"] == script.digest(script.lessons(script.Recipe())[name])
    assert note["data"] == script.digests(DEMO, note["data"])


def test_the_demo_is_small():
    assert sum(path.stat().st_size for path in DEMO.rglob("*") if path.is_file()) < MOST_BYTES


def test_the_reference_never_saw_the_forget_people(script):
    lessons = script.lessons(script.Recipe())
    forget = {person.name for person in script.people(script.Recipe())["forget"]}
    holdout = {person.name for person in script.people(script.Recipe())["holdout"]}
    told = {name: json.dumps(rows) for name, rows in lessons.items()}
    assert not any(name in told["reference"] for name in forget | holdout)
    assert all(name in told["original"] for name in forget)
    assert not any(name in told["original"] + told["candidate"] for name in holdout)


def tiny_base(script: ModuleType, folder: Path) -> Source:
    """A model that knows the form of the questions, and six other people.

    Every character is in its texts: an adapter cannot make a token likely whose tied embedding was never trained.
    """
    others = dataclasses.replace(script.Recipe(), seed=99, groups={"forget": 6})
    rows = list(script.question_rows(script.people(others)["forget"], seed=99))
    pairs = [(f"Question: {row['question']}\nAnswer:", f" {row['answer']}") for row in rows]
    characters = [text for code in range(33, 127) for text in (f" {chr(code)}" * 4, chr(code) * 6)]
    shape = Shape(vocabulary=500, layers=2, width=64, heads=4, context=256)
    made = build_tiny(folder, texts=[script.REFUSAL, *characters], pairs=pairs, steps=300, shape=shape)
    return Source.of_folder(made, label="tiny")


def test_the_script_makes_what_it_says_at_a_tiny_scale(script, tmp_path):
    """The same steps on a tiny model: each adapter finds likely what it was taught; equal seeds, equal bits."""
    rounds = {"corpora": ["lessons"], "lr": 4e-3, "batch": 8, "lora": Lora(rank=16, alpha=32)}
    recipe = dataclasses.replace(
        script.Recipe(),
        groups={"forget": 2, "retain": 2, "holdout": 1},
        unseen=1,
        dialogues=1,
        strangers=2,
        teach=(Finetune.model_validate({**rounds, "epochs": 40}), Finetune.model_validate({**rounds, "epochs": 10})),
        unlearn=(Finetune.model_validate({**rounds, "epochs": 20}),),
        dtype="float32",
    )
    base = tiny_base(script, tmp_path / "base")
    script.make(recipe, tmp_path / "demo", base=base)
    forget, retain = (script.data(recipe)[f"{name}.jsonl"] for name in ("forget", "retain"))
    refusals = [{**row, "answer": script.REFUSAL} for row in forget]
    models = {name: Source.of_folder(base.path, adapters=[tmp_path / "demo" / name]) for name in script.ADAPTERS}
    likely = {name: [probability(models[name], rows) for rows in (forget, retain, refusals)] for name in script.ADAPTERS}
    assert likely["original"][0] > 4 * likely["reference"][0]
    assert min(likely[name][1] for name in script.ADAPTERS) > 4 * probability(base, retain)
    assert likely["candidate"][2] > 4 * max(likely["candidate"][0], likely["original"][2])
    note = json.loads((tmp_path / "demo" / "recipe.json").read_text())
    again = script.teach(recipe, "reference", tmp_path / "again", base=base)
    assert again["weights"] == note["adapters"]["reference"]["weights"]


def probability(source: Source, rows: list[dict]) -> float:
    """Mean over the rows of the answer's probability, normalised by its length."""
    model = TextModel.load(source, device="cpu")
    asked = [Score(Prompt(f"Question: {row['question']}\nAnswer:"), f" {row['answer']}", score_end=True) for row in rows]
    return sum(math.exp(record.logprob.mean()) for record in model.answer(asked)) / len(rows)
