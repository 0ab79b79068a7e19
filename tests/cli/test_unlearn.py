"""``auditkit unlearn`` as its users meet it, and what verify, plan and validate make of models that the spec makes."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
import world as builder
from safetensors.torch import load_file

from auditkit.unlearning import METHODS, _trainer
from tests.cli.test_commands import auditkit

UNLEARN = {"method": "gradient_difference", "lr": 0.0005, "epochs": 1, "batch": 12}
ANSWERS = [builder.REQUIRE[0]]


def models(unlearn=UNLEARN, **more):
    return {
        "original": {"checkpoint": "./original"},
        "reference": {"checkpoint": "./reference"},
        "candidate": {"from": "original", "unlearn": unlearn},
        **more,
    }


@pytest.fixture(scope="module")
def place(world, tmp_path_factory):
    return builder.copy(world, tmp_path_factory.mktemp("place"))


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """Nothing is made and nothing measured yet."""
    monkeypatch.setenv("AUDITKIT_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def trainings(monkeypatch):
    """Steps of every training of this test, in order."""
    steps = []
    real = _trainer.train

    def counted(*args, **kwargs):
        run = real(*args, **kwargs)
        steps.append(run.steps)
        return run

    monkeypatch.setattr(_trainer, "train", counted)
    return steps


def written(place, **changes):
    return builder.spec(place, name="unlearn.yaml", **{"models": models(), "require": ANSWERS, **changes})


def folder_of(out):
    return Path(re.search(r" in (/\S+)$", out, re.MULTILINE)[1])


def same_weights(one, other):
    left, right = load_file(one / "model.safetensors"), load_file(other / "model.safetensors")
    return left.keys() == right.keys() and all(left[name].equal(right[name]) for name in left)


# unlearn


def test_it_prints_where_the_model_lies_and_what_it_cost_and_makes_it_once(place, cache, trainings):
    code, out, err = auditkit("unlearn", written(place), "--quiet")
    assert (code, err) == (0, "")
    folder = folder_of(out)
    assert folder.parent == cache / "made"
    assert out.startswith("candidate: gradient_difference in ")
    assert re.search(r"^  4 steps, [\d,]+ tokens, [\d.]+ s, peak memory [\d.]+ GB$", out, re.MULTILINE)
    assert auditkit("unlearn", written(place), "--quiet")[1] == out
    assert trainings == [4]
    assert not [path for path in (cache / "made").iterdir() if path.is_dir() and path != folder]


def test_verify_finds_the_model_that_was_made(place, tmp_path, trainings):
    made = folder_of(auditkit("unlearn", written(place), "--quiet")[1])
    assert auditkit("verify", written(place), "--run-dir", tmp_path / "run", "--quiet", "--exit-zero")[0] == 0
    assert trainings == [4]
    results = json.loads((tmp_path / "run" / "results.json").read_text())
    note = json.loads((made / "unlearning.json").read_text())
    assert results["run"]["made"]["candidate"] == {
        "method": "gradient_difference",
        "parameters": note["parameters"],
        "device": "cpu",
        **{key: note["run"][key] for key in ("steps", "tokens", "seconds", "peak_memory_bytes")},
    }


def test_a_candidate_on_disk_gives_way_to_one_that_the_method_makes(place, trainings):
    spec = builder.spec(place, require=ANSWERS)
    code, out, _ = auditkit("unlearn", spec, "--method", "gradient_ascent", "--set", "seed=3", "--quiet")
    assert (code, len(trainings)) == (0, 1)
    assert out.startswith("candidate: gradient_ascent in ")
    note = json.loads((folder_of(out) / "unlearning.json").read_text())
    assert (note["method"], note["lineage"]) == ("gradient_ascent", [])


def test_the_method_takes_the_place_of_the_specs(place):
    code, out, _ = auditkit("unlearn", written(place), "--method", "gradient_ascent", "--quiet")
    assert (code, out.split(" in ")[0]) == (0, "candidate: gradient_ascent")
    note = json.loads((folder_of(out) / "unlearning.json").read_text())
    assert note["parameters"]["lr"] == 0.0005


def test_out_is_a_copy_that_can_be_audited_and_is_never_overwritten(place, tmp_path):
    spec, out = written(place), place / "copied"
    (place / ".copied.partial").mkdir()  # left by a run that was killed
    code, printed, _ = auditkit("unlearn", spec, "--out", out, "--quiet")
    assert (code, folder_of(printed)) == (0, out)
    assert same_weights(out, folder_of(auditkit("unlearn", spec, "--quiet")[1]))
    assert not (place / ".copied.partial").exists()
    code, _, err = auditkit("unlearn", spec, "--out", out, "--quiet")
    assert (code, err) == (2, f"error: --out must be a folder that is not there yet; got {out}, which is\n")
    assert auditkit("validate", builder.spec(place, candidate="copied", require=ANSWERS))[0] == 0


def test_an_out_that_cannot_be_written_says_where_the_model_lies(place, tmp_path):
    (tmp_path / "file").write_text("")
    code, _, err = auditkit("unlearn", written(place), "--out", tmp_path / "file" / "model", "--quiet")
    assert code == 2
    assert err.startswith(f"error: --out must be a folder that can be written; got {tmp_path / 'file' / 'model'}: ")
    assert Path(err.strip().rpartition(" ")[2]).is_dir()


def test_other_models_of_the_spec_are_made_by_name(place, trainings):
    made = {"from": "reference", "finetune": {"corpora": ["retain"], "epochs": 1, "batch": 24}}
    spec = written(place, models=models(taught=made))
    code, out, _ = auditkit("unlearn", spec, "--model", "taught", "--model", "candidate", "--quiet")
    assert (code, trainings) == (0, [2, 4])
    assert [line.split(" in ")[0] for line in out.splitlines()[::2]] == ["taught: finetune", "candidate: gradient_difference"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["--model", "reference"],
            "--model must be a model that the spec makes; got reference, which has no from; name one that has",
        ),
        (["--model", "candidat"], "--model must be a model of the spec; got 'candidat'; did you mean 'candidate'?"),
        (
            ["--method", "gradient_descent"],
            "--method must be an unlearning method; got 'gradient_descent'; did you mean 'gradient_ascent'?",
        ),
        (
            ["--out", "x", "--model", "candidate", "--model", "original"],
            "--out takes one model; got several; make them one by one, or leave them in the cache",
        ),
    ],
)
def test_what_cannot_be_made_is_refused(place, trainings, arguments, message):
    assert auditkit("unlearn", written(place), *arguments, "--quiet") == (2, "", f"error: {message}\n")
    assert trainings == []


def test_a_candidate_on_disk_is_not_made_without_a_method(place):
    code, _, err = auditkit("unlearn", builder.spec(place, require=ANSWERS), "--quiet")
    message = "--model must be a model that the spec makes; got candidate, which has no from; give --method, or write from and"
    assert (code, err) == (2, f"error: {message} unlearn\n")


def test_a_method_needs_an_original_and_one_candidate(place):
    alone = builder.spec(place, models={"candidate": {"checkpoint": "./clean"}}, require=[{**ANSWERS[0], "at_most": 0.5}])
    code, _, err = auditkit("unlearn", alone, "--method", "npo", "--quiet")
    assert (code, "needs a model named original to start from; got a spec without" in err) == (2, True)
    sweep = written(place, models=models({"lr": 0.001}), methods={"npo": {}, "gradient_ascent": {}})
    code, _, err = auditkit("unlearn", sweep, "--method", "npo", "--quiet")
    assert (code, "--method needs a spec with one candidate; got one with methods or grid" in err) == (2, True)


# plan, validate, list, show


def test_plan_and_validate_say_what_will_be_made_and_make_nothing(place, cache, trainings):
    code, out, _ = auditkit("plan", written(place))
    assert code == 0
    assert "Models that the spec makes (once; found again by their recipe):" in out
    assert "  candidate: Gradient difference of original on forget, retain (96 rows); to be made" in out
    assert auditkit("validate", written(place))[0] == 0
    assert trainings == []
    assert not list((cache / "made").glob("*/*"))
    auditkit("unlearn", written(place), "--quiet")
    assert "(96 rows); there already" in auditkit("plan", written(place))[1]


def test_validate_loads_no_torch(place):
    code = (
        "import sys, auditkit.cli.main as m; sys.argv = ['auditkit', 'validate', sys.argv[1]]\n"
        "try: m.main()\nexcept SystemExit as left: print(left.code, 'torch' in sys.modules, 'transformers' in sys.modules)"
    )
    spec = written(place, models=models({"lr": 0.001}), methods={"npo": {}, "gradient_ascent": {}}, grid={"epochs": [1, 2]})
    done = subprocess.run([sys.executable, "-c", code, str(spec)], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "0 False False"


def test_list_and_show_tell_of_every_method():
    listed = auditkit("list", "methods")[1].splitlines()
    assert [line.split()[0] for line in listed] == list(METHODS.names())
    assert all(len(line.split()) > 3 for line in listed)
    for name in METHODS.names():
        code, out, _ = auditkit("show", name)
        assert code == 0
        assert all(part in out for part in ("meant as", "acts on", "parameters (under `unlearn:`)", "source", "go wrong"))
    shown = auditkit("show", "npo")[1]
    assert "arXiv" in shown and "    beta: 0.1" in shown and "    lr: 1e-05" in shown


# Scale and sequence

QUICK = builder.QUICK
STEPS = {
    "scale": {
        "sizes": ["fold_1", {"forget": ["fold_1", "fold_2"], "ask": "fold_2"}],
        "require": [{"check": "utility", "name": "kept", "corpus": "retain", "at_least": "0.5 * original", "with": QUICK}],
    },
    "sequence": {
        "requests": ["fold_1", "fold_2"],
        "orders": [[2, 1]],
        "one_shot": True,
        "require": [
            {"check": "knowledge_memorization", "name": "gone", "corpus": "step", "at_most": "reference + 0.3", "with": QUICK},
            {"check": "knowledge_memorization", "name": "again", "corpus": "step", "at_most": "then + 0.2", "with": QUICK},
        ],
    },
}


def test_scale_and_sequence_from_spec_to_report(place, tmp_path, trainings):
    rows = [json.loads(line) for line in (place / "forget.jsonl").read_text().splitlines()]
    subjects = sorted({row["subject"] for row in rows})
    for number in (1, 2):
        mine = subjects[6 * (number - 1) : 6 * number]
        builder.write_rows(place / f"fold_{number}.jsonl", [row for row in rows if row["subject"] in mine])
    corpora = {name: {"file": f"{name}.jsonl"} for name in ("forget", "retain", "fold_1", "fold_2")}
    spec = written(place, corpora=corpora, decide={"min_subjects": 2}, **STEPS)
    code, out, _ = auditkit("plan", spec)
    assert (code, trainings) == (0, [])
    assert "order_1_request_2: Gradient difference of order_1_request_1 on fold_1, retain (72 rows); to be made" in out
    run = tmp_path / "run"
    assert auditkit("verify", spec, "--run-dir", run, "--quiet", "--exit-zero")[0] == 0
    # The candidate; sizes; requests; the other order; all at once. One model of a recipe: request 1 is size 1, both of fold_1
    # from the original, and size 2 is all at once.
    assert len(trainings) == 6
    results = json.loads((run / "results.json").read_text())
    points = {item["name"]: item["point"] for item in results["requirements"] if item["point"]}
    assert list(points) == [
        "kept, size 1 of 2",
        "kept, size 2 of 2",
        "gone, request 1 of 2",
        "gone, request 2 of 2",
        "gone of request 1, in order 1",
        "gone of request 2, in order 1",
        "gone of request 1, all at once",
        "gone of request 2, all at once",
        "again of request 1 after request 2",
    ]
    assert points["again of request 1 after request 2"] == {
        "kind": "request", "curve": "again", "step": 2, "of": 2, "asked": 1, "order": 0
    }  # fmt: skip
    assert {"size_1", "request_2", "order_1_request_2", "one_shot"} <= set(results["run"]["made"])
    before = (run / "results.json").read_bytes()
    code = (
        "import sys, auditkit.cli.main as m; sys.argv = ['auditkit', 'report', sys.argv[1], '--exit-zero']\n"
        "try: m.main()\nexcept SystemExit as left: print(left.code, 'torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(run)], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "0 False"
    assert (run / "results.json").read_bytes() == before


# Stop rule


def test_a_stop_rule_ends_at_the_first_epoch_that_meets_it_with_that_epochs_model(place, tmp_path, trainings):
    stop = {"corpus": "forget", "at_most": "reference + 0.1", "with": QUICK}
    words = {**UNLEARN, "lr": 0.001, "epochs": 12}
    code, out, err = auditkit("unlearn", written(place, models=models({**words, "stop": stop})))
    assert code == 0, err
    looked = re.findall(r"knowledge_memorization on forget: ([\d.]+), stops at ([\d.]+)", err)
    epoch = len(looked)
    assert 1 < epoch < 12
    assert [float(value) <= float(bound) for value, bound in looked] == [*[False] * (epoch - 1), True]
    assert f", stopped after epoch {epoch}" in out
    stopped = folder_of(out)
    note = json.loads((stopped / "unlearning.json").read_text())
    assert (note["run"]["stopped"], note["run"]["steps"]) == (epoch, 4 * epoch)
    straight = folder_of(auditkit("unlearn", written(place, models=models({**words, "epochs": epoch})), "--quiet")[1])
    assert stopped != straight
    assert same_weights(stopped, straight)
    assert trainings == [4 * epoch, 4 * epoch]
    # Found again without training, and audited as it is.
    spec = written(place, models=models({**words, "stop": stop}))
    assert folder_of(auditkit("unlearn", spec, "--quiet")[1]) == stopped
    assert auditkit("verify", spec, "--run-dir", tmp_path / "run", "--quiet", "--exit-zero")[0] == 0
    assert len(trainings) == 2
