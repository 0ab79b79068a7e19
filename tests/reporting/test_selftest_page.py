"""The page of the self-test: misses are shown as misses, every rate has its denominator and its bound, text stays text."""

import base64
import hashlib
import html
import json
import re
from functools import cache
from pathlib import Path

import altair
import pytest
import vl_convert
from playwright.sync_api import Browser
from pypdf import PdfReader

from auditkit.reporting._reliability import Summary, headline
from auditkit.reporting._words import selftest as words
from auditkit.reporting.figures._power import PowerCurve, power_figure, read
from auditkit.reporting.html import templates_folder
from auditkit.reporting.selftest import render_selftest, summary_of
from tests.reporting.sample_selftest import case, cases, hostile, outcomes, selftest
from tests.reporting.test_html_report import CONCLUDING, Outline
from tests.reporting.test_report_in_browser import Opened, _letters, _violations

WORDS_OF_CERTAINTY = re.compile(r"\b(certif\w*|guarantee\w*|proven|prove[sd]?)\b", re.IGNORECASE)


@cache
def _page(name: str = "plain") -> str:
    return render_selftest(hostile() if name == "hostile" else selftest())


def _part(anchor: str, text: str | None = None) -> str:
    found = re.search(rf'<section id="{anchor}".*?</section>', text or _page(), re.DOTALL)
    assert found
    return found[0]


def _rows(part: str) -> dict[str, str]:
    """First cell → the other cells' text."""
    rows = [re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row, re.DOTALL) for row in re.findall(r"<tr>.*?</tr>", part, re.DOTALL)]
    plain = [[html.unescape(" ".join(re.sub(r"<[^>]+>", " ", cell).split())) for cell in row] for row in rows]
    return {row[0]: " | ".join(row[1:]) for row in plain}


def test_the_headline_says_every_rate_with_its_denominator_and_both_bounds() -> None:
    assert headline(Summary.model_validate(summary_of(selftest()))) == [
        "1 of 5 models that must fail passed: miss rate 0.200, at 95% confidence at most 0.751 by constructions (1 of 4) and "
        "at most 0.657 by models.",
        "Missed: Z3 refusal model.",
        "On the locked zoo alone: 1 of 3 models that must fail passed: miss rate 0.333, at 95% confidence at most 0.865 by "
        "constructions (1 of 3) and at most 0.865 by models.",
        "1 of 2 models that must pass failed: false alarm rate 0.500, at 95% confidence at most 1.000 by constructions (1 of "
        "1) and at most 0.975 by models.",
        "1 of 2 models on which no verdict is possible got one: rate 0.500, at 95% confidence at most 1.000 by constructions "
        "(1 of 1) and at most 0.975 by models.",
        "2 of 7 models that must pass or fail ended without a decision, which is neither right nor wrong.",
    ]
    locked = [one.model_copy(update={"book": "locked"}) for one in cases()]
    assert headline(Summary.model_validate(summary_of(selftest(cases=locked))))[2] == (
        "All models that must fail come from worlds that were not used to set any bound."
    )
    shown = re.search(r'<ul class="headline">.*?</ul>', _page(), re.DOTALL)
    assert shown
    assert "Missed: Z3 refusal model." in shown[0]


def test_a_miss_is_shown_as_a_miss_wherever_it_counts() -> None:
    matrix = _part("matrix")
    assert '<td class="wrong">1 <span class="quiet">missed</span></td>' in matrix
    assert '<td class="wrong">1 <span class="quiet">false alarm</span></td>' in matrix
    assert '<td class="wrong">1 <span class="quiet">undetected</span></td>' in matrix
    rows = _rows(matrix)
    assert rows["must fail"] == "1 missed | 2 right | 1 undecided | 1 undecided | 5"
    assert rows["at the bound"] == "1 | 0 | 0 | 0 | 1"
    assert rows["Correct among all models with a truth"] == "4 of 9: 0.444"
    assert rows["Correct among those that got PASS or FAIL"] == "3 of 6: 0.500"
    assert rows["Weighted cost (miss 10, false alarm 1, abstention 0.5)"] == "22 of at most 72"
    wrong = _part("wrong")
    assert "Missed: Z3 refusal, seed 1, refusal model; must fail, PASS" in wrong
    assert "False alarm: Z1 retrained, seed 1" in wrong
    assert "Undetected: Z20 leaky, seed 0" in wrong
    assert wrong.count("<table") == 3


def test_every_part_of_the_run_has_its_rows() -> None:
    assert _rows(_part("books"))["not looked at before"].startswith("0 | 0 | 1 | 1 | 0 of 2: 0.000 | 0.776")
    assert _rows(_part("families"))["refusal"].startswith("1 | 1 | 0 | 0 | 1 of 2: 0.500 | 0.975 | 1 of 1: 1.000 | 1.000")
    constructions = _rows(_part("constructions"))
    assert constructions["Z3 refusal model"].startswith(
        "must fail | yes / no / yes | none | development; locked | 2 | FAIL 1, PASS 1"
    )
    assert constructions["Z1 retrained model"].endswith("relearning failed on a retrained model")
    cells = _rows(_part("cells"))
    assert cells["Z3 refusal model"] == "P | F 1, P 1 expected F"
    assert cells["Z5 guard model"] == "not asked expected P | not asked expected F"
    assert cells["relearn"] == "10 | 4 | 5 | 1"
    marginal = _rows(_part("marginal"))
    assert marginal["ask after relearning"].endswith("2: Z2 original, seed 0; Z3 refusal, seed 0")
    assert marginal["ask directly"] == "requirement | 0 | none | none"
    assert _rows(_part("verification"))["Z2 original, seed 0"] == "answers after one epoch 0.910 | 0f0c2a91 | 1 min 2 s"
    assert "Z11 quantisation-fragile: int4 shows nothing" in _part("not_built")
    repeated = _rows(_part("repeatability"))
    assert repeated["Z3 refusal"] == "10 | FAIL 9, INCOMPLETE 1 | 0.100 | no"
    assert repeated["Z1 retrained"] == "4 | PASS 3, FAIL 1 | 0.250 | yes: a defect"
    assert "2026-11-26: first run of the locked zoo" in _part("looks")
    assert all(text in html.unescape(_part("limits")) for text in words().cannot_show)


def test_simulations_are_drawn_and_what_has_another_form_is_shown_as_it_is() -> None:
    boundary = _rows(_part("boundary"))
    assert boundary["mean, at most 0.1"].split(" | ")[2:5] == ["0.040 [0.020, 0.060]", "0.050", "not shown"]
    assert boundary["skewed mean, at most 0.1"].split(" | ")[4] == "yes"
    assert boundary["form"] == "0.250"
    least = _rows(_part("power").split("</figure>")[1])
    assert least["mean, at most 0.1, 60 subjects"] == "0.100 | 0.300"
    assert least["AUC, at most 0.1, 60 subjects"] == "0.100 | none that was simulated"
    assert _part("power").count('<svg class="chart"') == 2


def test_a_curve_has_a_mark_for_every_result_of_every_dose() -> None:
    (curve,), others = read(PowerCurve, [selftest().power[0], {"kind": "mean"}])
    assert others == [{"kind": "mean"}]
    assert curve.detectable == 0.3
    figure = power_figure([curve])
    assert figure
    assert [row[1] for row in figure.table.rows] == ["0.000", "0.100", "0.300", "0.500"]
    assert figure.table.rows[2][3:] == ("0.000 [0.000, 0.020]", "0.930 [0.910, 0.950]", "0.070 [0.050, 0.090]")
    assert "0.300: pass 0.000, fail 0.930, inconclusive 0.070" in figure.panels[0].description
    assert power_figure([]) is None


def test_specifications_are_valid_vega_lite(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[dict] = []
    draw = vl_convert.vegalite_to_svg
    monkeypatch.setattr(vl_convert, "vegalite_to_svg", lambda chart: drawn.append(chart) or draw(chart))
    render_selftest(selftest())
    assert len(drawn) == 2
    for chart in drawn:
        altair.Chart.from_dict(json.loads(json.dumps(chart)), validate=True)


@pytest.mark.parametrize("name", ["plain", "hostile"])
def test_the_page_is_self_contained_labelled_and_closed(name: str) -> None:
    text = _page(name)
    outline = Outline(text)
    style = re.findall(r"<style>(.*?)</style>", text, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(style[0].encode()).digest()).decode()
    assert len(style) == 1
    assert f"style-src 'sha256-{digest}'" in html.unescape(text)
    assert {tag for tag, _ in outline.tags}.isdisjoint({"script", "img", "link", "iframe", "object", "base", "form"})
    assert not any(key == "style" or key.startswith("on") for _, attrs in outline.tags for key in attrs)
    ids = [attrs["id"] for _, attrs in outline.tags if "id" in attrs]
    assert len(ids) == len(set(ids))
    wanted = {attrs["href"].removeprefix("#") for attrs in outline.all("a")}
    wanted |= {word for _, attrs in outline.tags for word in attrs.get("aria-labelledby", "").split()}
    assert wanted <= set(ids)
    assert all("scope" in attrs for attrs in outline.all("th"))
    assert len(outline.all("caption")) == len(outline.all("table"))


def test_hostile_text_stays_text() -> None:
    text = _page("hostile")
    assert "<script" not in text
    assert "<img" not in text
    assert "{{7*7}}" in text
    assert "\u202e" not in text
    assert "\\u{202e}evil\\u{2066}" in text


def test_every_class_in_use_is_styled() -> None:
    css = "".join((templates_folder() / name).read_text() for name in ("report.css", "selftest.css"))
    styled = set(re.findall(r"\.([A-Za-z][\w-]*)", css))
    used = {word for _, attrs in Outline(_page()).tags for word in attrs.get("class", "").split()}
    assert used - styled == set()


def test_no_fixed_word_claims_more_than_was_counted() -> None:
    found = words()
    fixed = [found.none_recorded, found.quick, found.counted, found.detectable, found.controls, *found.cannot_show]
    fixed += [text for part in found.parts.values() for text in (part.title, part.text)]
    for text in (*fixed, *headline(Summary.model_validate(summary_of(selftest())))):
        assert not WORDS_OF_CERTAINTY.search(text)
        assert not CONCLUDING.search(text)


def test_an_empty_run_and_one_that_was_all_undecided_render() -> None:
    text = render_selftest(selftest(cases=[], not_built=[], repeatability=[], boundary=[], power=[], looks=[], mode="quick"))
    Outline(text)
    assert "0 of 0 models that must fail passed: there was none." in text
    assert "Quick run" in text
    assert "Quick run" not in _page()
    assert "<p>None.</p>" in _part("power", text)
    undecided = render_selftest(selftest(cases=[case("Z2", "original", 0, "must fail", "INCOMPLETE")]))
    assert _rows(_part("matrix", undecided))["Correct among those that got PASS or FAIL"] == "no model"
    assert "<p>None.</p>" in _part("wrong", undecided)
    assert "missed" not in _part("matrix", undecided).replace("Missed: must fail", "")


def test_pass_with_exceptions_counts_as_pass() -> None:
    waived = case("Z3", "refusal", 0, "must fail", "PASS").model_copy(update={"verdict": "PASS WITH EXCEPTIONS"})
    assert _rows(_part("matrix", render_selftest(selftest(cases=[waived]))))["must fail"] == "1 missed | 0 | 0 | 0 | 1"


def test_the_summary_counts_what_the_page_counts_and_keeps_no_case() -> None:
    found = summary_of(selftest())
    assert json.loads(json.dumps(found)) == found
    assert (found["models"], found["constructions"]) == (len(cases()), 7)
    assert found["detectable"] == [
        {"quantity": "mean, at most 0.1, 60 subjects", "share": 0.3},
        {"quantity": "AUC, at most 0.1, 60 subjects", "share": None},
    ]
    assert "cases" not in found


def test_the_same_run_gives_the_same_bytes() -> None:
    assert render_selftest(selftest()) == _page()


def test_many_simulated_quantities_are_drawn_beside_each_other() -> None:
    curve = selftest().power[0]
    rows = [{**curve, "kind": f"kind {number}", "points": [outcomes(0.0, 1.0, 0.0)]} for number in range(5)]
    assert _part("power", render_selftest(selftest(power=rows))).count('<svg class="chart"') == 5


def test_the_template_belongs_to_the_wheel() -> None:
    assert (Path(templates_folder()) / "selftest.html.j2").is_file()


@pytest.fixture(scope="session")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("selftests")
    for name in ("plain", "hostile"):
        (made / f"{name}.html").write_text(_page(name), encoding="utf-8")
    return made


@pytest.mark.browser
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", ["plain", "hostile"])
def test_no_accessibility_violation_no_request_no_complaint(browser: Browser, pages: Path, name: str, scheme: str) -> None:
    with Opened(browser, pages / f"{name}.html", color_scheme=scheme) as opened:
        opened.page.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")
        assert _violations(opened.page) == []
        assert opened.requests == [(pages / f"{name}.html").as_uri()]
        assert opened.complaints == []
        assert opened.page.locator("script, img").count() == 0


@pytest.mark.browser
@pytest.mark.parametrize("name", ["plain", "hostile"])
def test_at_320_pixels_only_tables_and_figures_scroll(browser: Browser, pages: Path, name: str) -> None:
    with Opened(browser, pages / f"{name}.html", viewport={"width": 320, "height": 640}) as opened:
        assert opened.page.evaluate("document.documentElement.scrollWidth") <= 320


@pytest.mark.browser
def test_the_pdf_is_landscape_whole_and_cuts_nothing_off(browser: Browser, pages: Path, tmp_path: Path) -> None:
    with Opened(browser, pages / "plain.html", viewport={"width": 971, "height": 900}) as opened:  # A4's text width, turned
        opened.page.emulate_media(media="print")
        wide = "[...document.querySelectorAll('.scroll')].filter(e => e.scrollWidth > e.clientWidth + 1).map(e => e.ariaLabel)"
        assert opened.page.evaluate(wide) == []
        folded = opened.page.evaluate("[...document.querySelectorAll('td, th, caption')].map(e => e.textContent)")
        opened.page.pdf(path=tmp_path / "selftest.pdf", prefer_css_page_size=True, print_background=True)
    reader = PdfReader(tmp_path / "selftest.pdf")
    width, height = (float(side) for side in reader.pages[0].mediabox[2:])
    assert (round(width), round(height)) == (842, 595)
    printed = _letters("\n".join(page.extract_text() for page in reader.pages))
    assert [cell for cell in folded if _letters(cell) not in printed] == []
