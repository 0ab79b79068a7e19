"""Stop strings in a growing output."""

from __future__ import annotations

from collections.abc import Callable, Sequence

_SLACK_TOKENS = 4
"""Bytes of one character may be spread over as many tokens."""


class Stopper:
    """Says when one row's output holds a stop string. Only the end of the output is decoded each time."""

    def __init__(self, stop: Sequence[str], decode: Callable[[Sequence[int]], str]) -> None:
        self._stop = tuple(word for word in stop if word)
        self._decode = decode
        longest = max((len(word.encode()) for word in self._stop), default=0)
        self._tail = longest + _SLACK_TOKENS
        """A token adds at least one byte, so a stop string that has just ended lies in so many tokens."""

    def reached(self, tokens: Sequence[int]) -> bool:
        """A stop string ends in the last token."""
        if not self._stop:
            return False
        text = self._decode(tokens[-self._tail :])
        return any(word in text for word in self._stop)


def cut_at_stop(text: str, stop: Sequence[str]) -> str:
    """The text before the first stop string."""
    found = [text.find(word) for word in stop if word]
    return text[: min((place for place in found if place >= 0), default=len(text))]
