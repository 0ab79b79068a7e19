"""The section on scale and sequence: there only with points, with the numbers of the results, and with text as text."""

import json
import re
from functools import cache
from pathlib import Path

import altair
import pytest
import vl_convert
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser

from auditkit.evidence.results import EstimateDoc, Results
from auditkit.reporting._page import SECTIONS
from auditkit.reporting._series import section
from auditkit.reporting.figures import Figure, Node
from auditkit.reporting.html import render_html
from tests.evidence.curves import audit, costs_of, kept, scale_points, sequence_points
from tests.reporting.sample_results import AUC, HOSTILE, TEXTS, requirement, results

NO_BREAK = "\u00a0"
WORST = "+0.120 [−0.080, 0.320]"


@cache
def _page() -> str:
    return render_html(audit(), {}, TEXTS)


def _section(text: str) -> str:
    found = re.search(r'<section id="series".*?</section>', text, re.DOTALL)
    assert found
    return found[0].replace(NO_BREAK, " ")


def _figures(found: Results | None = None) -> dict[str, Figure]:
    shown = section(found or audit())
    assert shown is not None
    return {figure.title: figure for figure in (*shown.scale, *shown.sequence)}


def _nodes(node: Node) -> list[Node]:
    return [node, *(inner for child in node.children for inner in _nodes(child))]


def _marks(figure: Figure, colour: str, panel: int = 0) -> list[tuple[float, float]]:
    """Positions of the filled marks of one colour."""
    found = []
    for node in _nodes(figure.panels[panel].drawing):
        given = dict(node.attributes)
        if node.tag == "path" and given.get("fill") == f"var(--{colour})" and "translate" in given.get("transform", ""):
            x, y = re.fullmatch(r"translate\(([^,]+),([^,]+)\)", given["transform"]).groups()
            found.append((float(x), float(y)))
    return found


def test_without_points_there_is_no_section_and_no_word_of_it() -> None:
    text = render_html(results(), {}, TEXTS)
    assert 'id="series"' not in text
    assert "Scale and sequence" not in text
    assert 'class="inserted-5b"' not in text


def test_the_section_stands_after_the_results_and_moves_no_number() -> None:
    numbers = re.findall(r'<h2 id="(.*?)-heading"><span class="number">(.*?)</span>', _page())
    expected = [(anchor, str(number)) for number, (anchor, _) in SECTIONS.items()]
    inserted = [("attacks", "5a"), ("series", "5b")]
    assert numbers == [*expected[:5], *inserted, *expected[5:9], ("reliability", "9a"), *expected[9:]]
    assert '<li class="inserted-5b" value="5"><a href="#series">' in _page()
    assert 'in section <a href="#series">5b</a>' in _page()


def test_a_curve_s_table_has_its_numbers() -> None:
    figure = _figures()["kept, by size of the forget set"]
    assert figure.table.columns == ("Point", "Value", "Bound as measured", "Difference", "Original", "Reference", "Result")
    assert [cell.replace(NO_BREAK, " ") for cell in figure.table.rows[2]] == [
        "size 3 (80 rows)",
        "0.500 [0.450, 0.550]",
        "at least 0.720",
        "+0.009 [−0.013, 0.031]",
        "0.800",
        "0.100",
        "Inconclusive",
    ]
    assert figure.table.caption.endswith("each of 10 subjects, 40 values")


def test_a_drawing_says_its_numbers_in_words() -> None:
    described = _figures()["left, request after request"].panels[0].description
    assert described.startswith("Horizontal: requests carried out. request 1: 0.100 [0.050, 0.150], bound at most 0.200, ")
    assert "request 2: 0.300 [0.250, 0.350], bound at most 0.200, Inconclusive, original 0.800, reference 0.100" in described


def test_a_mark_stands_where_its_size_and_its_value_are() -> None:
    marks = _marks(_figures()["kept, by size of the forget set"], "candidate")
    (x1, y1), (x2, y2), (x3, y3) = marks  # 16, 40 and 80 rows; 0.75, 0.7, 0.5
    assert (x2 - x1) / (x3 - x1) == pytest.approx(24 / 64, abs=0.01)
    assert (y2 - y1) / (y3 - y1) == pytest.approx(0.05 / 0.25, abs=0.02)


def test_other_ways_to_the_end_are_drawn_beside_it_where_they_were_asked_the_same() -> None:
    figures = _figures()
    assert len(_marks(figures["kept, request after request"], "other")) == 3
    assert len(_marks(figures["left, request after request"], "other")) == 1  # order 1 on fold_3
    assert _marks(figures["kept, by size of the forget set"], "other") == []


def test_asking_again_has_a_panel_for_each_request() -> None:
    figure = _figures()["comes back, asked again after later requests"]
    assert [panel.title for panel in figure.panels] == ["Request 1", "Request 2"]
    assert [len(_marks(figure, "candidate", panel)) for panel in (0, 1)] == [3, 2]
    assert figure.table.rows[0][0] == "right after request 1"
    assert figure.table.rows[0][-1] == "none required"


def test_equal_bounds_are_one_line_and_different_ones_are_apart() -> None:
    def edges(title: str, found: Results) -> int:
        nodes = _nodes(_figures(found)[title].panels[0].drawing)
        return sum(dict(node.attributes).get("stroke") == "var(--bound)" for node in nodes)

    rows = sequence_points()
    assert edges("left, request after request", audit()) == 1
    moved = next(i for i, row in enumerate(rows) if row.of == "request_2" and row.point.curve == "left")
    rows[moved] = rows[moved].model_copy(update={"bound": rows[moved].bound.model_copy(update={"upper_value": 0.4})})
    assert edges("left, request after request", audit(rows)) == 3


def test_quantities_are_those_of_the_sequence_each_with_its_meaning() -> None:
    table = re.search(r'<table class="quantities">.*?</table>', _section(_page()), re.DOTALL)[0]
    titles = re.findall(r'scope="rowgroup">(.*?)<br>', table)
    assert titles == ["Current", "Resurfacing", "Drift of utility", "Order effect", "Gap to doing it at once"]
    rows = re.findall(r'<th scope="row">(.*?)</th><td class="figure-cell">(.*?)</td><td>(.*?)</td>', table)
    assert rows == [
        ("left", "0.300 [0.250, 0.350]", "request 2, fold_2; at most 0.200; Inconclusive; 3 of 3 requests measured"),
        (
            "comes back",
            WORST,
            "request 1 after request 3; at most request_1 + 0.05; Inconclusive; "
            "3 of 3 pairs measured against right after the request",
        ),
        ("kept", "−0.200 per request", "slope over 3 of 3 points; no interval: every point asks the same subjects"),
        ("kept", "0.400 [0.350, 0.450]", "after request 3; original 0.800; at least 0.720; Inconclusive"),
        ("kept", "0.150", "the spec&#39;s order 0.400, order 1 0.550, order 2 0.450"),
        ("left, fold_1", "0.100", "the spec&#39;s order 0.220, order 1 0.120"),
        ("left, fold_3", "0.060", "the spec&#39;s order 0.200, order 1 0.260"),
        ("kept", "−0.250", "in sequence 0.400, all at once 0.650"),
        ("left, fold_1", "+0.170", "in sequence 0.220, all at once 0.050"),
    ]


def test_costs_stand_beside_retraining() -> None:
    shown = section(audit())
    assert shown is not None
    assert shown.costs is not None
    rows = {row[0]: row[1:] for row in shown.costs.rows}
    assert rows["size 2"] == ("20.0 s", "10,000", "1.00 GiB", "16", "0.1", "0.1")
    assert rows["order 1, last request"] == ("10.0 s", "5,000", "not recorded", "16", "not comparable", "0.05")
    assert rows["order 2, last request"] == (*("not recorded",) * 4, *("not comparable",) * 2)
    assert rows["retraining"] == ("3 min 20 s", "100,000", "1.00 GiB", "16", "1", "1")


def test_without_a_reference_of_its_own_making_no_ratio_is_printed() -> None:
    without = {name: cost for name, cost in costs_of().items() if name != "reference"}
    shown = section(audit(costs=without))
    assert shown is not None
    assert shown.costs is not None
    assert shown.costs.columns == ("Step", "Time", "Tokens", "Peak memory", "Optimiser steps")
    assert "no ratio to retraining" in shown.costs.caption
    assert "was not recorded" in _section(render_html(audit(costs={}), {}, TEXTS))


def test_what_was_not_measured_is_said_and_never_drawn_as_zero() -> None:
    missing = [kept("request", k, None, f"request_{k}", result="error", models={}) for k in (1, 2, 3)]
    text = _section(render_html(audit([*missing, kept("one_shot", 3, 0.5, "one_shot")]), {}, TEXTS))
    assert "Not drawn, since nothing was measured: kept." in text
    assert "<figure" not in text
    assert re.findall(r'<td class="figure-cell">(.*?)</td>', text) == ["not measured"] * 3
    gap = [*scale_points()[:2], kept("size", 3, None, "size_3", result="error", models={}, difference=None)]
    figure = next(iter(_figures(audit(gap)).values()))
    assert len(_marks(figure, "candidate")) == 2
    assert figure.table.rows[2][1:] == ("not measured", "at least 0.720", "", "", "", "Error")


def test_an_open_interval_and_a_scale_of_its_own_are_drawn() -> None:
    rows = [
        row.model_copy(
            update={"estimate": EstimateDoc(value=0.6, upper=0.7, n=9), "metric": AUC.model_copy(update={"low": -1})}
        )
        for row in scale_points()
    ]
    figure = next(iter(_figures(audit(rows)).values()))
    assert "[…, 0.700]" in figure.table.rows[0][1].replace(NO_BREAK, " ")
    assert "Dotted line: chance level, 0.500." in figure.caption
    assert "neither high nor low is good" in figure.caption


def test_the_model_is_named_where_it_is_not_the_candidate() -> None:
    criteria = re.search(r'<section id="criteria".*?</section>', _page(), re.DOTALL)[0]
    assert "from the spec&#39;s scale or sequence; model size_2" in criteria
    details = re.search(r'<section id="details".*?</section>', _page(), re.DOTALL)[0]
    assert details.count("<dt>Model</dt>") == len(audit().requirements) - 1
    assert "<dt>Model</dt>" not in render_html(results([requirement()]), {}, TEXTS)


def _hostile() -> Results:
    rows = []
    for row in [*scale_points(), *sequence_points()]:
        point = row.point.model_copy(update={"curve": f"{row.point.curve}{HOSTILE}"})
        metric = row.metric.model_copy(update={"name": HOSTILE})
        rows.append(row.model_copy(update={"point": point, "corpus": f"{row.corpus}{HOSTILE}", "metric": metric}))
    return audit(rows)


def test_hostile_names_of_curves_stay_text() -> None:
    text = _section(render_html(_hostile(), {}, TEXTS))
    assert "<script" not in text
    assert "<img" not in text
    assert "\u202e" not in text
    assert "{{7*7}}" in text
    assert WORST in text


def test_specifications_are_valid_vega_lite(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[dict] = []
    draw = vl_convert.vegalite_to_svg
    monkeypatch.setattr(vl_convert, "vegalite_to_svg", lambda chart: drawn.append(chart) or draw(chart))
    _figures()
    assert len(drawn) == 5
    for chart in drawn:
        altair.Chart.from_dict(json.loads(json.dumps(chart)), validate=True)


def test_the_same_results_give_the_same_bytes() -> None:
    assert render_html(audit(), {}, TEXTS) == _page()


@pytest.mark.browser
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", ["plain", "hostile"])
def test_no_accessibility_violation_and_nothing_beyond_the_page(
    browser: Browser, tmp_path: Path, name: str, scheme: str
) -> None:
    path = tmp_path / "report.html"
    path.write_text(render_html(audit() if name == "plain" else _hostile(), {}, TEXTS), encoding="utf-8")
    context = browser.new_context(color_scheme=scheme, viewport={"width": 320, "height": 640})
    page = context.new_page()
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text))
    page.goto(path.as_uri())
    page.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")
    assert page.evaluate("document.documentElement.scrollWidth") <= 320
    tags = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
    options = {"runOnly": {"type": "tag", "values": tags}, "resultTypes": ["violations"]}
    assert Axe().run(page, options=options).response["violations"] == []
    assert complaints == []
    assert page.title() != "owned"
    context.close()


@pytest.mark.browser
def test_on_paper_no_table_or_figure_is_cut_off(browser: Browser, tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    path.write_text(_page(), encoding="utf-8")
    page = browser.new_page(viewport={"width": 642, "height": 900})  # the text width of A4
    page.emulate_media(media="print")
    page.goto(path.as_uri())
    wide = "[...document.querySelectorAll('#series .scroll')].filter(e => e.scrollWidth > e.clientWidth + 1).length"
    assert page.evaluate(wide) == 0
    page.close()
