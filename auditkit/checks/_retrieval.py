"""Ranking passages by TF-IDF: a retriever that needs no model."""

from __future__ import annotations

import re
from collections.abc import Sequence

TOP = 200
"""Passages kept per query."""
_AT_ONCE = 256
_WORD = re.compile(r"\w+|[^\w\s]")


def ranked(passages: Sequence[str], queries: Sequence[str]) -> list[list[int]]:
    """Per query the indices of the passages most like it (cosine of TF-IDF), best first, equal ones in the given order."""
    import numpy as np
    from sklearn.feature_extraction.text import TfidfVectorizer

    if not passages or not queries:
        return [[] for _ in queries]
    vectorizer = TfidfVectorizer(tokenizer=_WORD.findall, token_pattern=None, sublinear_tf=True)
    stored = vectorizer.fit_transform(passages).T
    found: list[list[int]] = []
    for start in range(0, len(queries), _AT_ONCE):
        likeness = (vectorizer.transform(queries[start : start + _AT_ONCE]) @ stored).toarray()
        # Rounded, so that the order does not hang on the last bit of a sum.
        order = np.argsort(-likeness.round(9), axis=1, kind="stable")[:, :TOP]
        found += [[int(index) for index in row] for row in order]
    return found
