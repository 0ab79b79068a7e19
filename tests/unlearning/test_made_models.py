"""Models that the spec makes: once per recipe, and of each other."""

from __future__ import annotations

import shutil

import pytest

from auditkit.errors import ModelError, SpecError
from auditkit.models.checkpoint import inspect
from auditkit.spec.model import Model
from auditkit.unlearning import METHODS, materialise
from auditkit.unlearning import _make as making


def spec_models(tiny, **more):
    teach = {"corpora": ["lessons"], "epochs": 1}
    return {
        "base": Model(checkpoint=str(tiny.path)),
        "original": Model.model_validate({"from": "base", "finetune": teach}),
        **{name: Model.model_validate(fields) for name, fields in more.items()},
    }


@pytest.fixture
def made(tiny, corpus, cache, monkeypatch):
    """``materialise``, and how often it trained."""
    trained = []
    real = making.teach

    def counted(source, *args, **kwargs):
        trained.append(source.label)
        return real(source, *args, **kwargs)

    monkeypatch.setattr(making, "teach", counted)

    def make(name, models, corpora=None):
        corpora = corpora or {"lessons": corpus(), "other": corpus([{"text": "another row"}], "other")}
        return materialise(name, models, corpora, base=tiny.path.parent, offline=True)

    make.trained = trained
    return make


def test_a_model_is_made_once(made, tiny, cache):
    first = made("original", spec_models(tiny))
    assert made("original", spec_models(tiny)) == first
    assert len(made.trained) == 1
    assert first.path.parent == cache / "made"
    assert inspect(first) == []


def test_another_recipe_is_another_model(made, tiny, corpus):
    models = spec_models(tiny, longer={"from": "base", "finetune": {"corpora": ["lessons"], "epochs": 2}})
    folders = {made(name, models).path for name in ("original", "longer")}
    folders.add(made("original", models, {"lessons": corpus([{"text": "other data"}])}).path)
    assert len(folders) == len(made.trained) == 3


def test_made_models_are_made_of_each_other(made, tiny):
    models = spec_models(
        tiny,
        candidate={"from": "original", "finetune": {"corpora": ["other"], "epochs": 1}},
        again={"checkpoint": "candidate"},
    )
    assert made("again", models).path == made("candidate", models).path
    assert made.trained == [str(tiny.path), "original"]


def test_a_model_that_is_not_made_is_only_found(made, tiny):
    assert made("base", spec_models(tiny)).path == tiny.path
    assert made.trained == []


def test_an_unknown_method_is_refused_by_name(made, tiny):
    models = spec_models(tiny, candidate={"from": "original", "unlearn": {"method": "wishing"}})
    with pytest.raises(SpecError, match=r"models\.candidate\.unlearn\.method must be a known method; got 'wishing'"):
        made("candidate", models)
    assert made.trained == []


def test_a_circle_is_refused_before_anything_is_made(made, tiny):
    teach = {"corpora": ["lessons"], "epochs": 1}
    models = spec_models(tiny, a={"from": "b", "finetune": teach}, b={"from": "a", "finetune": teach})
    with pytest.raises(ModelError, match="circle"):
        made("a", models)
    assert made.trained == []


def test_helpers_are_not_listed_as_methods():
    assert not {"teach", "make", "materialise"} & set(METHODS.names())


def test_what_a_killed_run_left_beside_a_model_goes_when_it_is_made(made, tiny, cache):
    folder = made("original", spec_models(tiny)).path
    shutil.rmtree(folder)
    left, others = folder.with_name(f".{folder.name}.making-x1"), folder.with_name(".another.making-x1")
    for path in (left / "model", others):
        path.mkdir(parents=True)
    made("original", spec_models(tiny))
    assert {path.name for path in folder.parent.iterdir() if path.is_dir()} == {folder.name, others.name}
