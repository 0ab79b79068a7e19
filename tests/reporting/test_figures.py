import json
import random
import re
from functools import cache

import altair
import numpy as np
import pytest
import vl_convert
from sklearn.metrics import roc_curve

from auditkit.evidence.results import BoundDoc, GroupDoc, RequirementDoc
from auditkit.evidence.values import ModelValues, ValuesDoc
from auditkit.reporting.figures import Figure, Node, figures_for
from auditkit.reporting.figures._parts import short
from auditkit.reporting.figures._scores import _Scores
from tests.reporting.sample_results import estimate, hostile, requirement, results, values


@cache
def _every() -> list[Figure]:
    found = results()
    by_slug = values(found)
    return [figure for doc in found.requirements for figure in figures_for(doc, by_slug.get(doc.slug))]


def _nodes(node: Node) -> list[Node]:
    return [node, *(inner for child in node.children for inner in _nodes(child))]


def _marks(figure: Figure, colour: str) -> list[tuple[float, float]]:
    """Positions of the filled marks of one colour."""
    found = []
    for node in _nodes(figure.panels[0].drawing):
        given = dict(node.attributes)
        if node.tag == "path" and given.get("fill") == f"var(--{colour})" and given.get("transform"):
            x, y = re.fullmatch(r"translate\(([^,]+),([^,]+)\)", given["transform"]).groups()
            found.append((float(x), float(y)))
    return found


def test_every_measured_requirement_has_its_interval_and_figures_follow_the_data() -> None:
    kinds = [figure.kind for figure in _every()]
    assert kinds.count("interval") + kinds.count("interval_relative") == 7
    assert kinds.count("roc") == kinds.count("histogram") == kinds.count("dose_response") == 1
    assert kinds.count("contexts") == 2


def test_specifications_are_valid_vega_lite(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[dict] = []
    draw = vl_convert.vegalite_to_svg
    monkeypatch.setattr(vl_convert, "vegalite_to_svg", lambda chart: drawn.append(chart) or draw(chart))
    _every.__wrapped__()
    assert len(drawn) >= 15
    for chart in drawn:
        altair.Chart.from_dict(json.loads(json.dumps(chart)), validate=True)


def test_every_colour_is_a_variable_of_the_page() -> None:
    allowed = re.compile(r"none|transparent|var\(--[a-z]+\)")
    for figure in _every():
        for panel in figure.panels:
            for node in _nodes(panel.drawing):
                for name, value in node.attributes:
                    assert name not in {"style", "class", "id"}
                    if name in {"fill", "stroke"}:
                        assert allowed.fullmatch(value), (figure.kind, name, value)


def test_models_differ_by_shape_and_not_by_colour_alone() -> None:
    figure = next(f for f in _every() if f.kind == "interval")
    shapes = {}
    for node in _nodes(figure.panels[0].drawing):
        given = dict(node.attributes)
        if node.tag == "path" and given.get("fill", "").startswith("var(--"):
            shapes[given["fill"]] = given["d"]
    models = ["var(--candidate)", "var(--original)", "var(--reference)"]
    assert len({shapes[model] for model in models}) == 3


def test_a_mark_stands_where_its_value_is() -> None:
    doc = requirement(
        bound=BoundDoc(text="at most 0.5", upper=0.5, upper_value=0.5),
        difference=None,
        models={"candidate": estimate(0.25), "original": estimate(0.75), "reference": estimate(0.5)},
    )
    figure = figures_for(doc, None)[0]
    x = {colour: _marks(figure, colour)[0][0] for colour in ("candidate", "original", "reference")}
    assert x["original"] == pytest.approx(3 * x["candidate"], abs=0.1)
    assert x["reference"] == pytest.approx(2 * x["candidate"], abs=0.1)
    dashed = [
        dict(n.attributes) for n in _nodes(figure.panels[0].drawing) if dict(n.attributes).get("stroke") == "var(--bound)"
    ]
    assert len(dashed) == 1
    assert f"translate({x['reference']:g}" in dashed[0]["transform"]


def test_nothing_measured_gives_no_figure_and_a_missing_model_says_so() -> None:
    assert figures_for(requirement(estimate=estimate(None), models={}, difference=None), None) == []
    doc = requirement(models={"candidate": estimate(0.2), "reference": estimate(None, note="too few rows")}, difference=None)
    figure = figures_for(doc, None)[0]
    assert "reference (not measured)" in [node.text for node in _nodes(figure.panels[0].drawing)]
    assert figure.table.rows[1][1] == "not measured"
    assert figure.table.rows[1][-1] == "too few rows"


def test_an_interval_beyond_the_scale_is_not_cut_off() -> None:
    doc = requirement(
        models={"candidate": estimate(0.02, 0.05)}, difference=None, bound=BoundDoc(text="at most 0.9", upper_value=0.9)
    )
    assert figures_for(doc, None)[0].table.rows[0][2] == "[−0.030, 0.070]"


def test_roc_points_are_those_of_scikit_learn() -> None:
    rng = random.Random(3)
    labels = [rng.random() < 0.4 for _ in range(300)]
    scores = [round(rng.gauss(label, 1), 1) for label in labels]  # rounded: with ties
    found = _Scores(
        [s for s, m in zip(scores, labels, strict=True) if m], [s for s, m in zip(scores, labels, strict=True) if not m], 0
    )
    fpr, tpr, _ = roc_curve(labels, scores, drop_intermediate=False)
    assert np.allclose(np.array(found.curve()), np.column_stack([fpr, tpr]))


def _scored(members: list[float], others: list[float]) -> tuple[RequirementDoc, ValuesDoc]:
    n = len(members) + len(others)
    model = ModelValues(
        ids=[f"forget/{i}" for i in range(n)],
        subjects=[f"forget/{i}" for i in range(n)],
        values=[*members, *others],
        labels=[1] * len(members) + [0] * len(others),
    )
    doc = requirement(difference=None)
    return doc, ValuesDoc(slug=doc.slug, models={"candidate": model})


def test_a_rate_is_printed_only_where_enough_non_members_stand_behind_it() -> None:
    roc = next(f for f in figures_for(*_scored([1.0] * 20, [0.0] * 100)) if f.kind == "roc")
    assert [row[0] for row in roc.table.rows] == ["10.0%", "20.0%", "50.0%"]
    assert roc.table.rows[0][1] == "100.0%"
    few = next(f for f in figures_for(*_scored([1.0] * 20, [0.0] * 5)) if f.kind == "roc")
    assert few.table.rows == ()


@pytest.mark.parametrize(
    ("members", "others"), [([1.0], [0.0]), ([2.0, 2.0], [2.0, 2.0]), ([float("nan"), 1.0], [float("-inf"), 0.0])]
)
def test_score_figures_bear_one_value_ties_and_what_is_not_finite(members: list[float], others: list[float]) -> None:
    figures = figures_for(*_scored(members, others))
    assert {"roc", "histogram"} <= {figure.kind for figure in figures}


def test_scores_of_one_class_give_no_roc() -> None:
    assert {f.kind for f in figures_for(*_scored([1.0], []))} == {"interval_relative"}


def test_histogram_shares_add_up_to_one() -> None:
    rng = random.Random(1)
    figures = figures_for(*_scored([rng.gauss(1, 1) for _ in range(50)], [rng.gauss(0, 1) for _ in range(70)]))
    table = next(f for f in figures if f.kind == "histogram").table
    for column in (1, 2):
        assert sum(float(row[column].rstrip("%")) for row in table.rows) == pytest.approx(100, abs=1)


def test_contexts_with_the_answer_are_never_in_one_figure_with_the_others() -> None:
    figures = [f for f in _every() if f.kind in {"contexts", "dose_response"}]
    with_answer = [f for f in figures if "contain the answer" in f.title]
    assert {row[0] for f in with_answer for row in f.table.rows} == {"answer", "paraphrase"}
    rest = {row[0] for f in figures if f not in with_answer for row in f.table.rows}
    assert rest == {"none", "definition", "alias", "few_shot_same", "chain"}


def test_dose_response_names_doses_in_order() -> None:
    groups = [GroupDoc(group=f"chain@{d}", model="candidate", estimate=estimate(0.1), decisive=True) for d in (16, 1, 4)]
    figure = next(f for f in figures_for(requirement(groups=groups, difference=None), None) if f.kind == "dose_response")
    texts = [node.text for node in _nodes(figure.panels[0].drawing)]
    assert [t for t in texts if t in {"1", "4", "16"}] == ["1", "4", "16"]
    assert [row[1] for row in figure.table.rows] == ["1", "4", "16"]
    with_baseline = [GroupDoc(group="none@0", model="candidate", estimate=estimate(0.0), decisive=False), *groups]
    figure = next(f for f in figures_for(requirement(groups=with_baseline, difference=None), None) if f.kind == "dose_response")
    assert [(row[0], row[1]) for row in figure.table.rows] == [("chain", "1"), ("chain", "4"), ("chain", "16"), ("none", "0")]


def test_a_control_character_in_a_name_does_not_end_the_process() -> None:
    raw = hostile().requirements[0]  # not made printable first
    assert figures_for(raw, None)


def test_drawings_are_the_same_bytes_every_time() -> None:
    assert _every.__wrapped__() == _every()


def test_long_names_are_cut_and_stay_distinct() -> None:
    labels = short(["m" * 60 + "a", "m" * 60 + "b", "short"])
    assert len(set(labels.values())) == 3
    assert max(map(len, labels.values())) < 40


def test_many_further_models_get_looks_of_their_own() -> None:
    models = {name: estimate(0.1) for name in ("candidate", "a", "b", "c")}
    figure = figures_for(requirement(models=models, difference=None), None)[0]
    drawn = [dict(node.attributes) for node in _nodes(figure.panels[0].drawing)]
    shapes = [given["d"] for given in drawn if given.get("fill") == "var(--other)" and "transform" in given]
    assert len(set(shapes)) == 3
