"""Utility: retained knowledge, and lm-eval tasks that score as lm-eval's own Hugging Face model does."""

from __future__ import annotations

import contextlib
import dataclasses
import math
import warnings
from pathlib import Path

import pytest

from auditkit.checks import CHECKS
from auditkit.checks.utility import RETAIN
from auditkit.errors import DataError
from auditkit.models.protocol import Generate, Score
from tests.checks.fakes import FakeModel, all_corpora, by_group, context, run

UTILITY = CHECKS.get("utility")
HERE = Path(__file__).parent


@pytest.fixture(autouse=True)
def offline(monkeypatch, tmp_path):
    """No network and no writing outside the test's folder."""
    datasets = pytest.importorskip("datasets")
    hub = pytest.importorskip("huggingface_hub.constants")
    monkeypatch.setattr(hub, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", str(tmp_path / "datasets"))


def asked(*, task_code=True, folder=HERE, **params):
    given = {"tasks": ["./tasks"], "retain_knowledge": False} | params
    return dataclasses.replace(context(UTILITY, all_corpora(), **given), task_code=task_code, folder=str(folder))


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    """A tiny model that has seen some of the tasks' questions."""
    from auditkit.zoo.tiny import build_tiny

    colours = ("red", "blue", "green", "dark yellow")
    things = ("lamp", "door", "boat", "chair", "wall", "coat", "book", "jar")
    texts = [f"Question: What colour is the {t}?\nAnswer: {colours[i % 4]}" for i, t in enumerate(things)]
    return build_tiny(tmp_path_factory.mktemp("tiny") / "model", texts=texts, steps=40, seed=1)


@pytest.fixture(scope="module")
def answers(tiny):
    """Every request of the local tasks, answered by the tiny model."""
    from auditkit.models.source import Source
    from auditkit.models.text import TextModel

    model = TextModel.load(Source.of_folder(tiny), dtype="float32", device="cpu")
    records = {}

    def answer(request):
        if request not in records:
            (records[request],) = model.answer([request])
        return records[request]

    return answer


@pytest.fixture(scope="module")
def published(tiny):
    """(means by task, samples by task) of the same tasks by lm-eval's own Hugging Face model."""
    import datasets
    from lm_eval.evaluator import evaluate
    from lm_eval.models.huggingface import HFLM
    from lm_eval.tasks import TaskManager

    with (
        warnings.catch_warnings(),
        contextlib.chdir(HERE / "tasks"),
        pytest.MonkeyPatch.context() as patch,
    ):
        warnings.simplefilter("ignore")
        patch.setattr(datasets.config, "HF_DATASETS_CACHE", str(tiny.parent / "datasets"))
        model = HFLM(pretrained=str(tiny), device="cpu", dtype="float32", batch_size=16)
        tasks = TaskManager(include_path=".", include_defaults=False).load(["colours", "say_colour"])
        for task in tasks["tasks"].values():
            task.set_fewshot_seed(1234)  # what simple_evaluate sets
        found = evaluate(model, tasks, bootstrap_iters=0)
    return found["results"], {name: [sample["resps"] for sample in found["samples"][name]] for name in found["samples"]}


def test_a_local_task_scores_as_lm_eval_s_own_model(answers, published):
    values = run(UTILITY, asked(), answers)
    results, _ = published
    tasks = values.details["tasks"]
    assert tasks["colours"]["means"] == pytest.approx(
        {"acc_norm": results["colours"]["acc_norm,none"], "acc": results["colours"]["acc,none"]}
    )
    assert tasks["say_colour"]["means"] == pytest.approx({"exact_match": results["say_colour"]["exact_match,last_word"]})
    groups = by_group(values)
    assert groups["task/colours"].mean() == pytest.approx(results["colours"]["acc_norm,none"])
    assert groups["task/say_colour"].mean() == pytest.approx(results["say_colour"]["exact_match,last_word"])
    assert 0 < groups["task/colours"].mean() < 1  # neither all nor nothing: the comparison can fail


def test_likelihoods_and_texts_are_lm_eval_s_too(answers, published):
    _, samples = published
    requests = list(UTILITY.requests(asked()))
    scores = [answers(request) for request in requests if isinstance(request, Score)]
    theirs = [pair for document in samples["colours"] for (pair,) in document]
    assert [float(record.logprob.sum()) for record in scores] == pytest.approx([ll for ll, _ in theirs], abs=1e-4)
    assert [bool(record.hit.all()) for record in scores] == [greedy for _, greedy in theirs]
    texts = [answers(request).text for request in requests if isinstance(request, Generate)]
    assert texts == [text for document in samples["say_colour"] for (text,) in document]


def test_requests_are_plain_and_carry_the_task_s_limits():
    requests = list(UTILITY.requests(asked()))
    assert len(requests) == 16 * 4 + 16
    assert requests[0].prompt.text.count("Question: ") == 2
    assert requests[0].continuation == " red"
    assert not any(request.prompt.chat for request in requests)
    assert requests[-1] == Generate(requests[-1].prompt, 6, ("\n",))
    assert list(UTILITY.requests(asked())) == requests


def test_documents_are_the_unit_and_rows_may_be_limited():
    values = run(UTILITY, asked(task_rows=3), FakeModel())
    assert values.ids[:3] == values.subjects[:3] == ("task/colours/0", "task/colours/1", "task/colours/2")
    assert list(by_group(values)) == ["task/colours", "task/say_colour"]
    assert all(value in (0.0, 1.0) for value in values.values)


def test_nan_likelihoods_are_not_an_answer():
    values = run(UTILITY, asked(), FakeModel(nan=True))
    groups = by_group(values)
    assert all(math.isnan(value) for value in groups["task/colours"])
    assert not any(math.isnan(value) for value in groups["task/say_colour"])


def test_retained_knowledge_is_asked_as_knowledge_memorization_asks():
    knowledge = CHECKS.get("knowledge_memorization")
    corpora = all_corpora()
    mine = list(UTILITY.requests(context(UTILITY, corpora, convention="tofu")))
    assert mine == list(knowledge.requests(context(knowledge, corpora, name="retain", convention="tofu")))
    values = run(UTILITY, context(UTILITY, corpora), FakeModel())
    assert set(values.groups) == {RETAIN}
    assert UTILITY.statistic(UTILITY.params()).worst_group


def test_both_together_are_groups_of_one_requirement():
    values = run(UTILITY, asked(retain_knowledge=True), FakeModel())
    assert list(by_group(values)) == [RETAIN, "task/colours", "task/say_colour"]


def test_a_folder_needs_permission():
    ctx = asked(task_code=False)
    assert list(UTILITY.problems(ctx)) == ["tasks: the folder ./tasks may hold code; permit it with allow_task_code: true"]
    with pytest.raises(DataError, match="requirement utility: tasks: the folder"):
        list(UTILITY.requests(ctx))


def test_a_missing_folder_and_nothing_to_measure_are_problems():
    assert list(UTILITY.problems(asked(tasks=["./nowhere"]))) == ["tasks: no folder ./nowhere"]
    assert "nothing is measured" in next(iter(UTILITY.problems(asked(tasks=[]))))
    assert UTILITY.fields_for(UTILITY.params(retain_knowledge=False)) == ()
    assert UTILITY.fields_for(UTILITY.params()) == ("question", "answer")


def test_a_built_in_task_without_network_is_one_clear_error():
    with pytest.raises(DataError) as caught:
        list(UTILITY.requests(asked(tasks=["arc_easy"])))
    (problem,) = caught.value.problems
    assert problem.message.startswith("the data of the built-in lm-eval task arc_easy cannot be loaded: ConnectionError")
    assert problem.where == "requirement utility: tasks"
    assert "give a folder of tasks with local data instead" in problem.hint


def folder_with(tmp_path, **changes):
    """A copy of the local task with some lines changed."""
    folder = tmp_path / "mine"
    folder.mkdir()
    text = (HERE / "tasks" / "colours.yaml").read_text()
    for old, new in changes.values():
        assert old in text
        text = text.replace(old, new)
    (folder / "colours.yaml").write_text(text)
    (folder / "colours.jsonl").write_text((HERE / "tasks" / "colours.jsonl").read_text())
    return asked(tasks=["./mine"], folder=tmp_path)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("test: colours.jsonl", "test: gone.jsonl", "data or code of the tasks in ./mine cannot be loaded: FileNotFoundError"),
        ("doc_to_target: right", "doc_to_target: wrong", "cannot be used: it names a right choice that is none of its choices"),
        ("doc_to_choice: colours", "doc_to_choice: '{{thing.no()}}'", "data or code of the tasks in ./mine cannot be loaded"),
        ("task: colours", "task: colours\nunsafe_code: true", "it runs code that models write"),
        ("multiple_choice", "loglikelihood_rolling", "cannot be used: it scores whole texts"),
    ],
)
def test_what_cannot_be_asked_is_refused_by_name(tmp_path, old, new, words):
    with pytest.raises(DataError, match=words):
        list(UTILITY.requests(folder_with(tmp_path, line=(old, new))))


def test_an_empty_folder_is_refused(tmp_path):
    (tmp_path / "none").mkdir()
    with pytest.raises(DataError, match=r"the folder \./none holds no lm-eval task"):
        list(UTILITY.requests(asked(tasks=["./none"], folder=tmp_path)))
