"""Untrusted text made fit to print, forget text made unreadable, and answers made comparable."""

from __future__ import annotations

import hashlib
import hmac
import re
import unicodedata

_HIDDEN_CATEGORIES = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
_KEPT = frozenset("\t\n")
_BLANK = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0")
"""Letters and marks that draw nothing, in categories that otherwise do."""
_DIGEST_HEX = 16
_SHOWN_HEX = 12
_SEPARATORS = re.compile(r"[\W_]+")
_LONG_ENOUGH = 5


def visible(text: str, limit: int = 4000) -> str:
    r"""The text with every character that hides or reorders others shown as ``\u{202e}``, cut to ``limit`` characters.

    Shown are control, format, bidirectional, zero-width, surrogate, private-use and unassigned characters, line and paragraph
    separators, variation selectors and blank letters. Tab and newline stay; ``one_line`` folds them.
    """
    cut = text[:limit]
    if not cut.isprintable() or not cut.isascii():
        cut = "".join(_shown(char) for char in cut)
    return cut if len(text) <= limit else f"{cut}… [{len(text) - limit} more characters]"


def one_line(text: str, limit: int = 4000) -> str:
    """Like ``visible``, with each run of white space folded to one space."""
    return visible(" ".join(text.split()), limit)


def _shown(char: str) -> str:
    hidden = unicodedata.category(char) in _HIDDEN_CATEGORIES and char not in _KEPT
    return f"\\u{{{ord(char):x}}}" if hidden or char in _BLANK or _selects_variation(char) else char


def _selects_variation(char: str) -> bool:
    return "\ufe00" <= char <= "\ufe0f" or "\U000e0100" <= char <= "\U000e01ef"


def keyed_digest(text: str, key: bytes) -> str:
    """HMAC-SHA256 of a text under the audit's secret key, cut to 64 bits of hex."""
    return hmac.new(key, text.encode("utf-8", "surrogatepass"), hashlib.sha256).hexdigest()[:_DIGEST_HEX]


def redact(text: str, key: bytes) -> str:
    """``[redacted: 34 characters, 9f3a02c77b1e]``: the length and a keyed digest, equal for equal texts of one audit.

    Keyed, because a plain digest of a name or a short sentence is found by hashing guesses.
    """
    unit = "character" if len(text) == 1 else "characters"
    return f"[redacted: {len(text)} {unit}, {keyed_digest(text, key)[:_SHOWN_HEX]}]"


def normalised(text: str) -> str:
    """Compatibility form, case folded, anything but letters and digits as one space."""
    return _SEPARATORS.sub(" ", unicodedata.normalize("NFKC", text).casefold()).strip()


def stands_in(answer: str, passage: str) -> bool:
    """Both ``normalised``, the answer not empty: it stands there as whole words, or from five characters on as a part of a word
    (some scripts have no spaces)."""
    return f" {answer} " in f" {passage} " or (len(answer) >= _LONG_ENOUGH and answer in passage)


def states(passage: str, answer: str) -> bool:
    """Whether the answer ``stands_in`` the passage; one without letters and digits is looked for as it is written."""
    wanted = normalised(answer)
    if not wanted:
        return bool(answer.strip()) and answer.strip() in passage
    return stands_in(wanted, normalised(passage))
