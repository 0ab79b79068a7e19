"""Bad input ends in clear lines and exit 2, before anything is measured, with nothing half-written.

A training that cannot go on ends in exit 4, and keeps what it has.
"""

import json
import shutil

import pytest
import world as builder
from safetensors.torch import load_file, save_file

from auditkit.errors import UserError
from auditkit.evidence.audit import run
from auditkit.evidence.prepare import Options, prepare
from auditkit.measurement.progress import progress_for
from auditkit.unlearning import METHODS
from auditkit.unlearning import _loop as loop
from tests.cli.test_commands import auditkit


@pytest.fixture
def place(world, tmp_path):
    return builder.copy(world, tmp_path)


def problems(path, *, go_on=False):
    """The lines that a user would read; the run folder must not appear."""
    with pytest.raises(UserError) as caught, progress_for(quiet=True) as progress:
        audit = prepare(path, Options())
        if go_on:
            run(audit, progress=progress, run_dir=path.parent / "run")
    assert not (path.parent / "run").exists()
    return [str(problem).replace(f"{path.parent}/", "") for problem in caught.value.problems]


def require(**changes):
    return [{**builder.REQUIRE[0], **changes}]


def test_missing_spec(tmp_path):
    (line,) = problems(tmp_path / "none.yaml")
    assert line.startswith("none.yaml: must be")


def test_what_the_intent_asks_for_is_named_item_by_item(place):
    """Left out by an approver: relearn until yesterday, the rest in force; and one item that does not exist."""
    stated = builder.OMISSIONS[0]
    named = ("verbatim", "paraphrase", "utility", "quantize", "representation", "in_context", "prompts", "sampling")
    omissions = [{**stated, "item": item} for item in (*named, "privcy")]
    omissions.append({**stated, "item": "relearn", "expires_on": "2020-01-01"})
    lines = problems(builder.spec(place, omissions=omissions, access="api"))
    assert [line.partition("; add")[0].partition("; write")[0] for line in lines] == [
        "audit.yaml:56:12: omissions.8.item: unknown item 'privcy'; did you mean 'privacy'?",
        "audit.yaml:4:12: intent: removal needs access: weights (item access); got api",
        "audit.yaml:4:12: intent: removal needs a requirement under relearn (item relearn); got none, and its omission expired "
        "on 2020-01-01",
    ]


def test_unknown_check_attack_parameter_and_corpus_are_reported_at_once(place):
    lines = problems(
        builder.spec(
            place,
            require=[
                {**builder.REQUIRE[0], "check": "knowledge_memorisation"},
                {**builder.REQUIRE[0], "name": "b", "under": {"relern": {}}},
                {**builder.REQUIRE[0], "name": "c", "with": {"max_new_token": 3}},
                {**builder.REQUIRE[0], "name": "d", "with": {"max_new_tokens": 0}},
            ],
        )
    )
    assert len(lines) == 4
    assert "require.0.check: unknown check 'knowledge_memorisation'; did you mean 'knowledge_memorization'?" in lines[0]
    assert "require.1.under.relern: unknown attack 'relern'" in lines[1]
    assert "require.2.with.max_new_token" in lines[2] and "did you mean 'max_new_tokens'?" in lines[2]
    assert "require.3.with.max_new_tokens" in lines[3] and "got 0" in lines[3]
    assert all(line.startswith("audit.yaml:") for line in lines)


def test_privacy_leakage_without_reference_and_without_holdout(place):
    models = {"candidate": {"checkpoint": "./clean"}}
    corpora = {"forget": {"file": "forget_texts.jsonl"}}
    lines = problems(builder.spec(place, models=models, corpora=corpora, targets=[],
                                  require=[{"check": "privacy_leakage", "between": [-5, 5]}]))  # fmt: skip
    assert any("needs a model named reference" in line for line in lines)
    assert any("needs a corpus with the role holdout" in line for line in lines)


def test_a_row_without_its_field_is_named(place):
    rows = [json.loads(line) for line in (place / "forget.jsonl").read_text().splitlines()]
    del rows[6]["answer"]
    builder.write_rows(place / "forget.jsonl", rows)
    lines = problems(builder.spec(place, require=require()))
    assert any("forget.jsonl" in line and "answer" in line and "row 7" in line for line in lines)


def test_a_broken_line_is_named_and_not_quoted(place):
    lines = (place / "forget.jsonl").read_text().splitlines()
    lines[2] = lines[2][:-9]
    (place / "forget.jsonl").write_text("\n".join(lines))
    (line,) = problems(builder.spec(place))
    assert "forget.jsonl:3" in line and "row 3" in line


def test_forget_and_holdout_that_overlap(place):
    shutil.copy(place / "forget_texts.jsonl", place / "holdout_texts.jsonl")
    corpora = {"forget": {"file": "forget_texts.jsonl"}, "holdout": {"file": "holdout_texts.jsonl"}}
    lines = problems(builder.spec(place, corpora=corpora, require=[{"check": "membership_inference", "at_most": 0.7}]))
    assert any("must not overlap" in line and "row 1 is row 1" in line for line in lines)


def test_a_folder_without_weights(place):
    (place / "clean" / "model.safetensors").unlink()
    assert any("clean" in line and "weights" in line for line in problems(builder.spec(place)))


def test_a_truncated_shard(place):
    weights = place / "clean" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1000])
    assert any("model.safetensors" in line for line in problems(builder.spec(place)))


def test_a_missing_tokenizer(place):
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (place / "clean" / name).unlink()
    assert any("tokenizer" in line for line in problems(builder.spec(place)))


def test_remote_code_is_refused_by_name(place):
    config = json.loads((place / "clean" / "config.json").read_text())
    (place / "clean" / "config.json").write_text(json.dumps({**config, "auto_map": {"AutoModel": "evil.Model"}}))
    assert any("auto_map" in line for line in problems(builder.spec(place)))


def test_a_reference_that_is_the_candidate(place):
    shutil.copytree(place / "reference", place / "twin")
    lines = problems(builder.spec(place, candidate="twin"), go_on=True)
    assert any("must be another model than the candidate; got identical weights" in line for line in lines)


def test_an_only_that_selects_nothing(place):
    with pytest.raises(UserError, match="select no requirement; known: 'answers'"):
        prepare(builder.spec(place), Options(only=("anwsers",)))


def test_models_that_are_asked_differently(place):
    models = {"candidate": {"checkpoint": "./clean", "chat": "template"}, "reference": {"checkpoint": "./reference"}}
    lines = problems(builder.spec(place, models=models, require=require()))
    assert any("models.reference.chat: must be asked as the candidate is" in line for line in lines)


def test_a_prompt_longer_than_the_models_window_is_refused_before_anything_is_measured(place):
    rows = [json.loads(line) for line in (place / "forget.jsonl").read_text().splitlines()]
    rows[0]["answer"] = "very " * 400
    builder.write_rows(place / "forget.jsonl", rows)
    lines = problems(builder.spec(place, require=[builder.REQUIRE[1]]), go_on=True)
    assert any("probability" in line and "window" in line for line in lines)


def test_paths_that_leave_the_specs_folder(place):
    lines = problems(builder.spec(place, models={"candidate": {"checkpoint": "../elsewhere"}}, require=require(at_most=0.5)))
    assert any("--root" in line for line in lines)


UNLEARN = {"method": "gradient_difference", "lr": 0.0005, "epochs": 3, "batch": 12}


@pytest.fixture
def made(place, tmp_path, monkeypatch):
    """A spec that makes its candidate, and a cache without it."""
    monkeypatch.setenv("AUDITKIT_CACHE", str(tmp_path / "cache"))

    def written(**more):
        models = {"original": {"checkpoint": "./original"}, "reference": {"checkpoint": "./reference"}}
        models["candidate"] = {"from": "original", "unlearn": {**UNLEARN, **more}}
        return builder.spec(place, name="made.yaml", models=models, require=require())

    return written


def states(tmp_path):
    """The states of trainings that are kept, and the models that were made."""
    folder = tmp_path / "cache" / "made"
    return [path.name for path in folder.glob(".*.training/checkpoint-*")], list(folder.glob("[!.]*"))


def test_a_loss_that_is_no_number_ends_with_its_step_and_rate_and_goes_on_from_the_state_before(made, tmp_path, monkeypatch):
    method = METHODS.get("gradient_difference")
    real, calls = type(method).loss, []

    def spoilt(self, step, params):
        calls.append(step)
        return real(self, step, params) * (float("nan") if len(calls) == 6 else 1.0)

    with monkeypatch.context() as patch:
        patch.setattr(type(method), "loss", spoilt)
        code, out, err = auditkit("verify", made(), "--run-dir", tmp_path / "run", "--quiet")
    assert (code, out) == (4, "")
    assert err == (
        "error: the loss must be finite; got nan at step 6 with the learning rate 0.0005; the last good state is kept; "
        "lower lr, or give clip or warmup\n"
    )
    assert not (tmp_path / "run").exists()
    assert states(tmp_path) == (["checkpoint-4"], [])
    steps = []
    monkeypatch.setattr(loop, "refuse_spoilt", lambda value, *, step, lr: steps.append(step) or value)
    assert auditkit("unlearn", made(), "--quiet")[0] == 0
    assert steps == list(range(5, 13))


def test_a_full_disk_ends_with_the_state_before(made, tmp_path, monkeypatch):
    real, calls = loop.save_file, []

    def full(tensors, path):
        calls.append(path)
        if len(calls) == 2:
            path.write_bytes(b"half")
            raise OSError(28, "No space left on device")
        real(tensors, path)

    monkeypatch.setattr(loop, "save_file", full)
    code, _, err = auditkit("unlearn", made(), "--quiet")
    assert (code, err) == (
        4,
        "error: the training's state of step 8 must be saved; got: No space left on device; the state of step 4 is kept; "
        "run again\n",
    )
    assert states(tmp_path) == (["checkpoint-4"], [])
    assert auditkit("unlearn", made(), "--quiet")[0] == 0
    assert len(calls) == 4


def test_a_full_disk_at_the_end_costs_no_training(made, tmp_path, monkeypatch):
    from auditkit.unlearning._pupil import Pupil

    def full(self, folder):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(Pupil, "save", full)
        code, _, err = auditkit("unlearn", made(), "--quiet")
    assert code == 4
    assert "error: the model must be written to" in err and "got: No space left on device" in err
    assert states(tmp_path) == (["checkpoint-12"], [])
    monkeypatch.setattr(loop._Trainer, "compute_loss", None)
    assert auditkit("unlearn", made(), "--quiet")[0] == 0


def test_an_adapter_on_a_base_that_it_was_not_made_for(made, place, tmp_path):
    small = {"rank": 2, "targets": ["q_proj"]}
    code, _, err = auditkit("unlearn", made(lora=small, save="adapter", epochs=1), "--out", place / "adapter", "--quiet")
    assert code == 0, err
    weights = load_file(place / "adapter" / "adapter_model.safetensors")
    wider = {name: tensor.repeat(1, 2) if "lora_A" in name else tensor for name, tensor in weights.items()}
    save_file({name: tensor.contiguous() for name, tensor in wider.items()}, place / "adapter" / "adapter_model.safetensors")
    models = {
        "original": {"checkpoint": "./original"},
        "reference": {"checkpoint": "./reference"},
        "candidate": {"checkpoint": "./original", "adapter": "./adapter"},
    }
    lines = problems(builder.spec(place, models=models, require=require()), go_on=True)
    assert lines == [
        "audit.yaml:21:16: models.candidate: ./original: adapter/adapter_model.safetensors: must fit "
        "its base; got layers.0.self_attn.q_proj: shape [2, 128] where the base's sides are [64]; "
        "layers.1.self_attn.q_proj: shape [2, 128] where the base's sides are [64]; name the checkpoint that it was made for"
    ]


def attacked(place, attack, **changes):
    """A spec with one attacked requirement."""
    return builder.spec(place, require=[{**builder.REQUIRE[1], "under": attack}], **changes)


def test_a_split_with_too_few_subjects_on_a_side(place):
    rows = (place / "forget.jsonl").read_text().splitlines()
    people = list(dict.fromkeys(json.loads(row)["subject"] for row in rows))[:3]
    (place / "forget.jsonl").write_text("".join(f"{row}\n" for row in rows if json.loads(row)["subject"] in people))
    (line,) = problems(attacked(place, {"relearn": {"fraction": 0.5}}))
    assert "require.0.under.relearn: relearn: a split by subject needs at least 2 subjects on each side; got 2" in line
    assert "1 to measure, of 3 in forget" in line


def test_an_attack_that_needs_the_original_without_one(place):
    models = {"candidate": {"checkpoint": "./clean"}, "reference": {"checkpoint": "./reference"}}
    (line,) = problems(attacked(place, "rescale", models=models))
    assert "require.0.under.rescale: rescale needs a model named original; got none" in line


def test_unknown_parameters_of_an_attack_and_an_unknown_corpus_in_one(place):
    (line,) = problems(attacked(place, [{"relearn": {"step": [1]}}]))
    assert "require.0.under.0.relearn.step: unknown field; did you mean 'steps'?" in line
    (line,) = problems(attacked(place, {"relearn": {"corpus": "retian"}}))
    assert "corpus must be a corpus of the spec; got 'retian'; did you mean 'retain'?" in line


def test_a_prompt_attack_before_an_attack_on_the_model(place):
    (line,) = problems(attacked(place, ["prompts", "quantize"]))
    assert "must name what is done to the model before what is done to the prompt" in line


def test_a_layer_that_does_not_exist(place):
    lens = {**builder.REQUIRE[1], "check": "logit_lens", "with": {"layers": [1, 7]}}
    (line,) = problems(builder.spec(place, require=[lens]))
    assert "require.0.with.layers: layers must be 0 to 2 for candidate; got 7" in line
    (line,) = problems(attacked(place, {"ablate_direction": {"layers": [2]}}))
    assert "require.0.under: layers must be 0 to 1 for candidate; got 2" in line


def test_four_bits_of_a_model_that_is_packed_already(place):
    config = json.loads((place / "clean" / "config.json").read_text())
    config["quantization_config"] = {"quant_method": "gptq", "bits": 4}
    (place / "clean" / "config.json").write_text(json.dumps(config))
    (line,) = problems(attacked(place, {"quantize": {"bits": [4]}}))
    assert "require.0.under: quantize:" in line and "must be an unquantised model; got" in line and "gptq" in line
