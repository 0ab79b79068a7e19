"""Bad input ends in clear lines and exit 2, before anything is measured, with nothing half-written."""

import json
import shutil

import pytest
import world as builder

from auditkit.errors import UserError
from auditkit.evidence.audit import run
from auditkit.evidence.prepare import Options, prepare
from auditkit.measurement.progress import progress_for


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
    assert "require.1.under: unknown attack 'relern'" in lines[1]
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
