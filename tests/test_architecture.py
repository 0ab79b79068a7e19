"""The house holds: imports go only downward, and the light rooms load nothing heavy."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import auditkit

PACKAGE = Path(auditkit.__file__).parent
ROOMS = (
    "spec", "corpora", "models", "unlearning", "attacks", "measurement",
    "checks", "decisions", "evidence", "reporting", "zoo", "cli",
)  # fmt: skip
FLOOR = {path.stem for path in PACKAGE.glob("*.py")} - {"__init__", "__main__"}
HEAVY = ("torch", "transformers", "numpy", "scipy", "sklearn", "pyarrow", "lm_eval", "peft", "altair", "statsmodels")


def imported_rooms(path: Path) -> set[str]:
    """Every auditkit module that a file names in an import, at any depth, type imports included."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            names = [node.module] if node.module != "auditkit" else [f"auditkit.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        else:
            continue
        found |= {name.split(".")[1] for name in names if name.startswith("auditkit.")}
    return found


def test_the_rooms_are_the_ones_of_the_design():
    folders = {path.name for path in PACKAGE.iterdir() if path.is_dir() and not path.name.startswith("_")}
    assert folders == set(ROOMS)


@pytest.mark.parametrize("room", ROOMS)
def test_imports_go_only_downward(room):
    allowed = set(ROOMS[: ROOMS.index(room) + 1]) | FLOOR | {"__version__"}
    for path in (PACKAGE / room).rglob("*.py"):
        assert imported_rooms(path) <= allowed, f"{path} imports from a room below it"


def test_the_floor_imports_no_room():
    for name in FLOOR:
        assert not imported_rooms(PACKAGE / f"{name}.py") & set(ROOMS), name


@pytest.mark.parametrize("module", ["auditkit.cli.main", "auditkit.evidence.prepare", "auditkit.evidence.conclude"])
def test_light_modules_load_nothing_heavy(module):
    code = f"import sys, {module}; print([m for m in {HEAVY!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_listing_every_plug_in_loads_no_torch():
    code = (
        "import sys; from auditkit.checks import CHECKS; from auditkit.attacks import ATTACKS\n"
        "from auditkit.unlearning import METHODS; from auditkit.reporting import FORMATS\n"
        "[r.get(n) for r in (CHECKS, ATTACKS, METHODS, FORMATS) for n in r.names()]; print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
