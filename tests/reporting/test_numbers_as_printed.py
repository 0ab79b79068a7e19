import pytest

from auditkit.evidence.results import BoundDoc, EstimateDoc
from auditkit.reporting._numbers import (
    bound_here,
    in_cell,
    in_words,
    interval,
    number,
    observed,
    plain,
    sample,
    signed,
    unbroken,
    utc,
)


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (None, "fraction", "not measured"),
        (0.0, "fraction", "0.000"),
        (-0.0, "fraction", "0.000"),
        (0.03149, "fraction", "0.031"),
        (-0.25, "fraction", "−0.250"),
        (3.2e-12, "p-value", "3.2e−12"),
        (-4.25, "percent", "−4.2%"),
        (-0.01, "percent", "0.0%"),
        (12.34, "points", "12.3"),
        (123456.0, "nats", "1.235e+05"),
    ],
)
def test_number(value: float | None, unit: str, text: str) -> None:
    assert number(value, unit) == text


def test_intervals_and_open_ends() -> None:
    assert interval(EstimateDoc(value=0.1, lower=0.05, upper=0.2)) == "[0.050, 0.200]"
    assert interval(EstimateDoc(value=0.1, upper=0.2)) == "[…, 0.200]"
    assert interval(EstimateDoc(value=0.1)) == ""
    assert observed(EstimateDoc()) == "not measured"
    assert signed(0.1) == "+0.100"
    assert signed(-0.1) == "−0.100"
    assert signed(None) == "not measured"


def test_samples_name_their_unit() -> None:
    assert sample(EstimateDoc(n=1, rows=1)) == "1 subject"
    assert sample(EstimateDoc(n=64, rows=512)) == "64 subjects, 512 values"
    assert sample(EstimateDoc(n=512, rows=512, unit="row")) == "512 rows"


def test_relative_bounds_are_given_on_the_scale_of_the_metric() -> None:
    assert (
        bound_here(BoundDoc(text="at most reference + 0.05", model="reference", upper=0.05, upper_value=0.182))
        == "0.182 as measured"
    )
    assert bound_here(BoundDoc(text="at most 0.05", upper=0.05, upper_value=0.05)) == ""
    assert bound_here(BoundDoc(text="at most reference", model="reference", upper=0.0)) == ""


def test_scale_ends_and_moments() -> None:
    assert (plain(-100.0), plain(1.0)) == ("−100", "1")
    assert utc("2026-11-24T09:21:42+00:00") == "2026-11-24 09:21:42 UTC"
    assert utc("2026-11-24T09:21:42+01:00") == "2026-11-24T09:21:42+01:00"


def test_a_cell_does_not_break_within_an_interval() -> None:
    assert in_cell(EstimateDoc(value=0.1, lower=0.05, upper=0.2)) == "0.100 [0.050,\u00a00.200]"
    assert in_cell(None) == in_cell(EstimateDoc()) == "not measured"
    assert unbroken("from [1, 2] to [3, 4], later") == "from [1,\u00a02] to [3,\u00a04], later"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (True, "yes"),
        (None, "none"),
        (0.5, "0.500"),
        (3, "3"),
        ([1, 2], "1, 2"),
        ([], "none"),
        (list(range(9)), "9 values"),
        ([{"a": 1}], "1 values"),
        ({"b": 1, "a": "x"}, '{"a":"x","b":1}'),
    ],
)
def test_json_values_in_words(value: object, text: str) -> None:
    assert in_words(value) == text
