"""Every method makes a model of a real one: loadable, found again, with a note that tells how it was made."""

from __future__ import annotations

import errno
import json
import os
from concurrent.futures import ThreadPoolExecutor

import pytest
from safetensors.torch import load_file

from auditkit.errors import ExitCode, SpecError, TrainingError
from auditkit.models.checkpoint import fingerprint, inspect
from auditkit.models.protocol import Generate, Prompt, Score
from auditkit.models.text import TextModel
from auditkit.spec.model import Model
from auditkit.unlearning import METHODS, chosen_method, find, materialise, was_taught
from auditkit.unlearning import _trainer as trainer
from auditkit.unlearning._note import lineage, read_note
from tests.unlearning.conftest import FACTS

QUICK = {"epochs": 1, "lr": 1e-3, "batch": 2}
OWN = {
    "finetune": {"corpora": ["retain"]},
    "idk_dpo": {"refusals": ["no", "who knows"]},
    "idk_nll": {"refusals": ["no", "who knows"]},
}
"""What a method needs beside QUICK on a model whose window has 64 tokens."""
ASKED = Prompt("Question: Where does person 0 live?\nAnswer:")
EVERY = pytest.mark.parametrize("name", METHODS.names())


def words(name, **more):
    return {"method": name, **QUICK, **OWN.get(name, {}), **more}


@pytest.fixture(scope="session")
def there(corpus):
    forget = [{**fact, "alternative": "new town"} for fact in FACTS]
    kept = [{"question": f"Where does person {n} live?", "answer": "new town", "subject": f"person {n}"} for n in range(4, 9)]
    return {
        "forget": corpus(forget, "forget"),
        "retain": corpus(kept, "retain"),
        "other": corpus([{"text": "another row"}], "other"),
    }


@pytest.fixture
def made(tiny, there, cache):
    """The model ``candidate``, made of the tiny one by ``unlearn:`` words, or of other models of a spec."""

    def make(unlearn, *, parent="base", models=None, name="candidate", **more):
        known = {"base": Model(checkpoint=str(tiny.path)), **(models or {})}
        known[name] = Model.model_validate({"from": parent, "unlearn": unlearn})
        found = materialise(name, known, there, base=tiny.path.parent, offline=True, **more)
        assert more or find(name, known, there, base=tiny.path.parent) == found
        return found

    return make


def no_training(monkeypatch):
    def refuse(*_, **__):
        raise AssertionError("something was trained")

    monkeypatch.setattr(trainer, "train", refuse)


def models_in(cache):
    """Folders of made models and of trainings; two runs' locks on a model stay behind."""
    return [path for path in (cache / "made").iterdir() if path.suffix != ".lock"]


def answers(source, requests):
    return TextModel.load(source, device="cpu").answer(requests)


def token_logprobs(source):
    requests = [Score(Prompt(f"Question: {fact['question']}\nAnswer:"), f" {fact['answer']}", score_end=True) for fact in FACTS]
    return [logprob for record in answers(source, requests) for logprob in record.logprob.tolist()]


@EVERY
def test_it_makes_a_model_that_answers_and_is_found_again(made, tiny, cache, monkeypatch, name):
    before = fingerprint(tiny)
    told = []
    source = made(words(name), note=told.append)
    assert len(told) > 0
    assert inspect(source) == []
    assert fingerprint(tiny) == before
    (record,) = answers(source, [Generate(ASKED, 4)])
    assert isinstance(record.text, str)
    no_training(monkeypatch)
    told.clear()
    assert made(words(name), note=told.append) == source == made(words(name))
    assert told == []
    assert not [path for path in models_in(cache) if path.name.startswith(".")]


def test_looking_for_a_model_leaves_nothing_on_disk(tiny, there, cache):
    models = {"base": Model(checkpoint=str(tiny.path))}
    models["candidate"] = Model.model_validate({"from": "base", "unlearn": words("npo")})
    assert find("candidate", models, there, base=tiny.path.parent) is None
    assert not (cache / "made").exists()


def test_two_runs_that_want_one_model_train_it_once(made, monkeypatch):
    runs, train = [], trainer.train

    def counted(*args, **kwargs):
        runs.append(args)
        return train(*args, **kwargs)

    monkeypatch.setattr(trainer, "train", counted)
    with ThreadPoolExecutor() as pool:
        first, second = pool.map(lambda _: made(words("npo")), range(2))
    assert first == second
    assert len(runs) == 1


@EVERY
def test_the_note_tells_how(made, tiny, there, name):
    source = made(words(name))
    note = read_note(source)
    method = METHODS.get(name)
    params = method.params.model_validate({key: value for key, value in words(name).items() if key != "method"})
    used = [there[corpus] for corpus in method.corpora(params)]
    assert note["method"] == ("finetune" if method.teaches else name)
    assert note["parent"] == fingerprint(tiny).digest
    assert note["data"] == [{"corpus": c.name, "rows": len(c.examples), "sha256": c.digest} for c in used]
    assert {key: note["parameters"][key] for key in QUICK} == QUICK
    assert {"seed", *QUICK} <= set(note["parameters"])
    assert note["run"]["steps"] == -(-len(used[0].examples) // 2)
    assert note["run"]["tokens"] > 0 and note["run"]["seconds"] >= 0 and note["run"]["peak_memory_bytes"] > 0
    assert note["lineage"] == []


@pytest.mark.parametrize("name", [name for name in METHODS.names() if "save" in METHODS.get(name).params.model_fields])
def test_an_adapter_alone_answers_as_the_merged_model(made, tiny, name):
    lora = {"lora": {"rank": 4, "alpha": 8, "dropout": 0.1}}
    merged = made(words(name, **lora))
    alone = made(words(name, **lora, save="adapter"))
    assert (alone.path, merged.adapters) == (tiny.path, ())
    (folder,) = alone.adapters
    assert {path.name for path in folder.iterdir()} == {
        "adapter_config.json",
        "adapter_model.safetensors",
        "unlearning.json",
    }
    assert str(folder.parent) not in (folder / "adapter_config.json").read_text()
    assert inspect(alone) == []
    assert token_logprobs(alone) == pytest.approx(token_logprobs(merged), abs=1e-4)
    assert token_logprobs(alone) != pytest.approx(token_logprobs(tiny), abs=1e-4)
    assert read_note(alone)["method"] == name


def test_gradient_checkpointing_changes_the_memory_and_not_the_weights(made):
    for lora in (False, True):
        one, other = (made(words("gradient_difference", lora=lora, gradient_checkpointing=on)) for on in (False, True))
        assert token_logprobs(one) == pytest.approx(token_logprobs(other), abs=1e-5)
        assert token_logprobs(one) != pytest.approx(token_logprobs(made(words("gradient_ascent", lora=lora))), abs=1e-5)


def test_a_step_back_along_the_task_vector_is_linear_in_its_length(made, tiny):
    parent = load_file(tiny.path / "model.safetensors")
    back = {alpha: load_file(made(words("task_vector", alpha=alpha)).path / "model.safetensors") for alpha in (0.0, 1.0, 2.5)}
    assert parent.keys() == back[0.0].keys()
    assert all((parent[name] == back[0.0][name]).all() for name in parent)
    assert any((parent[name] != back[1.0][name]).any() for name in parent)
    for name, weight in parent.items():
        assert ((back[2.5][name] - weight) - 2.5 * (back[1.0][name] - weight)).abs().max() < 1e-5


def test_the_reinforced_model_is_made_once_for_both_methods_and_every_length(made, monkeypatch):
    made(words("task_vector", alpha=1.0))
    no_training(monkeypatch)
    made(words("task_vector", alpha=2.0))
    made(words("who_is_harry_potter", alpha=2.0))


@pytest.mark.parametrize("convention", ["correct", "muse-paper"])
def test_who_is_harry_potter_without_a_push_is_the_parent(made, tiny, convention):
    source = made(words("who_is_harry_potter", alpha=0.0, convention=convention))
    assert token_logprobs(source) == pytest.approx(token_logprobs(tiny), abs=1e-5)
    assert answers(source, [Generate(ASKED, 6)])[0].text == answers(tiny, [Generate(ASKED, 6)])[0].text
    pushed = made(words("who_is_harry_potter", alpha=3.0, convention=convention, lr=5e-3, epochs=5))
    assert token_logprobs(pushed) != pytest.approx(token_logprobs(tiny), abs=1e-3)


def test_retraining_is_the_fine_tuning_of_the_base_on_what_is_kept(made, tiny, there, monkeypatch):
    retrained = made(words("retrain"))
    no_training(monkeypatch)
    models = {"base": Model(checkpoint=str(tiny.path))}
    models["reference"] = Model.model_validate({"from": "base", "finetune": {"corpora": ["retain"], **QUICK}})
    assert materialise("reference", models, there, base=tiny.path.parent, offline=True).path == retrained.path


@pytest.mark.parametrize("adapter", [False, True])
def test_the_lineage_finds_data_that_was_taught_two_models_before(made, there, adapter):
    lesson = {"epochs": 1, "batch": 4}
    models = {
        "original": Model.model_validate({"from": "base", "finetune": {"corpora": ["forget", "retain"], **lesson}}),
        "middle": Model.model_validate({"from": "original", "finetune": {"corpora": ["other"], **lesson}}),
    }
    more = {"lora": True, "save": "adapter"} if adapter else {}
    source = made(words("npo", **more), parent="middle", models=models)
    assert [step["method"] for step in lineage(source)] == ["npo", "finetune", "finetune"]
    assert was_taught(source, there.values()) == ["forget", "retain", "other"]


def test_what_was_only_forgotten_was_not_taught(made, tiny, there, corpus):
    source = made(words("npo"))
    assert was_taught(source, there.values()) == was_taught(tiny, there.values()) == []
    taught = made(words("finetune"))
    assert was_taught(taught, there.values()) == ["retain"]
    assert was_taught(taught, [corpus([{"text": "changed"}], "retain")]) == []


class Rule:
    """A stop rule that says yes to the model of one epoch; it keeps what it was shown."""

    def __init__(self, yes, digest="rule"):
        self.yes, self.digest, self.seen = yes, digest, []

    def key(self, stop):
        assert (stop.corpus, str(stop.at_most)) == ("forget", "reference")
        return self.digest

    def __call__(self, stop, source, manner):
        self.seen.append(token_logprobs(source))
        return len(self.seen) == self.yes


STOPPING = {"epochs": 4, "stop": "first epoch with forget <= reference"}


@pytest.mark.parametrize("more", [{}, {"lora": True}, {"lora": True, "save": "adapter"}], ids=["all", "lora", "adapter"])
@pytest.mark.parametrize("yes", [1, 3, None])
def test_a_stop_rule_looks_at_every_epochs_model_and_ends_at_its_yes(made, tiny, more, yes):
    rule = Rule(yes)
    source = made(words("gradient_ascent", **STOPPING, **more), examiner=rule)
    assert len(rule.seen) == (yes or 4)
    assert all(one != pytest.approx(other, abs=1e-4) for one, other in zip(rule.seen, rule.seen[1:], strict=False))
    assert token_logprobs(source) == pytest.approx(rule.seen[-1], abs=1e-4)
    assert token_logprobs(source) != pytest.approx(token_logprobs(tiny), abs=1e-4)
    note = read_note(source)
    assert note["run"]["stopped"] == yes
    assert note["run"]["steps"] == 2 * (yes or 4)
    assert note["stop"] == "rule"


def test_the_rule_is_part_of_the_recipe(made, monkeypatch):
    first = made(words("gradient_ascent", **STOPPING), examiner=Rule(1, "one bound"))
    second = made(words("gradient_ascent", **STOPPING), examiner=Rule(2, "another bound"))
    assert first.path != second.path
    no_training(monkeypatch)
    asked = Rule(1, "one bound")
    assert made(words("gradient_ascent", **STOPPING), examiner=asked) == first
    assert asked.seen == []


def test_a_rule_that_nobody_can_look_after_is_refused(made):
    with pytest.raises(ValueError, match="candidate has a stop rule, which needs an examiner"):
        made(words("gradient_ascent", **STOPPING))


def test_a_full_disk_while_the_model_is_written_costs_the_writing_alone(made, cache, monkeypatch):
    """transformers writes through safetensors, which has an error of its own for it."""
    from safetensors import SafetensorError
    from transformers import PreTrainedModel

    faults = [
        OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)),
        SafetensorError("Error while serializing: I/O error: No space left"),
    ]
    for fault in faults:

        def full(*_, fault=fault, **__):
            raise fault

        with monkeypatch.context() as patch, pytest.raises(TrainingError, match=r"must be written .* No space left") as caught:
            patch.setattr(PreTrainedModel, "save_pretrained", full)
            made(words("gradient_difference"))
        assert caught.value.exit_code == ExitCode.BROKEN
        (left,) = models_in(cache)
        assert left.name.endswith(".training")
    monkeypatch.setattr("auditkit.unlearning._loop._Trainer.compute_loss", None)
    resumed = made(words("gradient_difference"))
    monkeypatch.undo()
    monkeypatch.setenv("AUDITKIT_CACHE", str(cache.parent / "another"))
    whole = made(words("gradient_difference"))
    assert whole.path != resumed.path
    assert (whole.path / "model.safetensors").read_bytes() == (resumed.path / "model.safetensors").read_bytes()


def test_a_training_that_breaks_leaves_no_model(made, cache, monkeypatch):
    method = type(METHODS.get("gradient_ascent"))
    loss = method.loss
    with monkeypatch.context() as patch, pytest.raises(TrainingError, match="must be finite; got nan at step 1 "):
        patch.setattr(method, "loss", lambda *args: loss(*args) * float("nan"))
        made(words("gradient_ascent"))
    assert all(path.name.endswith(".training") for path in models_in(cache))
    assert inspect(made(words("gradient_ascent"))) == []


def test_a_state_of_another_recipe_is_not_gone_on_from(tiny, there, tmp_path):
    from auditkit.unlearning._note import state_folder

    out = tmp_path / "m"
    folder = state_folder(out, {"lr": 1})
    (folder / "checkpoint-3").mkdir()
    assert (state_folder(out, {"lr": 1}) / "checkpoint-3").exists()
    assert [path.name for path in state_folder(out, {"lr": 2}).iterdir()] == ["recipe"]
    (folder / "checkpoint-3").mkdir()
    (folder / "recipe").unlink()
    assert [path.name for path in state_folder(out, {"lr": 2}).iterdir()] == ["recipe"]


@pytest.mark.parametrize(
    ("unlearn", "message"),
    [
        ({"method": "npoo"}, "models.candidate.unlearn.method must be a known method; got 'npoo'; did you mean 'npo'?"),
        ({}, "models.candidate.unlearn.method must be a known method; got ''"),
        ({"method": "npo", "lr": 2.0}, "models.candidate.unlearn.lr: must be less than 1; got 2.0"),
        ({"method": "npo", "epochs": 0}, "models.candidate.unlearn.epochs: must be more than 0; got 0"),
        ({"method": "npo", "bta": 1}, "models.candidate.unlearn.bta: unknown"),
        ({"method": "npo", "retain_loss": "klx"}, "models.candidate.unlearn.retain_loss: must be"),
        ({"method": "npo", "save": "adapter"}, "models.candidate.unlearn: save: adapter needs lora; got all weights"),
        ({"method": "npo", "stop": "soon"}, 'models.candidate.unlearn.stop: must be "first epoch with CORPUS <= MODEL"'),
        ({"method": "finetune"}, "models.candidate.unlearn.corpora"),
        ({"method": "who_is_harry_potter", "alpha": -1}, "models.candidate.unlearn.alpha: must be"),
    ],
)
def test_what_a_method_cannot_take_is_refused_with_its_place(made, cache, unlearn, message):
    with pytest.raises(SpecError) as caught:
        made(unlearn)
    assert str(caught.value).startswith(message)
    assert caught.value.exit_code == ExitCode.USAGE
    assert not cache.exists()


def test_the_chosen_method_and_its_parameters():
    model = Model.model_validate({"from": "base", "unlearn": {"method": "npo", "beta": 0.5, "forget": "mine"}})
    method, params = chosen_method("candidate", model)
    assert method is METHODS.get("npo")
    assert (params.beta, params.forget, params.retained) == (0.5, ["mine"], ["retain"])
    assert json.loads(params.model_dump_json())["epochs"] == 5
