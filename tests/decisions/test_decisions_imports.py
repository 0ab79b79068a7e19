from __future__ import annotations

import subprocess
import sys


def loaded_after(statement: str) -> set[str]:
    script = f"{statement}\nimport sys\nprint(' '.join(sys.modules))"
    return set(subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True).stdout.split())


def test_types_and_verdict_load_nothing_heavy() -> None:
    loaded = loaded_after("import auditkit.decisions.types, auditkit.decisions.verdict")
    assert not loaded & {"numpy", "scipy", "torch", "pydantic", "sklearn", "statsmodels"}


def test_judging_needs_numpy_and_special_functions_only() -> None:
    loaded = loaded_after("import auditkit.decisions.judge, auditkit.decisions.plan")
    assert "scipy.special" in loaded
    assert not loaded & {"scipy.stats", "scipy.optimize", "torch", "sklearn", "statsmodels", "pandas"}
