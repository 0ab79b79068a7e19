"""The wheel stands alone: built, installed without the checkout, and used."""

import json
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import world as builder

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """A fresh environment that sees this one's libraries but has auditkit from the wheel alone."""
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(ROOT)]
    subprocess.run(build, check=True, capture_output=True)
    (wheel,) = folder.glob("*.whl")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder / "env")], check=True)
    (site,) = (folder / "env").glob("lib/python*/site-packages")
    zipfile.ZipFile(wheel).extractall(site)
    libraries = next(path for path in sys.path if path.endswith("site-packages"))
    # Not a .pth file: this environment's own editable auditkit must not be seen.
    return folder / "env" / "bin" / "python", {"PYTHONPATH": f"{site}:{libraries}"}


def run(installed, *arguments, cwd):
    python, environment = installed
    import os

    return subprocess.run(
        [str(python), "-m", "auditkit", *map(str, arguments)],
        env={**os.environ, **environment},
        cwd=cwd,
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_wheel_helps_validates_and_reports(installed, world, tmp_path):
    place = builder.copy(world, tmp_path / "place")
    spec = builder.spec(place, require=[builder.REQUIRE[0]])
    where = run(installed, "--help", cwd=tmp_path)
    assert "verify" in where.stdout, where.stderr
    assert "valid" in run(installed, "validate", spec, cwd=tmp_path).stdout
    verified = run(installed, "verify", spec, "--run-dir", tmp_path / "run", "--quiet", cwd=tmp_path)
    assert verified.returncode == 0, verified.stderr
    reported = run(installed, "report", tmp_path / "run", cwd=tmp_path)
    assert reported.returncode == 0, reported.stderr
    assert json.loads((tmp_path / "run" / "results.json").read_text())["verdict"] == "PASS"


def test_it_is_the_wheel_that_was_tested(installed, tmp_path):
    python, environment = installed
    code = "import auditkit; print(auditkit.__file__)"
    done = subprocess.run([str(python), "-c", code], env=environment, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert str(python.parent.parent) in done.stdout
