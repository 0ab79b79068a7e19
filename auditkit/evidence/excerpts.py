"""Evidence excerpts: for each requirement that did not pass, the rows that count most against the candidate.

Texts are redacted to their length and keyed digest unless the run shows text; what the model said counts as forget text too.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from auditkit.evidence.results import ExampleDoc
from auditkit.models.protocol import Generated
from auditkit.text import keyed_digest, redact

if TYPE_CHECKING:
    from auditkit.checks._base import Values
    from auditkit.corpora.example import Example
    from auditkit.evidence.measuring import Measured
    from auditkit.evidence.prepare import Job
    from auditkit.evidence.results import RequirementDoc
    from auditkit.models.protocol import Record

PER_REQUIREMENT = 3


def excerpts(measured: Measured, documents: Sequence[RequirementDoc], *, key: bytes | None) -> list[ExampleDoc]:
    """At most three rows of the candidate per requirement that failed or could not be decided."""
    results = {document.slug: document.result for document in documents}
    found: list[ExampleDoc] = []
    for job in measured.jobs:
        values = measured.samples.get(job.slug, {}).get(job.requirement.of)
        if values is None or results.get(job.slug) not in ("fail", "inconclusive"):
            continue
        rows = {f"{job.context.corpus.name}/{example.id}": example for example in job.context.corpus.examples}
        for name, value in _worst(values, rows, lower_is_better=job.check.metric.better != "higher"):
            found.append(_excerpt(job, rows[name], name=name, value=value, measured=measured, key=key))
    return found


def _worst(values: Values, rows: Mapping[str, Example], *, lower_is_better: bool) -> list[tuple[str, float]]:
    """The most telling value of each row of the requirement's own corpus, worst first."""
    sign = -1.0 if lower_is_better else 1.0
    hidden = set(values.shown_only)
    best: dict[str, float] = {}
    for index, (name, value) in enumerate(zip(values.ids, values.values, strict=True)):
        if name not in rows or not math.isfinite(value) or (values.groups and values.groups[index] in hidden):
            continue
        if name not in best or sign * value < sign * best[name]:
            best[name] = value
    return sorted(best.items(), key=lambda item: (sign * item[1], item[0]))[:PER_REQUIREMENT]


def _excerpt(job: Job, example: Example, *, name: str, value: float, measured: Measured, key: bytes | None) -> ExampleDoc:
    example, record = _answer(job, example, value, measured)
    answered = record.text if isinstance(record, Generated) else ""

    def shown(text: str) -> str:
        return text if key is None or not text else redact(text, key)

    return ExampleDoc(
        requirement=job.name,
        example=name if key is None else f"{job.context.corpus.name}/{keyed_digest(name, key)}",
        model=job.requirement.of,
        value=value,
        question=shown(example.question or example.get("prompt")),
        expected=shown(example.answer or example.get("continuation") or example.text),
        answered=shown(answered),
    )


def _answer(job: Job, example: Example, value: float, measured: Measured) -> tuple[Example, Record | None]:
    """The row as it was asked, and what the model said: under attack, in the way that gave this value, else the first."""
    values = measured.samples[job.slug][job.requirement.of]
    telling = {
        group
        for name, group, found in zip(values.ids, values.groups, values.values, strict=False)
        if name == f"{job.context.corpus.name}/{example.id}" and found == value
    }
    ways = measured.ways.by_job[job.slug][job.requirement.of]
    for way in sorted(ways, key=lambda way: way.treatment.label not in telling):
        asked = next((row for row in way.context.corpus.examples if row.id == example.id), None)
        request = None if asked is None else job.check.shown(way.context, asked)
        if asked is not None and request is not None:
            return asked, measured.measurements.of(way.subject)(way.treatment.wording.request(request))
    return example, None
