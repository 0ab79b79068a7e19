"""ROUGE-L, by the rouge-score package."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache
from typing import Any, Literal

Measure = Literal["f1", "recall"]


@cache
def _scorer(stem: bool) -> Any:
    from rouge_score.rouge_scorer import RougeScorer

    return RougeScorer(["rougeL"], use_stemmer=stem)


@cache
def _tokenizer() -> Any:
    from rouge_score.tokenizers import DefaultTokenizer

    return DefaultTokenizer(False)


def rouge_l(prediction: str, target: str, *, measure: Measure, stem: bool) -> float:
    """ROUGE-L of a prediction against a target, 0 to 1, higher is more alike (Lin 2004; rouge-score 0.1.2).

    rouge-score sees only a-z and 0-9. A target without any (another script, punctuation alone) cannot be matched by any
    prediction, so its score would be 0 whatever the model says: NaN is returned instead.
    """
    if not _tokenizer().tokenize(target):
        return math.nan
    score = _scorer(stem).score(target, prediction)["rougeL"]
    return float(score.fmeasure if measure == "f1" else score.recall)


def best_rouge_l(prediction: str, targets: Sequence[str], *, measure: Measure, stem: bool) -> float:
    """The best match among several right answers; NaN where one of them cannot be matched and none is matched fully."""
    scores = [rouge_l(prediction, target, measure=measure, stem=stem) for target in targets]
    if 1.0 in scores:
        return 1.0
    return math.nan if not scores or any(math.isnan(score) for score in scores) else max(scores)
