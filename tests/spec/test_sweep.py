"""Sweeps spelt out: which candidates ``methods`` and ``grid`` stand for, as overrides that load again."""

from __future__ import annotations

import json
import re
from pathlib import Path, PurePosixPath
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditkit.errors import Problem, SpecError
from auditkit.spec.load import Loaded, load_spec
from auditkit.spec.sweep import MOST, is_sweep, variants

HEAD = """\
auditkit: 1
title: t
intent: suppression
models:
  original: {checkpoint: ./original}
  candidate: {from: original, unlearn: {UNLEARN}}
corpora: {forget: {file: f.jsonl}, retain: {file: r.jsonl}}
require: [{check: fluency, at_least: 0.9}]
"""
PARAMETERS = {"npo": {"lr", "epochs", "beta", "retain"}, "ascent": {"lr", "epochs"}, "rmu": {"lr", "layer"}}


def knows(method: str, parameter: str) -> bool:
    """Three methods of this test's own."""
    return parameter in PARAMETERS.get(method, ())


@pytest.fixture
def sweep(load):
    def loaded(more: str, unlearn: str = "", **options: Any) -> Loaded:
        return load(HEAD.replace("UNLEARN", unlearn) + more, **options)

    return loaded


@pytest.fixture
def spelt(sweep):
    """Candidate → the ``unlearn`` that its overrides make."""
    return lambda *args, **options: read_again(sweep(*args, **options))


@pytest.fixture
def refused(sweep):
    """The lines of a sweep that loads and cannot be spelt out."""

    def lines(more: str, unlearn: str = "") -> list[str]:
        with pytest.raises(SpecError) as caught:
            variants(sweep(more, unlearn), knows)
        return [str(problem) for problem in caught.value.problems]

    return lines


def read_again(loaded: Loaded) -> dict[str, Any]:
    found = {}
    for name, variant in variants(loaded, knows).items():
        spec = load_spec(loaded.path, overrides=(*loaded.overrides, *variant.overrides)).spec
        assert not spec.methods
        assert not spec.grid
        found[name] = spec.models["candidate"].unlearn
    return found


# Who gets what


def test_a_spec_without_methods_and_grid_is_no_sweep(sweep):
    assert not is_sweep(sweep("", "method: npo"))
    assert is_sweep(sweep("grid: {lr: [0.1]}", "method: npo"))
    assert is_sweep(sweep("methods: {npo: {}}"))


def test_shared_parameters_go_to_the_methods_that_have_them(spelt):
    assert spelt("methods: {npo: {}, ascent: {}, rmu: {}}", "lr: 0.1, beta: 0.5, layer: 3") == {
        "npo": {"method": "npo", "lr": 0.1, "beta": 0.5},
        "ascent": {"method": "ascent", "lr": 0.1},
        "rmu": {"method": "rmu", "lr": 0.1, "layer": 3},
    }


def test_the_candidates_name_is_the_method_where_none_is_given(spelt):
    found = spelt("methods: {npo: {}, gentle: {method: npo, beta: 0.9}, ascent: {lr: 0.2}}", "lr: 0.1")
    assert found == {
        "npo": {"method": "npo", "lr": 0.1},
        "gentle": {"method": "npo", "lr": 0.1, "beta": 0.9},
        "ascent": {"method": "ascent", "lr": 0.2},
    }


def test_a_grid_is_every_combination(spelt):
    found = spelt("grid: {lr: [0.1, 0.2], beta: [1, 2]}", "method: npo, epochs: 3")
    assert {name: (words["lr"], words["beta"]) for name, words in found.items()} == {
        "npo,lr=0.1,beta=1": (0.1, 1),
        "npo,lr=0.1,beta=2": (0.1, 2),
        "npo,lr=0.2,beta=1": (0.2, 1),
        "npo,lr=0.2,beta=2": (0.2, 2),
    }
    assert all(words["method"] == "npo" and words["epochs"] == 3 for words in found.values())


def test_a_grid_goes_to_the_methods_that_have_the_parameter_and_do_not_give_it(spelt):
    found = spelt("methods: {npo: {lr: 0.5}, ascent: {}, rmu: {}}\ngrid: {lr: [0.1, 0.2], beta: [1, 2]}", "lr: 0.9")
    assert {name: (words["lr"], words.get("beta")) for name, words in found.items()} == {
        "npo,beta=1": (0.5, 1),
        "npo,beta=2": (0.5, 2),
        "ascent,lr=0.1": (0.1, None),
        "ascent,lr=0.2": (0.2, None),
        "rmu,lr=0.1": (0.1, None),
        "rmu,lr=0.2": (0.2, None),
    }


def test_overrides_of_the_command_line_stay(spelt):
    found = spelt("methods: {npo: {}, ascent: {lr: 0.2}}", "lr: 0.1", overrides=["methods.ascent.lr=0.7"], seed=3)
    assert found["ascent"]["lr"] == 0.7


# Values, names and folders


@pytest.mark.parametrize(
    "written", ["1.0e-5", "0.00001", "1.0e-20", "-2.5", "3", "1.0e+20", "true", "null", '"1e-05"', '"yes"', "[a, [1.0e-7]]"]
)
def test_a_value_of_the_grid_stays_what_it_is(sweep, written):
    loaded = sweep(f"grid: {{lr: [{written}, 0.5]}}", "method: npo")
    value = next(iter(read_again(loaded).values()))["lr"]
    assert repr(value) == repr(loaded.spec.grid["lr"][0])


@pytest.mark.parametrize(
    ("written", "label"),
    [
        ("1.0e-5", "lr=1e-05"),
        ("0.001", "lr=0.001"),
        ("true", "lr=true"),
        ("../x", "lr=.._x"),
        ("a/b", "lr=a_b"),
        (r'"a\\b"', "lr=a_b"),
        ("/etc/passwd", "lr=etc_passwd"),
        ('".."', "lr="),
        ('"con:|?*"', "lr=con"),
        ("[retain, holdout]", "lr=retain_holdout"),
        ("{rank: 8}", "lr=rank_8"),
        ('"\\u00fc\\U0001F600"', "lr="),
        ('"two\\nlines"', "lr=two_lines"),
        ('""', "lr="),
    ],
)
def test_labels_are_safe_as_names_of_folders(sweep, written, label):
    name = next(iter(variants(sweep(f"grid: {{lr: [{written}]}}", "method: npo"), knows)))
    assert name == f"npo,{label}"


def test_candidates_whose_labels_would_be_equal_are_numbered(spelt):
    found = spelt("grid: {retain: [a/b, a_b, A/B, 1, '1']}", "method: npo")
    assert {name: words["retain"] for name, words in found.items()} == {
        "npo,retain=a_b": "a/b",
        "npo,retain=a_b,2": "a_b",
        "npo,retain=A_B,3": "A/B",
        "npo,retain=1": 1,
        "npo,retain=1,2": "1",
    }


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**17), 10**17)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=("Cs", "Cc"))),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("aé😀:,{}[]#'\"\\ ", min_size=1), inner, max_size=3),
    max_leaves=6,
)


@given(values=st.lists(VALUES, min_size=1, max_size=4))
def test_whatever_a_grid_holds_every_candidate_has_its_value_and_its_own_safe_name(tmp_path_factory, values):
    path = tmp_path_factory.getbasetemp() / "any-value.yaml"
    path.write_text(HEAD.replace("UNLEARN", "method: npo"))
    loaded = load_spec(path)
    loaded = Loaded(
        loaded.spec.model_copy(update={"grid": {"retain": values}}), path, loaded.text, (), loaded.entries, loaded.positions
    )
    found = read_again(loaded)
    assert json.dumps([words["retain"] for words in found.values()]) == json.dumps(values)
    assert len({name.casefold() for name in found}) == len(values)
    for name in found:
        assert re.fullmatch(r"[A-Za-z0-9,=._+-]{1,130}", name)
        assert PurePosixPath(name).name == name
        assert (Path("run") / name).resolve().parent == Path("run").resolve()


# What is refused


def test_a_parameter_that_no_method_has_is_named_where_it_stands(refused):
    lines = refused("methods: {npo: {}, ascent: {}}\ngrid: {layer: [1, 2], lr: [0.1]}", "lrr: 0.1")
    wanted = "must be a parameter of one of the methods (npo, ascent); got"
    hint = "`auditkit show METHOD` lists a method's parameters"
    assert lines == [
        f"spec.yaml:6:41: models.candidate.unlearn.lrr: {wanted} 'lrr'; {hint}",
        f"spec.yaml:10:8: grid.layer: {wanted} 'layer'; {hint}",
    ]


def test_at_most_so_many_candidates(refused, sweep):
    values = ", ".join(map(str, range(1, 15)))
    assert refused(f"grid: {{lr: [{values}], epochs: [{values}], beta: [1, 2]}}", "method: npo") == [
        f"spec.yaml:9:7: grid: must make at most {MOST} candidates; got 392; fewer values, or several specs"
    ]
    assert len(variants(sweep(f"grid: {{lr: [{values}], epochs: [{values}]}}", "method: npo"), knows)) == 196


def test_a_grid_too_large_to_be_counted_one_by_one_is_refused_at_once(sweep):
    values = ", ".join(map(str, range(1000)))
    names = [f"p{number}" for number in range(10)]
    loaded = sweep("grid:\n" + "".join(f"  {name}: [{values}]\n" for name in names), "method: npo")
    with pytest.raises(SpecError, match="got 1,000,000,000,000,000,000,000,000,000,000"):
        variants(loaded, lambda method, parameter: True)


def test_a_grid_without_values_is_refused(faults):
    text = HEAD.replace("UNLEARN", "method: npo") + "grid: {lr: []}\n"
    assert faults(text) == ["spec.yaml:9:12: grid.lr: must have 1 entry or more; got 0"]


@pytest.mark.parametrize(
    ("where", "message"),
    [
        ("lr", "spec.yaml:10:12: grid.lr: bad"),
        ("beta", "spec.yaml:9:23: methods.npo.beta: bad"),
        ("epochs", "spec.yaml:6:49: models.candidate.unlearn.epochs: bad"),
        ("retain.0.deep", "spec.yaml:9:36: methods.npo.retain.0.deep: bad"),
        ("", "spec.yaml:9:16: methods.npo: bad"),
        ("elsewhere", "spec.yaml:9:16: methods.npo: bad"),
    ],
)
def test_a_fault_of_one_candidate_stands_where_its_value_was_written(sweep, where, message):
    loaded = sweep("methods: {npo: {beta: 0.5, retain: [x]}}\ngrid: {lr: [0.1]}\n", "epochs: 3")
    (variant,) = variants(loaded, knows).values()
    found = variant.located(loaded, Problem("bad", where, "--set models.candidate.unlearn"))
    assert str(found) == message


def test_a_fault_elsewhere_stays_where_it_is(sweep):
    loaded = sweep("methods: {npo: {}}")
    (variant,) = variants(loaded, knows).values()
    problem = Problem("bad", "corpora.forget", "spec.yaml", 7, 3)
    assert variant.located(loaded, problem) is problem
