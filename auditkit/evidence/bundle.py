"""The run folder: written whole or not at all, and every byte of it accounted for.

The folder is filled beside its place and renamed into it, so an interrupted run leaves nothing half-written.
``MANIFEST.sha256`` has the format of ``sha256sum -c``.
"""

from __future__ import annotations

import hmac
import json
import os
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from auditkit.errors import IntegrityError, Problem, UserError
from auditkit.files import canonical_json, file_digest

if TYPE_CHECKING:
    from auditkit.evidence.results import Results
    from auditkit.evidence.values import ValuesDoc

MANIFEST = "MANIFEST.sha256"
RESULTS = "results.json"


@dataclass(frozen=True)
class Outcome:
    """Everything that goes into a run folder, and where it goes."""

    folder: Path
    results: Results
    values: Mapping[str, ValuesDoc]
    documents: Mapping[str, Any] = field(default_factory=dict)
    """JSON files by name."""
    files: Mapping[str, bytes] = field(default_factory=dict)
    """Other files by name."""


def default_run_dir(spec: Path, report_id: str) -> Path:
    """``auditkit-runs/STEM-ID`` below the working folder: new data or new weights get a folder of their own."""
    return Path("auditkit-runs") / f"{spec.stem}-{report_id}"


def claim(folder: Path, report_id: str) -> None:
    """Refuse a run folder that cannot be written or that holds something else, before hours are spent on measuring."""
    results = folder / RESULTS
    if results.is_file():
        try:
            found = json.loads(results.read_bytes()).get("report_id")
        except (ValueError, AttributeError):
            found = None
        if found != report_id:
            raise UserError(
                Problem(f"run folder {folder} holds another audit ({found or 'unreadable'}); this one is {report_id}",
                        hint="give --run-dir another folder")
            )  # fmt: skip
    elif folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        message = f"run folder {folder} exists and is not a run of auditkit"
        raise UserError(Problem(message, hint="give --run-dir another folder"))
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder.parent):
            pass
    except OSError as error:
        raise UserError(Problem(f"run folder {folder} cannot be written: {error.strerror}", hint="give --run-dir")) from None


def write_bundle(outcome: Outcome, reports: Mapping[str, str]) -> Path:
    """Write the run folder and its manifest; an earlier run of the same audit is replaced whole. Returns the folder."""
    files: dict[str, bytes] = {name: text.encode("utf-8", "backslashreplace") for name, text in reports.items()}
    files[RESULTS] = (canonical_json(outcome.results.model_dump(mode="json")) + "\n").encode()
    for slug, values in outcome.values.items():
        files[f"values/{slug}.json"] = (canonical_json(values.model_dump(mode="json")) + "\n").encode()
    for name, document in outcome.documents.items():
        files[name] = (canonical_json(document) + "\n").encode()
    files |= outcome.files
    return replace_folder(outcome.folder, files)


def replace_folder(folder: Path, files: Mapping[str, bytes]) -> Path:
    """Fill a sibling, add the manifest, rename into place."""
    partial = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}.partial-"))
    try:
        for name, content in files.items():
            path = partial / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        lines = [f"{file_digest(partial / name)}  {name}\n" for name in sorted(files)]
        (partial / MANIFEST).write_text("".join(lines))
        partial.chmod(0o755)
        old = None
        if folder.exists():
            old = folder.with_name(f".{folder.name}.old-{os.getpid()}")
            folder.rename(old)
        partial.rename(folder)
        if old is not None:
            shutil.rmtree(old)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    return folder


def verify_manifest(folder: Path) -> None:
    """Raise IntegrityError naming every file that is missing, changed or not listed."""
    path = folder / MANIFEST
    if not path.is_file():
        raise UserError(f"{folder} is not a run folder: it has no {MANIFEST}")
    listed = dict(_line(line, path) for line in path.read_text().splitlines())
    present = {str(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file()} - {MANIFEST}
    problems = [Problem(f"{name} is not listed in the manifest", file=str(folder)) for name in sorted(present - set(listed))]
    for name, expected in sorted(listed.items()):
        if name not in present:
            problems.append(Problem(f"{name} is missing", file=str(folder)))
        elif not hmac.compare_digest(file_digest(folder / name), expected):
            problems.append(Problem(f"{name} does not match its digest", file=str(folder)))
    if problems:
        raise IntegrityError(problems)


def _line(line: str, path: Path) -> tuple[str, str]:
    found, separator, name = line.partition("  ")
    if not separator or ".." in Path(name).parts or Path(name).is_absolute():
        raise IntegrityError(f"{path}: a line of the manifest is not 'sha256  name'")
    return name, found
