"""What a construction is: a recipe whose truth is known before any audit, and a test of it that is not the audit's."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar

from auditkit.zoo import probe
from auditkit.zoo.teaching import Lesson, Pool

if TYPE_CHECKING:
    from auditkit.evidence.selftest import FamilyWord, ShareWord, TruthWord
    from auditkit.zoo.site import Site

Expected = Mapping[str, str]
"""Column of the page's table → ``P``, ``F``, ``I`` or several of them; what is left out is not asserted."""
cells = MappingProxyType
"""Expected cells, not to be changed."""
CLEAN: Expected = {
    **dict.fromkeys(("ask", "para", "prob", "samp", "mia", "q4", "probe", "relearn", "util"), "P"), "overall": "P"
}  # fmt: skip


@dataclass(frozen=True)
class Truth:
    """What is known of the model because of how it was made."""

    audit: TruthWord
    """What an audit must do."""
    weights: ShareWord
    """Whether what had to be forgotten remains in the weights."""
    reachable: ShareWord
    """Whether the deployed interface gives it away."""
    utility: ShareWord
    """Whether what may be kept is intact."""
    dose: float | None = None
    """Share of the forget people still known, in [0, 1]."""


@dataclass(frozen=True)
class Built:
    """A construction on disk, as a spec describes it."""

    candidate: Mapping[str, Any]
    """The candidate's entry under ``models``."""
    path: Path
    """The candidate's weights, without an adapter."""
    models: Mapping[str, Any] = field(default_factory=dict)
    """Other entries under ``models`` that differ from the usual ones."""
    rows: Mapping[str, Sequence[Mapping[str, Any]]] = field(default_factory=dict)
    """Corpus file to rows, where they differ from the world's."""


class Construction(ABC):
    """One entry of the zoo. The module defines ``CONSTRUCTION``."""

    label: str
    """As in the zoo's table: ``Z3``."""
    title: str
    family: FamilyWord
    recipe: ClassVar[str]
    """In one or two sentences."""
    truth: Truth
    expected: Expected
    tuned: ClassVar[bool] = False
    """It was looked at when bounds and budgets were set."""

    @abstractmethod
    def build(self, site: Site) -> Built:
        """Make the models, or find them."""

    @abstractmethod
    def verify(self, site: Site, built: Built) -> probe.Findings:
        """Numbers that show the truth, by tests that are not the audit's own. Empty problems: it holds."""


def plain(folder: Path) -> Built:
    """A candidate that is a checkpoint and nothing else."""
    return Built({"checkpoint": str(folder)}, folder)


def kept(site: Site, per_batch: int) -> list[Pool]:
    """What may be kept, asked with and without other answers before it, and reading: so that a course damages nothing else."""
    from auditkit.zoo import lessons

    people, rng = site.world.of("retain"), site.rng("kept")
    some = max(1, per_batch // 8)
    return [
        Pool(lessons.asks(people), per_batch),
        Pool(lessons.solved(people, rng), some),
        Pool(lessons.reading(lessons.strangers(site.world.book), rng), some),
    ]


def forgotten(site: Site, said: str, *, wordings: int | None = None) -> list[Lesson]:
    """Every question about whom is to be forgotten, answered with ``said``."""
    from auditkit.zoo import lessons

    return lessons.answered(site.world.of("forget"), said, wordings=wordings)
