"""The page and the table of a comparison."""

import base64
import hashlib
import json
import re
from functools import cache
from pathlib import Path

import altair
import pytest
import vl_convert

from auditkit.evidence.results import EstimateDoc
from auditkit.reporting._costs import cost
from auditkit.reporting._numbers import duration
from auditkit.reporting.comparison import render_comparison
from auditkit.reporting.comparison_table import render_comparison_table
from auditkit.reporting.figures._compared import paired_figure, trade_off_figure
from auditkit.reporting.html import templates_folder
from tests.reporting.sample_comparison import NAMES, REFERENCE, comparison, hostile
from tests.reporting.test_figures import _marks, _nodes
from tests.reporting.test_html_report import Outline


@cache
def _page(name: str = "plain") -> str:
    return render_comparison(hostile() if name == "hostile" else comparison())["compare.html"]


def _rows(text: str) -> list[str]:
    return re.findall(r"<tr>.*?</tr>", text, re.DOTALL)


def test_a_row_holds_verdict_cost_values_and_differences() -> None:
    row = next(row for row in _rows(_page()) if ">gradient_ascent</th>" in row)
    words = " ".join(re.sub(r"<[^>]+>", " ", row).split())
    assert words.startswith("gradient_ascent FAIL 1 min 2 s, 48,000 tokens Pass 0.030 [−0.020, 0.080] 64 subjects, 512 values")
    assert "difference −0.170 [−0.220, −0.120] better" in words
    assert "Fail 0.310 [0.260, 0.360]" in words
    assert "difference −0.470 [−0.520, −0.420] worse" in words
    assert "Error not measured" in words


def test_the_baseline_has_no_difference_and_a_missing_requirement_says_so() -> None:
    baseline = next(row for row in _rows(_page()) if ">npo<br>" in row)
    assert "difference" not in baseline
    assert "0.016 × reference" in baseline
    lacking = next(row for row in _rows(_page()) if ">rmu</th>" in row)
    assert "not a requirement of this audit" in lacking
    assert "not recorded" in lacking


def test_original_and_reference_stand_in_rows_of_their_own() -> None:
    for role, cell in (("original", "0.900"), ("reference", "1 h 2 min, 1,402,113 tokens")):
        row = next(row for row in _rows(_page()) if f'<th scope="row">{role}</th>' in row)
        assert "not under audit" in row
        assert cell in row


@pytest.mark.parametrize("name", ["plain", "hostile"])
def test_the_page_is_self_contained_labelled_and_closed(name: str) -> None:
    text = _page(name)
    outline = Outline(text)
    style = re.findall(r"<style>(.*?)</style>", text, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(style[0].encode()).digest()).decode()
    assert len(style) == 1
    assert f"style-src &#39;sha256-{digest}&#39;" in text or f"style-src 'sha256-{digest}'" in text
    assert {tag for tag, _ in outline.tags}.isdisjoint({"script", "img", "link", "iframe", "object", "base", "form"})
    assert not any(key == "style" or key.startswith("on") for _, attrs in outline.tags for key in attrs)
    ids = [attrs["id"] for _, attrs in outline.tags if "id" in attrs]
    assert len(ids) == len(set(ids))
    wanted = {attrs["href"].removeprefix("#") for attrs in outline.all("a")}
    wanted |= {word for _, attrs in outline.tags for word in attrs.get("aria-labelledby", "").split()}
    assert wanted <= set(ids)
    charts = [attrs for attrs in outline.all("svg") if attrs.get("role") == "img"]
    assert len(charts) == len(outline.all("desc")) == 3  # the third requirement has no difference to draw
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
    css = "".join((templates_folder() / name).read_text() for name in ("report.css", "compare.css"))
    styled = set(re.findall(r"\.([A-Za-z][\w-]*)", css))
    used = {word for _, attrs in Outline(_page()).tags for word in attrs.get("class", "").split()}
    assert used - styled == set()


def test_the_trade_off_has_every_point_where_its_value_is() -> None:
    figure = trade_off_figure(comparison())
    assert [row[0] for row in figure.table.rows] == [*NAMES, "original", "reference"]
    assert figure.table.rows[1][2:] == (
        "0.030", "[−0.020, 0.080]", "64 subjects, 512 values", "0.310", "[0.260, 0.360]", "64 subjects, 512 values",
    )  # fmt: skip
    (baseline,), others = _marks(figure, "candidate"), _marks(figure, "other")
    (original,), (reference,) = _marks(figure, "original"), _marks(figure, "reference")
    assert len(others) == 2
    scale = (original[0] - reference[0]) / (0.9 - 0.12)
    assert baseline[0] == pytest.approx(reference[0] + scale * (0.2 - 0.12), abs=0.1)
    left = min(others)
    assert left[0] == pytest.approx(reference[0] + scale * (0.03 - 0.12), abs=0.1)
    assert left[1] == max(mark[1] for mark in (*others, baseline, original, reference))  # the least utility is drawn lowest
    texts = [node.text for node in _nodes(figure.panels[0].drawing)]
    assert {"1", "2", "3", "original", "reference"} <= set(texts)
    assert [key.label for key in figure.legend] == [
        "1: npo (baseline)",
        "2: gradient_ascent",
        "3: rmu",
        "original",
        "reference",
    ]


def test_models_of_the_trade_off_differ_by_shape_and_number_and_not_by_colour_alone() -> None:
    shapes = {}
    for node in _nodes(trade_off_figure(comparison()).panels[0].drawing):
        given = dict(node.attributes)
        if node.tag == "path" and given.get("fill", "").startswith("var(--"):
            shapes[given["fill"]] = given["d"]
    assert len(set(shapes.values())) == 4


def test_an_unmeasured_model_is_in_the_table_and_not_drawn() -> None:
    found = comparison()
    points = list(found.trade_off.points)
    points[1] = points[1].model_copy(update={"utility": EstimateDoc(note="broke")})
    figure = trade_off_figure(found.model_copy(update={"trade_off": found.trade_off.model_copy(update={"points": points})}))
    assert figure.table.rows[1][5] == "not measured"
    assert len(_marks(figure, "other")) == 1
    assert trade_off_figure(comparison(trade_off=None)) is None
    assert "no trade-off to draw" in render_comparison(comparison(trade_off=None))["compare.html"]


def test_the_paired_figure_has_a_row_for_each_difference() -> None:
    questions, _, leakage = comparison().requirements
    figure = paired_figure(questions, "npo")
    assert [row[:4] for row in figure.table.rows] == [
        ("gradient_ascent", "−0.170", "[−0.220, −0.120]", "better"),
        ("rmu", "+0.250", "[0.200, 0.300]", "worse"),
    ]
    assert paired_figure(leakage, "npo") is None


def test_specifications_are_valid_vega_lite(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[dict] = []
    draw = vl_convert.vegalite_to_svg
    monkeypatch.setattr(vl_convert, "vegalite_to_svg", lambda chart: drawn.append(chart) or draw(chart))
    render_comparison(comparison())
    assert len(drawn) == 3
    for chart in drawn:
        altair.Chart.from_dict(json.loads(json.dumps(chart)), validate=True)


def test_without_costs_the_page_says_that_none_was_recorded() -> None:
    bare = [candidate.model_copy(update={"cost": None, "cost_ratio": None}) for candidate in comparison().candidates]
    text = render_comparison(comparison(candidates=bare, reference_cost=None))["compare.html"]
    assert "No cost was recorded" in text
    Outline(text)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.04, "0.0 s"), (59.9, "59.9 s"), (59.97, "1 min 0 s"), (60, "1 min 0 s"), (3599.6, "1 h 0 min"), (3725, "1 h 2 min")],
)
def test_durations(seconds: float, text: str) -> None:
    assert duration(seconds) == text
    assert cost(REFERENCE.model_copy(update={"seconds": seconds, "tokens": 1})) == f"{text}, 1 token"


def test_the_same_comparison_gives_the_same_bytes() -> None:
    assert render_comparison(comparison())["compare.html"] == _page()


@pytest.mark.parametrize("found", [comparison(), hostile(), comparison(candidates=comparison().candidates * 9)])
def test_the_table_fits_100_columns(found) -> None:
    text = render_comparison_table(found)
    assert max(map(len, text.splitlines())) <= 100
    assert "\x1b" not in text


def test_the_table_shows_verdict_cost_values_differences_and_words() -> None:
    text = " ".join(render_comparison_table(comparison()).split())
    for part in (
        "npo (baseline) PASS 1 min 0 s, 48,000 tokens, 0.016 × reference",
        "reference 1 h 2 min, 1,402,113 tokens",
        "direct questions (lower is better; n: subjects)",
        "gradient_ascent Pass 0.030 [−0.020, 0.080] −0.170 [−0.220, −0.120] better 64",
        "rmu Pass 0.800 [0.750, 0.850] +0.020 [−0.030, 0.070] not shown 64",
        "rmu not required",
        "The original is not the same model",
    ):
        assert part in text


def test_data_cannot_style_the_terminal() -> None:
    coloured = render_comparison_table(hostile(), colour=True)
    assert "\\u{1b}" in coloured
    assert "\x1b[31m|" not in coloured


def test_the_template_belongs_to_the_wheel() -> None:
    assert (Path(templates_folder()) / "compare.html.j2").is_file()
