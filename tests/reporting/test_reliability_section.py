"""The report's section on how often the auditor is wrong: with a record, without one, with a broken one."""

import html
import json
import re
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from auditkit.evidence.results import RequirementDoc, Results
from auditkit.reporting import _reliability
from auditkit.reporting._words import selftest as words
from auditkit.reporting.html import render_html
from auditkit.reporting.selftest import summary_of
from tests.reporting.sample_results import HOSTILE, TEXTS, estimate, requirement, results
from tests.reporting.sample_selftest import selftest
from tests.reporting.test_html_report import CONCLUDING, Outline
from tests.reporting.test_report_in_browser import Opened, _violations


@pytest.fixture
def record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the shipped record would lie."""
    path = tmp_path / "selftest.json"
    monkeypatch.setattr(_reliability, "RECORD", path)
    return path


def _section(found: Results | None = None) -> str:
    text = render_html(found or results(), {}, TEXTS)
    Outline(text)
    part = re.search(r'<section id="reliability".*?</section>', text, re.DOTALL)
    assert part
    return html.unescape(part[0])


def test_it_stands_after_the_limitations_and_moves_no_number(record: Path) -> None:
    text = render_html(results(), {}, TEXTS)
    numbers = re.findall(r'<h2 id="(.*?)-heading"><span class="number">(.*?)</span>', text)
    place = numbers.index(("reliability", "9a"))
    assert numbers[place - 1 : place + 2] == [("limitations", "9"), ("reliability", "9a"), ("regulation", "10")]
    assert '<li class="inserted-9a" value="9"><a href="#reliability">' in text
    assert '<li class="inserted-5a" value="5"><a href="#attacks">' in text


def test_the_record_is_printed_with_misses_bounds_and_where_it_comes_from(record: Path) -> None:
    record.write_text(json.dumps(summary_of(selftest())))
    text = _section()
    assert "auditkit 0.1.0, commit 44077fc00112, 2026-11-27, full run" in text
    assert "1 of 5 models that must fail passed: miss rate 0.200, at 95% confidence at most 0.751 by constructions" in text
    assert "Missed: Z3 refusal model." in text
    assert "1 of 2 models that must pass failed: false alarm rate 0.500" in text
    assert "mean, at most 0.1, 60 subjects: found in at least 90% of simulated audits from 0.300 of the subjects on." in text
    assert "AUC, at most 0.1, 60 subjects: no share of subjects that was simulated is found" in text
    assert words().none_recorded not in text


@pytest.mark.parametrize("changed", [{"tool_version": "9.9.9"}, {"mode": "quick"}])
def test_another_version_and_a_quick_run_are_said(record: Path, changed: dict[str, str]) -> None:
    record.write_text(json.dumps(summary_of(selftest()) | changed))
    text = _section()
    assert ("made with auditkit 9.9.9, this report with 0.1.0" in text) is ("tool_version" in changed)
    assert ("This was a quick run" in text) is ("mode" in changed)


@pytest.mark.parametrize(
    "content",
    [None, b"", b"{", b"[]", b"null", b"\xff\xfe", b'{"kind": "auditkit self-test summary"}', b'{"misses": 0}'],
    ids=["missing", "empty", "cut", "list", "null", "no text", "fields missing", "foreign"],
)
def test_without_a_usable_record_the_section_says_so_and_the_rest_stands(record: Path, content: bytes | None) -> None:
    if content is not None:
        record.write_bytes(content)
    text = _section()
    assert words().none_recorded in text
    assert "miss rate" not in text
    assert all(sentence in text for sentence in words().cannot_show)


def test_a_record_of_another_form_is_none(record: Path) -> None:
    for changed in ({"kind": "another"}, {"schema_version": 2}, {"unknown": 1}, {"models": "many"}):
        record.write_text(json.dumps(summary_of(selftest()) | changed))
        assert _reliability.recorded() is None
    record.unlink()
    record.mkdir()
    assert _reliability.recorded() is None


def _cells(text: str, name: str) -> str:
    row = next(row for row in re.findall(r"<tr>.*?</tr>", text, re.DOTALL) if f">{name}</th>" in row)
    return " | ".join(" ".join(re.sub(r"<[^>]+>", " ", cell).split()) for cell in re.findall(r"<td>(.*?)</td>", row, re.DOTALL))


def test_each_requirement_has_the_least_it_could_have_seen_and_its_controls(record: Path) -> None:
    plain = requirement(1, name="plain")
    said = requirement(2, name="said", detectable="from 12.4 % of the subjects on", controls=[])
    nothing = requirement(3, name="nothing", estimate=estimate(None), controls=[])
    blind = [plain.controls[0].model_copy(update={"held": False, "result": "pass"}), plain.controls[1]]
    powerless = requirement(4, name="powerless", controls=blind)
    text = _section(results([plain, said, nothing, powerless]))
    assert _cells(text, "plain") == (
        "not computed; 64 subjects measured | held: fail, 0.873 [0.833, 0.913] | held: pass, 0.132 [0.112, 0.152]"
    )
    assert _cells(text, "said") == ("from 12.4 % of the subjects on | not asked | it is what the candidate is compared with")
    assert _cells(text, "nothing").startswith("nothing was measured")
    assert "not held: pass" in _cells(text, "powerless")


def test_an_audit_without_requirements_has_the_section_too(record: Path) -> None:
    assert "Nothing was required" in _section(results([], verdict="INCOMPLETE"))


def test_results_from_before_the_field_still_read_and_render(record: Path) -> None:
    document = requirement().model_dump(mode="json")
    del document["detectable"]
    assert RequirementDoc.model_validate(document).detectable == ""


def test_a_hostile_record_stays_text(record: Path) -> None:
    record.write_text(json.dumps(summary_of(selftest()) | {"missed": [HOSTILE], "date": HOSTILE}))
    text = render_html(results(), {}, TEXTS)
    Outline(text)
    assert "<script" not in text
    assert "<img" not in text
    assert "\u202e" not in text


def test_it_concludes_nothing(record: Path) -> None:
    record.write_text(json.dumps(summary_of(selftest())))
    without_names = re.sub(r'<th scope="row">.*?</th>', "", _section())
    assert not CONCLUDING.search(without_names)


@pytest.mark.browser
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_accessibility_violation_and_nothing_beyond_the_page(
    browser: Browser, record: Path, tmp_path: Path, scheme: str
) -> None:
    record.write_text(json.dumps(summary_of(selftest())))
    path = tmp_path / "report.html"
    path.write_text(render_html(results(), {}, TEXTS), encoding="utf-8")
    with Opened(browser, path, color_scheme=scheme, viewport={"width": 320, "height": 640}) as opened:
        opened.page.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")
        assert _violations(opened.page) == []
        assert opened.complaints == []
        assert opened.page.evaluate("document.documentElement.scrollWidth") <= 320
