"""Two and more run folders beside each other: paired differences, what may be compared, cost and trade-off."""

from __future__ import annotations

import json
import math
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from auditkit.decisions.intervals import free_mean
from auditkit.decisions.judge import judge
from auditkit.errors import ExitCode, IntegrityError, UserError
from auditkit.evidence.compare import compare
from auditkit.evidence.comparison import Comparison, write_comparison
from auditkit.evidence.paired import aligned
from auditkit.files import canonical_json
from auditkit.spec.bounds import Bound
from auditkit.spec.model import Decide
from tests.evidence.bundles import ANSWERS, KEPT, LEVELS, bundle, made, measured, rows

DEMO = Path(__file__).parents[2] / "reports" / "demo"
WORST = {**KEPT, "name": "worst"}


@pytest.fixture
def sweep(tmp_path: Path) -> Path:
    """Three candidates, each redacted under a key of its own."""
    folder = tmp_path / "sweep"
    for place, (name, levels) in enumerate({"a": (0.6, 0.5), "b": (0.2, 0.75), "c": (0.22, 0.3)}.items()):
        samples = measured({"answers": levels[0], "kept": levels[1]}, seed=place)
        bundle(folder / name, samples, key=name.encode())
    return folder


def cell(comparison: Comparison, requirement: str, candidate: str):
    return next(c for c in comparison.compared(requirement).cells if c.candidate == candidate)


def test_the_difference_is_the_mean_of_paired_differences_with_bounds_on_subjects(sweep: Path) -> None:
    found = cell(compare([sweep]), "kept", "b").difference
    a, b = (np.array(measured({"kept": level}, seed=seed)["kept"]["candidate"].values) for level, seed in ((0.5, 0), (0.75, 1)))
    by_subject = (b - a).reshape(24, 3).mean(axis=1)
    half = stats.t.ppf(0.95, 23) * by_subject.std(ddof=1) / math.sqrt(24)
    free = free_mean(by_subject, np.ones(24), low=-1.0, high=1.0, alpha=0.05, method="free")
    assert found.value == pytest.approx(by_subject.mean())
    assert found.lower == pytest.approx(min(by_subject.mean() - half, free.lower))
    assert found.upper == pytest.approx(max(by_subject.mean() + half, free.upper))
    assert (found.n, found.rows, found.unit) == (24, 72, "subject")


def test_the_interval_is_that_of_a_bound_relative_to_the_baseline(sweep: Path) -> None:
    from auditkit.checks import CHECKS

    check = CHECKS.get("knowledge_memorization")
    params = check.params()
    judged = judge(
        metric=check.metric_for(params),
        statistic=check.statistic(params),
        bounds=(None, Bound(0.0, "other")),
        samples={
            "candidate": measured({"answers": 0.2}, seed=1)["answers"]["candidate"],
            "other": measured({"answers": 0.6}, seed=0)["answers"]["candidate"],
        },
        decide=Decide(),
        rng_seed=0,
        leak=True,
    ).difference
    found = cell(compare([sweep]), "answers", "b").difference
    assert (found.value, found.lower, found.upper) == pytest.approx((judged.value, judged.lower, judged.upper))
    assert found.method == judged.method


def test_words_follow_the_metric_and_the_interval(sweep: Path) -> None:
    comparison = compare([sweep])
    assert cell(comparison, "answers", "b").shown == "better"
    assert cell(comparison, "kept", "b").shown == "better"
    assert cell(comparison, "kept", "c").shown == "worse"
    assert cell(compare([sweep], baseline="b"), "answers", "c").shown == "no difference shown"
    assert cell(comparison, "answers", "a").shown is None


def test_estimates_results_and_verdicts_are_those_of_the_bundles(sweep: Path) -> None:
    comparison = compare([sweep], baseline="b")
    assert comparison.baseline == "b"
    for candidate in comparison.candidates:
        results = json.loads((sweep / candidate.name / "results.json").read_bytes())
        assert candidate.verdict == results["verdict"]
        for doc in results["requirements"]:
            found = cell(comparison, doc["name"], candidate.name)
            assert found.result == doc["result"]
            assert found.estimate.model_dump(mode="json") == doc["estimate"]
    assert comparison.compared("answers").models["original"].value == pytest.approx(0.9, abs=0.06)


def test_identical_bundles_do_not_differ(sweep: Path, tmp_path: Path) -> None:
    shutil.copytree(sweep / "a", tmp_path / "again")
    comparison = compare([sweep / "a", tmp_path / "again"])
    for doc in comparison.requirements:
        difference = cell(comparison, doc.name, "again").difference
        assert difference.value == 0
        assert difference.lower <= 0 <= difference.upper
        assert cell(comparison, doc.name, "again").shown == "no difference shown"


def test_every_kind_of_check_is_compared_on_the_demo(tmp_path: Path) -> None:
    for name in ("a", "b"):
        shutil.copytree(DEMO, tmp_path / name)
    comparison = compare([tmp_path / "a", tmp_path / "b"])
    found = {doc.name: doc.cells[1].difference for doc in comparison.requirements}
    assert {difference.value for difference in found.values()} == {0.0}
    assert found["membership of the biographies"].method.startswith("DeLong, paired")
    assert found["privacy leakage"].method.startswith("bootstrap")
    assert comparison.trade_off.forgetting == "direct questions"


def test_the_keys_of_the_digests_do_not_matter(tmp_path: Path) -> None:
    found = []
    for keys in ((b"one", b"one"), (b"one", b"two"), (None, b"two")):
        folder = tmp_path / str(len(found))
        for name, level, key in (("a", 0.6, keys[0]), ("b", 0.3, keys[1])):
            bundle(folder / name, measured({"answers": level, "kept": level}, seed=ord(name)), key=key)
        found.append([c.difference for doc in compare([folder]).requirements for c in doc.cells])
    assert found[0] == found[1] == found[2]


def test_rows_of_equal_names_pair_by_name_whatever_their_order() -> None:
    mine = rows("answers", "forget", 0.5, seed=1)
    turned = replace(mine, ids=mine.ids[::-1], subjects=mine.subjects[::-1], values=mine.values[::-1])
    assert aligned(turned, mine) is turned


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda v: replace(v, ids=v.ids[:-1], subjects=v.subjects[:-1], values=v.values[:-1]), "71 rows"),
        (lambda v: replace(v, subjects=(*v.subjects[:-1], "forget/another")), "other subjects"),
        (lambda v: replace(v, ids=tuple(i.replace("forget", "retain") for i in v.ids)), "other subjects"),
        (lambda v: replace(v, groups=("x",) * 72), "other groups"),
    ],
)
def test_rows_that_do_not_correspond_are_not_paired(tmp_path: Path, change, said: str) -> None:
    for name in ("a", "b"):
        samples = measured({"answers": 0.5, "kept": 0.5})
        if name == "b":
            samples["answers"] = {model: change(values) for model, values in samples["answers"].items()}
        bundle(tmp_path / name, samples, key=name.encode())
    found = cell(compare([tmp_path / "a", tmp_path / "b"]), "answers", "b")
    assert found.difference.value is None
    assert said in found.difference.note
    assert found.shown == "undecided"


def test_a_changed_byte_is_found(sweep: Path) -> None:
    path = next((sweep / "b" / "values").iterdir())
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(bytes(data))
    with pytest.raises(IntegrityError, match="does not match its digest") as caught:
        compare([sweep])
    assert caught.value.exit_code is ExitCode.BROKEN


def test_one_bundle_is_not_enough(sweep: Path, tmp_path: Path) -> None:
    for folders in ([sweep / "a"], [tmp_path / "nowhere"], []):
        with pytest.raises(UserError, match="at least two run folders"):
            compare(folders)
    with pytest.raises(UserError, match="one of them twice"):
        compare([sweep / "a", sweep / "." / "a"])
    with pytest.raises(UserError, match="not a run folder"):
        compare([sweep / "a", tmp_path / "nowhere"])


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"digests": {"forget": "e" * 64}}, "'answers': the data of corpus forget must be the same"),
        (
            {"require": ({**ANSWERS, "with": {"max_new_tokens": 9}}, KEPT)},
            "the parameter max_new_tokens .* None in a and 9 in b",
        ),
        ({"require": ({**ANSWERS, "check": "answer_probability"}, KEPT)}, "'answers': the check"),
        ({"require": ({**ANSWERS, "corpus": "retain"}, KEPT)}, "the corpus .* forget in a and retain in b"),
        ({"prints": {"reference": "2" * 64}}, "'answers': the weights of reference, which the result refers to"),
        ({"decide": {"confidence": 0.9}}, "the confidence must be the same"),
        ({"seed": 3}, "the seed, which chooses"),
    ],
)
def test_bundles_that_measure_different_things_are_refused(tmp_path: Path, changes: dict, said: str) -> None:
    samples = measured({"answers": 0.5, "kept": 0.5})
    bundle(tmp_path / "a", samples)
    bundle(tmp_path / "b", samples, **changes)
    with pytest.raises(UserError, match=said):
        compare([tmp_path / "a", tmp_path / "b"])


def test_bounds_may_differ_and_a_requirement_of_one_bundle_is_listed(tmp_path: Path) -> None:
    samples = measured({"answers": 0.5, "kept": 0.5})
    bundle(tmp_path / "a", samples)
    bundle(tmp_path / "b", samples, require=({**ANSWERS, "at_most": 0.9},))
    comparison = compare([tmp_path / "a", tmp_path / "b"])
    assert [c.bound for c in comparison.compared("answers").cells] == ["at most reference + 0.1", "at most 0.9"]
    kept = comparison.compared("kept")
    assert kept.missing == ["b"]
    assert [c.candidate for c in kept.cells] == ["a"]
    assert comparison.trade_off is None
    other = compare([tmp_path / "a", tmp_path / "b"], baseline="b")
    assert other.compared("kept").cells[0].difference is None


def test_another_original_is_noted_where_no_bound_refers_to_it(tmp_path: Path) -> None:
    samples = measured({"answers": 0.5})
    bundle(tmp_path / "a", samples, require=(ANSWERS,))
    bundle(tmp_path / "b", samples, require=(ANSWERS,), prints={"original": "9" * 64})
    assert any("original is not the same model" in note for note in compare([tmp_path / "a", tmp_path / "b"]).notes)


def test_values_that_may_decide_nothing_show_nothing(tmp_path: Path) -> None:
    for name, level in (("a", 0.9), ("b", 0.1)):
        samples = measured({"answers": level}, require=(ANSWERS,))
        if name == "b":
            samples["answers"]["candidate"] = replace(samples["answers"]["candidate"], inconclusive="text was cut")
        bundle(tmp_path / name, samples, require=(ANSWERS,))
    found = cell(compare([tmp_path / "a", tmp_path / "b"]), "answers", "b")
    assert found.shown == "undecided"
    assert "Nothing can be decided: candidate: text was cut." in found.difference.note


def test_the_worst_group_is_the_one_in_which_the_candidate_lies_furthest_behind(tmp_path: Path) -> None:
    require = (WORST,)
    for name, levels in (("a", (0.5, 0.7)), ("b", (0.6, 0.4))):
        parts = [rows("worst", "retain", level, seed=place, group=f"task {place}") for place, level in enumerate(levels)]
        parts[1] = replace(parts[1], ids=tuple(f"{i}'" for i in parts[1].ids))
        joined = replace(
            parts[0],
            **{
                column: getattr(parts[0], column) + getattr(parts[1], column)
                for column in ("ids", "subjects", "values", "groups")
            },
        )
        bundle(tmp_path / name, {"worst": {"candidate": joined, "original": joined}}, require=require, key=name.encode())
    found = cell(compare([tmp_path / "a", tmp_path / "b"]), "worst", "b")
    assert found.difference_group == "task 1"
    assert found.difference.value == pytest.approx(-0.3, abs=0.02)
    assert found.shown == "worse"


def test_cost_is_shown_with_its_ratio_to_the_reference(tmp_path: Path) -> None:
    samples = measured({"answers": 0.5, "kept": 0.5})
    reference = made("finetune", 200.0)
    costs = {
        "a": {"candidate": made("npo", 50.0), "reference": reference},
        "b": {"candidate": made("rmu", 50.0, device="cpu")},
        "c": {},
    }
    for name, cost in costs.items():
        bundle(tmp_path / "s" / name, samples, costs=cost)
    comparison = compare([tmp_path / "s"])
    assert comparison.reference_cost == reference
    assert [c.cost_ratio for c in comparison.candidates] == [0.25, None, None]
    assert [c.cost.method if c.cost else None for c in comparison.candidates] == ["npo", "rmu", None]


def test_the_trade_off_holds_every_model(sweep: Path) -> None:
    comparison = compare([sweep], baseline="c")
    trade = comparison.trade_off
    assert (trade.forgetting, trade.utility) == ("answers", "kept")
    assert [(p.name, p.role) for p in trade.points] == [
        ("a", "candidate"), ("b", "candidate"), ("c", "baseline"), ("original", "original"), ("reference", "reference"),
    ]  # fmt: skip
    assert trade.points[3].forgetting.value == pytest.approx(LEVELS["original"]["answers"], abs=0.06)
    assert trade.points[1].utility == cell(comparison, "kept", "b").estimate


def test_questions_come_before_other_checks_of_forgetting(tmp_path: Path) -> None:
    first = {**ANSWERS, "check": "answer_probability", "name": "probability"}
    require = (first, ANSWERS, KEPT)
    for name in ("a", "b"):
        bundle(tmp_path / name, measured({}, require=require), require=require)
    assert compare([tmp_path / "a", tmp_path / "b"]).trade_off.forgetting == "answers"


def test_names_tell_folders_apart_and_may_be_given(sweep: Path, tmp_path: Path) -> None:
    shutil.copytree(sweep / "b", tmp_path / "other" / "a")
    folders = [sweep / "a", tmp_path / "other" / "a"]
    assert [c.name for c in compare(folders).candidates] == ["sweep/a", "other/a"]
    assert [c.name for c in compare(folders, names=["x", "y"], baseline="y").candidates] == ["x", "y"]
    with pytest.raises(UserError, match="did you mean 'sweep/a'"):
        compare(folders, baseline="sweep/b")
    with pytest.raises(UserError, match="all different"):
        compare(folders, names=["x", "x"])
    with pytest.raises(UserError, match="must not be called reference"):
        compare(folders, names=["x", "reference"])


def test_the_same_bundles_give_the_same_bytes(sweep: Path) -> None:
    texts = {canonical_json(compare([sweep]).model_dump(mode="json")) for _ in range(2)}
    assert len(texts) == 1
    assert Comparison.model_validate_json(texts.pop()) == compare([sweep])


def test_a_comparison_is_written_beside_bundles_and_over_nothing_else(sweep: Path, tmp_path: Path) -> None:
    comparison = compare([sweep])
    before = {path: path.read_bytes() for path in sweep.rglob("*") if path.is_file()}
    for _ in range(2):
        write_comparison(sweep, comparison, {"compare.html": "page"})
    assert {path: path.read_bytes() for path in before} == before
    assert compare([sweep]) == comparison
    for inside in (sweep / "a", sweep / "a" / "values"):
        with pytest.raises(UserError, match="must not lie in a run folder"):
            write_comparison(inside, comparison, {})
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "compare.html").write_text("thesis")
    with pytest.raises(UserError, match="was not written by auditkit compare"):
        write_comparison(mine, comparison, {"compare.html": "page"})
    assert [path.name for path in mine.iterdir()] == ["compare.html"]
    with pytest.raises(UserError, match="got a file"):
        write_comparison(mine / "compare.html", comparison, {})
