"""The command line as its users meet it: what it prints, what it leaves behind, how it exits."""

import contextlib
import io
import json
import subprocess
import sys

import pytest
import world as builder
from click.testing import CliRunner

from auditkit.cli.main import cli, main

COMMANDS = ["init", "validate", "plan", "unlearn", "verify", "report", "compare", "list", "show", "schema"]


def auditkit(*arguments):
    """Run in this process through ``main``; returns (exit code, stdout, stderr)."""
    out, err = io.StringIO(), io.StringIO()
    argv = sys.argv
    sys.argv = ["auditkit", *map(str, arguments)]
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err), pytest.raises(SystemExit) as left:
            main()
    finally:
        sys.argv = argv
    return left.value.code, out.getvalue(), err.getvalue()


@pytest.fixture(scope="module")
def place(world, tmp_path_factory):
    return builder.copy(world, tmp_path_factory.mktemp("place"))


@pytest.fixture(scope="module")
def passed(place):
    """A run that passes."""
    code, out, err = auditkit("verify", builder.spec(place), "--run-dir", place / "passed", "--quiet")
    assert (code, err) == (0, ""), out
    return place / "passed"


def test_help_names_every_command_and_exit_code():
    text = CliRunner().invoke(cli, ["--help"]).output
    for word in (*COMMANDS, "PASS WITH EXCEPTIONS", "INCOMPLETE"):
        assert word in text


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help(command):
    assert auditkit(command, "--help")[0] == 0


def test_exit_codes_follow_the_verdict(place, passed):
    failing = builder.spec(place, candidate="original", name="failing.yaml")
    assert auditkit("verify", failing, "--run-dir", place / "failed", "--quiet")[0] == 1
    assert auditkit("verify", failing, "--run-dir", place / "failed", "--quiet", "--exit-zero")[0] == 0
    assert auditkit("verify", builder.spec(place), "--run-dir", place / "part", "--quiet", "--only", "answers")[0] == 3


def test_the_table_fits_100_columns_and_names_the_report(place, passed):
    _, out, _ = auditkit("report", passed)
    assert max(map(len, out.splitlines())) <= 100
    assert f"report: {passed / 'report.html'}" in out


def test_a_run_folder_is_complete(passed):
    names = {path.name for path in passed.iterdir()}
    assert {"results.json", "report.html", "junit.xml", "summary.md", "spec.yaml", "spec.resolved.json", "values",
            "measurements", "environment.json", "checkpoints.json", "MANIFEST.sha256"} == names  # fmt: skip
    done = subprocess.run(["sha256sum", "--check", "--quiet", "MANIFEST.sha256"], cwd=passed, check=False)
    assert done.returncode == 0


def test_results_json_has_what_a_pipeline_reads(passed):
    results = json.loads((passed / "results.json").read_text())
    assert {"schema_version", "verdict", "requirements"} <= set(results)
    for requirement in results["requirements"]:
        assert {"name", "check", "corpus", "level", "bound", "result", "reason", "estimate", "controls"} <= set(requirement)
        assert {"value", "lower", "upper", "n", "unit", "method"} <= set(requirement["estimate"])
        assert (passed / requirement["values_file"]).is_file()


def test_rendering_again_changes_no_byte(passed):
    before = {path: path.read_bytes() for path in passed.rglob("*") if path.is_file()}
    assert auditkit("report", passed)[0] == 0
    assert before == {path: path.read_bytes() for path in passed.rglob("*") if path.is_file()}


def test_a_changed_bound_is_decided_again_beside_the_run(passed):
    code, out, _ = auditkit("report", passed, "--set", "require.answers.at_most=reference - 0.5")
    assert code == 1
    assert "at most reference - 0.5" in out
    assert json.loads((passed / "results.json").read_text())["verdict"] == "PASS"


def test_a_change_that_needs_a_measurement_is_refused(passed):
    code, _, err = auditkit("report", passed, "--set", "require.answers.with.max_new_tokens=9")
    assert code == 2
    assert "another measurement" in err


def test_report_loads_no_torch(passed):
    code = (
        "import sys, auditkit.cli.main as m; sys.argv = ['auditkit', 'report', sys.argv[1]]\n"
        "try: m.main()\nexcept SystemExit: print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(passed)], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "False"


def test_every_changed_byte_is_found(place, passed):
    copy = place / "tampered"
    for name in ("results.json", "values/answers.json", "report.html", "spec.yaml"):
        builder.copy(passed, copy)
        data = bytearray((copy / name).read_bytes())
        data[len(data) // 2] ^= 1
        (copy / name).write_bytes(bytes(data))
        code, _, err = auditkit("report", copy)
        assert code == 4
        assert f"{name} does not match its digest" in err
    builder.copy(passed, copy)
    (copy / "extra.txt").write_text("planted")
    assert auditkit("report", copy)[0] == 4


def test_a_run_folder_of_another_audit_is_kept(place, passed):
    other = builder.spec(place, candidate="original", name="other.yaml")
    before = (passed / "results.json").read_bytes()
    code, _, err = auditkit("verify", other, "--run-dir", passed, "--quiet")
    assert code == 2
    assert "holds another audit" in err
    assert (passed / "results.json").read_bytes() == before


def test_a_folder_that_is_no_run_is_kept(place):
    folder = place / "mine"
    folder.mkdir()
    (folder / "thesis.txt").write_text("years of work")
    code, _, err = auditkit("verify", builder.spec(place), "--run-dir", folder, "--quiet")
    assert code == 2
    assert "is not a run of auditkit" in err
    assert [path.name for path in folder.iterdir()] == ["thesis.txt"]


def test_an_unwritable_run_folder_is_refused_before_anything_is_measured(place):
    (place / "file").write_text("")
    code, _, err = auditkit("verify", builder.spec(place), "--run-dir", place / "file" / "run", "--quiet")
    assert code == 2
    assert "cannot be written" in err


def test_no_partial_folder_is_left(place, passed):
    assert not list(place.glob(".*partial*")) and not list(place.glob(".*old*"))


def test_validate_says_what_it_did_and_did_not_check(place):
    code, out, _ = auditkit("validate", builder.spec(place))
    assert code == 0
    assert "3 requirements" in out and "not checked: whether the weights load" in out


def test_validate_refuses_removal_without_relearning_and_plan_prints_what_is_left_out(place):
    code, _, err = auditkit("validate", builder.spec(place, omissions=[], name="bare.yaml"))
    assert code == 2
    assert "removal needs a requirement under relearn (item relearn); got none" in err
    assert "state its omission: omissions: [{item: relearn, justification: …, approver: …, expires_on: …}]" in err
    code, out, _ = auditkit("plan", builder.spec(place))
    assert code == 0
    assert "Left out: verbatim, paraphrase, utility, relearn, quantize, representation, in_context, prompts, sampling: " in out
    assert "(accepted by the tests until 2099-12-31)" in out


def test_plan_shows_merged_requests_and_undecidable_bounds(place):
    require = [
        {**builder.REQUIRE[0], "name": "one"},
        {**builder.REQUIRE[0], "name": "two"},
        {"check": "knowledge_memorization", "name": "strict", "at_most": 0.05,
         "with": {**builder.QUICK, "statistic": "leaking_subjects", "leak_at": 0.5}},
    ]  # fmt: skip
    code, out, _ = auditkit("plan", builder.spec(place, require=require, name="plan.yaml"))
    assert code == 0
    assert "CANNOT BE PASSED" in out and "59" in out
    assert "A failure is found with 90 % probability where at least" in out
    assert "48" in out and "144" in out  # 48 questions, asked for three times


def test_init_writes_a_spec_that_only_needs_the_users_files(tmp_path):
    assert auditkit("init", tmp_path / "spec.yaml")[0] == 0
    code, _, err = auditkit("validate", tmp_path / "spec.yaml")
    assert code == 2
    assert all("candidate" in line or "original" in line or "reference" in line or "jsonl" in line for line in err.splitlines())
    assert auditkit("init", tmp_path / "spec.yaml")[0] == 2  # never overwrites


@pytest.mark.parametrize("kind", ["checks", "attacks", "methods", "profiles", "formats", "models"])
def test_list(kind):
    assert auditkit("list", kind)[0] == 0


def test_show_explains_a_check_and_a_profile_and_suggests_a_spelling():
    assert "arXiv" in auditkit("show", "verbatim_memorization")[1]
    assert "privacy_leakage" in auditkit("show", "muse")[1]
    code, _, err = auditkit("show", "verbatim_memorisation")
    assert code == 2
    assert "did you mean 'verbatim_memorization'?" in err


def test_schemas_are_json():
    for document in ("spec", "results"):
        assert json.loads(auditkit("schema", document)[1])["properties"]


def test_environment_variables_set_options(place, monkeypatch):
    monkeypatch.setenv("AUDITKIT_VERIFY_ONLY", "answers")
    assert auditkit("verify", builder.spec(place), "--run-dir", place / "env", "--quiet")[0] == 3


def test_set_changes_the_spec_and_is_recorded(place):
    spec = builder.spec(place)
    code, _, _ = auditkit(
        "verify", spec, "--run-dir", place / "set", "--quiet", "--set", "require.answers.at_most=reference - 0.5"
    )
    assert code == 1
    assert json.loads((place / "set" / "results.json").read_text())["overrides"] == ["require.answers.at_most=reference - 0.5"]
    assert auditkit("report", place / "set")[0] == 1


def test_github_annotations_and_summary(place, passed, monkeypatch, tmp_path):
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path / "summary.md"))
    spec = builder.spec(place, candidate="original", name="failing.yaml")
    _, out, _ = auditkit("verify", spec, "--run-dir", place / "failed", "--quiet")
    assert "::error " in out
    assert "FAIL" in (tmp_path / "summary.md").read_text()


def test_a_defect_of_auditkit_exits_4_and_quotes_no_data(place, monkeypatch):
    def broken(*_, **__):
        raise RuntimeError("".join(["sec", "ret"]))

    monkeypatch.setattr("auditkit.evidence.sweep.prepare", broken)
    code, out, err = auditkit("validate", builder.spec(place))
    assert code == 4
    assert "RuntimeError" in err and "secret" not in out + err
