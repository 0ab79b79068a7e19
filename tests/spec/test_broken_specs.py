from __future__ import annotations

from pathlib import Path

import pytest
import yaml

CASES = yaml.safe_load((Path(__file__).parent / "broken_specs.yaml").read_text(encoding="utf-8"))


def test_the_good_spec_loads(load, good):
    assert load(good).spec.title == "Release gate"


@pytest.mark.parametrize("case", CASES, ids=[case["says"][:60] for case in CASES])
def test_one_fault_is_one_line_with_its_place(case, good, faults):
    assert case["replace"] in good
    assert faults(good.replace(case["replace"], case["by"], 1)) == [f"spec.yaml{case['says']}"]


def test_there_are_enough_cases_and_no_two_alike():
    assert len(CASES) >= 40
    assert len({(case["replace"], case["by"]) for case in CASES}) == len(CASES)


def test_all_faults_at_once_in_the_order_of_the_text(good, faults):
    broken = (
        good.replace("intent: removal", "intent: remove")
        .replace("at_most: reference", "at_mots: reference")
        .replace("confidence: 0.95", "confidence: 1e-1, resample: no")
    )
    assert faults(broken) == [
        "spec.yaml:3:9: intent: must be removal or suppression; got 'remove'; did you mean 'removal'?",
        "spec.yaml:16:5: require.0.at_mots: unknown field; did you mean 'at_most'?",
        "spec.yaml:20:22: decide.confidence: must be a number; got the text '1e-1'; "
        "YAML reads 1e-1 as text; write 1.0e-1 or 0.1",
        "spec.yaml:20:28: decide.resample: unknown field; did you mean 'resamples'?",
        "spec.yaml:20:38: decide.resample: must be true or false, or text in quotes; got no, which YAML reads as false; "
        'write "no" for the text, false for the choice',
    ]


def test_names_that_lead_nowhere_are_all_reported(good, faults):
    broken = good.replace("corpus: forget}", "corpus: forgot}").replace("reference + 0.05", "referense + 0.05")
    assert [line.split(": ")[1] for line in faults(broken)] == ["targets.0.corpus", "require.0.at_most"]


def test_no_more_than_fifty_faults_are_listed(good, faults):
    found = faults(good + "".join(f"surplus_{index}: 1\n" for index in range(80)))
    assert len(found) == 51
    assert found[-1] == "and 30 more faults"


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "spec.yaml: must hold a spec; got an empty file; `auditkit init` writes a spec to start from"),
        (b"# nothing\n", "spec.yaml: must hold a spec; got an empty file; `auditkit init` writes a spec to start from"),
        (b"- a\n", "spec.yaml:1:1: must be a mapping of fields (key: value); got a list"),
        (b"hello\n", "spec.yaml:1:1: must be a mapping of fields (key: value); got one value"),
        (b"title: x\nname: caf\xe9\n", "spec.yaml:2:10: must be UTF-8; got the byte 0xe9; save the file as UTF-8"),
        ("title: x".encode("utf-16"), "spec.yaml:1:1: must be UTF-8; got the byte 0xff; save the file as UTF-8"),
        (b"a: 1\n" * 200_001, "spec.yaml: must be at most 1,000,000 bytes; got more"),
        (b"a: [" + b"1," * 100_001 + b"]", "spec.yaml:1:199999: must have at most 100,000 values; got more"),
    ],
    ids=["empty", "comments", "list", "scalar", "latin-1", "utf-16", "too large", "too many values"],
)
def test_a_file_that_is_no_spec(content, says, faults):
    assert faults(content) == [says]


def test_a_file_that_is_not_there(tmp_path, monkeypatch):
    from auditkit.errors import SpecError
    from auditkit.spec.load import load_spec

    monkeypatch.chdir(tmp_path)
    with pytest.raises(SpecError, match=r"^nothing.yaml: must be a file; got nothing there; `auditkit init` writes"):
        load_spec(Path("nothing.yaml"))
    with pytest.raises(SpecError, match="must be a file; got a folder"):
        load_spec(tmp_path)
    with pytest.raises(SpecError, match="NUL"):
        load_spec(Path("a\0b"))


WAIVER = """\
waivers:
  - requirement: utility is kept
    justification: accepted
    approver: A. Person
    approved_on: {approved}
    expires_on: {expires}
"""


@pytest.mark.parametrize(
    ("approved", "expires", "says"),
    [
        (
            "2026-01-01",
            '"2026-02-01"',
            "spec.yaml:25:18: waivers.0.approved_on: must be text in quotes; got 2026-01-01, which YAML reads as a date; "
            'write "2026-01-01"',
        ),
        (
            '"1 May"',
            '"2026-02-01"',
            "spec.yaml:25:18: waivers.0.approved_on: must be a date in quotes, such as \"2026-11-24\"; got '1 May'",
        ),
        (
            "20260101",
            '"2026-02-01"',
            'spec.yaml:25:18: waivers.0.approved_on: must be a date in quotes, such as "2026-11-24"; got 20260101',
        ),
        (
            '"2026-02-30"',
            '"2026-03-01"',
            "spec.yaml:25:18: waivers.0.approved_on: must be a date in quotes, such as \"2026-11-24\"; got '2026-02-30'",
        ),
        (
            '"2026-03-01"',
            '"2026-02-01"',
            "spec.yaml:22:5: waivers.0: expires_on must not be before approved_on; got 2026-02-01 before 2026-03-01",
        ),
    ],
)
def test_dates_of_waivers(approved, expires, says, good, faults):
    assert faults(good + WAIVER.format(approved=approved, expires=expires)) == [says]


def test_a_waiver_of_nothing(good, faults):
    waiver = WAIVER.format(approved='"2026-01-01"', expires='"2026-02-01"')
    assert faults(good + waiver.replace("is kept", "was kept")) == [
        "spec.yaml:22:18: waivers.0.requirement: unknown requirement 'utility was kept'; did you mean 'utility is kept'?"
    ]


def test_a_waiver_may_name_a_requirement_by_its_default_name(good, load):
    waiver = WAIVER.format(approved='"2026-01-01"', expires='"2026-02-01"')
    assert load(good + waiver.replace("utility is kept", "verbatim memorization on forget"))
