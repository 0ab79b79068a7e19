"""The blind baseline: can members be told from non-members by their text alone, without any model?

Where they can, a membership inference attack may read the text and not the model, and its AUC is no evidence (Das et al.,
2406.16201; Meeus et al., 2406.17975). Words and word pairs, and the form of a text (length, digits, punctuation, capitals,
compressibility) are given to a logistic regression; every row is judged by a fit that has seen no row of its subject.
"""

from __future__ import annotations

import math
import re
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from auditkit.checks._auc import auc

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

FOLDS = 5
MIN_SUBJECTS = 5
"""On each side; with fewer, no fold can hold unseen subjects of both."""
RESAMPLES = 1000
CONFIDENCE = 0.95
_WORD = re.compile(r"\w+|[^\w\s]")


@dataclass(frozen=True)
class Text:
    """A text and whom it is about."""

    subject: str
    text: str


@dataclass(frozen=True)
class Blind:
    """What the text alone gives away."""

    auc: float | None
    """Out-of-fold, 0 to 1; 0.5 is guessing; None where there are too few subjects."""
    lower: float | None
    upper: float | None
    """Two-sided 95 % interval, bootstrap by subject."""
    subjects: tuple[int, int]
    """Of members, of non-members."""

    def objection(self, margin: float) -> str:
        """Why membership scores are not admissible, or ''."""
        if self.auc is None or self.lower is None or self.upper is None:
            few, many = self.subjects
            return (
                f"too few subjects to find out whether members and non-members differ by their text alone "
                f"({few} and {many}; at least {MIN_SUBJECTS} each are needed)"
            )
        found = f"a classifier that sees only the text tells them apart with AUC {self.auc:.2f}"
        interval = f"95% interval {self.lower:.2f} to {self.upper:.2f}"
        if self.lower > 0.5:
            return f"members and non-members differ by their text alone: {found} ({interval})"
        if self.auc > 0.5 + margin:
            return (
                f"members and non-members may differ by their text alone: {found}, more than {0.5 + margin:.2f} ({interval}); "
                "draw them at random from one source, or give more subjects"
            )
        return ""

    def note(self) -> str:
        """What has to be said where there is no objection, or ''."""
        if self.upper is not None and self.upper < 0.5:
            return (
                f"The blind classifier does worse than guessing (AUC {self.auc:.2f}): rows of the two sides come in "
                "near-pairs, or one pool was dealt out between them. What it learns from some subjects fails on others."
            )
        return ""

    def document(self, margin: float) -> dict[str, Any]:
        """JSON for the report."""
        return {
            "auc": self.auc,
            "lower": self.lower,
            "upper": self.upper,
            "margin": margin,
            "admissible": not self.objection(margin),
            "members": self.subjects[0],
            "non_members": self.subjects[1],
            "method": "tf-idf of words and word pairs and form of the text, logistic regression, folds by subject, "
            f"{RESAMPLES} bootstrap resamples by subject",
        }


@lru_cache(maxsize=16)
def blind_baseline(members: tuple[Text, ...], non_members: tuple[Text, ...], seed: int) -> Blind:
    """The baseline of two sets of texts; kept, because it is the same for every model. Independent of the order of texts."""
    members, non_members = _sorted(members), _sorted(non_members)
    counts = (len({text.subject for text in members}), len({text.subject for text in non_members}))
    if min(counts) < MIN_SUBJECTS:
        return Blind(None, None, None, counts)
    import numpy as np

    texts = [*members, *non_members]
    labels = np.array([1] * len(members) + [0] * len(non_members))
    scores = _out_of_fold([text.text for text in texts], labels, [text.subject for text in texts])
    mine, theirs = scores[: len(members)], scores[len(members) :]
    low, high = _interval(_by_subject(mine, members), _by_subject(theirs, non_members), np.random.default_rng(seed))
    return Blind(auc(mine, theirs), low, high, counts)


def _sorted(texts: Sequence[Text]) -> tuple[Text, ...]:
    return tuple(sorted(texts, key=lambda text: (text.subject, text.text)))


def _out_of_fold(texts: list[str], labels: NDArray[np.int64], subjects: list[str]) -> NDArray[np.float64]:
    """Each text's log-odds of being a member, by a classifier fitted without its subject."""
    import numpy as np
    from sklearn.model_selection import StratifiedGroupKFold

    folds = StratifiedGroupKFold(FOLDS, shuffle=True, random_state=0)
    scores = np.full(labels.size, np.nan)
    for train, test in folds.split(texts, labels, subjects):
        model = _classifier()
        model.fit([texts[index] for index in train], labels[train])
        scores[test] = model.decision_function([texts[index] for index in test])
    return scores


def _classifier() -> Any:
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline, make_union
    from sklearn.preprocessing import FunctionTransformer, StandardScaler

    words = TfidfVectorizer(
        ngram_range=(1, 2), sublinear_tf=True, tokenizer=_WORD.findall, token_pattern=None, max_features=20_000
    )
    form = make_pipeline(FunctionTransformer(_form), StandardScaler())
    return make_pipeline(make_union(words, form), LogisticRegression(class_weight="balanced", max_iter=1000))


def _form(texts: Sequence[str]) -> NDArray[np.float64]:
    """Length, and shares of digits, punctuation, capitals, long words, and of the compressed size."""
    import numpy as np

    return np.array([_form_of(text) for text in texts], dtype=np.float64)


def _form_of(text: str) -> list[float]:
    size = max(1, len(text))
    data = text.encode("utf-8", "surrogatepass")
    words = text.split()
    return [
        math.log1p(len(text)),
        sum(character.isdigit() for character in text) / size,
        sum(not character.isalnum() and not character.isspace() for character in text) / size,
        sum(character.isupper() for character in text) / size,
        sum(map(len, words)) / max(1, len(words)),
        len(zlib.compress(data)) / max(1, len(data)),
    ]


def _by_subject(scores: NDArray[np.float64], texts: Sequence[Text]) -> list[NDArray[np.float64]]:
    import numpy as np

    rows: dict[str, list[float]] = {}
    for score, text in zip(scores, texts, strict=True):
        rows.setdefault(text.subject, []).append(float(score))
    return [np.array(of_one) for of_one in rows.values()]


def _interval(
    mine: list[NDArray[np.float64]], theirs: list[NDArray[np.float64]], rng: np.random.Generator
) -> tuple[float, float]:
    """Percentile bootstrap of the AUC, both sides resampled by subject."""
    import numpy as np

    def draw(side: list[NDArray[np.float64]]) -> NDArray[np.float64]:
        return np.concatenate([side[index] for index in rng.integers(len(side), size=len(side))])

    found = [auc(draw(mine), draw(theirs)) for _ in range(RESAMPLES)]
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(found, [tail, 1 - tail])
    return float(low), float(high)
