"""Bundles read and verified, and refused where they do not measure the same thing.

What has to be equal: confidence, seed and measurement version of the runs; check, parameters, interventions and data of a
requirement of the same name; the weights of every model that a bound or a check refers to. Bounds may differ.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar

from pydantic import BaseModel, ValidationError

from auditkit.checks import CHECKS
from auditkit.errors import IntegrityError, Problem, UserError, did_you_mean
from auditkit.evidence.bundle import MANIFEST, RESULTS, verify_manifest
from auditkit.evidence.conclude import IDENTITY
from auditkit.evidence.results import RequirementDoc, Results
from auditkit.evidence.values import ValuesDoc
from auditkit.files import digest, file_digest
from auditkit.spec.model import Decide, Spec

ROLES: tuple[Literal["original"], Literal["reference"]] = ("original", "reference")
"""Models that a comparison shows once, whichever bundle measured them."""
D = TypeVar("D", bound=BaseModel)


@dataclass(frozen=True)
class Bundle:
    """One run folder, every byte of it accounted for."""

    name: str
    folder: Path
    results: Results
    values: Mapping[str, ValuesDoc]
    """By slug."""
    decide: Decide
    manifest: str
    """sha256 of the manifest."""

    def requirement(self, name: str) -> RequirementDoc | None:
        """The requirement of that name, if the bundle has it."""
        return next((doc for doc in self.results.requirements if doc.name == name), None)

    def fingerprint(self, model: str) -> str:
        """Of the model's files; '' where the bundle has no such model."""
        return next((doc.fingerprint for doc in self.results.models if doc.name == model), "")


def read_bundles(folders: Sequence[Path], names: Sequence[str] | None = None) -> list[Bundle]:
    """Two or more run folders, or one folder that holds them.

    Raises UserError for what is no run folder or cannot be compared, IntegrityError for a changed byte.
    """
    found = _run_folders(folders)
    if len({folder.resolve() for folder in found}) != len(found):
        raise UserError("every run folder must be given once; got one of them twice")
    bundles = [_read(folder, name) for folder, name in zip(found, _names(found, names), strict=True)]
    problems = [*_runs(bundles), *(problem for name in requirement_names(bundles) for problem in _requirement(bundles, name))]
    if problems:
        raise UserError(problems)
    return bundles


def requirement_names(bundles: Sequence[Bundle]) -> list[str]:
    """Every requirement of any bundle, in the order in which they first occur."""
    return list(dict.fromkeys(doc.name for bundle in bundles for doc in bundle.results.requirements))


def having(bundles: Iterable[Bundle], name: str) -> list[tuple[Bundle, RequirementDoc]]:
    """The bundles that have the requirement, with it."""
    return [(bundle, doc) for bundle in bundles if (doc := bundle.requirement(name)) is not None]


def role_differs(bundles: Iterable[Bundle], model: str) -> bool:
    """The model has other weights in one bundle than in another."""
    return len({found for bundle in bundles if (found := bundle.fingerprint(model))}) > 1


def _run_folders(folders: Sequence[Path]) -> list[Path]:
    found = list(folders)
    if len(found) == 1 and not (found[0] / RESULTS).is_file():
        inside = found[0].iterdir() if found[0].is_dir() else ()
        found = sorted(path for path in inside if not path.name.startswith(".") and (path / RESULTS).is_file())
    if len(found) < 2:
        raise UserError(
            Problem(f"there must be at least two run folders to compare; got {len(found)}",
                    hint="name two, or one folder that holds the run folders of a sweep")
        )  # fmt: skip
    return found


def _names(folders: Sequence[Path], given: Sequence[str] | None) -> list[str]:
    """The given names, or as much of the end of each path as tells the folders apart."""
    names = list(given or ())
    if given is None:
        parts = [folder.resolve().parts for folder in folders]
        depth = next(n for n in range(1, 1 + max(map(len, parts))) if len({part[-n:] for part in parts}) == len(parts))
        names = ["/".join(part[-depth:]).encode("utf-8", "backslashreplace").decode() for part in parts]
    if len(names) != len(folders) or len(set(names)) != len(names):
        raise UserError(f"there must be one name for each of the {len(folders)} run folders, all different; got {names}")
    taken = sorted(set(names) & set(ROLES))
    if taken:
        raise UserError(Problem(f"a candidate must not be called {taken[0]}: that word is a model's role", hint="rename it"))
    return names


def _read(folder: Path, name: str) -> Bundle:
    if not folder.is_dir():
        raise UserError(f"{folder} is not a run folder: no such folder")
    verify_manifest(folder)
    values = (_document(path, ValuesDoc) for path in sorted((folder / "values").glob("*.json")))
    return Bundle(
        name=name,
        folder=folder,
        results=_document(folder / RESULTS, Results),
        values={document.slug: document for document in values},
        decide=_document(folder / "spec.resolved.json", Spec).decide,
        manifest=file_digest(folder / MANIFEST),
    )


def _document(path: Path, kind: type[D]) -> D:
    try:
        return kind.model_validate_json(path.read_bytes(), strict=False)
    except (OSError, ValidationError) as error:
        raise IntegrityError(f"{path} is not a file of this version's run folders: {type(error).__name__}") from None


def _runs(bundles: Sequence[Bundle]) -> Iterator[Problem]:
    """What of whole runs has to be equal."""
    facts: dict[str, Callable[[Bundle], Any]] = {
        "the confidence": lambda bundle: bundle.results.confidence,
        "the seed, which chooses prompts and rows,": lambda bundle: bundle.results.seed,
        "the measurement version": lambda bundle: bundle.results.measurement_version,
    }
    for what, fact in facts.items():
        yield from _unequal(what, [(bundle, fact(bundle)) for bundle in bundles])
    for bundle in bundles:
        if not bundle.fingerprint("candidate"):
            yield Problem("must have measured a candidate; got none", file=str(bundle.folder))


def _requirement(bundles: Sequence[Bundle], name: str) -> Iterator[Problem]:
    """What of a requirement has to be equal in the bundles that have it."""
    found, what = having(bundles, name), f"requirement {name!r}:"
    yield from _unequal(f"{what} the check", [(bundle, doc.check) for bundle, doc in found])
    yield from _unequal(f"{what} the corpus", [(bundle, doc.corpus) for bundle, doc in found])
    for key in sorted({key for _, doc in found for key in doc.parameters}):
        yield from _unequal(f"{what} the parameter {key}", [(bundle, doc.parameters.get(key)) for bundle, doc in found])
    yield from _unequal(f"{what} under", [(bundle, [[one.name, one.params] for one in doc.under]) for bundle, doc in found])
    for corpus in sorted({corpus for bundle, doc in found for corpus in _corpora(bundle, doc)}):
        digests = [
            (bundle, next((c.digest for c in bundle.results.corpora if c.name == corpus), "none")) for bundle, _ in found
        ]
        yield from _unequal(f"{what} the data of corpus {corpus}", digests)
    for model in sorted({model for _, doc in found for model in _referred(doc)}):
        prints = [(bundle, bundle.fingerprint(model)) for bundle, _ in found if bundle.fingerprint(model)]
        yield from _unequal(f"{what} the weights of {model}, which the result refers to,", prints)


def _corpora(bundle: Bundle, doc: RequirementDoc) -> set[str]:
    """Every corpus that the values can depend on: its own, those of the roles it needs, those of its rows and parameters."""
    known = {corpus.name: corpus.role for corpus in bundle.results.corpora}
    roles = CHECKS.get(doc.check).other_roles if doc.check != IDENTITY else ()
    stored = bundle.values.get(doc.slug)
    rows = {row.partition("/")[0] for model in (stored.models.values() if stored else ()) for row in model.subjects}
    named = {doc.corpus, *rows, *_strings([doc.parameters, [one.params for one in doc.under]])}
    return {name for name, role in known.items() if name in named or role in roles}


def _referred(doc: RequirementDoc) -> set[str]:
    """Models other than the candidate that the result rests on."""
    # What a bound of a sequence compares with (the model right after a request) is the candidate's own work.
    own = doc.point is not None and doc.bound.model not in ROLES
    named = {doc.bound.model} if doc.bound.model and not own else set()
    relative = doc.check != IDENTITY and CHECKS.get(doc.check).needs_reference
    return named | ({"reference"} if relative else set())


def _strings(part: Any) -> Iterator[str]:
    if isinstance(part, str):
        yield part
    elif isinstance(part, Mapping):
        for item in part.values():
            yield from _strings(item)
    elif isinstance(part, list | tuple):
        for item in part:
            yield from _strings(item)


def _unequal(what: str, facts: Sequence[tuple[Bundle, Any]]) -> Iterator[Problem]:
    """A problem naming the first bundle that differs from the first of all; nothing where all are equal."""
    for bundle, fact in facts[1:]:
        first, expected = facts[0]
        if digest(fact) != digest(expected):
            got = f"{_brief(expected)} in {first.name} and {_brief(fact)} in {bundle.name}"
            yield Problem(
                f"{what} must be the same in all run folders; got {got}", hint="compare runs of the same requirements"
            )
            return


def _brief(fact: Any) -> str:
    text = fact if isinstance(fact, str) else repr(fact)
    return f"{text[:57]}…" if len(text) > 60 else text


def baseline_of(bundles: Sequence[Bundle], name: str | None) -> Bundle:
    """The named bundle, or the first. Raises UserError for a name that none has."""
    if name is None:
        return bundles[0]
    chosen = next((bundle for bundle in bundles if bundle.name == name), None)
    if chosen is None:
        raise UserError(f"unknown baseline {name!r}; {did_you_mean(name, [bundle.name for bundle in bundles])}")
    return chosen
