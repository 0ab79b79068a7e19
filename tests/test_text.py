import hashlib
import itertools
import re

import pytest

from auditkit.text import keyed_digest, one_line, redact, visible


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain ASCII", "plain ASCII"),
        ("Zoë, 東京, naïve 🙂", "Zoë, 東京, naïve 🙂"),
        ("a\u202eb", "a\\u{202e}b"),
        ("a\u200bb\u200d", "a\\u{200b}b\\u{200d}"),
        ("\x1b[31mred", "\\u{1b}[31mred"),
        ("\x00\x0b\r", "\\u{0}\\u{b}\\u{d}"),
        ("tab\tand\nline", "tab\tand\nline"),
        ("\u2066isolated\u2069", "\\u{2066}isolated\\u{2069}"),
        ("\ufeffmark", "\\u{feff}mark"),
        ("\ud800", "\\u{d800}"),
        ("\ue000", "\\u{e000}"),
        ("\U000e0041", "\\u{e0041}"),
        ("\u2028", "\\u{2028}"),
        ("\u3164\u2800", "\\u{3164}\\u{2800}"),
        ("x\ufe0f", "x\\u{fe0f}"),
        ("\U0010ffff", "\\u{10ffff}"),
    ],
)
def test_what_hides_or_reorders_is_shown(text: str, shown: str) -> None:
    assert visible(text) == shown


def test_long_text_is_cut_and_says_by_how_much() -> None:
    assert visible("a" * 12, 5) == "aaaaa… [7 more characters]"
    assert visible("a" * 5, 5) == "aaaaa"


def test_one_line_folds_white_space() -> None:
    assert one_line("  a\r\n\tb \u2028 c\n") == "a b c"


def test_redaction_gives_length_and_a_keyed_digest() -> None:
    text = "Basil Mahfouz Al-Kuwaiti was born."
    shown = redact(text, b"key")
    assert re.fullmatch(r"\[redacted: 34 characters, [0-9a-f]{12}\]", shown)
    assert shown == redact(text, b"key")
    assert shown != redact(text, b"another key")
    assert redact("x", b"key").startswith("[redacted: 1 character, ")


def test_a_plain_digest_is_found_by_guessing_and_a_keyed_one_is_not() -> None:
    """Why redaction is keyed: a few thousand guesses give a name away where the digest is plain."""
    firsts = ["Ada", "Basil", "Carmen", "Dmitri", "Elena", "Farid", "Grace", "Hiro"]
    lasts = ["Lovelace", "Mahfouz", "Silva", "Ivanov", "Rossi", "Haddad", "Hopper", "Tanaka"]
    guesses = [f"{first} {last}" for first, last in itertools.product(firsts, lasts)]
    secret = "Farid Haddad"
    published = hashlib.sha256(secret.encode()).hexdigest()
    assert [g for g in guesses if hashlib.sha256(g.encode()).hexdigest() == published] == [secret]
    keyed = redact(secret, b"a key that stays outside the bundle")
    for guess in guesses:
        for tried in (hashlib.sha256(guess.encode()).hexdigest(), keyed_digest(guess, b""), keyed_digest(guess, b"guess")):
            assert tried[:12] not in keyed


def test_surrogates_can_be_digested() -> None:
    assert len(keyed_digest("\ud800", b"k")) == 16
