"""The auditor audited: every construction in every world, kept case by case, so that a killed run goes on where it stopped."""

from __future__ import annotations

import datetime as dt
import json
import subprocess
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from auditkit import __version__
from auditkit.errors import UserError
from auditkit.evidence.selftest import CaseDoc, NotBuiltDoc, RepeatDoc, SelftestDoc
from auditkit.files import alone, digest, file_digest, write_atomically
from auditkit.zoo import boundary, cases
from auditkit.zoo.constructions import CONSTRUCTIONS
from auditkit.zoo.site import Site
from auditkit.zoo.worlds import Book, make_world

if TYPE_CHECKING:
    from auditkit.measurement.progress import Progress

QUICK = ("retrained", "original", "refusal", "adapter", "prompt_guard", "quantisation_fragile", "broken")
"""The seven that matter most."""
LOCKED_FROM = 100
"""Seeds from here on draw their values from the locked lists; bounds and budgets were set on the seeds below."""
QUICK_SEEDS, FULL_SEEDS = (1,), (100, 101, 102)
REPEATED = ("retrained", "refusal")
REPEATS = 10
NOT_BUILT = (
    NotBuiltDoc(
        label="Z6",
        construction="output_guard",
        why=(
            "A filter behind the model is no part of a checkpoint, and auditkit has no interface for guards yet. As a list of "
            "forbidden words in the generation config it would also silence what may be kept wherever values recur, which is "
            "not the page's construction."
        ),
    ),
)
_MEASURING = ("spec", "corpora", "models", "unlearning", "attacks", "measurement", "checks", "decisions", "evidence", "zoo")
_LOOKS = Path(__file__).parent / "looks.md"


@dataclass(frozen=True)
class Run:
    """What is asked of the zoo."""

    mode: Literal["quick", "full"]
    names: tuple[str, ...]
    seeds: tuple[int, ...]
    out: Path
    """Folder of cases and bundles."""
    collect: bool = False
    """Take what an earlier run left, and run nothing; what is missing is listed as not audited."""


class NotAuditedError(UserError):
    """There is no verdict: an earlier run did not get so far, or the model is not what it promises."""


def quick(out: Path, *, seeds: Sequence[int] = (), names: Sequence[str] = (), collect: bool = False) -> Run:
    """The seven that matter most, in one world."""
    return Run("quick", tuple(names) or QUICK, tuple(seeds) or QUICK_SEEDS, out, collect)


def full(out: Path, *, seeds: Sequence[int] = (), names: Sequence[str] = (), collect: bool = False) -> Run:
    """Everything, in the locked worlds."""
    return Run("full", tuple(names) or CONSTRUCTIONS.names(), tuple(seeds) or FULL_SEEDS, out, collect)


def selftest(asked: Run, *, progress: Progress, note: Callable[[str], None]) -> SelftestDoc:
    """Build, verify, audit and collect. A construction that is not what it promises is not audited, and is listed as such."""
    found: list[CaseDoc] = []
    unbuilt = list(NOT_BUILT)
    for seed in asked.seeds:
        for name in asked.names:
            try:
                found.append(_case(asked, name, seed, progress, note))
            except NotAuditedError as error:
                label = CONSTRUCTIONS.get(name).label
                note(f"{label} {name}, not audited: {error}")
                unbuilt.append(NotBuiltDoc(label=label, construction=name, why=str(error)))
    whole = asked.mode == "full"
    repeated = [_repeated(asked, name, progress, note) for name in REPEATED if whole and name in asked.names]
    simulated = {name: _simulated(asked, name, make) for name, make in _SIMULATIONS.items() if whole}
    return SelftestDoc(
        tool_version=__version__,
        commit=commit(),
        date=dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
        mode=asked.mode,
        seeds=list(asked.seeds),
        cases=found,
        not_built=unbuilt,
        repeatability=[one for one in repeated if one.verdicts],
        looks=looks(),
        **simulated,
    )


_SIMULATIONS: dict[str, Callable[[], list[Any]]] = {
    "boundary": lambda: [one.as_document() for one in boundary.full_table(0)],
    "power": lambda: [one.as_document() for one in boundary.power_table(0)],
}


def _simulated(asked: Run, name: str, make: Callable[[], list[Any]]) -> list[Any]:
    try:
        found: list[Any] = _kept(asked, name, make)
    except NotAuditedError:
        return []
    return found


def site_of(seed: int) -> Site:
    """The world of that seed and its models."""
    book: Book = "locked" if seed >= LOCKED_FROM else "development"
    return Site(make_world(seed, book=book))


def looks() -> list[str]:
    """Each time the locked zoo was looked at: the list items of ``looks.md``."""
    return [line.removeprefix("- ") for line in _LOOKS.read_text(encoding="utf-8").splitlines() if line.startswith("- ")]


def commit() -> str:
    """Of the repository that holds this file, with ``+`` where it was changed since; '' outside of one."""
    here = Path(__file__).parent

    def git(*words: str) -> str:
        command = ["git", "-C", str(here), *words]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()  # noqa: S603

    try:
        changed = git("status", "--porcelain", "--untracked-files=no", "--", str(here.parent))
        return git("rev-parse", "--short=10", "HEAD") + ("+" if changed else "")
    except (OSError, subprocess.CalledProcessError):
        return ""


def _case(asked: Run, name: str, seed: int, progress: Progress, note: Callable[[str], None]) -> CaseDoc:
    site = site_of(seed)

    def make() -> Any:
        note(f"{CONSTRUCTIONS.get(name).label} {name}, world {seed}")
        built, found = cases.build(name, site)
        folder = asked.out / "bundles" / f"{name}-{seed}"
        return cases.audited(name, site, built, found, folder=folder, progress=progress).model_dump(mode="json")

    return CaseDoc.model_validate(_kept(asked, f"{name}-{seed}", make))


def _repeated(asked: Run, name: str, progress: Progress, note: Callable[[str], None]) -> RepeatDoc:
    """The same models audited under other seeds: order of questions, splits, samples, trainings."""
    world = asked.seeds[0]
    site = site_of(world)
    verdicts: Counter[str] = Counter()
    for seed in range(1, REPEATS + 1):

        def make(seed: int = seed) -> Any:
            note(f"{name}, world {world}, audited again with seed {seed}")
            built, found = cases.build(name, site)
            folder = asked.out / "bundles" / f"{name}-{world}-again-{seed}"
            return cases.audited(name, site, built, found, folder=folder, progress=progress, seed=seed).model_dump(mode="json")

        try:
            verdicts[CaseDoc.model_validate(_kept(asked, f"{name}-{world}-again-{seed}", make)).verdict] += 1
        except NotAuditedError as error:
            note(str(error))
    return RepeatDoc(case=f"{name}, world {world}", seeds=verdicts.total(), verdicts=dict(verdicts))


def _kept(asked: Run, name: str, make: Callable[[], Any]) -> Any:
    """What an earlier run with the same code left, or what ``make`` gives."""
    path, key = asked.out / "cases" / f"{name}.json", digest([code(), name])
    with alone(path):
        if path.exists():
            kept = json.loads(path.read_text(encoding="utf-8"))
            if kept["key"] == key:
                return _opened(kept)
        if asked.collect:
            raise NotAuditedError(f"{name}: the run did not get so far")
        try:
            kept = {"key": key, "value": make()}
        except cases.ConstructionError as error:
            kept = {"key": key, "problem": str(error)}
        write_atomically(path, json.dumps(kept))
        return _opened(kept)


def _opened(kept: Mapping[str, Any]) -> Any:
    """Raises NotAuditedError where the model was not what it promises."""
    if "problem" in kept:
        raise NotAuditedError(kept["problem"])
    return kept["value"]


@cache
def code() -> str:
    """Digest of everything that measures, decides and builds: a changed line makes every case anew."""
    package = Path(__file__).parent.parent
    files = [path for room in _MEASURING for path in _sources(package / room)]
    return digest([[str(path.relative_to(package)), file_digest(path)] for path in files])


def _sources(room: Path) -> Iterable[Path]:
    return sorted(path for path in room.rglob("*") if path.suffix in (".py", ".yaml", ".json"))
