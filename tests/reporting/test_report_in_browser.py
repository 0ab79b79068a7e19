"""The report as a reader's browser shows and prints it: Debian's Chromium, one process for all tests."""

import re
import unicodedata
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page
from pypdf import PdfReader

from auditkit.reporting._page import SECTIONS
from auditkit.reporting.html import render_html
from tests.reporting.sample_results import HOSTILE, TEXTS, hostile, passing, results, values

pytestmark = pytest.mark.browser
TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
PAGES = ("all", "hostile", "one")


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("reports")
    (made / "all.html").write_text(render_html(results(), values(), TEXTS), encoding="utf-8")
    (made / "hostile.html").write_text(render_html(hostile(), {}, TEXTS), encoding="utf-8")
    (made / "one.html").write_text(render_html(passing(), {}, TEXTS), encoding="utf-8")
    return made


class Opened:
    """A page with everything it asked for and complained about."""

    def __init__(self, browser: Browser, path: Path, **context: object) -> None:
        self.context = browser.new_context(**context)
        self.page: Page = self.context.new_page()
        self.requests: list[str] = []
        self.complaints: list[str] = []
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.on("console", lambda message: self.complaints.append(f"{message.type}: {message.text}"))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.goto(path.as_uri())

    def __enter__(self) -> "Opened":
        return self

    def __exit__(self, *error: object) -> None:
        self.context.close()


def _violations(page: Page) -> list[str]:
    found = (
        Axe()
        .run(page, options={"runOnly": {"type": "tag", "values": TAGS}, "resultTypes": ["violations"]})
        .response["violations"]
    )
    return [f"{v['id']}: {n['html'][:160]} {n['failureSummary'][:200]}" for v in found for n in v["nodes"][:3]]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", PAGES)
def test_no_accessibility_violation_no_request_no_complaint(browser: Browser, folder: Path, name: str, scheme: str) -> None:
    with Opened(browser, folder / f"{name}.html", color_scheme=scheme) as opened:
        opened.page.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")
        assert _violations(opened.page) == []
        assert opened.requests == [(folder / f"{name}.html").as_uri()]
        assert opened.complaints == []


def test_axe_would_notice(browser: Browser, folder: Path) -> None:
    broken = (
        (folder / "one.html")
        .read_text(encoding="utf-8")
        .replace('<html lang="en">', "<html>")
        .replace("<caption>", "<caption hidden>")
    )
    (folder / "broken.html").write_text(broken, encoding="utf-8")
    with Opened(browser, folder / "broken.html") as opened:
        assert any(violation.startswith("html-has-lang") for violation in _violations(opened.page))


def test_the_style_applies_and_differs_between_schemes(browser: Browser, folder: Path) -> None:
    grounds = []
    for scheme in ("light", "dark"):
        with Opened(browser, folder / "one.html", color_scheme=scheme) as opened:
            grounds.append(opened.page.evaluate("getComputedStyle(document.body).backgroundColor"))
            marks = opened.page.evaluate(
                "[...document.querySelectorAll('.chart [fill^=var]')].map(e => getComputedStyle(e).fill)"
            )
            assert marks
            assert "rgb(0, 0, 0)" not in marks
    assert grounds == ["rgb(255, 255, 255)", "rgb(18, 22, 27)"]


def test_hostile_text_is_shown_as_text_and_runs_nothing(browser: Browser, folder: Path) -> None:
    with Opened(browser, folder / "hostile.html") as opened:
        assert opened.page.title().startswith("FAIL: <script>document.title='owned'</script>")
        shown = opened.page.locator("h1").inner_text()
        assert shown.startswith("<script>document.title='owned'</script><img src=x onerror=")
        assert "{{7*7}}{% include 'report.css' %}</style></title>\\u{202e}evil\\u{2066}\\u{200b}" in shown
        assert opened.page.locator("script, img").count() == 0
        quoted = opened.page.locator(".quote").first.inner_text()
        assert "\\u{b}" in quoted
        assert quoted.count("w") >= HOSTILE.count("w")


def test_without_javascript_the_text_is_the_same(browser: Browser, folder: Path) -> None:
    with Opened(browser, folder / "all.html") as on, Opened(browser, folder / "all.html", java_script_enabled=False) as off:
        text = on.page.locator("body").inner_text()
        assert off.page.locator("body").inner_text() == text
        assert len(text) > 10_000


@pytest.mark.parametrize("name", PAGES)
def test_at_320_pixels_only_tables_and_figures_scroll(browser: Browser, folder: Path, name: str) -> None:
    with Opened(browser, folder / f"{name}.html", viewport={"width": 320, "height": 640}) as opened:
        assert opened.page.evaluate("document.documentElement.scrollWidth") <= 320
        outside = """[...document.querySelectorAll('main *')].filter(e => !e.closest('.scroll') && !e.closest('svg') &&
            e.getBoundingClientRect().right > 321).map(e => e.outerHTML.slice(0, 80))"""
        assert opened.page.evaluate(outside) == []
        assert opened.page.evaluate("[...document.querySelectorAll('.scroll')].some(e => e.scrollWidth > e.clientWidth)")


def test_the_keyboard_reaches_the_text_first_and_sees_where_it_is(browser: Browser, folder: Path) -> None:
    with Opened(browser, folder / "all.html") as opened:
        opened.page.keyboard.press("Tab")
        focused = opened.page.locator(":focus")
        assert focused.inner_text() == "Skip to the report"
        assert focused.bounding_box()["x"] >= 0
        opened.page.keyboard.press("Enter")
        assert opened.page.evaluate("document.activeElement.id") == "main"
        opened.page.keyboard.press("Tab")
        assert opened.page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"


def _letters(text: str) -> str:
    """Without white space and page footers: line breaks in a PDF fall anywhere."""
    words = unicodedata.normalize("NFKC", text)  # ligatures
    return re.sub(r"\s+", "", re.sub(r"auditkit report\s*Page \d+ of \d+", "", words))


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_pdf_holds_every_section_and_all_that_was_folded(
    browser: Browser, folder: Path, tmp_path: Path, scheme: str
) -> None:
    with Opened(browser, folder / "all.html", color_scheme=scheme) as opened:
        opened.page.emulate_media(media="print", color_scheme=scheme)
        assert opened.page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
        assert opened.page.locator("details[open]").count() == 0
        folded = opened.page.evaluate(
            "[...document.querySelectorAll('details td, details th, details caption')].map(e => e.textContent)"
        )
        opened.page.pdf(path=tmp_path / "report.pdf", prefer_css_page_size=True, print_background=True)
    reader = PdfReader(tmp_path / "report.pdf")
    printed = _letters("\n".join(page.extract_text() for page in reader.pages))
    assert all(_letters(title) in printed for _, title in SECTIONS.values())
    assert len(folded) > 200
    assert [cell for cell in folded if _letters(cell) not in printed] == []
    width, height = (float(side) for side in reader.pages[0].mediabox[2:])
    assert (round(width), round(height)) == (595, 842)
