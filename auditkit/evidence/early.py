"""``sequential: true``: a few subjects first, and no more where a gross leak is shown.

Subjects are asked in a random order of the audit's seed, at 10, 20, 40, … of them a look is taken. Where the leak is shown by
bounds that may be looked at again and again, the requirement is decided on the subjects asked by then, by every model alike.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from auditkit.corpora.typed import examples_digest

if TYPE_CHECKING:
    from auditkit.checks._base import Values
    from auditkit.errors import Problem
    from auditkit.evidence.prepare import Job
    from auditkit.spec.load import Loaded
    from auditkit.spec.model import Decide

FIRST_LOOK = 10
"""Subjects at the first look; each later one has twice as many."""
Ask = Callable[["Job", Sequence[str]], Mapping[str, "Values"]]
"""The values of a job on the models named; {} where they could not be measured."""


def sequential_problems(loaded: Loaded, path: tuple[str | int, ...], job: Job) -> Iterator[Problem]:
    """A requirement that cannot be decided early."""
    requirement, statistic = job.requirement, job.check.statistic(job.context.params)
    if not requirement.sequential:
        return
    at, bound = (*path, "sequential"), requirement.at_most
    if statistic.kind != "leaking_subjects":
        hint = "set with: {statistic: leaking_subjects, leak_at: …}"
        yield loaded.problem(at, f"needs one bit per subject; {job.check.name} gives another quantity here", hint)
    if bound is None:
        yield loaded.problem(at, "needs at_most; got another bound or none", "only a leak can be shown early")


def looks(subjects: int) -> list[int]:
    """Numbers of subjects at which a look is taken, all of them left out."""
    found, n = [], FIRST_LOOK
    while n < subjects:
        found.append(n)
        n *= 2
    return found


def shortened(job: Job, ask: Ask, decide: Decide) -> tuple[Job, int | None]:
    """The job on the subjects after which its leak was shown, and their number; the job as it is, and None, elsewhere."""
    order = _order(job)
    for n in looks(len(order)):
        part = _first(job, order[:n])
        bound = job.requirement.at_most
        models = [job.requirement.of, *([bound.model] if bound is not None and bound.model is not None else [])]
        values = ask(part, models)
        if not values:
            return job, None
        if _shown(part, values, order, 1 - decide.confidence):
            return part, n
    return job, None


def _order(job: Job) -> list[str]:
    subjects = list(job.context.corpus.subjects())
    return [subjects[index] for index in job.scene.rng("sequential", job.slug).permutation(len(subjects))]


def _first(job: Job, subjects: Sequence[str]) -> Job:
    """The job on these subjects alone."""
    corpus, kept = job.context.corpus, set(subjects)
    rows = tuple(row for row in corpus.examples if row.subject in kept)
    part = replace(corpus, examples=rows, digest=examples_digest(rows))
    corpora = {name: part if name == corpus.name else other for name, other in job.context.corpora.items()}
    return replace(job, context=replace(job.context, corpus=part, corpora=corpora))


def _shown(job: Job, values: Mapping[str, Values], order: Sequence[str], alpha: float) -> bool:
    """The leak is shown in some group that decides, at alpha divided by their number."""
    from auditkit.decisions.sequential import shown_above, shown_above_other

    at, bound = job.check.statistic(job.context.params).at, job.requirement.at_most
    if at is None or bound is None:
        return False
    candidate = values[job.requirement.of]
    groups = [group for group in dict.fromkeys(candidate.groups or ("",)) if group not in candidate.shown_only]
    corpus = job.context.corpus.name
    for group in groups:
        bits = _bits(candidate, group, order, at, corpus)
        level = alpha / len(groups)
        if bound.model is None:
            found = shown_above(bits, bound.offset, level)
        else:
            others = _bits(values[bound.model], group, order, at, corpus)
            found = shown_above_other(bits, others, bound.offset, level, scale=bound.scale)
        if found is not None:
            return True
    return False


def _bits(values: Values, group: str, order: Sequence[str], at: float, corpus: str) -> list[float]:
    """1 for each subject with a value at ``at`` or above, in the order in which they were asked; not a number is no leak."""
    groups = values.groups or ("",) * len(values.ids)
    leaking = {
        subject
        for subject, value, own in zip(values.subjects, values.values, groups, strict=True)
        if own == group and value >= at
    }
    asked = set(values.subjects)
    named = [f"{corpus}/{subject}" for subject in order]
    return [float(name in leaking) for name in named if name in asked]
