"""A spec with several candidates as its users meet it: one run folder each, what they share once, and their comparison."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time

import pytest
import world as builder

from auditkit.evidence import measuring as audited
from auditkit.unlearning import _trainer
from tests.cli.test_commands import auditkit

ANSWERS = [builder.REQUIRE[0]]
UNLEARN = {"lr": 0.0005, "epochs": 1, "batch": 12}
METHODS = {"gradient_difference": {}, "gentle": {"method": "npo", "lr": 0.0001}}


def models(unlearn):
    return {
        "original": {"checkpoint": "./original"},
        "reference": {"checkpoint": "./reference"},
        "candidate": {"from": "original", "unlearn": unlearn},
    }


@pytest.fixture(scope="module")
def place(world, tmp_path_factory):
    return builder.copy(world, tmp_path_factory.mktemp("place"))


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """Nothing is made and nothing measured yet."""
    monkeypatch.setenv("AUDITKIT_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def written(place, unlearn=UNLEARN, **changes):
    return builder.spec(place, name="sweep.yaml", **{"models": models(unlearn), "require": ANSWERS, **changes})


def without_run(folder):
    results = json.loads((folder / "results.json").read_text())
    del results["run"]
    return results


def test_every_candidate_has_a_bundle_and_all_are_compared(place, tmp_path, monkeypatch):
    opened = []
    real = audited.open_model
    monkeypatch.setattr(audited, "open_model", lambda audit, subjects, name: opened.append(name) or real(audit, subjects, name))
    run = tmp_path / "run"
    code, out, err = auditkit("verify", written(place, methods=METHODS), "--run-dir", run, "--quiet")
    assert err == ""
    assert {path.name for path in run.iterdir()} == {*METHODS, "compare.html", "compare.json"}
    assert out.splitlines()[-1] == f"comparison: {run / 'compare.html'}"
    assert all(name in out for name in METHODS)
    compared = json.loads((run / "compare.json").read_text())
    assert compared["baseline"] == "gradient_difference"
    # What the candidates share was asked once.
    assert sorted(opened) == ["candidate", "candidate", "original", "reference"]
    cached = [json.loads((run / name / "results.json").read_text())["run"]["cached_requests"] for name in METHODS]
    assert cached == [0, 96]
    # Each bundle stands alone: its own candidate, decided again with no model, with the same code.
    parameters = {name: json.loads((run / name / "results.json").read_text())["run"]["made"] for name in METHODS}
    assert parameters["gentle"]["candidate"]["method"] == "npo"
    assert [parameters[name]["candidate"]["parameters"]["lr"] for name in METHODS] == [0.0005, 0.0001]
    codes = [auditkit("report", run / name)[0] for name in METHODS]
    assert code == (1 if 1 in codes else max(codes))
    # Again: nothing is trained and nothing asked.
    before = [without_run(run / name) for name in METHODS]
    monkeypatch.setattr(_trainer, "train", None)
    monkeypatch.setattr(audited, "open_model", None)
    assert auditkit("verify", written(place, methods=METHODS), "--run-dir", run, "--quiet")[0] == code
    assert [without_run(run / name) for name in METHODS] == before


def test_the_exit_code_is_that_of_the_worst(place, tmp_path):
    methods = {"much": {"method": "gradient_ascent", "lr": 0.01}, "nothing": {"method": "gradient_ascent", "lr": 0.0001}}
    spec = written(place, methods=methods)
    verify = ("verify", spec, "--run-dir", tmp_path / "run", "--quiet", "--set", "methods.nothing.lr=1.0e-9")
    code, _, _ = auditkit(*verify)
    verdicts = [without_run(tmp_path / "run" / name)["verdict"] for name in methods]
    assert (code, verdicts) == (1, ["PASS", "FAIL"])
    assert auditkit(*verify, "--exit-zero")[0] == 0


def test_plan_and_validate_look_at_every_candidate_and_make_none(place, cache, monkeypatch):
    monkeypatch.setattr(_trainer, "train", None)
    spec = written(place, {**UNLEARN, "method": "npo"}, grid={"lr": [0.0001, 0.0002], "epochs": [1, 2]})
    code, out, _ = auditkit("validate", spec)
    assert (code, "3 models to measure for each of 4 candidates" in out) == (0, True)
    code, out, _ = auditkit("plan", spec)
    assert code == 0
    candidates = [line.removeprefix("candidate ") for line in out.splitlines() if line.startswith("candidate npo")]
    assert candidates == [f"npo,lr={lr},epochs={epochs}" for lr in ("0.0001", "0.0002") for epochs in (1, 2)]
    assert out.count("to be made") == 4
    assert not list((cache / "made").glob("*/*"))


def test_a_grid_writes_into_folders_inside_the_run_whatever_its_values_are(place, tmp_path):
    grid = {"retain": ["retain", ["retain", "holdout"]]}
    spec = written(place, {**UNLEARN, "method": "gradient_difference"}, grid=grid)
    assert auditkit("verify", spec, "--run-dir", tmp_path / "run", "--quiet", "--exit-zero")[0] == 0
    names = {path.name for path in (tmp_path / "run").iterdir() if path.is_dir()}
    assert names == {"gradient_difference,retain=retain", "gradient_difference,retain=retain_holdout"}


def test_unlearn_makes_every_candidate(place):
    code, out, _ = auditkit("unlearn", written(place, methods=METHODS), "--quiet")
    assert code == 0
    told = [line.split(" in ")[0] for line in out.splitlines()[::2]]
    assert told == ["gradient_difference: candidate: gradient_difference", "gentle: candidate: npo"]
    code, _, err = auditkit("unlearn", written(place, methods=METHODS), "--out", place / "x", "--quiet")
    assert (code, "--out takes one model" in err) == (2, True)


def command(spec, run, cache):
    environment = {**os.environ, "AUDITKIT_CACHE": str(cache), "OMP_NUM_THREADS": "1"}
    arguments = [sys.executable, "-m", "auditkit", "verify", str(spec), "--run-dir", str(run), "--quiet", "--exit-zero"]
    return subprocess.Popen(arguments, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def test_a_sweep_killed_in_the_middle_ends_with_the_same_results(place, tmp_path, cache):
    spec = written(place, {**UNLEARN, "epochs": 3}, methods=METHODS)
    assert command(spec, tmp_path / "whole", cache).wait(300) == 0
    shutil.rmtree(cache / "made")
    shutil.rmtree(cache / "measurements")
    killed = command(spec, tmp_path / "killed", cache)
    first = tmp_path / "killed" / "gradient_difference" / "MANIFEST.sha256"
    patience = time.monotonic() + 120
    # The first candidate is done, and the second has saved a state.
    while not list((cache / "made").glob(".*.training/checkpoint-*/history.json")) or not first.exists():
        assert time.monotonic() < patience
        assert killed.poll() is None
        time.sleep(0.01)
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    assert not (tmp_path / "killed" / "gentle").exists()
    assert command(spec, tmp_path / "killed", cache).wait(300) == 0
    for name in METHODS:
        assert without_run(tmp_path / "killed" / name) == without_run(tmp_path / "whole" / name)
    assert not [path for path in (cache / "made").iterdir() if path.is_dir() and path.name.startswith(".")]


@pytest.mark.parametrize(
    ("changes", "lines"),
    [
        (
            {"methods": {"npo": {}, "gradient_descent": {}}},
            ["methods.gradient_descent: unknown unlearning method 'gradient_descent'; did you mean 'gradient_ascent'?"],
        ),
        (
            {"methods": {"npo": {"betta": 1}, "gradient_ascent": {"lr": 3}}},
            [
                "methods.npo.betta: unknown field; did you mean 'beta'?",
                "methods.gradient_ascent.lr: must be less than 1; got 3",
            ],
        ),
        (
            {"methods": {"npo": {}, "gradient_ascent": {}}, "grid": {"beta": [0.5, -1]}},
            ["grid.beta: must be more than 0; got -1"],
        ),
        (
            {"methods": {"npo": {"retain": "forget"}}},
            ["methods.npo: what is forgotten must not be kept as well; got forget on both sides"],
        ),
        (
            {"unlearn": {"method": "nqo"}, "grid": {"lr": [0.1]}},
            ["models.candidate.unlearn.method: unknown unlearning method 'nqo'; did you mean 'npo'?"],
        ),
        (
            {"unlearn": {"lr": 0.1}, "grid": {"epochs": [1]}},
            ["models.candidate.unlearn.method: must name an unlearning method; got none; known: alt_po,"],
        ),
        (
            {"unlearn": {"method": "npo"}, "methods": {"npo": {}}},
            [
                "models.candidate.unlearn.method: must stand under methods alone, which name the method of each candidate; "
                "got one here as well; remove one of the two"
            ],
        ),
    ],
)
def test_faults_of_a_candidate_are_told_before_any_is_made_where_they_were_written(place, monkeypatch, changes, lines):
    monkeypatch.setattr(_trainer, "train", None)
    spec = written(place, **changes)
    text = spec.read_text().splitlines()
    code, _, err = auditkit("verify", spec, "--run-dir", place / "none", "--quiet")
    found = err.splitlines()
    assert (code, len(found)) == (2, len(lines)), err
    for line, expected in zip(found, lines, strict=True):
        position, _, message = line.removeprefix(f"error: {spec}:").partition(": ")
        assert message.startswith(expected)
        written_at = text[int(position.split(":")[0]) - 1]
        assert any(word in written_at for word in expected.split(":")[0].split(".")[1:]), written_at
    assert not (place / "none").exists()


def test_candidates_that_were_made_request_by_request_are_compared_at_every_step(place, tmp_path):
    """A bound of a sequence compares with the candidate's own earlier model, which no other candidate has."""
    rows = [json.loads(line) for line in (place / "forget.jsonl").read_text().splitlines()]
    people = sorted({row["subject"] for row in rows})
    halves = {"first": people[:6], "second": people[6:]}
    corpora = {name: {"file": "forget.jsonl", "where": {"subject": who}, "role": "half"} for name, who in halves.items()}
    corpora |= {name: {"file": f"{name}.jsonl"} for name in ("forget", "retain")}
    asked = {"check": "knowledge_memorization", "corpus": "step", "with": builder.QUICK}
    sequence = {
        "requests": ["first", "second"],
        "require": [
            {**asked, "name": "known", "at_most": "reference + 0.5"},
            {**asked, "name": "back", "at_most": "then + 0.5"},
        ],
    }
    spec = written(place, methods=METHODS, corpora=corpora, sequence=sequence, decide={"min_subjects": 2})
    run = tmp_path / "run"
    code, _, err = auditkit("verify", spec, "--run-dir", run, "--quiet", "--exit-zero")
    assert code == 0, err
    compared = {one["name"]: one for one in json.loads((run / "compare.json").read_text())["requirements"]}
    for name in ("known, request 1 of 2", "back of request 1 after request 2"):
        mine, theirs = compared[name]["cells"]
        assert mine["difference"] is None
        assert theirs["difference"]["value"] == pytest.approx(theirs["estimate"]["value"] - mine["estimate"]["value"])
