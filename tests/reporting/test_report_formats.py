import re
from xml.etree import ElementTree

import pytest

from auditkit.errors import UserError
from auditkit.evidence.results import BoundDoc
from auditkit.reporting import FORMATS, Report, github_annotations, render_all
from auditkit.reporting.formats.summary import escape
from auditkit.reporting.github import command
from auditkit.reporting.terminal import render_terminal
from tests.reporting.sample_results import HOSTILE, TEXTS, WAIVER, hostile, passing, requirement, results, values


def _junit(found) -> ElementTree.Element:
    return ElementTree.fromstring(FORMATS.get("junit").render(Report(found)).encode())


def _outcomes(found) -> dict[str, str]:
    return {
        case.get("name"): next((child.tag for child in case if child.tag != "properties"), "passed")
        for case in _junit(found).iter("testcase")
    }


def test_formats_are_found_by_name_and_write_their_files() -> None:
    assert FORMATS.names() == ("html", "junit", "summary")
    with pytest.raises(UserError, match="did you mean 'junit'"):
        FORMATS.get("junti")
    files = render_all(results(), values())
    assert list(files) == ["report.html", "junit.xml", "summary.md"]


def test_junit_follows_the_table() -> None:
    assert _outcomes(results()) == {
        "verdict": "failure",
        "no verbatim recall of the forget set": "passed",
        "members cannot be told from non-members": "failure",
        "hints do not bring the facts back": "failure",
        "general knowledge is kept": "passed",
        "leakage stays between −5 and 5": "error",
        "no answer comes out of the deleted records": "skipped",
        "the check that broke": "skipped",
        "not asked this time": "skipped",
        "chat probe": "skipped",
        "answer probability, for the reader": "passed",
    }


def test_junit_counts_what_it_holds() -> None:
    suite = _junit(results()).find("testsuite")
    given = {name: int(suite.get(name)) for name in ("tests", "failures", "errors", "skipped")}
    assert given == {"tests": 11, "failures": 3, "errors": 1, "skipped": 4}


def test_a_required_error_is_an_error_and_an_advisory_failure_does_not_redden() -> None:
    rows = [requirement(1, name="a", result="error"), requirement(2, name="b", result="fail", level="advisory")]
    assert _outcomes(results(rows, verdict="INCOMPLETE")) == {"verdict": "error", "a": "error", "b": "skipped"}


@pytest.mark.parametrize(
    ("verdict", "outcome"),
    [("PASS", "passed"), ("PASS WITH EXCEPTIONS", "passed"), ("FAIL", "failure"), ("INCOMPLETE", "error")],
)
def test_the_stored_verdict_is_a_case_of_its_own(verdict: str, outcome: str) -> None:
    assert _outcomes(results([], verdict=verdict))["verdict"] == outcome


def test_a_waiver_that_does_not_apply_leaves_the_failure() -> None:
    row = requirement(name="a", result="fail", waiver=WAIVER.model_copy(update={"state": "expired"}))
    assert _outcomes(results([row]))["a"] == "failure"


def test_junit_parses_whatever_the_text_and_keeps_control_characters_out() -> None:
    text = FORMATS.get("junit").render(Report(hostile()))
    root = ElementTree.fromstring(text.encode())
    assert not re.search(r"[\x00-\x08\x0b\x0c\x0e-\x1f\u202e]", text)
    assert "<script>" in root.find("testsuite").get("name")


def test_summary_holds_verdict_rows_and_steps() -> None:
    text = FORMATS.get("summary").render(Report(results(), {}, TEXTS))
    assert text.startswith("## FAIL: Release gate for acme-7b after deletion request 2026-114\n")
    assert "| members cannot be told from non-members | Fail | 0.660 &#91;0.612, 0.708&#93; | at most 0.6 | 128 rows |" in text
    assert "1. leakage stays between −5 and 5: Extend the corpus to at least 410 subjects (now 64)" in text
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert len(rows) == 12
    assert all(line.count("|") == 6 for line in rows)


def test_summary_lets_no_markup_through() -> None:
    text = FORMATS.get("summary").render(Report(hostile()))
    assert not re.search(r"<\w|`|\]\(|\x1b|\u202e|://|(?<!\w)@", text)
    assert all(line.count("|") == 6 for line in text.splitlines() if line.startswith("|"))
    assert not any(line.startswith("::") for line in text.splitlines())


@pytest.mark.parametrize(
    ("text", "escaped"),
    [
        ("=cmd()", "'=cmd()"),
        ("@team", "'&#64;team"),
        ("-5", "'-5"),
        ("a|b", "a&#124;b"),
        ("`code` <b>", "&#96;code&#96; &#60;b&#62;"),
        ("[x](y)", "&#91;x&#93;(y)"),
        ("http://a www.b", "http&#58;//a www&#46;b"),
        ("two\nlines", "two lines"),
        ("&lt;", "&#38;lt;"),
    ],
)
def test_markdown_escaping(text: str, escaped: str) -> None:
    assert escape(text) == escaped


def test_workflow_commands_cannot_be_forged() -> None:
    assert command("error", "50%\r\n::error::x", file="a:b,c.yaml", line=3, title="t\n") == (
        "::error file=a%3Ab%2Cc.yaml,line=3,title=t%0A::50%25%0D%0A::error::x"
    )
    lines = github_annotations(hostile(), "spec.yaml").splitlines()
    assert len(lines) == 1
    assert lines[0].startswith("::error file=spec.yaml,line=31,title=Fail%3A ")


def test_annotations_name_what_stands_in_the_way() -> None:
    found = github_annotations(results(), "spec.yaml").splitlines()
    assert [line.split(" ")[0] for line in found] == ["::error", "::error", "::warning", "::notice", "::notice", "::notice"]
    assert github_annotations(passing(), "spec.yaml") == ""


@pytest.mark.parametrize("found", [results(), hostile(), passing(30), results([], verdict="INCOMPLETE")])
def test_the_table_fits_100_columns_and_ends_with_the_verdict(found) -> None:
    lines = render_terminal(found).splitlines()
    assert max(map(len, lines)) <= 100
    assert any(line.startswith(f"{found.verdict}: ") for line in lines)
    assert "\x1b" not in render_terminal(found)


def test_the_table_shows_value_interval_bound_and_sample() -> None:
    text = " ".join(render_terminal(passing()).split())
    for part in (
        "no verbatim recall",
        "Pass",
        "0.141",
        "[0.121, 0.161]",
        "at most reference",
        "64 subjects",
        "PASS: The required",
    ):
        assert part in text


def test_data_cannot_style_the_terminal() -> None:
    row = requirement(name="[red]boo[/red] \x1b[31m", bound=BoundDoc(text="[link=http://x]y[/link]"))
    plain = render_terminal(results([row]))
    assert "[red]boo[/red]" in plain
    coloured = render_terminal(results([row]), colour=True)
    assert "\x1b[31m boo" not in coloured
    assert "\\u{1b}" in " ".join(plain.split())


def test_every_format_prints_the_one_stored_verdict() -> None:
    for verdict in ("PASS", "FAIL", "INCOMPLETE", "PASS WITH EXCEPTIONS"):
        found = results([requirement()], verdict=verdict, summary="One sentence.")
        files = render_all(found, {}, TEXTS)
        assert f"<span>{verdict}</span></p>" in files["report.html"]
        assert files["summary.md"].startswith(f"## {verdict}: ")
        assert f"\n{verdict}: One sentence." in render_terminal(found)
        assert _junit(found).find("testsuite/testcase").get("name") == "verdict"


def test_hostile_text_is_hostile() -> None:
    assert "\x0b" in HOSTILE
    assert "\u202e" in HOSTILE
