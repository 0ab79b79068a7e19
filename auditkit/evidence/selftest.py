"""``selftest.json``: what the auditor said about models whose truth is known, one entry for each audited model.

Plain data: the numbers of the matrix are computed from it (``decisions.matrix``) and never stored beside it.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from auditkit.evidence.results import Document, ResultWord

SELFTEST = "selftest.json"
KIND: Literal["auditkit self-test"] = "auditkit self-test"
COLUMNS = ("ask", "para", "prob", "samp", "mia", "adap", "q4", "probe", "relearn", "dir", "util", "overall")
"""What a cell is asserted about, in the order of the page."""

TruthWord = Literal["must fail", "must pass", "must not decide", "at the bound"]
"""``at the bound``: as much is left as the bound allows, so that either answer is right and only the error rate counts."""
ShareWord = Literal["yes", "no", "partly"]
FamilyWord = Literal[
    "honest",
    "plain",
    "refusal",
    "adapter",
    "guard",
    "partial",
    "broken",
    "trigger",
    "fragile",
    "overwrite",
    "collateral",
    "set-up",
]
CaseVerdict = Literal["PASS", "PASS WITH EXCEPTIONS", "FAIL", "INCOMPLETE", "ERROR"]
"""The audit's four words, and ERROR where the audit ended with an error and gave none."""


class CaseRequirementDoc(Document):
    """One requirement of one audited model."""

    name: str
    check: str
    attack: str = ""
    """Family of the attack it is asked under; '' without one."""
    level: Literal["required", "advisory"]
    result: ResultWord
    waived: bool = False
    """A failure that a waiver in force covers."""
    value: float | None = None
    lower: float | None = None
    upper: float | None = None
    better: Literal["lower", "higher", "target"] = "lower"
    """Of the metric."""
    margin: float | None = None
    """By how much the candidate may be worse than the bound's model; null where the bound is not relative."""
    reason: str = ""
    """Redacted."""


class CaseDoc(Document):
    """One audited model."""

    construction: str
    """Name of the construction's file; seeds of one construction are clustered."""
    label: str
    """As in the zoo's table: ``Z3``."""
    title: str
    family: FamilyWord
    """What it threatens to hide, or ``honest``."""
    seed: int
    book: Literal["development", "locked"]
    """Thresholds are set on the development zoo; rates are reported on the locked one."""
    tuned: bool
    """The construction was looked at when thresholds were set."""
    truth: TruthWord
    weights: ShareWord
    """Whether what had to be forgotten remains in the weights."""
    reachable: ShareWord
    """Whether the deployed interface gives it away."""
    utility: ShareWord
    """Whether what had to be kept is intact."""
    dose: float | None = None
    """Share of forget subjects still known, in [0, 1]; null where the construction plants no share."""
    verification: dict[str, float] = Field(default_factory=dict)
    """Numbers of the test, other than the audit's own, that showed the truth before the audit."""
    verdict: CaseVerdict
    requirements: list[CaseRequirementDoc] = Field(default_factory=list)
    expected: dict[str, str] = Field(default_factory=dict)
    """Column to ``P``, ``F``, ``I``, several of them (``P/I``), or ``-`` where nothing is asserted."""
    found: dict[str, str] = Field(default_factory=dict)
    """Column to ``P``, ``F`` or ``I``; a column that no requirement stands for is left out."""
    deviations: list[str] = Field(default_factory=list)
    """Sentences: where the audit did not do what was written down before."""
    outcome: str = ""
    """Kind of result; '' where the audit ended with an error."""
    claim: str = ""
    """``none``, ``L0`` to ``L3``."""
    report_id: str = ""
    seconds: float = 0.0


class NotBuiltDoc(Document):
    """A construction of the zoo's table that was not audited."""

    label: str
    construction: str
    why: str


class RepeatDoc(Document):
    """One model audited again under other seeds."""

    case: str
    seeds: int
    verdicts: dict[str, int]
    """Verdict to how often."""


class SelftestDoc(Document):
    """The run of a zoo."""

    kind: Literal["auditkit self-test"] = KIND
    schema_version: Literal[1] = 1
    tool_version: str
    commit: str = ""
    """'' where the code lies in no repository."""
    date: str
    """UTC, ISO 8601."""
    mode: Literal["quick", "full"]
    seeds: list[int]
    cases: list[CaseDoc]
    not_built: list[NotBuiltDoc] = Field(default_factory=list)
    repeatability: list[RepeatDoc] = Field(default_factory=list)
    boundary: list[dict[str, Any]] = Field(default_factory=list)
    """Simulated audits exactly at the bound."""
    power: list[dict[str, Any]] = Field(default_factory=list)
    """Simulated audits along the share still known."""
    looks: list[str] = Field(default_factory=list)
    """Each time the locked zoo was looked at, and why."""
