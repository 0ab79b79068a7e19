"""What kind of result an audit is and what it supports, as every format prints it beside the verdict."""

from __future__ import annotations

from typing import TYPE_CHECKING

from auditkit.reporting._probing import attack_title, probing, settings
from auditkit.reporting._words import wording

if TYPE_CHECKING:
    from auditkit.evidence.results import Results

KIND, CLAIM, OMITTED, TRIED = "Kind of result", "Claim level", "Left out", "Attacks tried"


def facts(results: Results) -> list[tuple[str, list[str]]]:
    """(heading, sentences or items), none of them empty."""
    outcome, words = results.outcome, wording().outcome
    if outcome is None:
        return [(KIND, [words.unknown]), (TRIED, tried(results) or [words.no_attack])]
    return [
        (KIND, [f"{outcome.kind}. {outcome.sentence}"]),
        (CLAIM, [outcome.claim_sentence]),
        (OMITTED, outcome.omitted or [words.nothing_omitted]),
        (TRIED, outcome.attacks or tried(results) or [words.no_attack]),
    ]


def tried(results: Results) -> list[str]:
    """Every attack with what was tried, each once: ``Round the weights (4 bit)``."""
    named = ((attack_title(doc), settings(doc)) for doc in results.requirements if probing(doc))
    return list(dict.fromkeys(f"{title} ({budget})" if budget else title for title, budget in named))
