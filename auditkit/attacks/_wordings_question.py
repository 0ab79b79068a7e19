"""Wordings that put the question itself otherwise; the answer stays."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from auditkit.attacks._wordings import Texts, bank, fill, labelled, wording

if TYPE_CHECKING:
    import numpy as np

    from auditkit.attacks._attack import Scene, Wording
    from auditkit.corpora.example import Example

SWAPS = 2
_WORD = re.compile(r"[^\W_]+")
_LEET = str.maketrans("aeiostAEIOST", "431057431057")
_ASKING = ("?", "？", "؟")


def paraphrase(scene: Scene) -> list[Wording]:
    """The bank's carriers, and the corpus's ``paraphrases``, one wording for each place in that list.

    In some corpora the field holds the *answer* in other words, so where the question ends in a question mark, only what
    does so too is taken for a question.
    """
    return [*_carried("paraphrase", bank().paraphrase), *_from_rows("paraphrase", "paraphrases", scene, _asks_alike)]


def translation(scene: Scene) -> list[Wording]:
    """The corpus's ``translations`` of the question, one wording for each place in that list."""
    return _from_rows("translation", "translations", scene, lambda row, text: True)


def cloze() -> list[Wording]:
    """A blank to be filled."""
    return _carried("cloze", bank().cloze)


def role_play() -> list[Wording]:
    """Somebody else is to speak."""
    return _carried("role_play", bank().role_play)


def override() -> list[Wording]:
    """The model is told that what keeps it from answering is void."""
    return _carried("override", bank().override)


def encoded() -> list[Wording]:
    """The question in base64."""

    def put(row: Example) -> str:
        return fill(bank().base64, encoded=base64.b64encode(row.question.encode()).decode())

    return [wording("base64", put)]


def typos(scene: Scene) -> list[Wording]:
    """Spelt otherwise. Left out where nothing changes (a script without case)."""

    spellings: dict[str, Callable[[Example], str]] = {
        "two swaps": lambda row: swapped(row.question, scene.rng("typos", scene.corpus.name, row.id)),
        "lower case": lambda row: row.question.lower(),
        "upper case": lambda row: row.question.upper(),
        "leetspeak": lambda row: row.question.translate(_LEET),
        "spacing": lambda row: _WORD.sub(lambda found: " ".join(found[0]), row.question),
    }
    return [wording(labelled("typos", name), spelling) for name, spelling in spellings.items()]


def swapped(text: str, rng: np.random.Generator) -> str:
    """Two pairs of neighbouring letters or digits swapped, drawn from those that differ; fewer where the text is short."""
    letters = list(text)
    for _ in range(SWAPS):
        places = [place for place in range(len(text) - 1) if _swappable(letters, text, place)]
        if places:
            place = places[int(rng.integers(len(places)))]
            letters[place], letters[place + 1] = letters[place + 1], letters[place]
    return "".join(letters)


def _swappable(letters: Sequence[str], text: str, place: int) -> bool:
    """Two different neighbours of one word, neither of which has moved."""
    first, second = letters[place], letters[place + 1]
    still = first == text[place] and second == text[place + 1]
    return still and first != second and first.isalnum() and second.isalnum()


def trigger_sweep(keys: Sequence[str]) -> list[Wording]:
    """Strings that may bring hidden behaviour back: the bank's, and ``keys``, in front of the question and behind it."""
    triggers = {**bank().trigger_sweep, **{f"key {number}": key for number, key in enumerate(keys, 1)}}
    return [
        wording(labelled("trigger_sweep", f"{name} {where}"), put)
        for name, trigger in triggers.items()
        for where, put in (("in front", _front(trigger)), ("behind", _behind(trigger)))
    ]


def _front(trigger: str) -> Callable[[Example], str]:
    return lambda row: f"{trigger} {row.question}"


def _behind(trigger: str) -> Callable[[Example], str]:
    return lambda row: f"{row.question} {trigger}"


def _carried(family: str, templates: Texts) -> list[Wording]:
    def put(template: str) -> Callable[[Example], str]:
        return lambda row: fill(template, question=row.question)

    return [wording(labelled(family, name), put(template)) for name, template in templates.items()]


def _from_rows(family: str, field: str, scene: Scene, fits: Callable[[Example, str], bool]) -> list[Wording]:
    """One wording for each place in a list field; rows whose list is shorter have none there."""

    def at(place: int) -> Callable[[Example], str | None]:
        return lambda row: next(iter(usable(row)[place : place + 1]), None)

    def usable(row: Example) -> list[str]:
        return [text for text in row.many(field) if text.strip() and fits(row, text)]

    most = max(map(len, map(usable, scene.corpus.examples)), default=0)
    return [wording(labelled(family, f"of the row, {place + 1}"), at(place)) for place in range(most)]


def _asks_alike(row: Example, text: str) -> bool:
    return not _asks(row.question) or _asks(text)


def _asks(text: str) -> bool:
    return text.rstrip().endswith(_ASKING)
