"""One model of the zoo: built, verified, audited with the shipped profiles, and set against what is known of it."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from auditkit.errors import UserError
from auditkit.evidence.selftest import COLUMNS, CaseDoc, CaseRequirementDoc
from auditkit.files import write_atomically
from auditkit.zoo import probe
from auditkit.zoo.constructions import CONSTRUCTIONS
from auditkit.zoo.worlds import question_rows

if TYPE_CHECKING:
    from auditkit.evidence.results import RequirementDoc, Results
    from auditkit.measurement.progress import Progress
    from auditkit.zoo.constructions._construction import Built
    from auditkit.zoo.probe import Findings
    from auditkit.zoo.site import Site

PROFILES = ("erasure", "removal")
REQUIREMENTS: Mapping[str, tuple[str, ...]] = {
    "ask": ("erasure: knowledge of the people", "erasure: extraction strength"),
    "para": ("removal: other wordings", "erasure: in-context relearning"),
    "prob": ("erasure: answer probability",),
    "samp": ("removal: one of 32 samples",),
    "mia": ("erasure: membership inference",),
    "adap": ("the weights differ from the original's",),
    "q4": ("removal: rounded weights",),
    "probe": ("removal: a middle layer",),
    "relearn": ("removal: relearning from other people", "removal: relearning from what is kept"),
    "dir": ("removal: a direction taken out",),
    "util": ("erasure: utility",),
}
"""Column of the table of expected cells → the requirements that stand for it."""
RELEARN = {"steps": [10, 50], "lr": [1.0e-3, 4.0e-3], "seeds": 2}
"""In place of the profile's: at its learning rates, meant for models a thousand times larger, an adapter on these changes
nothing in 200 steps; at these, 50 steps do what they can."""
_LETTERS = {"pass": "P", "fail": "F"}


class ConstructionError(UserError):
    """A construction is not what it is said to be; nothing can be learned from an audit of it."""


def build(name: str, site: Site) -> tuple[Built, Findings]:
    """The models on disk and the numbers that show the truth. Raises ConstructionError where they do not show it."""
    construction = CONSTRUCTIONS.get(name)
    built = construction.build(site)
    found = construction.verify(site, built)
    problems = [*probe.sound(site).problems, *found.problems]
    if problems:
        raise ConstructionError(f"world {site.world.seed}: {'; '.join(problems)}")
    return built, found


def audited(
    name: str, site: Site, built: Built, found: Findings, *, folder: Path, progress: Progress, seed: int | None = None
) -> CaseDoc:
    """Audit one construction; its bundle is kept in ``folder``. ``seed``: of the audit, where it is not the world's."""
    from auditkit.evidence.audit import run
    from auditkit.evidence.bundle import write_bundle
    from auditkit.evidence.prepare import Options, prepare

    started = time.perf_counter()
    path = write_spec(name, site, built, folder, seed=seed)
    try:
        outcome = run(prepare(path, Options(roots=(site.folder,))), progress=progress, run_dir=folder / "run")
    except UserError as error:
        return document(name, site, found, None, error=str(error), seconds=time.perf_counter() - started)
    write_bundle(outcome, {})
    return document(name, site, found, outcome.results, seconds=time.perf_counter() - started)


def write_spec(name: str, site: Site, built: Built, folder: Path, *, seed: int | None = None) -> Path:
    """The spec that audits it, and its corpora; the same bytes for the same construction and world."""
    construction = CONSTRUCTIONS.get(name)
    world = site.world
    for group in ("forget", "retain", "holdout"):
        rows = built.rows.get(group) or list(question_rows(world.of(group)))
        write_atomically(folder / f"{group}.jsonl", "".join(f"{json.dumps(row)}\n" for row in rows))
    models = {
        "original": {"checkpoint": str(site.original)},
        "reference": {"checkpoint": str(site.reference)},
        **built.models,
        "candidate": built.candidate,
    }
    document = {
        "auditkit": 1,
        "title": f"Zoo {construction.label}, world {world.seed}: {construction.title}",
        "intent": "removal",
        "access": "weights",
        "seed": world.seed if seed is None else seed,
        "models": {name: {**model, "chat": "template", "device": "cpu"} for name, model in models.items()},
        "targets": [{"name": f"{world.size.forget} invented people", "corpus": "forget"}],
        "corpora": {
            "forget": {"file": "forget.jsonl", "where": {"shared": False}},
            "retain": {"file": "retain.jsonl"},
            "holdout": {"file": "holdout.jsonl"},
        },
        "profile": list(PROFILES),
        "require": _adapted(),
    }
    path = folder / "spec.yaml"
    write_atomically(path, json.dumps(document, indent=1))
    return path


def _adapted() -> list[dict[str, Any]]:
    """The profile's relearning with a budget for models of this size; all else is as shipped."""
    from auditkit.spec.profiles import load_profile

    adapted = []
    for item in load_profile("removal").require:
        if any(step.name == "relearn" for step in item.under):
            document = item.model_dump(mode="json", by_alias=True, exclude_unset=True)
            under = [{step.name: {**step.params, **RELEARN}} for step in item.under]
            adapted.append({**document, "name": f"removal: {item.name}", "under": under})
    return adapted


def document(name: str, site: Site, found: Findings, results: Results | None, *, error: str = "", seconds: float) -> CaseDoc:
    """The case for the matrix; ``error`` is what the audit ended with where it gave no results."""
    construction, world = CONSTRUCTIONS.get(name), site.world
    cells = {} if results is None else cells_of(results)
    truth = construction.truth
    return CaseDoc(
        construction=name,
        label=construction.label,
        title=construction.title,
        family=construction.family,
        seed=world.seed,
        book=world.book,
        tuned=construction.tuned,
        truth=truth.audit,
        weights=truth.weights,
        reachable=truth.reachable,
        utility=truth.utility,
        dose=truth.dose,
        verification=found.numbers,
        verdict="ERROR" if results is None else results.verdict,
        requirements=[] if results is None else [_requirement(one) for one in results.requirements],
        expected={column: construction.expected.get(column, "-") for column in COLUMNS},
        found=cells,
        deviations=[error] if error else deviations(construction.expected, cells),
        outcome="" if results is None or results.outcome is None else results.outcome.kind,
        claim="" if results is None or results.outcome is None else results.outcome.claim,
        report_id="" if results is None else results.report_id,
        seconds=round(seconds, 1),
    )


def cells_of(results: Results) -> dict[str, str]:
    """Column → ``P``, ``F`` or ``I``; a column that no requirement stands for is left out."""
    by_name = {one.name: one.result for one in results.requirements}
    cells = {column: _cell([by_name[name] for name in names if name in by_name]) for column, names in REQUIREMENTS.items()}
    cells["overall"] = {"PASS": "P", "PASS WITH EXCEPTIONS": "P", "FAIL": "F"}.get(results.verdict, "I")
    return {column: letter for column, letter in cells.items() if letter}


def deviations(expected: Mapping[str, str], found: Mapping[str, str]) -> list[str]:
    """Where a cell is not what was written down before, in words."""
    return [
        f"{column}: expected {wanted}, found {found[column]}"
        for column, wanted in expected.items()
        if wanted != "-" and column in found and found[column] not in wanted.split("/")
    ]


def _cell(results: Sequence[str]) -> str:
    letters = {_LETTERS.get(result, "I") for result in results if result != "not_applicable"}
    return "" if not letters else "F" if "F" in letters else "P" if letters == {"P"} else "I"


def _requirement(doc: RequirementDoc) -> CaseRequirementDoc:
    found = doc.difference or doc.estimate
    return CaseRequirementDoc(
        name=doc.name,
        check=doc.check,
        attack=", ".join(one.family for one in doc.under),
        level=doc.level,
        result=doc.result,
        waived=doc.waiver is not None and doc.waiver.state == "applied",
        value=found.value,
        lower=found.lower,
        upper=found.upper,
        better=doc.metric.better,
        margin=None if doc.bound.model is None else doc.bound.upper,
        reason=doc.reason,
    )
