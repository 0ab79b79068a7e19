"""The page of a comparison as a reader's browser shows and prints it."""

from pathlib import Path

import pytest
from playwright.sync_api import Browser
from pypdf import PdfReader

from auditkit.reporting.comparison import render_comparison
from tests.reporting.sample_comparison import NAMES, comparison, hostile
from tests.reporting.test_report_in_browser import Opened, _letters, _violations

pytestmark = pytest.mark.browser
PAGES = ("plain", "hostile")


@pytest.fixture(scope="session")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("comparisons")
    for name, found in (("plain", comparison()), ("hostile", hostile())):
        (made / f"{name}.html").write_text(render_comparison(found)["compare.html"], encoding="utf-8")
    return made


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", PAGES)
def test_no_accessibility_violation_no_request_no_complaint(browser: Browser, pages: Path, name: str, scheme: str) -> None:
    with Opened(browser, pages / f"{name}.html", color_scheme=scheme) as opened:
        opened.page.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")
        assert _violations(opened.page) == []
        assert opened.requests == [(pages / f"{name}.html").as_uri()]
        assert opened.complaints == []
        assert opened.page.locator("script, img").count() == 0


@pytest.mark.parametrize("name", PAGES)
def test_at_320_pixels_only_tables_and_figures_scroll(browser: Browser, pages: Path, name: str) -> None:
    with Opened(browser, pages / f"{name}.html", viewport={"width": 320, "height": 640}) as opened:
        assert opened.page.evaluate("document.documentElement.scrollWidth") <= 320
        outside = """[...document.querySelectorAll('main *')].filter(e => !e.closest('.scroll') && !e.closest('svg') &&
            e.getBoundingClientRect().right > 321).map(e => e.outerHTML.slice(0, 80))"""
        assert opened.page.evaluate(outside) == []
        assert opened.page.evaluate("[...document.querySelectorAll('.scroll')].some(e => e.scrollWidth > e.clientWidth)")


def test_names_stay_in_sight_while_the_table_scrolls(browser: Browser, pages: Path) -> None:
    with Opened(browser, pages / "plain.html", viewport={"width": 700, "height": 900}) as opened:
        name = opened.page.locator(".matrix tbody th").first
        before = name.bounding_box()["x"]
        opened.page.evaluate("document.querySelector('.scroll').scrollLeft = 300")
        assert name.bounding_box()["x"] == before
        assert opened.page.evaluate("getComputedStyle(document.querySelector('.matrix tbody th')).backgroundColor") != (
            "rgba(0, 0, 0, 0)"
        )


def test_the_pdf_is_landscape_and_whole(browser: Browser, pages: Path, tmp_path: Path) -> None:
    with Opened(browser, pages / "plain.html") as opened:
        opened.page.emulate_media(media="print")
        opened.page.pdf(path=tmp_path / "compare.pdf", prefer_css_page_size=True, print_background=True)
    reader = PdfReader(tmp_path / "compare.pdf")
    width, height = (float(side) for side in reader.pages[0].mediabox[2:])
    assert (round(width), round(height)) == (842, 595)
    printed = _letters("\n".join(page.extract_text() for page in reader.pages))
    assert all(_letters(name) in printed for name in NAMES)
    assert printed.count(_letters("Forgetting against utility, numbers")) == 1  # what was folded is printed
