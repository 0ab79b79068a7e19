"""Figures of attacks: the map of attack by check, before and under, and scores along a budget or along layers."""

import itertools
import json
import re

import altair
import pytest
import vl_convert

from auditkit.evidence.results import BoundDoc, CurveDoc, EstimateDoc
from auditkit.reporting.figures import Figure, Node
from auditkit.reporting.figures._attacked import attacked_figure
from auditkit.reporting.figures._budget import budget_figures
from auditkit.reporting.figures._heat import heat_figure
from tests.reporting.sample_attacks import (
    ATTACKS,
    PARAPHRASE,
    QUANTISE,
    attacked_rows,
    curves,
    lens,
    relearned,
    under,
    with_metric,
)
from tests.reporting.sample_results import estimate, hostile

NO_BREAK = "\u00a0"
ALLOWED = re.compile(r"none|transparent|var\(--[a-z0-9-]+\)")


def _nodes(node: Node) -> list[Node]:
    return [node, *(inner for child in node.children for inner in _nodes(child))]


def _texts(figure: Figure, panel: int = 0) -> list[str]:
    return [node.text for node in _nodes(figure.panels[panel].drawing) if node.text]


def _filled(figure: Figure, colour: str, panel: int = 0) -> int:
    given = [dict(node.attributes) for node in _nodes(figure.panels[panel].drawing)]
    return sum(one.get("fill") == f"var(--{colour})" for one in given)


def _marks(figure: Figure, colour: str, attribute: str = "fill") -> list[tuple[float, float]]:
    found = []
    for node in _nodes(figure.panels[0].drawing):
        given = dict(node.attributes)
        place = re.fullmatch(r"translate\(([^,]+),([^,]+)\)", given.get("transform", ""))
        if node.tag == "path" and given.get(attribute) == f"var(--{colour})" and place:
            found.append((float(place[1]), float(place[2])))
    return found


def _all() -> list[Figure]:
    rows = [*attacked_rows()[1:], hostile().requirements[0]]
    drawn = [heat_figure(rows), attacked_figure("All", rows), *(one for row in rows for one in budget_figures(row))]
    return [figure for figure in drawn if figure is not None]


def test_specifications_are_valid_vega_lite_and_colours_are_the_page_s(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[dict] = []
    draw = vl_convert.vegalite_to_svg
    monkeypatch.setattr(vl_convert, "vegalite_to_svg", lambda chart: drawn.append(chart) or draw(chart))
    figures = _all()
    assert len(drawn) >= 14
    for chart in drawn:
        altair.Chart.from_dict(json.loads(json.dumps(chart)), validate=True)
    for figure in figures:
        for panel in figure.panels:
            for node in _nodes(panel.drawing):
                given = dict(node.attributes)
                assert all(ALLOWED.fullmatch(given[name]) for name in ("fill", "stroke") if name in given), (figure.kind, given)
                assert node.tag != "text" or "fill" in given


def test_drawings_are_the_same_bytes_every_time() -> None:
    assert _all() == _all()


def test_a_cell_holds_recovery_and_result_and_says_what_is_not_recovery() -> None:
    rows = [
        under(1, PARAPHRASE, after=0.19, recovery=0.05),
        under(2, QUANTISE, after=0.17, check="verbatim", title="Verbatim"),
        under(3, QUANTISE, after=0.2, models={}, difference=None, result="error"),
    ]
    figure = heat_figure(rows)
    texts = _texts(figure)
    for text in ("0.05", "Pass", "diff. +0.020", "not measured", "Error", "Other wordings", "8 bit, 4 bit"):
        assert text in texts
    found = [tuple(cell.replace(NO_BREAK, " ") for cell in row) for row in figure.table.rows]
    tried, check = "5 wordings of each question", "Knowledge memorization"
    undefined = "undefined: the original is not shown to score above the reference"
    assert found == [
        ("Other wordings", tried, check, "0.050 [−0.040, 0.140]", "+0.040 [−0.020, 0.100]", "Pass"),
        ("Round the weights", "8 bit, 4 bit", "Verbatim", undefined, "+0.020 [−0.040, 0.080]", "Pass"),
        ("Round the weights", "8 bit, 4 bit", check, undefined, "not measured", "Error"),
    ]
    assert "Other wordings 5 wordings of each question, Knowledge memorization: 0.05, Pass" in figure.panels[0].description


@pytest.mark.parametrize(
    ("recovery", "step"),
    [(-0.5, 1), (0.0, 1), (0.0999, 1), (0.1, 2), (0.2499, 2), (0.25, 3), (0.5, 4), (0.75, 5), (1.5, 5)],
)
def test_more_recovery_is_a_stronger_step(recovery: float, step: int) -> None:
    figure = heat_figure([under(1, QUANTISE, after=0.4, recovery=recovery)])
    assert [_filled(figure, f"heat-{one}") for one in range(1, 6)] == [int(one == step) for one in range(1, 6)]
    assert [key.fill for key in figure.legend] == [f"heat-{one}" for one in range(1, 6)]


def test_undefined_recovery_has_no_colour() -> None:
    figure = heat_figure([under(1, QUANTISE, after=0.4)])
    assert sum(_filled(figure, f"heat-{one}") for one in range(1, 6)) == 0
    assert figure.legend == ()
    assert "recovery is undefined or was not computed" in figure.caption


def test_no_requirement_hides_another_in_the_map() -> None:
    rows = [under(1, QUANTISE, after=0.4, recovery=0.3), under(2, QUANTISE, after=0.6, recovery=0.6)]
    texts = _texts(heat_figure(rows))
    assert {"0.30", "0.60"} <= set(texts)
    assert texts.count("Fail") == 2


def test_many_checks_are_spread_over_panels_and_corpora_are_named_where_they_differ() -> None:
    rows = [under(n, QUANTISE, after=0.4, recovery=0.3, title=f"Check {n}", corpus=f"corpus {n}") for n in range(1, 7)]
    figure = heat_figure(rows)
    assert len(figure.panels) > 1
    found = [text for place in range(len(figure.panels)) for text in _texts(figure, place)]
    assert found.count("0.30") == 6
    assert figure.table.rows[1][2] == "Check 2, corpus 2"
    assert heat_figure([]) is None


def test_many_attacks_are_spread_over_panels_that_fit_a_page() -> None:
    rows = [under(n, QUANTISE.model_copy(update={"budget": f"{n} bit"}), after=0.4, recovery=0.3) for n in range(1, 26)]
    figure = heat_figure(rows)
    assert [_texts(figure, place).count("0.30") for place in range(len(figure.panels))] == [10, 10, 5]
    assert max(float(dict(panel.drawing.attributes)["height"]) for panel in figure.panels) < 900


def test_attacks_that_are_cut_alike_keep_rows_of_their_own() -> None:
    rows = [
        under(n, QUANTISE.model_copy(update={"params": {"bits": n}}), after=0.4, recovery=n / 10, title=f"Check {n}")
        for n in (1, 2)
    ]
    described = heat_figure(rows).panels[0].description
    assert "Round the weights 8 bit, 4 bit, Check 1: 0.10, Fail; Round the weights 8 bit, 4 bit′, Check 2: 0.20" in described


def test_a_long_name_is_cut_in_the_map_and_whole_in_the_table() -> None:
    long = QUANTISE.model_copy(update={"title": "word " * 60})
    figure = heat_figure([under(1, long, after=0.4, recovery=0.3)])
    assert max(map(len, _texts(figure))) <= 30
    assert figure.table.rows[0][0].count("word") == 60


def test_before_and_under_are_drawn_for_every_model_with_the_bound() -> None:
    figure = attacked_figure("Rounded", [under(1, QUANTISE, after=0.72)])
    (x1, y1), (x2, y2) = _marks(figure, "candidate")
    assert x2 > x1
    assert y2 < y1  # higher on the page
    (_, r1), (_, r2) = _marks(figure, "reference")
    assert (y1 - y2) / (r1 - r2) == pytest.approx(0.58 / 0.02, rel=0.1)
    assert [key.label for key in figure.legend] == ["candidate", "original", "reference"]
    lines = [node for node in _nodes(figure.panels[0].drawing) if dict(node.attributes).get("stroke") == "var(--bound)"]
    assert len(lines) == 1
    assert "candidate: before 0.140 [0.110, 0.170], under the attack 0.720 [0.670, 0.770]" in figure.panels[0].description
    assert "at most reference + 0.1 (0.250 as measured); Fail" in figure.panels[0].description


def test_a_model_that_was_not_measured_before_has_one_mark() -> None:
    row = under(1, QUANTISE, after=0.72, before={"candidate": estimate(0.1), "reference": estimate(None, note="too few")})
    figure = attacked_figure("Rounded", [row])
    assert [len(_marks(figure, name)) for name in ("candidate", "original", "reference")] == [2, 1, 1]
    assert [row[3] for row in figure.table.rows] == [f"0.100 [0.050,{NO_BREAK}0.150]", "not measured", "not measured"]
    assert attacked_figure("Rounded", [under(1, QUANTISE, after=0.7, before={})]) is None


def test_panels_of_a_family_are_told_apart() -> None:
    other = QUANTISE.model_copy(update={"budget": "2 bit"})
    rows = [under(1, QUANTISE, after=0.2), under(2, other, after=0.4), under(3, ATTACKS["weights"], after=0.4)]
    assert [panel.title for panel in attacked_figure("Several", rows).panels] == [
        "Round the weights, Knowledge memorization (8 bit, 4 bit)",
        "Round the weights, Knowledge memorization (2 bit)",
        "Prune, Knowledge memorization",
    ]


def test_a_metric_of_another_range_and_a_bound_of_two_ends() -> None:
    bound = BoundDoc(text="between -5 and 5", lower=-5, upper=5, lower_value=-5, upper_value=5)
    row = with_metric(under(1, QUANTISE, after=0.2, bound=bound), low=-100, high=100, unit="percent", chance=0.0)
    figure = attacked_figure("Rounded", [row])
    lines = [node for node in _nodes(figure.panels[0].drawing) if dict(node.attributes).get("stroke") == "var(--bound)"]
    assert len(lines) == 2
    assert "Dotted line: chance level." in figure.caption


def test_relearning_marks_what_decides_and_where_half_is_reached() -> None:
    (figure,) = budget_figures(relearned(1))
    assert figure.kind == "relearning"
    assert "half of what the original scores unattacked, 0.435" in figure.caption
    assert (
        "Reached: candidate after 8 training steps; original from the start; reference not within 128 training steps."
        in figure.caption
    )
    marks = _marks(figure, "candidate")
    assert len(marks) == 9
    (ring,) = [place for place in _marks(figure, "candidate", "stroke") if place in marks]
    assert ring == marks[7]
    assert [text for text in _texts(figure) if text.isdigit()] == ["0", "1", "2", "4", "8", "16", "32", "64", "128"]
    drops = [
        node
        for node in _nodes(figure.panels[0].drawing)
        if node.tag == "line" and dict(node.attributes).get("stroke") == "var(--candidate)"
    ]
    assert len(drops) == 1


def test_steps_on_a_logarithmic_axis_hold_zero_and_double_evenly() -> None:
    (figure,) = budget_figures(relearned(1))
    xs = [x for x, _ in _marks(figure, "reference")]
    assert xs[0] == 0
    gaps = [b - a for a, b in itertools.pairwise(xs[5:])]
    assert max(gaps) / min(gaps) == pytest.approx(1, abs=0.05)


def test_the_table_of_a_curve_has_every_point_and_what_decides() -> None:
    (figure,) = budget_figures(relearned(1))
    assert figure.table.columns == ("Training steps", "candidate", "original", "reference")
    assert len(figure.table.rows) == 9
    assert figure.table.rows[4][:2] == ("8", f"0.520 [0.480,{NO_BREAK}0.560]")
    assert figure.table.rows[7][1] == f"0.660 [0.620,{NO_BREAK}0.700] (decides)"


def test_layers_have_no_half_way_line_and_stand_evenly() -> None:
    (figure,) = budget_figures(lens(1))
    assert figure.kind == "layers"
    assert "half of" not in figure.caption
    xs = [x for x, _ in _marks(figure, "candidate")]
    gaps = [b - a for a, b in itertools.pairwise(xs)]
    assert max(gaps) - min(gaps) < 1
    assert len(xs) == 7


def test_a_missing_point_is_a_gap_and_never_zero() -> None:
    curve = CurveDoc(
        model="candidate", axis="layer", x=[0, 1, 2], estimates=[estimate(0.2), EstimateDoc(note="x"), estimate(0.4)]
    )
    (figure,) = budget_figures(under(1, after=0.2, curves=[curve]))
    assert len(_marks(figure, "candidate")) == 2
    assert figure.table.rows[1] == ("1", "not measured")


def test_without_intervals_no_band_is_promised() -> None:
    bare = CurveDoc(model="candidate", axis="layer", x=[0, 1], estimates=[EstimateDoc(value=0.1), EstimateDoc(value=0.2)])
    (figure,) = budget_figures(under(1, after=0.2, curves=[bare]))
    assert figure.caption == "No interval could be computed."


def test_every_axis_has_its_figure_and_one_without_a_value_has_none() -> None:
    empty = CurveDoc(model="candidate", axis="share undone", x=[0.5], estimates=[EstimateDoc()])
    both = [*curves("layer", [0, 1], {"candidate": [0.1, 0.2]}), *curves("samples", [1, 8], {"candidate": [0.1, 0.2]}), empty]
    assert [figure.kind for figure in budget_figures(under(1, QUANTISE, after=0.2, curves=both))] == ["layers", "budget"]
    assert budget_figures(under(1, QUANTISE, after=0.2)) == []


def test_many_layers_are_not_all_labelled() -> None:
    xs = [float(x) for x in range(40)]
    (figure,) = budget_figures(under(1, after=0.2, curves=curves("layer", xs, {"candidate": [0.1] * 40})))
    assert [text for text in _texts(figure) if text.isdigit()] == ["0", "4", "8", "12", "16", "20", "24", "28", "32", "36"]
