"""Whether the models were asked alike and in full, and whether answers that should be drawn were: seen over all models."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from auditkit.checks._records import generated
from auditkit.evidence.variants import prompt_attacks
from auditkit.models.protocol import Generate

if TYPE_CHECKING:
    from auditkit.checks._base import Answers
    from auditkit.evidence.prepare import Job
    from auditkit.evidence.ways import Way
    from auditkit.measurement.measured import Measurements
    from auditkit.models.protocol import Request

Ways = Mapping[str, Sequence["Way"]]
"""Model → its ways of a job, in one order for all models."""


def unlike(job: Job, ways: Ways, of: Callable[[str], Measurements]) -> str:
    """Prompts that were cut to fit one model's window and not another's: a model that did not read the question knows nothing.

    '' where all were cut alike, which the control on the original sees.
    """
    own = job.requirement.of
    asked = _asked(job, ways)
    cut = {name: _cut(asked, found, of) for name, found in ways.items()}
    other = next((name for name in cut if cut[name] != cut[own]), None)
    if other is None:
        return ""
    return (
        f"{len(cut[own])} of its prompts were cut to fit its window, and {len(cut[other])} of those of {other}, not the same "
        "ones: the two were not asked alike"
    )


def _asked(job: Job, ways: Ways) -> list[list[Request]]:
    """The requests of each way, the same for every model."""
    return [way.requests(job) for way in next(iter(ways.values()))]


def _cut(asked: Sequence[Sequence[Request]], ways: Sequence[Way], of: Callable[[str], Measurements]) -> set[tuple[int, str]]:
    return {
        (number, request.digest)
        for number, (way, requests) in enumerate(zip(ways, asked, strict=True))
        for request in requests
        if of(way.subject).cut(way.subject, request)
    }


def unvaried(job: Job, ways: Ways, answers: Callable[[str], Answers]) -> str:
    """Answers drawn several times that are one and the same, for every question and on every model: none was drawn at random.

    '' where some differ, or nothing was drawn twice.
    """
    if not prompt_attacks(job):
        return ""
    asked = _asked(job, ways)
    texts: dict[tuple[str, Generate], list[str]] = defaultdict(list)
    for way, requests in ((way, requests) for found in ways.values() for way, requests in zip(found, asked, strict=True)):
        answer = answers(way.subject)
        for request in requests:
            if isinstance(request, Generate) and request.temperature > 0:
                texts[way.subject, replace(request, draw=0)].append(generated(answer, request).text)
    drawn = [found for found in texts.values() if len(found) > 1]
    if not drawn or any(len(set(found)) > 1 for found in drawn):
        return ""
    return (
        f"all {len(drawn[0])} draws of an answer are the same, for every question and every model: nothing was drawn at random"
    )
