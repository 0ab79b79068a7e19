"""Requirements' results as evidence about the candidate: what was asked directly, what was attacked, what had to be kept.

A pass counts where it is required. A failure under attack, a recovery and a score below the reference count at any level: they
are observed facts. An attack that is only indicative counts for nothing.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from auditkit.decisions.types import Estimate, Result

PROBES: Mapping[str, str] = {
    "in_context_relearning": "prompt",
    "leak_at_k": "sampling",
    "logit_lens": "representation",
    "linear_probe": "representation",
}
"""Checks that look behind the direct answer by themselves: each is an attack of that family."""
SCORED = frozenset({"answer_probability", "exact_memorization", "extraction_strength", "truth_ratio"})
"""Checks that score a given answer: what they find is measurable, and not yet said. Beside a check of what is said they count
like privacy; alone they are all that is known of behaviour."""
LIKELIHOODS = frozenset({"answer_probability"})
"""Checks of which a value below the reference's marks the candidate; an overlap of words is low for any refusal."""
WEIGHT_FAMILIES = frozenset({"relearning", "precision", "weights"})
REPRESENTATION_FAMILIES = frozenset({"representation"})
_GOOD = frozenset({Result.PASS, Result.NOT_APPLICABLE})
_TOO_FAR = frozenset({("lower", "lower"), ("target", "upper")})
"""(metric's direction, missed end) where a failure means less than a model shows that never saw the data."""


@dataclass(frozen=True, slots=True)
class Attack:
    """What was done before a requirement was measured."""

    name: str
    family: str
    """``prompt``, ``sampling``, ``construction``, ``precision``, ``weights``, ``relearning`` or ``representation``."""
    budget: str = ""
    """What was tried, in a few words."""
    indicative: bool = False
    """A failure under it alone proves nothing."""
    kinds: tuple[str, ...] = ()
    """The ways that were tried, where the attack has several (``families`` of prompts)."""
    title: str = ""
    """As the report calls it."""

    @property
    def words(self) -> str:
        """In a sentence."""
        return _in_a_sentence(self.title) or self.name.replace("_", " ")

    def __str__(self) -> str:
        return f"{self.words} ({self.budget})" if self.budget else self.words


@dataclass(frozen=True)
class Finding:
    """One requirement of the candidate, as far as the audit's class depends on it."""

    name: str
    check: str
    dimension: str
    """``forgetting``, ``privacy``, ``utility`` or ``robustness``."""
    required: bool
    """False: advisory."""
    result: Result
    attacks: tuple[Attack, ...] = ()
    recovery: Estimate | None = None
    """Under attack: the share of the gap between reference and original that is there."""
    better: str = "lower"
    """Direction of the check's metric: ``lower``, ``higher`` or ``target``."""
    missed: str = ""
    """As in ``Judgement``: the missed end, ``upper`` or ``lower``."""
    below_reference: bool = False
    """See the function of that name."""
    identical: bool = False
    """Nothing measured, but a standing fact: the candidate's weights are those of the original."""
    waived: bool = False
    """The failure is accepted: it is a failure all the same."""
    title: str = ""
    """Of the check, as the report calls it."""

    @property
    def tried(self) -> str:
        """What looks behind the direct answer here, in a sentence: its attacks, or the check by itself."""
        names = [attack.words for attack in self.attacks]
        return " then ".join(names) or _in_a_sentence(self.title) or self.check.replace("_", " ")

    @property
    def indicative(self) -> bool:
        """Nothing but attacks whose failure proves nothing."""
        return bool(self.attacks) and all(attack.indicative for attack in self.attacks)

    @property
    def probing(self) -> bool:
        """Looks behind the direct answer."""
        return not self.identical and (bool(self.attacks) or self.check in PROBES or self.dimension == "robustness")

    @property
    def attacked(self) -> bool:
        """Looks behind the direct answer in a way that counts."""
        return self.probing and not self.indicative and self.dimension != "utility"

    @property
    def families(self) -> frozenset[str]:
        """Families of the attacks that count."""
        own = {PROBES[self.check]} if self.check in PROBES else set()
        return frozenset(own | {attack.family for attack in self.attacks if not attack.indicative})

    @property
    def too_far(self) -> bool:
        """Failed by showing less than a model that never saw the data."""
        return self.result is Result.FAIL and self.dimension != "utility" and (self.better, self.missed) in _TOO_FAR

    @property
    def leaks(self) -> bool:
        """Failed, and not by going too far."""
        return self.result is Result.FAIL and not self.too_far

    def came_back(self, epsilon: float) -> bool:
        """The attack brings back more than its bound allows, or for certain more than ``epsilon`` of the gap."""
        recovered = self.recovery is not None and self.recovery.lower is not None and self.recovery.lower > epsilon
        return self.attacked and (self.leaks or recovered)

    def unbounded(self, epsilon: float) -> bool:
        """Not shown that the attack brings back at most ``epsilon``; where recovery is not defined, the bound alone decides."""
        found = self.recovery
        if not self.attacked or found is None or found.value is None:
            return False
        return found.upper is None or found.upper > epsilon


@dataclass(frozen=True)
class Evidence:
    """All findings, by what they speak about."""

    findings: tuple[Finding, ...]
    epsilon: float
    """Share of the gap between reference and original that an attack may bring back."""

    @property
    def identical(self) -> bool:
        """The candidate's weights are the original's."""
        return any(one.identical for one in self.findings)

    @property
    def behaviour(self) -> list[Finding]:
        """Required: what is shown when asked directly."""
        asked = self._plain("forgetting")
        return [one for one in asked if one.check not in SCORED] or asked

    @property
    def privacy(self) -> list[Finding]:
        """Required: what can be measured without being shown."""
        shown = self.behaviour
        return [*self._plain("privacy"), *(one for one in self._plain("forgetting") if one not in shown)]

    @property
    def utility(self) -> list[Finding]:
        """Required: what had to be kept."""
        return self._plain("utility")

    @property
    def silent(self) -> bool:
        """Asked directly, nothing is shown; false where nothing was asked, or something is undecided."""
        return any(one.result is Result.PASS or one.too_far for one in self.behaviour) and all(
            one.result in _GOOD or one.too_far for one in self.behaviour
        )

    @property
    def attacked(self) -> list[Finding]:
        """Under an attack that counts."""
        return [one for one in self.findings if one.attacked]

    @property
    def came_back(self) -> list[Finding]:
        """Attacks that bring the knowledge back."""
        return [one for one in self.findings if one.came_back(self.epsilon)]

    @property
    def unbounded(self) -> list[Finding]:
        """Attacks of which it is not shown that they bring back little."""
        return [one for one in self.findings if one.unbounded(self.epsilon)]

    @property
    def still_seen(self) -> list[Finding]:
        """Failed privacy requirements: not shown, and measurable all the same."""
        return [one for one in self.privacy if one.leaks]

    @property
    def over(self) -> list[Finding]:
        """Scores below the reference's."""
        return [one for one in self.findings if (one.too_far or one.below_reference) and not one.indicative]

    @property
    def open(self) -> list[Finding]:
        """Required and not shown to hold."""
        counting = [one for one in self.findings if one.required and not one.indicative and not one.identical]
        return [one for one in counting if one.result not in _GOOD]

    @property
    def untested(self) -> list[str]:
        """``weights``, ``representations``: where no required attack was passed."""
        passed = [one.families for one in self.attacked if one.required and one.result is Result.PASS]
        wanted = {"weights": WEIGHT_FAMILIES, "representations": REPRESENTATION_FAMILIES}
        return [where for where, families in wanted.items() if not any(families & own for own in passed)]

    def _plain(self, dimension: str) -> list[Finding]:
        wanted = [one for one in self.findings if one.required and one.dimension == dimension]
        return [one for one in wanted if not one.probing and not one.identical]


def _in_a_sentence(title: str) -> str:
    """``Other wordings`` → ``other wordings``."""
    return title[:1].lower() + title[1:]


def passes(findings: Collection[Finding]) -> bool:
    """At least one passed, and none is anything but good."""
    return any(one.result is Result.PASS for one in findings) and holds(findings)


def holds(findings: Collection[Finding]) -> bool:
    """There are some, and all passed or had nothing to look at."""
    return bool(findings) and all(one.result in _GOOD for one in findings)


def below_reference(check: str, models: Mapping[str, Estimate]) -> bool:
    """The probability of the forgotten answer is below the reference's interval: even the candidate's upper bound is."""
    candidate, reference = models.get("candidate"), models.get("reference")
    if check not in LIKELIHOODS or candidate is None or reference is None:
        return False
    return candidate.upper is not None and reference.lower is not None and candidate.upper < reference.lower
