"""A spec's text → an audit that is ready to run: every name resolved, every fault reported at once.

No model is loaded and torch is not imported: this is all that ``auditkit validate`` does.
"""

from __future__ import annotations

import datetime as dt
import fnmatch
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from auditkit.attacks import Scene
from auditkit.checks import CHECKS
from auditkit.checks._base import Check, Context
from auditkit.corpora.load import copies, load_corpora, missing_fields, overlap
from auditkit.errors import DataError, Problem, SpecError, UserError, did_you_mean
from auditkit.evidence.attacking import Chosen, choose, excess, measured_rows, misfits
from auditkit.evidence.early import sequential_problems
from auditkit.evidence.fitting import idle_wordings, unfit
from auditkit.evidence.hollow import hollow
from auditkit.evidence.training import method_problems, training_problems
from auditkit.files import digest
from auditkit.models.checkpoint import inspect
from auditkit.models.source import Source, resolve
from auditkit.spec.intent import missing
from auditkit.spec.load import Loaded, load_spec

if TYPE_CHECKING:
    from auditkit.corpora.example import Corpus
    from auditkit.spec._document import FieldPath
    from auditkit.spec.model import Requirement, Spec
    from auditkit.spec.profiles import Entry
    from auditkit.spec.steps import Point

ROLES = ("candidate", "original", "reference")


@dataclass(frozen=True)
class Options:
    """What the command line adds to the spec."""

    limit: int | None = None
    only: tuple[str, ...] = ()
    skip: tuple[str, ...] = ()
    overrides: tuple[str, ...] = ()
    roots: tuple[Path, ...] = ()
    offline: bool = False
    seed: int | None = None
    device: str | None = None


@dataclass(frozen=True)
class Job:
    """One requirement, ready to be asked."""

    requirement: Requirement
    slug: str
    """File-safe and unique."""
    check: Check[Any]
    context: Context[Any]
    selected: bool
    """False: left out by --only or --skip."""
    line: int
    """In the spec's file; 0 where it comes from a profile."""
    scene: Scene
    """What its attacks may look at: the whole corpus, while the context holds the rows that are measured."""
    attacks: tuple[Chosen, ...] = ()
    """What is done first, to every model alike, in this order."""
    point: Point | None = None
    """Its place on a curve of a scale or sequence."""
    path: FieldPath = ()
    """In the spec."""

    @property
    def name(self) -> str:
        """The requirement's name."""
        return self.context.requirement


@dataclass(frozen=True)
class Audit:
    """A spec with everything that it names."""

    loaded: Loaded
    jobs: tuple[Job, ...]
    corpora: Mapping[str, Corpus]
    sources: Mapping[str, Source]
    """The models to measure, by name. One that the spec makes has its folder once it is made."""
    options: Options = field(default_factory=Options)

    @property
    def spec(self) -> Spec:
        """The validated spec."""
        return self.loaded.spec

    @property
    def base(self) -> Path:
        """The folder at which the spec's paths start."""
        return self.loaded.path.parent

    @property
    def digest(self) -> str:
        """sha256 of the resolved spec and of the options that change what is measured or decided."""
        chosen = {"limit": self.options.limit, "only": sorted(self.options.only), "skip": sorted(self.options.skip)}
        return digest({"spec": self.spec.model_dump(mode="json", by_alias=True), **chosen})


def prepare(path: Path, options: Options) -> Audit:
    """Load and cross-check a spec. Raises SpecError or DataError with every problem found."""
    loaded = load_spec(path, overrides=options.overrides, seed=options.seed, device=options.device)
    problems = [*method_problems(loaded), *_chat(loaded), *_candidate_unasked(loaded)]
    sources: dict[str, Source] = {}
    problems += _sources(loaded, options, sources)
    try:
        corpora = load_corpora(
            loaded.spec,
            base=path.parent,
            roots=options.roots,
            limit=options.limit,
            offline=options.offline,
            locate=loaded.problem,
        )
    except DataError as error:
        raise DataError([*problems, *error.problems]) from None
    jobs: list[Job] = []
    for entry in loaded.entries:
        problems += _job(loaded, entry, corpora, options, jobs)
    problems += _overlaps(corpora)
    problems += _copies(corpora, jobs)
    problems += training_problems(loaded, corpora, sources)
    problems += _of_intent(loaded)
    asked = [job for job in jobs if job.selected]
    problems += excess(loaded, asked, {job.slug: sorted(asked_models(job.requirement) & set(sources)) for job in asked})
    problems += unfit(loaded, jobs, sources)
    if problems:
        raise SpecError(problems)
    _refuse_empty_selection(options, jobs)
    return Audit(loaded, tuple(jobs), corpora, sources, options)


def _of_intent(loaded: Loaded) -> Iterator[Problem]:
    """What the spec must hold because of its intent, and neither holds nor leaves out with an approver."""
    requirements = [entry.requirement for entry in loaded.entries]
    for found in missing(loaded.spec, requirements, as_of=dt.datetime.now(dt.UTC).date()):
        yield loaded.problem(found.path, found.message, found.hint)


def measured_models(loaded: Loaded) -> list[str]:
    """Candidate, original, reference and the models that requirements name; other models serve only as bases."""
    named = {name for entry in loaded.entries for name in asked_models(entry.requirement)}
    return [name for name in loaded.spec.models if name in ROLES or name in named]


def _candidate_unasked(loaded: Loaded) -> Iterator[Problem]:
    """A verdict is about the candidate: it must not come from other models alone."""
    if not any(entry.requirement.of == "candidate" for entry in loaded.entries):
        message = "must hold a requirement of the candidate; got requirements of other models only"
        yield loaded.problem(("require",), message, "leave out `of` in one of them, or add one")


def asked_models(requirement: Requirement) -> set[str]:
    """The models that one requirement is measured on, where the spec has them: its own, the controls, its bounds'."""
    bounds = {bound.model for bound in requirement.bounds if bound is not None and bound.model is not None}
    return {requirement.of, "original", "reference"} | bounds


def _chat(loaded: Loaded) -> Iterator[Problem]:
    """All measured models get the same prompts, or their numbers could not be compared."""
    models = loaded.spec.models
    chats = {name: models[name].chat for name in measured_models(loaded)}
    for name, chat in chats.items():
        if chat != chats["candidate"]:
            message = f"must be asked as the candidate is (chat: {chats['candidate']}); got {chat}"
            yield loaded.problem(("models", name, "chat"), message)


def _sources(loaded: Loaded, options: Options, found: dict[str, Source]) -> Iterator[Problem]:
    """Where the measured models come from; what speaks against the folders that there are."""
    for name in measured_models(loaded):
        try:
            source = resolve(name, loaded.spec.models, base=loaded.path.parent, roots=options.roots)
        except UserError as error:
            yield from (loaded.problem(("models", name), str(problem)) for problem in error.problems)
            continue
        found[name] = source
        yield from (loaded.problem(("models", name), str(problem)) for problem in inspect(source))


def _job(loaded: Loaded, entry: Entry, corpora: Mapping[str, Corpus], options: Options, jobs: list[Job]) -> Iterator[Problem]:
    requirement = entry.requirement
    chosen: list[Chosen] = []
    faults = list(choose(loaded, entry, chosen))
    if requirement.check not in CHECKS.names():
        hint = did_you_mean(requirement.check, CHECKS.names())
        yield from faults
        yield loaded.problem((*entry.path, "check"), f"unknown check {requirement.check!r}", hint)
        return
    check = CHECKS.get(requirement.check)
    corpus = _corpus(check, requirement, corpora)
    if corpus is None:
        yield from faults
        message = f"{check.name} needs a corpus with the role {check.role}; got none"
        yield loaded.problem(entry.path, message, f"name one with corpus:, or give a corpus role: {check.role}")
        return
    try:
        params = check.params.model_validate(requirement.with_)
    except ValidationError as error:
        yield from faults
        yield from loaded.explain(error, model=check.params, value=requirement.with_, at=(*entry.path, "with"))
        return
    chat = loaded.spec.models["candidate"].chat == "template"
    scene = Scene(corpus, corpora, loaded.spec.seed, chat)
    faults += hollow(loaded, entry, check)
    faults += misfits(loaded, entry, chosen, check.statistic(params), scene)
    if faults:
        yield from faults
        return
    context = Context(
        corpus=measured_rows(chosen, corpus, loaded.spec.seed),
        corpora=corpora,
        params=params,
        seed=loaded.spec.seed,
        chat=chat,
        requirement=requirement.name or requirement.check,
        task_code=loaded.spec.allow_task_code,
        folder=str(loaded.path.parent),
    )
    unfitting = list(_fit(loaded, entry, check, context))
    yield from unfitting
    slug = _slug(context.requirement, {job.slug for job in jobs})
    line = loaded.problem(entry.path, "").line if entry.path[0] != "profile" else 0
    selected = _selected(context.requirement, options)
    job = Job(requirement, slug, check, context, selected, line, scene, tuple(chosen), entry.point, entry.path)
    yield from sequential_problems(loaded, entry.path, job)
    yield from () if unfitting else idle_wordings(loaded, job)
    jobs.append(job)


def _corpus(check: Check[Any], requirement: Requirement, corpora: Mapping[str, Corpus]) -> Corpus | None:
    if requirement.corpus is not None:
        return corpora[requirement.corpus]
    return next((corpus for corpus in corpora.values() if corpus.role == check.role), None)


def _fit(loaded: Loaded, entry: Entry, check: Check[Any], context: Context[Any]) -> Iterator[Problem]:
    """The check against the models and the data that there are."""
    if check.needs_reference and "reference" not in loaded.spec.models:
        message = f"{check.name} needs a model named reference, retrained without the forget data; got none"
        yield loaded.problem((*entry.path, "check"), message, "add models.reference, or use membership_inference")
    for role in check.other_roles:
        if context.role(role) is None:
            message = f"{check.name} needs a corpus with the role {role}; got none"
            yield loaded.problem((*entry.path, "check"), message, f"add a corpus named {role}, or give one role: {role}")
    for message in missing_fields(context.corpus, check.fields_for(context.params)):
        yield loaded.problem(entry.path, f"{check.name}: {message}")
    for message in check.problems(context):
        yield loaded.problem((*entry.path, "with"), f"{check.name}: {message}")


def _overlaps(corpora: Mapping[str, Corpus]) -> Iterator[Problem]:
    for forget in (corpus for corpus in corpora.values() if corpus.role == "forget"):
        for holdout in (corpus for corpus in corpora.values() if corpus.role == "holdout"):
            yield from overlap(forget, holdout)


def _copies(corpora: Mapping[str, Corpus], jobs: Iterable[Job]) -> Iterator[Problem]:
    """Rows of a measured corpus that count twice."""
    named = {job.context.corpus.name: job.check for job in jobs}
    roles = {role for check in named.values() for role in check.other_roles}
    for corpus in corpora.values():
        if corpus.name in named or corpus.role in roles:
            yield from copies(corpus)


def _selected(name: str, options: Options) -> bool:
    def matches(patterns: Iterable[str]) -> bool:
        return any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)

    return (not options.only or matches(options.only)) and not matches(options.skip)


def _refuse_empty_selection(options: Options, jobs: Iterable[Job]) -> None:
    named = list(jobs)
    if not any(job.selected for job in named):
        listed = ", ".join(repr(job.name) for job in named)
        raise UserError(f"--only {list(options.only)} and --skip {list(options.skip)} select no requirement; known: {listed}")


def _slug(name: str, taken: set[str]) -> str:
    base = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:60] or "requirement"
    slug, number = base, 2
    while slug in taken:
        slug, number = f"{base}-{number}", number + 1
    return slug
