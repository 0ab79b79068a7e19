"""Is an answer language at all? Empty and looping outputs, and the n-gram entropy of a text."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise

_TOKEN = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]|[^\W_]+|[^\w\s]|_+")
_LOOP = re.compile(r"(.{1,8}?)\1{7,}", re.DOTALL)


def tokens_of(text: str) -> list[str]:
    """Words, punctuation marks, and single characters of scripts that put no space between words; lower case."""
    return _TOKEN.findall(text.casefold())


def is_empty(text: str) -> bool:
    """No letter and no digit."""
    return not any(character.isalnum() for character in text)


def repetition(text: str) -> float:
    """How much of a text repeats itself, 0 (nothing) to 1: the larger of two shares.

    The share of bigrams that occurred before, and the share of characters in runs of a unit of up to eight characters that
    is repeated eight times or more (which words cannot see).
    """
    pairs = list(pairwise(tokens_of(text)))
    repeated = 1 - len(set(pairs)) / len(pairs) if pairs else 0.0
    looped = sum(len(match[0]) for match in _LOOP.finditer(text)) / len(text) if text else 0.0
    return max(repeated, looped)


def is_degenerate(text: str, *, max_repetition: float) -> bool:
    """Empty, or repeating itself beyond the limit."""
    return is_empty(text) or repetition(text) > max_repetition


def ngram_entropy(text: str) -> float:
    """RWKU's fluency: (2/3 H2 + 4/3 H3) / 2 in bits, >= 0, higher is more varied; H_n is the entropy of the n-grams.

    RWKU splits words with NLTK and reports a hundredfold.
    """
    words = tokens_of(text)
    return (2 / 3 * _entropy(words, 2) + 4 / 3 * _entropy(words, 3)) / 2


def _entropy(words: Sequence[str], n: int) -> float:
    counts = Counter(tuple(words[i : i + n]) for i in range(len(words) - n + 1)).values()
    total = sum(counts)
    return -math.fsum(count / total * math.log2(count / total) for count in counts) + 0.0 if total else 0.0
