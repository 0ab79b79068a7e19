"""Faults put into the software, into whole audits: each ends as FAIL, INCOMPLETE or an error, and never as PASS.

A fault is put into an audit that is right without it: of the clean model, which passes, and of the leaking one, which fails.
"""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from auditkit.checks import (
    _membership,
    _questions,
    _rows,
    answer_probability,
    knowledge_memorization,
    membership_inference,
    utility,
)
from auditkit.errors import ModelError, SpecError
from auditkit.files import cache_folder
from auditkit.measurement import store
from auditkit.models import _encode, text
from auditkit.models.loading import quiet
from auditkit.models.protocol import Generated
from tests.evidence import faults
from tests.evidence.faults import ANSWERS, MEMBERSHIP, PROBABILITY, SAMPLED, audit, checkpoints, reason, results, word

AFRESH = pytest.mark.usefixtures("afresh")
CANDIDATES = pytest.mark.parametrize("candidate", ["clean", "leaky"])


@pytest.fixture(scope="module")
def place(world: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return faults.prepared(world, tmp_path_factory.mktemp("faults"))


@pytest.fixture
def afresh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No answer of a broken model reaches another test, and none of a sound one hides a fault."""
    monkeypatch.setenv("AUDITKIT_CACHE", str(tmp_path / "cache"))


@pytest.mark.parametrize(("candidate", "verdict"), [("clean", "PASS"), ("leaky", "FAIL")])
def test_without_a_fault_the_clean_model_passes_and_the_leaking_one_fails(place: Path, candidate: str, verdict: str) -> None:
    assert word(place, candidate=candidate) == verdict
    for requirement in (ANSWERS, PROBABILITY, MEMBERSHIP, SAMPLED):
        assert word(place, requirement, candidate=candidate) == verdict


# -- scores -------------------------------------------------------------------------------------------------------------------

NUMBERS: dict[str, Callable[[float], float]] = {
    "sign flipped": lambda value: -value,
    "direction flipped": lambda value: 1 - value,
    "not a number": lambda value: math.nan,
    "infinite": lambda value: math.inf,
    "all tied": lambda value: 0.5,
    "the judge always says no leak": lambda value: 0.0,
    "the judge always says leak": lambda value: 1.0,
}


@CANDIDATES
@pytest.mark.parametrize("fault", NUMBERS)
def test_values_that_are_wrong_on_every_model_decide_nothing(
    place: Path, monkeypatch: pytest.MonkeyPatch, candidate: str, fault: str
) -> None:
    real = _rows.Columns.put

    def put(self: _rows.Columns, identity: str, subject: str, value: float, **words: Any) -> None:
        real(self, identity, subject, NUMBERS[fault](value), **words)

    monkeypatch.setattr(_rows.Columns, "put", put)
    found = audit(place, ANSWERS, PROBABILITY, MEMBERSHIP, candidate=candidate)
    assert found.results.verdict == "INCOMPLETE" and set(results(found).values()) == {"inconclusive"}


@CANDIDATES
def test_membership_scores_of_the_wrong_sign_have_no_power(
    place: Path, monkeypatch: pytest.MonkeyPatch, candidate: str
) -> None:
    real = _membership.score_of
    monkeypatch.setattr(_membership, "score_of", lambda *args, **words: -real(*args, **words))
    found = audit(place, MEMBERSHIP, candidate=candidate)
    assert found.results.verdict == "INCOMPLETE" and "no power" in reason(found, "membership")


def test_membership_scores_that_are_tied_on_the_candidate_alone_rank_nothing(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An AUC of exactly one half, with its narrow interval, would pass."""
    real = membership_inference.scores
    calls: list[int] = []

    def tied(attack: Any, rows: Any, *args: Any, **words: Any) -> list[float]:
        calls.append(len(rows))
        found: list[float] = real(attack, rows, *args, **words)
        return [-3.0] * len(rows) if len(calls) <= 2 else found  # both sides of the candidate, which is asked first

    monkeypatch.setattr(membership_inference, "scores", tied)
    found = audit(place, MEMBERSHIP, candidate="leaky")
    assert found.results.requirements[0].models["candidate"].value == 0.5
    assert found.results.verdict == "INCOMPLETE" and "rank nothing" in reason(found, "membership")


@CANDIDATES
@pytest.mark.parametrize("mark", [0.0, 1.0])
def test_a_judge_of_answers_that_always_says_the_same_has_no_power(
    place: Path, monkeypatch: pytest.MonkeyPatch, candidate: str, mark: float
) -> None:
    for module in (_questions, knowledge_memorization, utility):
        monkeypatch.setattr(module, "mark", lambda *_: mark)
    monkeypatch.setattr(answer_probability, "probability", lambda _: mark)
    found = audit(place, ANSWERS, PROBABILITY, candidate=candidate)
    assert found.results.verdict == "INCOMPLETE" and "no power" in reason(found, "answers")
    assert word(place, ANSWERS, faults.KEPT, candidate=candidate) == "INCOMPLETE"


# -- what is asked and answered -----------------------------------------------------------------------------------------------


@AFRESH
@CANDIDATES
@pytest.mark.parametrize("said", ["", " \n", "the"])
def test_answers_of_no_tokens_and_of_no_words_have_no_power(
    place: Path, monkeypatch: pytest.MonkeyPatch, candidate: str, said: str
) -> None:
    def silent(self: text.TextModel, asked: list[Any]) -> list[Generated]:
        return [Generated(said, 0, finished=False) for _ in asked]

    monkeypatch.setattr(text.TextModel, "_generate", silent)
    found = audit(place, ANSWERS, candidate=candidate)
    assert found.results.verdict == "INCOMPLETE" and "no power" in reason(found, "answers")


@AFRESH
@CANDIDATES
def test_questions_cut_by_the_software_without_a_word_have_no_power(
    place: Path, monkeypatch: pytest.MonkeyPatch, candidate: str
) -> None:
    real = _encode.Encoder._tokens

    def cut(self: _encode.Encoder, words: str, *, special: bool) -> tuple[list[int], list[int]]:
        ids, ends = real(self, words, special=special)
        return ids[-6:], ends[-6:]

    monkeypatch.setattr(_encode.Encoder, "_tokens", cut)
    found = audit(place, ANSWERS, PROBABILITY, MEMBERSHIP, candidate=candidate)
    assert found.results.verdict == "INCOMPLETE" and set(results(found).values()) == {"inconclusive"}


TEMPLATE = (
    "{{ bos_token }}{% for turn in messages %}{% if turn['role'] == 'user' %}Question: {{ turn['content'] }}\nAnswer:"
    "{% else %}{{ turn['content'] }}{{ eos_token }}{% endif %}{% endfor %}"
)
"""Puts the question as the models of the world were taught it."""


@pytest.fixture(scope="module")
def chatty(place: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The world, its models asked through that template."""
    folder = tmp_path_factory.mktemp("chatty")
    shutil.copytree(place, folder, dirs_exist_ok=True)
    for file in folder.glob("*/chat_template.jinja"):
        file.write_text(TEMPLATE)
    return folder


def _chat(candidate: str, chat: str = "template") -> dict[str, Any]:
    return {name: {**model, "chat": chat} for name, model in checkpoints(candidate=candidate).items()}


CHAT_ANSWERS = {**ANSWERS, "with": {"max_new_tokens": 8}}


@pytest.mark.parametrize(("candidate", "verdict"), [("clean", "PASS"), ("leaky", "FAIL")])
def test_a_dropped_chat_template_has_no_power(
    chatty: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, candidate: str, verdict: str
) -> None:
    assert word(chatty, CHAT_ANSWERS, models=_chat(candidate)) == verdict
    monkeypatch.setattr(_encode.Encoder, "_rendered", lambda self, prompt: prompt.text + prompt.start)
    monkeypatch.setenv("AUDITKIT_CACHE", str(tmp_path / "dropped"))
    found = audit(chatty, CHAT_ANSWERS, models=_chat(candidate))
    assert found.results.verdict == "INCOMPLETE" and "no power" in reason(found, "answers")


# -- sampling -----------------------------------------------------------------------------------------------------------------


@AFRESH
@CANDIDATES
def test_samples_that_are_all_greedy_are_no_samples(place: Path, monkeypatch: pytest.MonkeyPatch, candidate: str) -> None:
    monkeypatch.setattr(_encode, "_sampling", lambda _: None)
    found = audit(place, SAMPLED, candidate=candidate)
    assert found.results.verdict == "INCOMPLETE" and "nothing was drawn at random" in reason(found, "sampled")


@CANDIDATES
@pytest.mark.parametrize("spoilt", [{"temperature": 0.0001}, {"top_p": 0.0001}])
def test_a_spec_that_asks_for_greedy_samples_gets_no_pass(place: Path, candidate: str, spoilt: dict[str, float]) -> None:
    assert word(place, {**ANSWERS, "under": {"sample": {"n": 4, **spoilt}}}, candidate=candidate) == "INCOMPLETE"


def test_temperature_zero_is_refused(place: Path) -> None:
    with pytest.raises(SpecError, match=r"sample\.temperature: must be more than 0"):
        audit(place, {**ANSWERS, "under": {"sample": {"temperature": 0}}})


@AFRESH
@pytest.mark.parametrize(("candidate", "verdict"), [("clean", "PASS"), ("leaky", "FAIL")])
def test_leak_at_k_does_not_depend_on_the_draws(
    place: Path, monkeypatch: pytest.MonkeyPatch, candidate: str, verdict: str
) -> None:
    """It is computed from the answer's probability, so that draws at temperature 0 hide nothing."""
    monkeypatch.setattr(_encode, "_sampling", lambda _: None)
    words = {"k": 4, "samples": 4, "max_new_tokens": 8, "prompt": PROBABILITY["with"]["prompt"]}
    requirement = {"check": "leak_at_k", "name": "leaks", "at_most": "reference + 0.4", "with": words}
    assert word(place, requirement, candidate=candidate) == verdict


# -- adapters -----------------------------------------------------------------------------------------------------------------


def _adapter_of(place: Path, folder: Path, *, scale: float) -> Path:
    """A LoRA of the clean model, of random weights, its second half multiplied by ``scale``."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import LlamaForCausalLM

    torch.manual_seed(0)
    with quiet():
        model = LlamaForCausalLM.from_pretrained(place / "clean")
        adapted = get_peft_model(model, LoraConfig(r=4, target_modules=["q_proj", "v_proj"]))
    for name, tensor in adapted.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(tensor, std=0.02 * scale)
    adapted.save_pretrained(folder)
    return folder


def _with_adapter(name: str) -> dict[str, dict[str, str]]:
    return {**checkpoints(), "candidate": {"checkpoint": "./clean", "adapter": f"./{name}"}}


def test_an_adapter_that_is_loaded_is_audited(place: Path) -> None:
    _adapter_of(place, place / "lora", scale=1.0)
    assert word(place, ANSWERS, models=_with_adapter("lora")) == "PASS"


@AFRESH
def test_an_adapter_that_the_software_does_not_put_on_is_an_error(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import peft

    class Nothing:
        unexpected_keys: tuple[str, ...] = ()

    _adapter_of(place, place / "skipped", scale=1.0)
    monkeypatch.setattr(peft, "set_peft_model_state_dict", lambda *_, **__: Nothing())
    with pytest.raises(ModelError, match="adapter skipped changes nothing"):
        audit(place, ANSWERS, models=_with_adapter("skipped"))


def test_an_adapter_of_zeros_is_an_error(place: Path) -> None:
    _adapter_of(place, place / "zeros", scale=0.0)
    with pytest.raises(ModelError, match="adapter zeros changes nothing"):
        audit(place, ANSWERS, models=_with_adapter("zeros"))


@pytest.mark.parametrize("fault", ["names", "layers", "modules"])
def test_an_adapter_that_fits_no_layer_is_an_error(place: Path, fault: str) -> None:
    from safetensors.torch import load_file, save_file

    folder = _adapter_of(place, place / f"foreign-{fault}", scale=1.0)
    file, config = folder / "adapter_model.safetensors", folder / "adapter_config.json"
    new = {"names": ("self_attn", "attention"), "layers": ("layers.1", "layers.7"), "modules": ("", "")}[fault]
    if fault == "modules":
        config.write_text(json.dumps({**json.loads(config.read_text()), "target_modules": ["nowhere"]}))
    else:
        save_file({name.replace(*new): tensor for name, tensor in load_file(file).items()}, file)
    assert word(place, ANSWERS, models=_with_adapter(folder.name)) == "error 2"


# -- recorded answers ---------------------------------------------------------------------------------------------------------


@AFRESH
def test_answers_of_another_model_are_set_aside_and_asked_again(place: Path) -> None:
    """The files of the clean model's shelf, put into the leaking one's: what they would show is a pass."""
    assert word(place, ANSWERS) == "PASS"
    before = set((cache_folder() / "measurements").iterdir())
    assert word(place, ANSWERS, candidate="leaky") == "FAIL"
    (shelf,) = set((cache_folder() / "measurements").iterdir()) - before
    (own,) = shelf.glob("*.parquet")
    own.unlink()
    for other in before:
        for file in other.glob("*.parquet"):
            shutil.copy(file, shelf)
    progress = faults.Told()
    found = audit(place, ANSWERS, candidate="leaky", progress=progress)
    assert found.results.verdict == "FAIL" and sum("set aside" in note for note in progress.notes) == len(before)


@AFRESH
@pytest.mark.parametrize("part", ["weights", "tokenizer", "chat template", "config", "dtype", "version"])
def test_a_change_of_what_was_asked_is_asked_again(
    place: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, part: str
) -> None:
    own = tmp_path / "world"
    shutil.copytree(place, own)
    assert audit(own, ANSWERS).results.run.cached_requests == 0
    rows = len(faults.rows(own, "forget"))
    assert audit(own, ANSWERS).results.run.cached_requests == 3 * rows
    models: dict[str, dict[str, str]] = checkpoints()
    if part == "weights":
        faults.weights(own, "other", lambda tensors: faults.scaled(tensors, "model.norm.weight", 1.0001), base="clean")
        models = checkpoints(candidate="other")
    elif part == "dtype":
        models["candidate"] |= {"dtype": "bfloat16"}
    elif part == "version":
        monkeypatch.setattr(store, "MEASUREMENT_VERSION", 999)
    else:
        names = {"tokenizer": "tokenizer.json", "chat template": "chat_template.jinja", "config": "config.json"}
        file = own / "clean" / names[part]
        file.write_text(file.read_text() + "\n")
    assert audit(own, ANSWERS, models=models).results.run.cached_requests == (0 if part == "version" else 2 * rows)
