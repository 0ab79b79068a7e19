"""What a spec must hold because of its intent: the table of Ren et al. 2025 (SoK, arXiv 2506.09227) as data.

An item is met by a required requirement of the candidate; an advisory one does not count. An item may be left out by an
omission, which names who accepted it and until when, and is printed with the verdict. Checks and attacks are plain names here,
because they belong to other rooms; a test sees to it that they exist.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from auditkit.errors import did_you_mean
from auditkit.spec._explain import Finding
from auditkit.spec.model import Intervention, Omission, Requirement, Spec

EVERY = "all"
"""In an omission: every item."""
_LONGEST_WORD = 64

FORGETTING = (
    "answer_probability",
    "exact_memorization",
    "extraction_strength",
    "knowledge_memorization",
    "leak_at_k",
    "truth_ratio",
    "verbatim_memorization",
)
SPOKEN = ("knowledge_memorization", "verbatim_memorization")
"""Those that look at what is said: the others score given answers, which drawing answers at random does not change."""


class Way(NamedTuple):
    """What a requirement must be to meet an item: all that is given here."""

    checks: tuple[str, ...] = ()
    """One of these."""
    under: str = ""
    """Under this attack; '' for none at all, unless ``attackable``."""
    role: str = ""
    """On a corpus of this role."""
    kept: bool = False
    """With a lower bound."""
    attackable: bool = False
    """Under an attack or not."""
    family: str = ""
    """``under`` with this among its ``families``, where it names any."""


@dataclass(frozen=True, slots=True)
class Item:
    """Something that an intent asks for."""

    name: str
    words: str
    """Behind ``removal needs``."""
    removal: bool = True
    suppression: bool = True
    ways: tuple[Way, ...] = ()
    """Any of these; () where something other than a requirement meets it."""


ITEMS = (
    Item("access", "an access that fits"),
    Item("reference", "a model named reference, retrained without the forget data", suppression=False),
    Item(
        "verbatim",
        "a requirement of verbatim_memorization, extraction_strength or exact_memorization",
        ways=(Way(("verbatim_memorization", "extraction_strength", "exact_memorization")),),
    ),
    Item(
        "knowledge",
        "a requirement of knowledge_memorization or answer_probability on the corpus with the role forget",
        ways=(Way(("knowledge_memorization", "answer_probability"), role="forget"),),
    ),
    Item(
        "paraphrase",
        "a requirement on questions in other words: under prompts, or on a corpus with the role forget_reworded",
        ways=(Way(FORGETTING, under="prompts", family="paraphrase"), Way(FORGETTING, role="forget_reworded")),
    ),
    Item(
        "utility",
        "a requirement with at_least, of utility or model_utility, or of knowledge on the corpus with the role retain",
        ways=(
            Way(("utility", "model_utility"), kept=True),
            Way(("knowledge_memorization", "answer_probability", "truth_ratio"), role="retain", kept=True),
        ),
    ),
    Item(
        "privacy",
        "a requirement of privacy_leakage, membership_inference or forget_quality",
        suppression=False,
        ways=(Way(("privacy_leakage", "membership_inference", "forget_quality")),),
    ),
    Item("relearn", "a requirement under relearn", suppression=False, ways=(Way(FORGETTING, under="relearn"),)),
    Item("quantize", "a requirement under quantize", suppression=False, ways=(Way(FORGETTING, under="quantize"),)),
    Item(
        "representation",
        "a requirement of logit_lens or linear_probe, or one under ablate_direction",
        suppression=False,
        ways=(Way(("logit_lens", "linear_probe"), attackable=True), Way(FORGETTING, under="ablate_direction")),
    ),
    Item(
        "in_context",
        "a requirement of in_context_relearning",
        ways=(Way(("in_context_relearning",), attackable=True),),
    ),
    Item("prompts", "a requirement under prompts", ways=(Way(FORGETTING, under="prompts"),)),
    Item(
        "sampling",
        "a requirement of leak_at_k, or one of knowledge_memorization or verbatim_memorization under sample",
        ways=(Way(("leak_at_k",), attackable=True), Way(SPOKEN, under="sample")),
    ),
    Item("over_refusal", "a requirement of over_refusal", removal=False, ways=(Way(("over_refusal",)),)),
)
_HELD_BACK = ("api", "api+sampling", "api+finetune")
"""Access under which suppression can hold: whoever has the weights takes off what was put on."""


def missing(spec: Spec, requirements: Sequence[Requirement], *, as_of: dt.date) -> list[Finding]:
    """One fault for each item that the intent asks for and that is neither there nor left out by an omission in force.

    ``requirements``: of the whole audit, profiles expanded. ``as_of``: the day on which omissions must not have expired.
    """
    findings = [*_unknown_omissions(spec)]
    for item in _lacking(spec, requirements):
        stated = [one for one in spec.omissions if one.item in (item.name, EVERY)]
        if not any(_in_force(one, as_of) for one in stated):
            findings.append(Finding(("intent",), _message(spec, item, stated), _hint(item)))
    return findings


def omitted(spec: Spec, requirements: Sequence[Requirement], *, as_of: dt.date) -> list[str]:
    """What the intent asks for and the spec leaves out, a sentence for each omission; what nobody accepted, too."""
    lacking = [item.name for item in _lacking(spec, requirements)]
    sentences: list[str] = []
    for omission in sorted(spec.omissions, key=lambda one: one.item == EVERY):
        covered = [name for name in lacking if omission.item in (name, EVERY) and _in_force(omission, as_of)]
        lacking = [name for name in lacking if name not in covered]
        if covered:
            why, accepted = omission.justification.rstrip("."), f"accepted by {omission.approver} until {omission.expires_on}"
            sentences.append(f"{', '.join(covered)}: {why} ({accepted})")
    if lacking:
        sentences.append(f"{', '.join(lacking)}: left out, and no omission in force accepts it")
    return sentences


def _lacking(spec: Spec, requirements: Sequence[Requirement]) -> list[Item]:
    counting = [one for one in requirements if one.level == "required" and one.of == "candidate"]
    return [item for item in ITEMS if _asked(spec, item) and not _met(spec, item, counting)]


def _asked(spec: Spec, item: Item) -> bool:
    if item.name == "relearn" and "api+finetune" in spec.access:
        return True
    return item.removal if spec.intent == "removal" else item.suppression


def _met(spec: Spec, item: Item, requirements: Sequence[Requirement]) -> bool:
    if item.name == "access":
        return _access_fits(spec)
    if item.name == "reference":
        return "reference" in spec.models
    return any(_fits(spec, requirement, way) for requirement in requirements for way in item.ways)


def _access_fits(spec: Spec) -> bool:
    if spec.intent == "removal":
        return "weights" in spec.access
    return bool(spec.access) and set(spec.access) <= set(_HELD_BACK)


def _fits(spec: Spec, requirement: Requirement, way: Way) -> bool:
    named = [one for one in requirement.under if one.name == way.under and _has_family(one, way.family)]
    attacked = bool(named) if way.under else way.attackable or not requirement.under
    kept = requirement.at_least is not None or requirement.between is not None
    return (
        requirement.check in way.checks
        and attacked
        and (not way.role or _role(spec, requirement) == way.role)
        and (not way.kept or kept)
    )


def _has_family(attack: Intervention, family: str) -> bool:
    named = attack.params.get("families")
    return not family or named is None or (isinstance(named, list) and family in named)


def _role(spec: Spec, requirement: Requirement) -> str:
    """Of the requirement's corpus; ``forget`` where it names none, as its check's usual one."""
    if requirement.corpus is None:
        return "forget"
    source = spec.corpora.get(requirement.corpus)
    return (source.role if source is not None else None) or requirement.corpus


def _in_force(omission: Omission, as_of: dt.date) -> bool:
    return as_of <= omission.expires_on


def _message(spec: Spec, item: Item, expired: Sequence[Omission]) -> str:
    needs, got = item.words, "none"
    if item.name == "access":
        needs = "access: weights" if spec.intent == "removal" else f"access: {', '.join(_HELD_BACK)}, and no other"
        got = ", ".join(spec.access) or "none"
    since = f", and its omission expired on {max(one.expires_on for one in expired)}" if expired else ""
    return f"{spec.intent} needs {needs} (item {item.name}); got {got}{since}"


def _hint(item: Item) -> str:
    mend = {"access": "write access", "reference": "add models.reference"}.get(item.name, "add one")
    stated = f"{{item: {item.name}, justification: …, approver: …, expires_on: …}}"
    return f"{mend}, or state its omission: omissions: [{stated}]"


def _unknown_omissions(spec: Spec) -> Iterator[Finding]:
    known = [EVERY, *(item.name for item in ITEMS)]
    for index, omission in enumerate(spec.omissions):
        if omission.item not in known:
            word = omission.item[:_LONGEST_WORD]
            yield Finding(("omissions", index, "item"), f"unknown item {word!r}", did_you_mean(word, known))
