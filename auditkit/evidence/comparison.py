"""``compare.json``: several run folders of the same requirements beside each other, and the folder that it is written to.

::

    compare.json               this model, canonical JSON, no NaN
    compare.html               the same as a page

Nothing in it depends on when or where it was made: the same bundles give the same bytes.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from pydantic import Field

from auditkit.errors import Problem, UserError
from auditkit.evidence.bundle import MANIFEST, RESULTS
from auditkit.evidence.results import AttackDoc, Document, EstimateDoc, MadeDoc, MetricDoc, ResultWord, VerdictWord
from auditkit.files import canonical_json, write_atomically

KIND: Literal["auditkit comparison"] = "auditkit comparison"
COMPARISON = "compare.json"
ShownWord = Literal["better", "worse", "higher", "lower", "no difference shown", "undecided"]


class CandidateDoc(Document):
    """One bundle: its candidate, its verdict and what the candidate cost."""

    name: str
    """As chosen for the comparison: the name of the bundle's folder."""
    verdict: VerdictWord
    summary: str
    """The verdict's sentence."""
    source: str
    """The candidate as its spec names it."""
    fingerprint: str
    """Of the candidate's files."""
    report_id: str
    """Short digest of spec, data and weights."""
    manifest_sha256: str
    """Of the bundle's manifest, and so of every byte of the bundle."""
    tainted: list[str] = Field(default_factory=list)
    """Why nothing of this bundle may be better than inconclusive."""
    cost: MadeDoc | None = None
    """Of making the candidate; null where the spec did not make it."""
    cost_ratio: float | None = None
    """The candidate's seconds divided by those of making the reference; null unless both were made on the same device."""


class CellDoc(Document):
    """One requirement on one candidate."""

    candidate: str
    result: ResultWord
    waived: bool = False
    """A failure that a waiver in force covers."""
    level: Literal["required", "advisory"]
    bound: str
    """As printed; bounds may differ between bundles."""
    reason: str
    estimate: EstimateDoc
    """On the metric's own scale, as the bundle has it."""
    worst_group: str = ""
    """Where the worst of several groups decides: the one that the estimate is of."""
    difference: EstimateDoc | None = None
    """This candidate minus the baseline, paired by subject; null for the baseline and where the baseline has no such values."""
    difference_group: str = ""
    """Where the worst of several groups decides: the one in which this candidate does worst beside the baseline."""
    shown: ShownWord | None = None
    """What the difference shows: a word only where its interval excludes 0; ``undecided`` where there is no usable interval."""


class ComparedDoc(Document):
    """One requirement on every candidate that was asked it."""

    name: str
    check: str
    title: str
    dimension: str
    corpus: str
    metric: MetricDoc
    under: list[AttackDoc] = Field(default_factory=list)
    """Interventions before the measurement."""
    cells: list[CellDoc]
    """In the order of the candidates, without those that lack the requirement."""
    missing: list[str] = Field(default_factory=list)
    """Candidates whose bundle has no requirement of this name."""
    models: dict[str, EstimateDoc] = Field(default_factory=dict)
    """``original`` and ``reference``, from the first bundle that measured them."""


class PointDoc(Document):
    """One model in the plane of forgetting and utility."""

    name: str
    role: Literal["baseline", "candidate", "original", "reference"]
    forgetting: EstimateDoc
    utility: EstimateDoc


class TradeOffDoc(Document):
    """Forgetting against utility: one requirement of each kind that every candidate was asked."""

    forgetting: str
    """Name of the requirement on the horizontal axis."""
    utility: str
    """Name of the requirement on the vertical axis."""
    points: list[PointDoc]


class Comparison(Document):
    """Two or more bundles, compared."""

    kind: Literal["auditkit comparison"] = KIND
    schema_version: Literal[1] = 1
    tool_version: str
    title: str
    """The baseline's title."""
    confidence: float
    """One-sided, of every bound; the same in all bundles."""
    seed: int
    baseline: str
    """The candidate that the others are compared with."""
    candidates: list[CandidateDoc]
    requirements: list[ComparedDoc]
    reference_cost: MadeDoc | None = None
    """Of making the reference, where a spec made it."""
    trade_off: TradeOffDoc | None = None
    """Null where no requirement on forgetting or none on utility was asked of every candidate."""
    notes: list[str] = Field(default_factory=list)
    """What differs between the bundles and does not forbid the comparison."""

    def compared(self, requirement: str) -> ComparedDoc:
        """The requirement of that name. Raises KeyError."""
        found = {one.name: one for one in self.requirements}
        return found[requirement]


def write_comparison(folder: Path, comparison: Comparison, reports: Mapping[str, str]) -> Path:
    """Write ``compare.json`` and the reports beside it; an earlier comparison is replaced. Returns the folder.

    Raises UserError where that would add to a bundle, whose every file is accounted for, or overwrite something else.
    """
    bundle = next((p for p in (folder.resolve(), *folder.resolve().parents) if _is_bundle(p)), None)
    if bundle is not None:
        raise UserError(Problem(f"{folder} must not lie in a run folder; got {bundle}", hint="give --out another folder"))
    if folder.exists() and not folder.is_dir():
        raise UserError(Problem(f"{folder} must be a folder; got a file", hint="give --out another folder"))
    foreign = [name for name in (COMPARISON, *reports) if (folder / name).exists()]
    if foreign and not _is_comparison(folder / COMPARISON):
        message = f"{folder / foreign[0]} exists and was not written by auditkit compare"
        raise UserError(Problem(message, hint="give --out another folder"))
    try:
        write_atomically(folder / COMPARISON, canonical_json(comparison.model_dump(mode="json")) + "\n")
        for name, text in reports.items():
            write_atomically(folder / name, text.encode("utf-8", "backslashreplace"))
    except OSError as error:
        raise UserError(Problem(f"{folder} cannot be written: {error.strerror}", hint="give --out another folder")) from None
    return folder


def _is_bundle(folder: Path) -> bool:
    return (folder / MANIFEST).is_file() and (folder / RESULTS).is_file()


def _is_comparison(path: Path) -> bool:
    try:
        return bool(json.loads(path.read_bytes()).get("kind") == KIND)
    except (OSError, ValueError, AttributeError):
        return False
