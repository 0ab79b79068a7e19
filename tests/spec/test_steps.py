"""Scales and sequences: which models and requirements they stand for, and what may not stand in them."""

from __future__ import annotations

import itertools
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditkit.errors import SpecError
from auditkit.spec.bounds import Bound
from auditkit.spec.load import load_spec
from auditkit.spec.model import Spec
from auditkit.spec.profiles import Entry, expand_entries
from auditkit.spec.steps import Point, step_models, with_step_models

FOLDS = ("a", "b", "c")
CANDIDATE = {"from": "original", "unlearn": {"method": "npo", "lr": 0.001, "forget": "forget", "retain": ["retain"]}}
KEPT: dict[str, Any] = {"name": "kept", "check": "utility", "corpus": "retain", "at_least": "0.9 * original"}
GONE: dict[str, Any] = {"name": "gone", "check": "knowledge_memorization", "corpus": "step", "at_most": "reference + 0.1"}
AGAIN: dict[str, Any] = {"name": "again", "check": "knowledge_memorization", "corpus": "step", "at_most": "then + 0.1"}


def document(**fields: Any) -> dict[str, Any]:
    corpora = ("forget", "retain", "forget_documents", "holdout", *FOLDS)
    return {
        "auditkit": 1,
        "title": "t",
        "intent": "suppression",
        "models": {
            "original": {"checkpoint": "./original"},
            "reference": {"checkpoint": "./reference"},
            "candidate": CANDIDATE,
        },
        "corpora": {name: {"file": f"{name}.jsonl"} for name in corpora},
        **fields,
    }


def spec_of(**fields: Any) -> Spec:
    """Like load_spec, without a file."""
    spec, findings = with_step_models(Spec.model_validate(document(**fields)))
    assert findings == []
    return spec


def parents(spec: Spec) -> dict[str, tuple[Any, Any]]:
    """Parent and forget list of every model that a step makes."""
    return {name: (model.from_, (model.unlearn or {})["forget"]) for name, model in step_models(spec).items()}


def points(spec: Spec) -> list[Entry]:
    return [entry for entry in expand_entries(spec) if entry.point is not None]


# What is made


def test_without_scale_and_sequence_nothing_is_made():
    spec = spec_of(require=[KEPT])
    assert step_models(spec) == {}
    assert list(spec.models) == ["original", "reference", "candidate"]


def test_every_size_starts_from_the_same_model():
    sizes = ["a", {"forget": ["a", "b"], "ask": "b"}, ["a", "b", "c"]]
    assert parents(spec_of(scale={"sizes": sizes, "require": [KEPT]})) == {
        "size_1": ("original", ["a"]),
        "size_2": ("original", ["a", "b"]),
        "size_3": ("original", ["a", "b", "c"]),
    }


def test_every_request_starts_from_what_the_one_before_left():
    sequence = {"requests": ["a", "b", "c"], "orders": [[3, 1, 2]], "one_shot": True, "require": [KEPT]}
    assert parents(spec_of(sequence=sequence)) == {
        "request_1": ("original", ["a"]),
        "request_2": ("request_1", ["b"]),
        "request_3": ("request_2", ["c"]),
        "order_1_request_1": ("original", ["c"]),
        "order_1_request_2": ("order_1_request_1", ["a"]),
        "order_1_request_3": ("order_1_request_2", ["b"]),
        "one_shot": ("original", ["a", "b", "c"]),
    }


def test_all_at_once_forgets_a_shared_corpus_once():
    sequence = {"requests": [["a", "b"], ["b", "c"]], "one_shot": True, "require": [KEPT]}
    assert parents(spec_of(sequence=sequence))["one_shot"] == ("original", ["a", "b", "c"])


def test_the_candidates_own_words_are_kept_and_only_the_forget_list_changes():
    models = {**document()["models"], "candidate": {**CANDIDATE, "dtype": "float32", "chat": "template", "system": "Be brief."}}
    spec = spec_of(models=models, scale={"sizes": ["a", "b"], "require": [KEPT]})
    made, candidate = step_models(spec)["size_2"], spec.models["candidate"]
    assert made.unlearn == {"method": "npo", "lr": 0.001, "forget": ["b"], "retain": ["retain"]}
    assert (made.dtype, made.chat, made.system) == (candidate.dtype, candidate.chat, candidate.system)
    assert candidate.unlearn == CANDIDATE["unlearn"]


def test_a_loaded_spec_has_the_models(load):
    found = load(json.dumps(document(sequence={"requests": ["a", "b"], "require": [KEPT]}))).spec
    assert list(found.models) == ["original", "reference", "candidate", "request_1", "request_2"]


# What is required


def test_a_scale_asks_its_requirements_at_every_size():
    found = points(spec_of(scale={"sizes": ["a", {"forget": ["a", "b"], "ask": "b"}], "require": [KEPT, GONE]}))
    assert [(e.requirement.name, e.requirement.of, e.requirement.corpus, e.path) for e in found] == [
        ("kept, size 1 of 2", "size_1", "retain", ("scale", "require", 0)),
        ("kept, size 2 of 2", "size_2", "retain", ("scale", "require", 0)),
        ("gone, size 1 of 2", "size_1", "a", ("scale", "require", 1)),
        ("gone, size 2 of 2", "size_2", "b", ("scale", "require", 1)),
    ]
    assert found[3].point == Point("size", "gone", 2, 2)
    assert found[3].requirement.at_most == Bound(0.1, "reference")


def test_then_is_asked_of_every_earlier_request_after_every_later_one():
    found = points(spec_of(sequence={"requests": ["a", "b", "c"], "orders": [[2, 1, 3]], "one_shot": True, "require": [AGAIN]}))
    asked = [(e.requirement.name, e.requirement.of, e.requirement.corpus, e.requirement.at_most) for e in found]
    assert asked == [
        ("again of request 1 after request 2", "request_2", "a", Bound(0.1, "request_1")),
        ("again of request 1 after request 3", "request_3", "a", Bound(0.1, "request_1")),
        ("again of request 2 after request 3", "request_3", "b", Bound(0.1, "request_2")),
    ]
    assert [(e.point.step, e.point.asked) for e in found if e.point] == [(2, 1), (3, 1), (3, 2)]


def test_both_ends_of_a_band_may_name_then():
    band = {**AGAIN, "at_most": None, "between": ["then - 0.2", "then + 0.2"]}
    (entry,) = points(spec_of(sequence={"requests": ["a", "b"], "require": [band]}))
    assert entry.requirement.bounds == (Bound(-0.2, "request_1"), Bound(0.2, "request_1"))


def test_other_orders_and_all_at_once_are_reported_at_their_end_and_not_required():
    sequence = {"requests": ["a", "b"], "orders": [[2, 1]], "one_shot": True, "require": [KEPT, GONE]}
    found = points(spec_of(sequence=sequence))
    reported = [
        (e.requirement.name, e.requirement.of, e.requirement.corpus) for e in found if e.requirement.level == "advisory"
    ]
    assert reported == [
        ("kept, in order 1", "order_1_request_2", "retain"),
        ("kept, all at once", "one_shot", "retain"),
        ("gone of request 1, in order 1", "order_1_request_2", "a"),
        ("gone of request 2, in order 1", "order_1_request_2", "b"),
        ("gone of request 1, all at once", "one_shot", "a"),
        ("gone of request 2, all at once", "one_shot", "b"),
    ]
    required = [e.requirement.name for e in found if e.requirement.level == "required"]
    assert required == ["kept, request 1 of 2", "kept, request 2 of 2", "gone, request 1 of 2", "gone, request 2 of 2"]


def test_a_requirement_without_a_name_is_called_by_its_check():
    unnamed = {key: value for key, value in KEPT.items() if key != "name"}
    found = points(spec_of(scale={"sizes": ["a", "b"], "require": [unnamed]}))
    assert [e.requirement.name for e in found] == ["utility, size 1 of 2", "utility, size 2 of 2"]


# Profiles


def test_a_profile_brings_its_own_to_a_scale_and_a_sequence():
    spec = spec_of(profile="muse", scale={"sizes": ["a", "b"]}, sequence={"requests": ["a", "b"]})
    names = [e.requirement.name for e in points(spec)]
    assert names == [
        "muse: utility, size 1 of 2",
        "muse: utility, size 2 of 2",
        "muse: utility, request 1 of 2",
        "muse: utility, request 2 of 2",
        "muse: knowledge, request 1 of 2",
        "muse: knowledge, request 2 of 2",
        "muse: resurfacing of request 1 after request 2",
    ]
    assert {e.path for e in points(spec)} == {("profile",)}
    assert not points(spec_of(profile="muse"))


def test_one_of_the_specs_own_with_the_name_of_a_profiles_takes_its_place():
    own = {**KEPT, "name": "muse: utility", "at_least": 0.5}
    spec = spec_of(profile="muse", scale={"sizes": ["a", "b"], "require": [GONE, own]}, sequence={"requests": ["a", "b"]})
    found = {e.requirement.name: e for e in points(spec)}
    assert list(found)[:4] == [
        "muse: utility, size 1 of 2",
        "muse: utility, size 2 of 2",
        "gone, size 1 of 2",
        "gone, size 2 of 2",
    ]
    assert found["muse: utility, size 2 of 2"].requirement.at_least == Bound(0.5)
    assert found["muse: utility, size 2 of 2"].path == ("scale", "require", 1)
    assert found["muse: utility, request 2 of 2"].requirement.at_least == Bound(0.0, "reference", 0.95)


def test_a_profiles_requirement_for_a_missing_corpus_is_one_line_for_each_curve(faults):
    corpora = {name: {"file": f"{name}.jsonl"} for name in ("forget", "forget_documents", "holdout", "a", "b")}
    models = {**document()["models"], "candidate": {"from": "original", "unlearn": {"method": "gradient_ascent"}}}
    lines = faults(json.dumps(document(models=models, corpora=corpora, profile="muse", scale={"sizes": ["a", "b"]})))
    assert len(lines) == 2
    assert all("'muse: utility' needs a corpus with the role retain; got none" in line for line in lines)
    assert "under require" in lines[0] and "under scale.require" in lines[1]


# What is refused

HEAD = """\
auditkit: 1
title: t
intent: suppression
models:
  original: {checkpoint: ./original}
  reference: {checkpoint: ./reference}
  candidate: {from: original, unlearn: {method: npo}}
corpora: {forget: {file: f.jsonl}, retain: {file: r.jsonl}, a: {file: a.jsonl}, b: {file: b.jsonl}}
"""
KEEPS = "{check: utility, name: kept, corpus: retain, at_least: 0.5}"
ON_DISK = HEAD.replace("{from: original, unlearn: {method: npo}}", "{checkpoint: ./candidate}")
TAUGHT = HEAD.replace("unlearn: {method: npo}", "finetune: {corpora: [retain]}")
MADE = (
    "must stand beside a candidate that the spec makes, {from: original, unlearn: {method: NAME, ...}}; got another candidate"
)
SCALE = f"scale:\n  sizes: [a, b]\n  require: [{KEEPS}]\n"
SEQUENCE = f"sequence:\n  requests: [a, b]\n  require: [{KEEPS}]\n"


@pytest.mark.parametrize("head", [ON_DISK, TAUGHT])
@pytest.mark.parametrize(
    ("part", "text"),
    [
        ("scale", SCALE),
        ("sequence", SEQUENCE),
        ("methods", f"methods:\n  npo: {{}}\nrequire: [{KEEPS}]\n"),
        ("grid", f"grid:\n  lr: [0.1]\nrequire: [{KEEPS}]\n"),
    ],
)
def test_steps_and_sweeps_need_a_candidate_that_the_spec_makes(faults, head, part, text):
    assert faults(head + text) == [f"spec.yaml:9:1: {part}: {MADE}"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            SCALE.replace("[a, b]", "[a, bb]"),
            ["spec.yaml:10:14: scale.sizes.1: unknown corpus 'bb'; did you mean 'b'?"],
        ),
        (
            SEQUENCE.replace("[a, b]", "[a, {forget: [a, bb], ask: cc}]").replace("corpus: retain", "corpus: step"),
            [
                "spec.yaml:10:17: sequence.requests.1: unknown corpus 'bb'; did you mean 'b'?",
                "spec.yaml:10:17: sequence.requests.1: unknown corpus 'cc'; known: a, b, forget, retain",
            ],
        ),
        (
            SCALE.replace("corpus: retain", "corpus: retian"),
            ["spec.yaml:11:50: scale.require.0.corpus: unknown corpus 'retian'; did you mean 'retain'?"],
        ),
        (
            SCALE.replace("at_least: 0.5", "at_least: then"),
            ["spec.yaml:11:68: scale.require.0.at_least: unknown model 'then'; known: candidate, original, reference, "
             "size_1, size_2"],
        ),
        (SCALE.replace("[a, b]", "[a]"), ["spec.yaml:10:10: scale.sizes: must have 2 entries or more; got 1"]),
        (
            SEQUENCE + "  orders: [[2, 2]]\n",
            ["spec.yaml:12:11: sequence.orders: must hold each of [1, 2] once, and not as they stand; got [2, 2]"],
        ),
        (
            SEQUENCE + "  orders: [[1, 2]]\n",
            ["spec.yaml:12:11: sequence.orders: must hold each of [1, 2] once, and not as they stand; got [1, 2]"],
        ),
        (
            SEQUENCE + "  orders: [[2, 1, 3]]\n",
            ["spec.yaml:12:11: sequence.orders: must hold each of [1, 2] once, and not as they stand; got [2, 1, 3]"],
        ),
        (
            SCALE.replace("check: utility", "check: utility, of: original"),
            ["spec.yaml:11:34: scale.require.0.of: must be left out here, where each step has its own model; got original"],
        ),
        (
            SCALE.replace("[{check", "[{check: fluency, name: kept, at_least: 0.5}, {check"),
            ["spec.yaml:11:81: scale.require.1.name: 'kept' must be a name of its own; got that of scale.require.0"],
        ),
        (
            SCALE + "require: [{check: fluency, at_least: 0.9, name: 'kept, size 1 of 2'}]\n",
            ["spec.yaml:11:36: scale.require.0.name: 'kept' must be a name of its own; got that of require.0"],
        ),
    ],
)  # fmt: skip
def test_faults_stand_where_they_were_written(faults, text, expected):
    assert faults(HEAD + text) == expected


@pytest.mark.parametrize(
    ("text", "name"), [(SCALE, "size_2"), (SEQUENCE, "request_1"), (SEQUENCE + "  one_shot: true\n", "one_shot")]
)
def test_a_model_with_a_steps_name_is_refused(faults, text, name):
    head = HEAD.replace("  candidate:", f"  {name}: {{checkpoint: ./other}}\n  candidate:")
    message = "must be another name: the spec's scale or sequence makes a model of this one"
    assert faults(head + text) == [f"spec.yaml:7:{5 + len(name)}: models.{name}: {message}"]


def test_step_and_then_are_names_of_their_own(faults, load):
    head = HEAD.replace("  candidate:", "  then: {checkpoint: ./other}\n  candidate:")
    head = head.replace("a: {file", "step: {file: s.jsonl}, a: {file")
    lines = faults(head + SCALE)
    assert lines == [
        "spec.yaml:7:9: models.then: must be another name: then stands for the model after a request",
        "spec.yaml:9:67: corpora.step: must be another name: step stands for the corpus of a step",
    ]
    assert load(head + f"require: [{KEEPS}]\n").spec.corpora["step"]


def test_steps_make_no_more_models_than_a_spec_may_have(faults):
    orders = [list(order) for order in itertools.islice(itertools.permutations(range(1, 21)), 1, 11)]
    sequence = {"requests": ["a", "b"] * 10, "orders": orders, "require": [KEPT]}
    (line,) = faults(json.dumps(document(sequence=sequence), indent=1))
    assert "sequence: must make the spec's models at most 100 in all; got 223; fewer sizes, requests or orders" in line


# What holds for every spec

STEPS = st.lists(st.sampled_from(FOLDS), min_size=1, max_size=3, unique=True)
SCALES = st.fixed_dictionaries({"sizes": st.lists(STEPS, min_size=2, max_size=4), "require": st.just([KEPT, GONE])})


@st.composite
def sequences(draw: st.DrawFn) -> dict[str, Any]:
    requests = draw(st.lists(STEPS, min_size=2, max_size=4))
    straight = list(range(1, len(requests) + 1))
    orders = draw(st.lists(st.permutations(straight).filter(lambda order: order != straight), max_size=2))
    return {"requests": requests, "orders": orders, "one_shot": draw(st.booleans()), "require": [KEPT, GONE, AGAIN]}


@given(scale=st.none() | SCALES, sequence=st.none() | sequences())
def test_every_chain_ends_at_the_candidates_parent(scale, sequence):
    spec = spec_of(scale=scale, sequence=sequence, require=[KEPT])
    made = step_models(spec)
    for name in made:
        way = [name]
        while way[-1] in made:
            way.append(str(made[way[-1]].from_))
            assert len(way) <= len(made) + 1
        assert way[-1] == "original"
    assert {entry.requirement.of for entry in points(spec)} <= set(made)
    names = [entry.requirement.name for entry in expand_entries(spec)]
    assert len(names) == len(set(names))


@given(scale=st.none() | SCALES, sequence=st.none() | sequences())
def test_a_resolved_spec_stands_for_the_same_again(scale, sequence):
    spec = spec_of(scale=scale, sequence=sequence, require=[KEPT])
    again = Spec.model_validate_json(json.dumps(spec.model_dump(mode="json", by_alias=True)), strict=False)
    assert expand_entries(again) == expand_entries(spec)
    assert step_models(again) == step_models(spec)


def test_a_spec_with_a_fault_in_its_steps_never_loads_without_words(tmp_path):
    (tmp_path / "spec.yaml").write_text(HEAD + "scale: {sizes: [a, b]}\n")
    with pytest.raises(SpecError, match="must require something"):
        load_spec(tmp_path / "spec.yaml")
