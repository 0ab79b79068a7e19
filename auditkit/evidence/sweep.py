"""Several candidates in one run: each is made, audited and kept as a bundle of its own, and then they are compared."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from auditkit.errors import DataError, Problem, SpecError
from auditkit.evidence.audit import run
from auditkit.evidence.bundle import Outcome
from auditkit.evidence.prepare import Audit, Options, prepare
from auditkit.evidence.training import unknown_method
from auditkit.files import digest
from auditkit.spec.load import load_spec
from auditkit.spec.sweep import is_sweep, variants
from auditkit.unlearning import METHODS

if TYPE_CHECKING:
    from auditkit.measurement.progress import Progress
    from auditkit.spec._document import FieldPath
    from auditkit.spec.load import Loaded


def audits(path: Path, options: Options) -> dict[str, Audit]:
    """Candidate → its audit, ready to run; one with the name '' for a spec that is no sweep.

    Every candidate is checked before any is made. Raises SpecError or DataError with the faults of all of them.
    """
    loaded = load_spec(path, overrides=options.overrides, seed=options.seed, device=options.device)
    if not is_sweep(loaded):
        return {"": prepare(path, options)}
    _refuse_unknown(loaded)
    found: dict[str, Audit] = {}
    problems: dict[Problem, None] = {}
    for name, variant in variants(loaded, _knows).items():
        try:
            found[name] = prepare(path, replace(options, overrides=(*options.overrides, *variant.overrides)))
        except (SpecError, DataError) as error:
            problems |= dict.fromkeys(variant.located(loaded, problem) for problem in error.problems)
    if problems:
        raise SpecError(list(problems))
    return found


def _refuse_unknown(loaded: Loaded) -> None:
    """A name that is no method would make every shared parameter look like a stranger."""
    given: FieldPath = ("models", "candidate", "unlearn", "method")
    own = (loaded.spec.models["candidate"].unlearn or {}).get("method")
    named: dict[FieldPath, object] = {
        ("methods", name): words.get("method", name) for name, words in loaded.spec.methods.items()
    }
    if named and own is not None:
        message = "must stand under methods alone, which name the method of each candidate; got one here as well"
        raise SpecError(loaded.problem(given, message, "remove one of the two"))
    for path, method in (named or {given: own}).items():
        if method not in METHODS.names():
            raise SpecError(loaded.problem(path, *unknown_method(method)))


def _knows(method: str, parameter: str) -> bool:
    return method in METHODS.names() and parameter in METHODS.get(method).params.model_fields


def default_sweep_dir(path: Path, audited: Mapping[str, Audit]) -> Path:
    """``auditkit-runs/STEM-ID``, the id that of all candidates' specs and data."""
    parts = [
        [name, audit.digest, sorted(corpus.digest for corpus in audit.corpora.values())] for name, audit in audited.items()
    ]
    return Path("auditkit-runs") / f"{path.stem}-{digest(parts)[:12]}"


def outcomes(
    audited: Mapping[str, Audit], run_dir: Path | None, *, progress: Progress, show_text: bool, command: str
) -> Iterator[Outcome]:
    """Carry out one audit after another, those of a sweep each into ``run_dir/NAME``.

    What candidates share is made and measured once.
    """
    for name, audit in audited.items():
        if name:
            progress.note(f"candidate {name}")
        folder = run_dir / name if run_dir is not None and name else run_dir
        outcome = run(audit, progress=progress, run_dir=folder, show_text=show_text, command=command)
        progress.note(f"{name or 'candidate'}: {outcome.results.verdict}")
        yield outcome
