"""A run folder → results again, from its recorded values: no model, no torch.

Without a changed spec this must give what the folder already says; with one, bounds, reasons, levels, waivers and confidence
may differ, and nothing that would need a new measurement.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from auditkit.checks import CHECKS
from auditkit.errors import IntegrityError, Problem, SpecError, UserError
from auditkit.evidence.bundle import MANIFEST, RESULTS, replace_folder, verify_manifest
from auditkit.evidence.conclude import IDENTITY, Item, conclude
from auditkit.evidence.hollow import hollow
from auditkit.evidence.results import Results
from auditkit.evidence.values import ValuesDoc
from auditkit.files import canonical_json, digest
from auditkit.spec.intent import missing
from auditkit.spec.load import Loaded, load_spec
from auditkit.spec.model import Requirement, Spec
from auditkit.spec.profiles import Entry, expand, expand_entries


@dataclass(frozen=True)
class Replay:
    """Results made again from a run folder."""

    run: Path
    results: Results
    values: Mapping[str, ValuesDoc]
    spec: Spec
    changed: bool

    def write(self, out: Path | None, reports: Mapping[str, str]) -> Path:
        """Write a complete folder; a changed decision never overwrites the run that it came from."""
        folder = out or (self.run if not self.changed else self.run.with_name(f"{self.run.name}-redecided"))
        if self.changed and folder.resolve() == self.run.resolve():
            raise UserError("a decision under a changed spec does not overwrite the run; give --out another folder")
        if folder.exists() and folder.resolve() != self.run.resolve() and not (folder / MANIFEST).is_file():
            raise UserError(f"{folder} exists and is not a run of auditkit; give --out another folder")
        kept = {str(p.relative_to(self.run)): p.read_bytes() for p in self.run.rglob("*") if p.is_file()}
        kept.pop(MANIFEST)
        kept |= {name: text.encode("utf-8", "backslashreplace") for name, text in reports.items()}
        kept[RESULTS] = (canonical_json(self.results.model_dump(mode="json")) + "\n").encode()
        kept["spec.resolved.json"] = (canonical_json(self.spec.model_dump(mode="json", by_alias=True)) + "\n").encode()
        folder.parent.mkdir(parents=True, exist_ok=True)
        return replace_folder(folder, kept)


def replay(run: Path, *, spec: Path | None = None, overrides: Sequence[str] = ()) -> Replay:
    """Verify the folder, then decide again. Raises IntegrityError for a changed byte, UserError for what needs a model."""
    if not run.is_dir():
        raise UserError(f"{run} is not a run folder: no such folder")
    verify_manifest(run)
    old = _results(run / RESULTS)
    values = {path.stem: ValuesDoc.model_validate_json(path.read_bytes()) for path in sorted((run / "values").glob("*.json"))}
    recorded = Spec.model_validate_json((run / "spec.resolved.json").read_bytes(), strict=False)
    loaded = _loaded(run, old, spec, overrides)
    now = loaded.spec if loaded is not None else recorded
    if loaded is not None:
        _same_measurements(recorded, now, loaded)
        _whole(now, loaded)
    items = [_item(entry, old, values) for entry in expand_entries(now)]
    as_of = dt.date.fromisoformat(old.run.waivers_as_of) if loaded is None else dt.datetime.now(dt.UTC).date()
    standing = [document for document in old.requirements if document.check == IDENTITY]
    concluded = conclude(items, now, standing=standing, tainted=bool(old.tainted), as_of=as_of)
    return Replay(
        run,
        old.model_copy(
            update={
                "requirements": concluded.requirements,
                "waivers": concluded.waivers,
                "verdict": concluded.verdict.value,
                "summary": concluded.summary,
                "outcome": concluded.outcome,
                "access": list(now.access),
                "confidence": now.decide.confidence,
                "spec_sha256": digest(now.model_dump(mode="json", by_alias=True)) if loaded else old.spec_sha256,
            }
        ),
        values,
        now,
        changed=loaded is not None,
    )


def _results(path: Path) -> Results:
    try:
        return Results.model_validate_json(path.read_bytes())
    except (OSError, ValidationError) as error:
        raise IntegrityError(f"{path} is not a results file of this version: {type(error).__name__}") from None


def _loaded(run: Path, old: Results, spec: Path | None, overrides: Sequence[str]) -> Loaded | None:
    """The changed spec, or None where nothing was asked to change. Overrides go on top of the run's own."""
    if spec is not None:
        return load_spec(spec, overrides=overrides)
    return load_spec(run / "spec.yaml", overrides=[*old.overrides, *overrides]) if overrides else None


_MEASURED = ("seed", "models", "corpora", "intent", "allow_task_code")


def _same_measurements(old: Spec, new: Spec, loaded: Loaded) -> None:
    """Refuse a spec that asks for what the run did not measure."""
    before, after = old.model_dump(mode="json", by_alias=True), new.model_dump(mode="json", by_alias=True)
    problems = [
        loaded.problem((key,), "differs from the run's and would need a new measurement", "run auditkit verify")
        for key in _MEASURED
        if before[key] != after[key]
    ]
    known = {requirement.name: requirement for requirement in expand(old)}
    for requirement in expand(new):
        same = known.get(requirement.name)
        if same is None or _asked(same) != _asked(requirement):
            what = "was not measured in this run" if same is None else "asks for another measurement than the run's"
            message = f"requirement {requirement.name!r} {what}"
            problems.append(Problem(message, file=str(loaded.path), hint="run auditkit verify"))
    if problems:
        raise UserError(problems)


def _whole(spec: Spec, loaded: Loaded) -> None:
    """Refuse a changed spec that leaves out what its intent asks for, or sets a bound that nothing can miss."""
    lacking = missing(spec, expand(spec), as_of=dt.datetime.now(dt.UTC).date())
    problems = [loaded.problem(found.path, found.message, found.hint) for found in lacking]
    for entry in expand_entries(spec):
        problems += hollow(loaded, entry, CHECKS.get(entry.requirement.check))
    if problems:
        raise SpecError(problems)


def _asked(requirement: Requirement) -> str:
    """What of a requirement decides the measurement."""
    return digest(requirement.model_dump(mode="json", include={"check", "corpus", "of", "with_", "under", "sequential"}))


def _item(entry: Entry, old: Results, values: Mapping[str, ValuesDoc]) -> Item:
    """The requirement with the values that the run kept for it."""
    requirement = entry.requirement
    before = next((document for document in old.requirements if document.name == requirement.name), None)
    if before is None:
        message = f"requirement {requirement.name!r} was not measured in this run"
        raise UserError(
            Problem(message, hint=f"a profile has changed since auditkit {old.tool_version} made it; run verify again")
        )
    stored = values.get(before.slug)
    return Item(
        requirement=requirement,
        slug=before.slug,
        point=entry.point,
        check=CHECKS.get(requirement.check),
        corpus=before.corpus,
        line=before.line,
        samples={} if stored is None else stored.samples(),
        before={} if stored is None else stored.samples_before(),
        attacks=before.under,
        stopped=before.stopped_early,
        not_applicable=before.reason if before.result == "not_applicable" and stored is None else "",
        parameters=before.parameters,
        not_checked=before.reason if before.result == "not_checked" and stored is None else "",
        error=before.reason if before.result == "error" and stored is None else "",
    )
