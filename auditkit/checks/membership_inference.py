"""Can the forget rows be told from rows that the model never saw?"""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from pydantic import Field

from auditkit.checks._auc import auc, roc, tpr_at_fpr
from auditkit.checks._base import Answers, Check, Context, Metric, Statistic, Values
from auditkit.checks._blind import Blind, Text, blind_baseline
from auditkit.checks._membership import (
    TOO_SHORT,
    Attack,
    cut_rows,
    membership_problems,
    membership_rows,
    non_members,
    scores,
    tied,
)
from auditkit.checks._prompting import PromptParams, shot_problems
from auditkit.checks._rows import Columns, unmeasured
from auditkit.checks._scoring import SCORED_FIELDS, Scoring
from auditkit.models.protocol import Request

if TYPE_CHECKING:
    from auditkit.corpora.example import Corpus

FPRS = (0.1, 0.01, 0.001)


class MembershipParams(PromptParams):
    """Which attacks are run, and when they count."""

    attacks: list[Attack] = Field(
        default_factory=lambda: list[Attack](("loss", "zlib", "min_k", "min_k++")),
        min_length=1,
        description="loss, zlib, min_k, min_k++, and reference (needs a model named reference). The worst decides.",
    )
    k: float = Field(0.2, gt=0, le=1, description="Share of the least likely tokens that min_k and min_k++ look at.")
    blind_margin: float = Field(
        0.1, gt=0, le=0.5, description="A blind baseline with an AUC above 0.5 plus this makes the check inconclusive."
    )


class MembershipInference(Check[MembershipParams]):
    """AUC = P(score(member) > score(non-member)), ties half, per attack; 0 to 1, 0.5 is guessing, lower is better.

    Members are the rows of the corpus, non-members those of the corpus with role holdout. Scores, higher = more member-like,
    lp the log-probabilities of the scored tokens:

    - loss: mean lp
    - zlib: mean lp / bytes of the compressed text (Carlini et al. 2021)
    - reference: mean lp minus the reference model's mean lp
    - min_k: mean of the lowest max(1, int(k T)) lp (Shi et al. 2310.16789)
    - min_k++: the same of (lp - mu) / sigma over the vocabulary, sigma^2 >= 1e-6 (Zhang et al. 2404.02936)

    An AUC is never turned over: below 0.5 the rows look stranger than unseen ones, which gives them away too (bound it with
    ``between``). Before any score counts, a blind baseline must fail: see ``_blind``.
    """

    name = "membership_inference"
    title = "Membership inference"
    summary = "Whether the model's likelihoods give away that the forget rows were in its training data."
    source = (
        "Shi et al. 2023, arXiv 2310.16789; Zhang et al. 2024, arXiv 2404.02936; Carlini et al. 2021, arXiv 2012.07805; "
        "blind baselines: Das et al. 2024, arXiv 2406.16201."
    )
    limits = (
        "Weak attacks: an AUC near 0.5 does not show that nothing was kept. It counts only where members and non-members "
        "come from one source and differ in nothing but the training."
    )
    remediation = "Look at which attack and which rows stand out; compare with the retrained reference (privacy_leakage)."
    dimension = "privacy"
    metric = Metric("membership inference AUC", "AUC", 0.0, 1.0, "lower", chance=0.5)
    params = MembershipParams
    fields = SCORED_FIELDS
    other_roles = ("holdout",)
    figures = ("roc", "histogram")

    def statistic(self, params: MembershipParams) -> Statistic:
        """The AUC of each attack; the worst decides."""
        return Statistic("auc", worst_group=True)

    def problems(self, context: Context[MembershipParams]) -> Iterable[str]:
        """Rows without their other half, sides of different form, attacks named twice, shots that cannot be drawn."""
        attacks = context.params.attacks
        twice = [f"attacks must name each attack once; got {attacks}"] if len(set(attacks)) < len(attacks) else []
        return [*twice, *membership_problems(context), *shot_problems(context, context.params)]

    def requests(self, context: Context[MembershipParams]) -> Iterable[Request]:
        """One teacher-forced pass per row of both corpora, whatever the attacks."""
        members, others = membership_rows(context, context.params)
        return [row.request for row in (*members, *others)]

    def values(self, context: Context[MembershipParams], answers: Answers, reference: Answers | None) -> Values:
        """A score per row and attack; details: AUC, ROC, TPR at fixed FPR, blind baseline."""
        members, others = membership_rows(context, context.params)
        if not members or not others:
            return Columns().values(inconclusive="one side has no rows: members and non-members are both needed")
        blind = baseline(context, members, others)
        details: dict[str, Any] = {"blind_baseline": blind.document(context.params.blind_margin)}
        details |= {"auc": {}, "roc": {}, "tpr_at_fpr": {}}
        columns, ties = Columns(), list[str]()
        for attack in context.params.attacks:
            found = [scores(attack, rows, answers, reference, k=context.params.k) for rows in (members, others)]
            _enter(columns, context, attack, (members, others), found)
            ties.append(tied(attack, itertools.chain(*found)))
            for key, what in _curves(*found).items():
                details[key][attack] = what
        notes = [blind.note(), cut_rows([*members, *others], answers), unmeasured(columns.numbers, TOO_SHORT)]
        objection = _objection(context, blind, reference) or next(filter(None, ties), "")
        return columns.values(details=details, notes=notes, inconclusive=objection)


def baseline(context: Context[MembershipParams], members: list[Scoring], others: list[Scoring]) -> Blind:
    """The blind baseline of the two corpora: the question belongs to the text where there is one."""
    sides = ((context.corpus, members), (non_members(context), others))
    mine, theirs = (tuple(_text(corpus, row) for row in rows) for corpus, rows in sides)
    return blind_baseline(mine, theirs, context.seed)


def _text(corpus: Corpus, row: Scoring) -> Text:
    before = row.example.question or row.example.get("prompt")
    return Text(f"{corpus.name}/{row.example.subject}", f"{before} {row.text}".strip())


def _objection(context: Context[MembershipParams], blind: Blind, reference: Answers | None) -> str:
    if "reference" in context.params.attacks and reference is None:
        return "the attack named reference needs a model named reference, and the spec has none"
    return blind.objection(context.params.blind_margin)


def _enter(
    columns: Columns,
    context: Context[MembershipParams],
    attack: Attack,
    sides: tuple[list[Scoring], list[Scoring]],
    found: list[list[float]],
) -> None:
    for corpus, label, rows, numbers in zip((context.corpus, non_members(context)), (1, 0), sides, found, strict=True):
        for row, number in zip(rows, numbers, strict=True):
            columns.add(corpus, row.example, number, group=attack, label=label)


def _curves(members: list[float], others: list[float]) -> dict[str, Any]:
    """AUC, ROC and TPR at fixed FPR of one attack; None where a score is not a number."""
    import numpy as np

    mine, theirs = np.array(members), np.array(others)
    if np.isnan(mine).any() or np.isnan(theirs).any():
        return {"auc": None, "roc": None, "tpr_at_fpr": None}
    return {"auc": auc(mine, theirs), "roc": roc(mine, theirs), "tpr_at_fpr": tpr_at_fpr(mine, theirs, FPRS)}


CHECK = MembershipInference()
