from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditkit.spec.bounds import BOUND_PATTERN, Bound, parse_bound


@pytest.mark.parametrize(
    ("text", "bound"),
    [
        (0.5, Bound(0.5)),
        (-5, Bound(-5.0)),
        ("0.5", Bound(0.5)),
        (" -5 ", Bound(-5.0)),
        ("reference", Bound(0.0, "reference")),
        ("reference + 0.05", Bound(0.05, "reference")),
        ("reference+0.05", Bound(0.05, "reference")),
        ("reference - 0.05", Bound(-0.05, "reference")),
        ("reference-0.05", Bound(-0.05, "reference")),
        ("0.95 * original", Bound(0.0, "original", 0.95)),
        ("0.95*original", Bound(0.0, "original", 0.95)),
        ("2 * v_1 - 0.1", Bound(-0.1, "v_1", 2.0)),
        (Bound(1.0), Bound(1.0)),
    ],
)
def test_what_the_grammar_reads(text, bound):
    assert parse_bound(text) == bound


@pytest.mark.parametrize(
    "value",
    [
        "",
        "reference +",
        "reference 0.05",
        "reference + original",
        "reference * 0.95",
        "0.95 original",
        "-reference",
        "1 + reference",
        "reference + -0.05",
        "reference ** 2",
        "__import__('os')",
        "reference + 1e-3",
        "1e-3",
        ".5",
        "٣",
        "acme-7b + 0.1x",
        "reference + 0.05; drop",
        "9" * 201,
        float("nan"),
        float("inf"),
        10**400,
        True,
        False,
        None,
        [1],
        {"a": 1},
    ],
)
def test_everything_else_is_refused_in_words(value):
    with pytest.raises(ValueError, match=r"^must be"):
        parse_bound(value)


finite = st.floats(allow_nan=False, allow_infinity=False)
names = st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,10}", fullmatch=True)


@given(finite)
def test_a_number_prints_as_what_it_reads(number):
    assert parse_bound(number).offset == number
    if len(str(parse_bound(number))) <= 200:
        assert parse_bound(str(parse_bound(number))) == parse_bound(number)


@given(st.builds(Bound, st.floats(-1e6, 1e6).map(lambda x: x + 0.0), names, st.floats(0, 1e6)))
def test_a_relative_bound_prints_as_what_it_reads(bound):
    text = str(bound)
    if len(text) <= 200:
        assert parse_bound(text) == bound
        assert re.match(BOUND_PATTERN, text)


@given(st.text(max_size=30))
def test_the_pattern_of_the_schema_and_the_parser_agree(text):
    try:
        parse_bound(text)
        accepted = True
    except ValueError:
        accepted = False
    assert accepted == bool(re.match(BOUND_PATTERN, text))
