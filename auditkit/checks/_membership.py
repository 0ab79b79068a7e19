"""Members and non-members scored: what membership inference and PrivLeak share. Higher score = more member-like."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, Literal

from auditkit.checks._base import Answers, Context
from auditkit.checks._likelihood import mean_nll, min_k, min_k_plus_plus, zlib_score
from auditkit.checks._prompting import PromptParams
from auditkit.checks._records import cut_note, scored
from auditkit.checks._rows import in_words, lacking
from auditkit.checks._scoring import SCORED_FIELDS, Scoring, pair_problems, score_rows
from auditkit.errors import DataError, Problem

if TYPE_CHECKING:
    from auditkit.corpora.example import Corpus
    from auditkit.models.protocol import Scored

Attack = Literal["loss", "zlib", "reference", "min_k", "min_k++"]
MIN_TOKENS = 2
TOO_SHORT = f"a row has fewer than {MIN_TOKENS} scored tokens"


def non_members(context: Context[Any]) -> Corpus:
    """The corpus with role holdout. Raises DataError where there is none."""
    corpus = context.role("holdout")
    if corpus is None:
        message = "needs a corpus with the role holdout: rows of the same kind that no model was trained on"
        raise DataError(Problem(message, where=context.requirement))
    return corpus


def membership_rows(context: Context[Any], params: PromptParams) -> tuple[list[Scoring], list[Scoring]]:
    """(members, non-members), each with its request. Raises DataError for rows of which nothing can be scored."""
    return score_rows(context, context.corpus, params), score_rows(context, non_members(context), params)


def membership_problems(context: Context[Any]) -> list[str]:
    """Rows without their other half; members and non-members of different form, or one corpus for both."""
    holdout = context.role("holdout")
    if holdout is None:
        return []
    if holdout.name == context.corpus.name:
        return [f"the corpus of members must not be the holdout itself ({holdout.name})"]
    problems = in_words([*pair_problems(context.corpus), *lacking(holdout, *SCORED_FIELDS), *pair_problems(holdout)])
    forms = [{_form(example) for example in corpus.examples} for corpus in (context.corpus, holdout)]
    if not problems and all(forms) and forms[0] != forms[1]:
        mine, theirs = (" and ".join(sorted(form)) for form in forms)
        problems.append(
            f"members and non-members must have the same form; {context.corpus.name} holds {mine}, {holdout.name} {theirs}"
        )
    return problems


def _form(example: Any) -> str:
    return next((name for name in ("continuation", "text", "question") if example.get(name)), "nothing")


def score_of(attack: Attack, row: Scoring, record: Scored, reference: Scored | None, *, k: float) -> float:
    """One row's score under one attack; NaN with fewer than two scored tokens, or without the reference it needs."""
    if record.logprob.size < MIN_TOKENS:
        return float("nan")
    if attack == "zlib":
        return zlib_score(record, row.text)
    if attack == "min_k":
        return min_k(record, k)
    if attack == "min_k++":
        return min_k_plus_plus(record, k)
    if attack == "reference":
        return float("nan") if reference is None else mean_nll(reference) - mean_nll(record)
    return -mean_nll(record)


def scores(attack: Attack, rows: Sequence[Scoring], answers: Answers, reference: Answers | None, *, k: float) -> list[float]:
    """The scores of all rows under one attack, in order."""
    return [
        score_of(
            attack,
            row,
            scored(answers, row.request),
            scored(reference, row.request) if reference is not None and attack == "reference" else None,
            k=k,
        )
        for row in rows
    ]


def tied(attack: Attack, scores: Iterable[float]) -> str:
    """Why scores that are all one number may not decide, or '': the AUC is 0.5 then, whatever the model knows."""
    return f"all scores of {attack} are one and the same number, so they rank nothing" if len(set(scores)) == 1 else ""


def cut_rows(rows: Sequence[Scoring], answers: Answers) -> str:
    """The note on rows that did not fit the window."""
    return cut_note(scored(answers, row.request) for row in rows)
