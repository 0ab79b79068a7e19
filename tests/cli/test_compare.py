"""``auditkit compare`` as its users meet it."""

import json
import subprocess
import sys

import pytest

from tests.cli.test_commands import auditkit
from tests.evidence.bundles import bundle, made, measured


@pytest.fixture
def sweep(tmp_path):
    for place, name in enumerate(("npo", "rmu")):
        samples = measured({"answers": 0.2 + 0.3 * place, "kept": 0.7}, seed=place)
        bundle(tmp_path / "sweep" / name, samples, key=name.encode(), costs={"candidate": made(name, 60.0)})
    return tmp_path / "sweep"


def test_a_sweep_is_compared_in_its_own_folder(sweep):
    code, out, err = auditkit("compare", sweep)
    assert (code, err) == (0, "")
    assert {path.name for path in sweep.iterdir()} == {"npo", "rmu", "compare.html", "compare.json"}
    assert json.loads((sweep / "compare.json").read_text())["baseline"] == "npo"
    assert max(map(len, out.splitlines()[:-1])) <= 100
    assert out.splitlines()[-1] == f"comparison: {sweep / 'compare.html'}"
    first = (sweep / "compare.json").read_bytes(), (sweep / "compare.html").read_bytes()
    assert auditkit("compare", sweep)[0] == 0
    assert first == ((sweep / "compare.json").read_bytes(), (sweep / "compare.html").read_bytes())


def test_run_folders_are_compared_in_a_folder_of_their_own(sweep, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert auditkit("compare", sweep / "npo", sweep / "rmu", "--baseline", "rmu")[0] == 0
    assert json.loads((tmp_path / "auditkit-compare" / "compare.json").read_text())["baseline"] == "rmu"
    assert auditkit("compare", sweep / "npo", sweep / "rmu", "--out", tmp_path / "there")[0] == 0
    assert (tmp_path / "there" / "compare.html").is_file()


def test_errors_keep_their_codes(sweep, tmp_path):
    code, _, err = auditkit("compare", sweep / "npo")
    assert (code, "at least two run folders" in err) == (2, True)
    assert auditkit("compare")[0] == 2
    assert auditkit("compare", sweep, "--baseline", "rmv")[2].startswith("error: unknown baseline 'rmv'; did you mean 'rmu'?")
    assert auditkit("compare", sweep, "--out", sweep / "npo")[0] == 2
    (tmp_path / "compare.html").write_text("mine")
    assert auditkit("compare", sweep, "--out", tmp_path)[0] == 2
    assert (tmp_path / "compare.html").read_text() == "mine"
    (sweep / "rmu" / "results.json").write_text("{}")
    code, _, err = auditkit("compare", sweep)
    assert (code, "results.json does not match its digest" in err) == (4, True)


def test_help_lists_it_after_report():
    lines = auditkit("--help")[1].splitlines()
    commands = [line.split()[0] for line in lines if line.startswith("  ") and line.strip()]
    assert commands.index("compare") == commands.index("report") + 1
    assert auditkit("compare", "--help")[0] == 0


def test_compare_loads_no_torch(sweep):
    code = (
        "import sys, auditkit.cli.main as m; sys.argv = ['auditkit', 'compare', sys.argv[1]]\n"
        "try: m.main()\nexcept SystemExit: print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(sweep)], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "False"
