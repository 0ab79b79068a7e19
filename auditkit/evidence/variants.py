"""A requirement under attack: each way in which it is measured on a model, and the values of all ways as one sample.

::

    requirement ─► variants of a model (setting × wording) ─► values of each ─► one Values per model

Every setting is a group and the worst decides; repeats (other seeds) are more rows of the same subjects. Of several wordings
the attack says what decides: per row the worst, the worst wording, or the mean. What does not decide is shown.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from auditkit.attacks import ModelAttack, PromptAttack, Setting, Target, Wording
from auditkit.checks._base import Values

if TYPE_CHECKING:
    from auditkit.checks._base import Check, Context
    from auditkit.evidence.prepare import Job
    from auditkit.models.protocol import Request
    from auditkit.spec.model import Requirement

ANY, MEAN, CHOSEN = "any wording", "mean over wordings", "chosen"
_BETWEEN = ", "


@dataclass(frozen=True)
class Treatment:
    """One combination of settings and of wordings, the same for every model."""

    setting: Setting
    """Labels joined, repeats numbered through."""
    steps: tuple[Setting, ...]
    """The setting of each attack on the model, in order."""
    wording: Wording
    label_if_chosen: str = ""
    """What the setting is called on the models for which it was chosen; '' where nothing is chosen."""

    @property
    def label(self) -> str:
        """Its group, where the check has none of its own."""
        return _label(self.setting.label, self.wording.label)


def treatments(job: Job) -> list[Treatment]:
    """Every way in which the requirement is measured; one without attacks."""
    combined = [*itertools.product(*(attack.settings(params) for attack, params in model_attacks(job)))]
    worded = [*itertools.product(*(attack.wordings(params, job.scene) for attack, params in prompt_attacks(job)))]
    choosing = next((index for index, (attack, _) in enumerate(model_attacks(job)) if attack.chooses), None)
    return [
        Treatment(setting, steps, wording, "" if choosing is None else _label(*_labels(steps, choosing)))
        for setting, steps in zip(_numbered([_joined(steps) for steps in combined]), combined, strict=True)
        for wording in map(_chained, worded)
    ]


def model_attacks(job: Job) -> list[tuple[ModelAttack[Any], Any]]:
    """The attacks of a requirement that are on the model, with their parameters."""
    return [(one.attack, one.params) for one in job.attacks if isinstance(one.attack, ModelAttack)]


def prompt_attacks(job: Job) -> list[tuple[PromptAttack[Any], Any]]:
    """Those that are on what it is asked."""
    return [(one.attack, one.params) for one in job.attacks if isinstance(one.attack, PromptAttack)]


def _labels(steps: Sequence[Setting], choosing: int) -> list[str]:
    return [CHOSEN if index == choosing else step.label for index, step in enumerate(steps)]


def _joined(steps: Sequence[Setting]) -> Setting:
    places = [step.x for step in steps if step.x is not None]
    return Setting(
        _label(*(step.label for step in steps)),
        shown_only=any(step.shown_only for step in steps),
        x=places[0] if len(places) == 1 else None,
    )


def _numbered(settings: Sequence[Setting]) -> list[Setting]:
    """Those of equal label numbered through: they are repeats."""
    seen: dict[str, int] = {}
    out = []
    for setting in settings:
        out.append(replace(setting, repeat=seen.get(setting.label, 0)))
        seen[setting.label] = out[-1].repeat + 1
    return out


def _chained(wordings: Sequence[Wording]) -> Wording:
    """Several wordings, one after another."""
    if len(wordings) == 1:
        return wordings[0]

    def example(row: Any) -> Any:
        for wording in wordings:
            row = None if row is None else wording.example(row)
        return row

    def request(asked: Request) -> Request:
        for wording in wordings:
            asked = wording.request(asked)
        return asked

    return Wording(_BETWEEN.join(wording.label for wording in wordings), example, request)


def attacked(job: Job, target: Target, treatment: Treatment) -> Target:
    """The target with what the treatment does to it; a model that an attack does not concern stays as it is."""
    for (attack, params), setting in zip(model_attacks(job), treatment.steps, strict=True):
        if not attack.concerns(target):
            target = attack.apply(target, setting, params, job.scene)
    return target


def decides(job: Job, target: Target, treatment: Treatment) -> bool:
    """Whether the treatment is what the attacks chose for this model; true where they do not choose. May train."""
    for (attack, params), setting in zip(model_attacks(job), treatment.steps, strict=True):
        if attack.concerns(target):
            continue
        if attack.chooses and attack.chosen(target, params, job.scene) != setting.label:
            return False
        target = attack.apply(target, setting, params, job.scene)
    return True


def accounts(job: Job, target: Target, treatment: Treatment) -> dict[str, Any]:
    """What is known of each attack on this model once it was carried out, by the attack's name."""
    found: dict[str, Any] = {}
    for (attack, params), setting in zip(model_attacks(job), treatment.steps, strict=True):
        if not attack.concerns(target):
            found[attack.name] = attack.account(target, params, job.scene)
            target = attack.apply(target, setting, params, job.scene)
    return {name: account for name, account in found.items() if account}


def idle(job: Job, target: Target) -> str:
    """Why the requirement does not apply to this model: an attack has nothing to act on; '' where all have."""
    return next(filter(None, (attack.concerns(target) for attack, _ in model_attacks(job))), "")


def context_of(job: Job, treatment: Treatment) -> Context[Any]:
    """What the check is asked with: its rows as they are worded. Rows that the wording does not fit are left out."""
    if not prompt_attacks(job):
        return job.context
    corpus = job.context.corpus
    asked = (treatment.wording.example(row) for row in corpus.examples)
    worded = replace(corpus, examples=tuple(row for row in asked if row is not None))
    corpora = {name: worded if other.name == corpus.name else other for name, other in job.context.corpora.items()}
    return replace(job.context, corpus=worded, corpora=corpora)


@dataclass(frozen=True)
class Part:
    """One treatment's values on one model."""

    treatment: Treatment
    values: Values
    chosen: bool = False
    """The setting is the one that was chosen for this model: it decides, and is a point of the curve as well."""


def combine(parts: Sequence[Part], job: Job) -> Values:
    """One sample of all treatments of one model."""
    if not job.attacks:
        return parts[0].values
    check: Check[Any] = job.check
    plain = check.statistic(job.context.params).kind == "function"
    columns = _Columns(plain)
    for label in dict.fromkeys(part.treatment.setting.label for part in parts):
        ours = [part for part in parts if part.treatment.setting.label == label]
        one = ours[0].treatment
        _worded(columns, ours, label, job, shown=one.setting.shown_only or bool(one.label_if_chosen))
        if one.label_if_chosen and ours[0].chosen:
            _worded(columns, ours, one.label_if_chosen, job, shown=False)
    return columns.values(parts, _curve(parts, job))


def _curve(parts: Sequence[Part], job: Job) -> dict[str, Any]:
    """Where each setting lies on the attack's axis, for the figure; {} where there is none."""
    attack = next((attack for attack, _ in model_attacks(job) if attack.axis), None)
    places = {part.treatment.setting.label: part.treatment.setting.x for part in parts if part.treatment.setting.x is not None}
    if attack is None or len(places) < 2:
        return {}
    chosen = next((part.treatment.setting.x for part in parts if part.chosen and part.treatment.label_if_chosen), None)
    return {"curve": {"axis": attack.axis, "x": places, "chosen": chosen, "start": attack.start}}


def _worded(columns: _Columns, parts: Sequence[Part], label: str, job: Job, *, shown: bool) -> None:
    """The wordings of one setting: what decides, and each of them to be shown."""
    words = list(dict.fromkeys(part.treatment.wording.label for part in parts))
    if len(words) < 2:
        for part in parts:
            columns.add(
                part.values, _label(label, words[0] if words else ""), repeat=part.treatment.setting.repeat, shown=shown
            )
        return
    decides = next(attack.summarised(params) for attack, params in prompt_attacks(job))
    worst = _worst_of(job.check.metric_for(job.context.params).better)
    for repeat in dict.fromkeys(part.treatment.setting.repeat for part in parts):
        ours = [part for part in parts if part.treatment.setting.repeat == repeat]
        if decides == "worst_question":
            columns.add(_per_row(ours, worst), _label(label, ANY), repeat=repeat, shown=shown)
        for number, part in enumerate(ours):
            columns.add(part.values, _label(label, MEAN), repeat=repeat * len(words) + number, shown=shown or decides != "mean")
            one = _label(label, part.treatment.wording.label)
            columns.add(part.values, one, repeat=repeat, shown=shown or decides != "worst_wording")


def _worst_of(better: str) -> Callable[[Iterable[float]], float]:
    """The worst of several values; for a target it is the one farthest from 0. Not a number, where one of them is not."""

    def worst(values: Iterable[float]) -> float:
        numbers = list(values)
        if any(math.isnan(number) for number in numbers):
            return math.nan
        if better == "target":
            return max(numbers, key=abs)
        return min(numbers) if better == "higher" else max(numbers)

    return worst


def _per_row(parts: Sequence[Part], worst: Callable[[Iterable[float]], float]) -> Values:
    """Per row (and the check's own group) the worst over the wordings that fit it."""
    found: dict[tuple[str, str], list[float]] = {}
    where: dict[tuple[str, str], tuple[str, int | None]] = {}
    for part in parts:
        values = part.values
        for index, (name, number) in enumerate(zip(values.ids, values.values, strict=True)):
            key = (name, values.groups[index] if values.groups else "")
            found.setdefault(key, []).append(number)
            where.setdefault(key, (values.subjects[index], values.labels[index] if values.labels else None))
    labels = [where[key][1] for key in found]
    return Values(
        ids=tuple(name for name, _ in found),
        subjects=tuple(where[key][0] for key in found),
        values=tuple(worst(numbers) for numbers in found.values()),
        groups=tuple(group for _, group in found) if any(group for _, group in found) else (),
        labels=tuple(label for label in labels if label is not None),
        shown_only=parts[0].values.shown_only,
    )


def _label(*parts: str) -> str:
    return _BETWEEN.join(part for part in parts if part)


class _Columns:
    """A sample under construction."""

    def __init__(self, plain: bool) -> None:
        self._plain = plain
        """The check makes one number of all its groups: they keep their names, and nothing is shown beside them."""
        self._ids: list[str] = []
        self._subjects: list[str] = []
        self._values: list[float] = []
        self._groups: list[str] = []
        self._labels: list[int] = []
        self._shown: dict[str, None] = {}

    def add(self, values: Values, label: str, *, repeat: int, shown: bool) -> None:
        """The rows of one treatment; those of a repeat get names of their own."""
        if self._plain and shown:
            return
        own = values.groups or ("",) * len(values.ids)
        groups = own if self._plain else tuple(f"{label}: {group}" if label and group else label or group for group in own)
        self._shown |= {group: None for group, name in zip(groups, own, strict=True) if shown or name in values.shown_only}
        self._ids += [f"{name}~{repeat}" if repeat else name for name in values.ids]
        self._subjects += values.subjects
        self._values += values.values
        self._groups += groups
        self._labels += values.labels

    def values(self, parts: Sequence[Part], details: Mapping[str, Any]) -> Values:
        """The sample; details and reasons are those of the parts that decide."""
        deciding = [part for part in parts if not part.treatment.setting.shown_only and part.chosen] or list(parts)
        notes = dict.fromkeys(note for part in parts for note in part.values.notes)
        return Values(
            ids=tuple(self._ids),
            subjects=tuple(self._subjects),
            values=tuple(self._values),
            groups=tuple(self._groups) if any(self._groups) else (),
            labels=tuple(self._labels),
            shown_only=tuple(self._shown),
            details={**deciding[0].values.details, **details},
            notes=tuple(notes),
            inconclusive=next((part.values.inconclusive for part in deciding if part.values.inconclusive), ""),
        )


def under_attack(check: Check[Any], params: Any, *, attacks: bool) -> Any:
    """The check's statistic: under attack every group is a quantity of its own, where the check does not join them itself."""
    statistic = check.statistic(params)
    return replace(statistic, worst_group=True) if attacks and statistic.kind != "function" else statistic


def asks_the_same(job: Job) -> bool:
    """No wording of its attacks changes anything that the check asks, so that nothing would be attacked."""
    if not prompt_attacks(job):
        return False
    plain = {request.digest for request in job.check.requests(job.context)}
    worded = (
        treatment.wording.request(request)
        for treatment in treatments(job)
        for request in job.check.requests(context_of(job, treatment))
    )
    return all(request.digest in plain for request in worded)


def unworded(job: Job, values: Values) -> list[str]:
    """A note where some rows have no wording that fits them, so that they are not measured under the attack."""
    if not prompt_attacks(job):
        return []
    corpus = job.context.corpus
    measured = set(values.ids)
    left = sum(f"{corpus.name}/{row.id}" not in measured for row in corpus.examples)
    return (
        [f"{left} of {len(corpus.examples)} rows of {corpus.name} have no wording that fits them: not measured."]
        if left
        else []
    )


def is_kept(requirement: Requirement, check: Check[Any]) -> bool:
    """The requirement is about something to keep and not about a leak: utility, or a leak check bounded from below alone."""
    low, high = requirement.bounds
    return check.dimension == "utility" or (low is not None and high is None and check.metric.better == "lower")
