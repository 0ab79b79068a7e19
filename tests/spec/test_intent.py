"""What an intent asks for, what meets it, and how it is left out."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from auditkit.attacks import ATTACKS
from auditkit.checks import CHECKS
from auditkit.spec.intent import EVERY, FORGETTING, ITEMS, SPOKEN, missing, omitted
from auditkit.spec.load import Loaded
from auditkit.spec.model import Requirement, Spec
from auditkit.spec.starter import starter

TODAY = dt.date(2026, 11, 24)
CORPORA = {
    "forget": {"file": "f.jsonl"},
    "reworded": {"file": "f.jsonl", "role": "forget_reworded"},
    "people": {"file": "p.jsonl", "role": "forget"},
    "retain": {"file": "r.jsonl"},
    "holdout": {"file": "h.jsonl"},
}
LEAKS: dict[str, Any] = {"check": "knowledge_memorization", "corpus": "forget", "at_most": "reference + 0.1"}
MEETS: dict[str, dict[str, Any]] = {
    "verbatim": {"check": "extraction_strength", "corpus": "forget", "at_most": "reference + 0.1"},
    "knowledge": LEAKS,
    "paraphrase": {**LEAKS, "corpus": "reworded"},
    "utility": {"check": "utility", "at_least": "0.95 * original"},
    "privacy": {"check": "privacy_leakage", "between": [-5, 5]},
    "relearn": {**LEAKS, "under": {"relearn": {"steps": [10, 50]}}},
    "quantize": {**LEAKS, "under": "quantize"},
    "representation": {"check": "logit_lens", "at_most": "reference + 0.1"},
    "in_context": {"check": "in_context_relearning", "at_most": "reference + 0.1"},
    "prompts": {**LEAKS, "under": {"prompts": {"families": ["typos"]}}},
    "sampling": {**LEAKS, "under": "sample"},
    "over_refusal": {"check": "over_refusal", "at_most": 0.1},
}
REMOVAL = [item.name for item in ITEMS if item.removal]
SUPPRESSION = [item.name for item in ITEMS if item.suppression]


def spec_of(intent: str = "removal", require: list[dict[str, Any]] | None = None, **fields: Any) -> Spec:
    document = {
        "auditkit": 1,
        "title": "t",
        "intent": intent,
        "access": "weights" if intent == "removal" else "api",
        "models": {name: {"checkpoint": f"./{name}"} for name in ("candidate", "original", "reference")},
        "corpora": CORPORA,
        "require": require or list(MEETS.values()),
        **fields,
    }
    return Spec.model_validate(document)


def lacking(spec: Spec) -> list[str]:
    return [found.message for found in missing(spec, spec.require, as_of=TODAY)]


def items(spec: Spec) -> list[str]:
    """Names of the items reported."""
    return [message.partition("(item ")[2].partition(")")[0] for message in lacking(spec)]


def left_out(item: str, until: str = "2026-11-24") -> dict[str, str]:
    return {"item": item, "justification": "done by another laboratory", "approver": "the board", "expires_on": until}


def without(name: str) -> list[dict[str, Any]]:
    return [requirement for item, requirement in MEETS.items() if item != name]


# The table


def test_every_name_of_the_table_exists() -> None:
    checks = {check for item in ITEMS for way in item.ways for check in way.checks}
    attacks = {way.under for item in ITEMS for way in item.ways} - {""}
    assert checks <= set(CHECKS.names())
    assert attacks <= set(ATTACKS.names())
    assert all(CHECKS.get(name).dimension == "forgetting" for name in FORGETTING)
    assert set(SPOKEN) <= set(FORGETTING)


def test_the_table_is_that_of_the_source() -> None:
    assert set(REMOVAL) - set(SUPPRESSION) == {"reference", "privacy", "relearn", "quantize", "representation"}
    assert set(SUPPRESSION) - set(REMOVAL) == {"over_refusal"}
    assert len({item.name for item in ITEMS}) == len(ITEMS) and EVERY not in {item.name for item in ITEMS}


@pytest.mark.parametrize("intent", ["removal", "suppression"])
def test_a_complete_spec_lacks_nothing(intent: str) -> None:
    spec = spec_of(intent)
    assert lacking(spec) == []
    assert omitted(spec, spec.require, as_of=TODAY) == []


@pytest.mark.parametrize("name", MEETS)
@pytest.mark.parametrize("intent", ["removal", "suppression"])
def test_each_requirement_meets_its_item_and_no_other_does(intent: str, name: str) -> None:
    asked = name in (REMOVAL if intent == "removal" else SUPPRESSION)
    assert items(spec_of(intent, without(name))) == ([name] if asked else [])


def test_the_bare_minimum_of_a_spec_lacks_everything_else() -> None:
    bare = [{"check": "fluency", "at_least": 0.9}]
    assert items(spec_of(require=bare, access=[], models={"candidate": {"checkpoint": "./c"}})) == REMOVAL
    assert items(spec_of("suppression", bare, access=[])) == SUPPRESSION


def test_the_message_names_the_item_and_says_what_to_do() -> None:
    spec = spec_of(require=without("relearn"))
    (found,) = missing(spec, spec.require, as_of=TODAY)
    assert found.path == ("intent",)
    assert found.message == "removal needs a requirement under relearn (item relearn); got none"
    assert found.hint == (
        "add one, or state its omission: omissions: [{item: relearn, justification: …, approver: …, expires_on: …}]"
    )


@pytest.mark.parametrize(
    ("item", "requirement"),
    [
        ("verbatim", {**MEETS["verbatim"], "check": "exact_memorization"}),
        ("verbatim", {**MEETS["verbatim"], "check": "verbatim_memorization", "corpus": "people"}),
        ("knowledge", {**LEAKS, "check": "answer_probability"}),
        ("knowledge", {**LEAKS, "corpus": "people"}),
        ("knowledge", {key: value for key, value in LEAKS.items() if key != "corpus"}),
        ("paraphrase", {**LEAKS, "under": "prompts"}),
        ("paraphrase", {**LEAKS, "under": {"prompts": {"families": ["typos", "paraphrase"]}}}),
        ("utility", {"check": "model_utility", "at_least": 0.5}),
        ("utility", {**LEAKS, "corpus": "retain", "at_most": None, "at_least": 0.5}),
        ("utility", {**LEAKS, "corpus": "retain", "at_most": None, "between": [0.5, 1]}),
        ("privacy", {"check": "membership_inference", "at_most": 0.6}),
        ("quantize", {**LEAKS, "under": ["quantize", "prompts"]}),
        ("representation", {"check": "linear_probe", "at_most": 0.6}),
        ("representation", {**LEAKS, "under": "ablate_direction"}),
        ("sampling", {"check": "leak_at_k", "at_most": 0.1}),
    ],
)
def test_other_ways_to_meet_an_item(item: str, requirement: dict[str, Any]) -> None:
    assert items(spec_of(require=[*without(item), requirement])) == []


@pytest.mark.parametrize(
    ("item", "requirement"),
    [
        ("knowledge", {**LEAKS, "level": "advisory"}),
        ("knowledge", {**LEAKS, "of": "original"}),
        ("knowledge", {**LEAKS, "under": "quantize"}),
        ("knowledge", {**LEAKS, "corpus": "reworded"}),
        ("knowledge", {**LEAKS, "corpus": "retain"}),
        ("verbatim", {**MEETS["verbatim"], "under": "quantize"}),
        ("paraphrase", {**LEAKS, "under": {"prompts": {"families": ["typos"]}}}),
        ("paraphrase", {**LEAKS, "under": {"prompts": {"families": "paraphrase"}}}),
        ("prompts", {**MEETS["utility"], "under": "prompts"}),
        ("utility", {"check": "utility", "at_most": 0.5}),
        ("utility", {"check": "fluency", "at_least": 0.5}),
        ("utility", {**LEAKS, "at_most": None, "at_least": 0.5}),
        ("relearn", {**MEETS["relearn"], "level": "advisory"}),
        ("relearn", {"check": "utility", "at_least": 0.5, "under": "relearn"}),
        ("sampling", {**LEAKS, "check": "answer_probability", "under": "sample"}),
    ],
)
def test_what_does_not_meet_an_item(item: str, requirement: dict[str, Any]) -> None:
    assert items(spec_of(require=[*without(item), requirement])) == [item]


# Access and reference


@pytest.mark.parametrize(
    ("intent", "access", "says"),
    [
        ("removal", ["weights"], ""),
        ("removal", ["api", "weights"], ""),
        ("removal", [], "removal needs access: weights (item access); got none"),
        ("removal", ["api", "api+sampling"], "removal needs access: weights (item access); got api, api+sampling"),
        ("suppression", ["api"], ""),
        ("suppression", ["api+sampling"], ""),
        ("suppression", [], "suppression needs access: api, api+sampling, api+finetune, and no other (item access); got none"),
        (
            "suppression",
            ["api", "weights"],
            "suppression needs access: api, api+sampling, api+finetune, and no other (item access); got api, weights",
        ),
    ],
)
def test_access_fits_the_intent(intent: str, access: list[str], says: str) -> None:
    assert lacking(spec_of(intent, access=access)) == ([says] if says else [])


def test_fine_tuning_access_forces_relearning() -> None:
    assert items(spec_of("suppression", without("relearn"), access="api+finetune")) == ["relearn"]
    assert items(spec_of("suppression", access=["api", "api+finetune"])) == []


def test_removal_needs_a_reference() -> None:
    models = {name: {"checkpoint": f"./{name}"} for name in ("candidate", "original")}
    assert items(spec_of(models=models)) == ["reference"]
    assert items(spec_of("suppression", models=models)) == []


# Omissions


@pytest.mark.parametrize("item", ["relearn", EVERY])
def test_an_omission_in_force_covers_its_item(item: str) -> None:
    spec = spec_of(require=without("relearn"), omissions=[left_out(item)])
    assert lacking(spec) == []
    assert omitted(spec, spec.require, as_of=TODAY) == [
        "relearn: done by another laboratory (accepted by the board until 2026-11-24)"
    ]


def test_one_omission_covers_no_other_item() -> None:
    assert items(spec_of(require=[LEAKS], omissions=[left_out("relearn"), left_out("access")])) == [
        name for name in REMOVAL if name not in ("relearn", "access", "knowledge", "reference")
    ]


@pytest.mark.parametrize("item", ["relearn", EVERY])
def test_an_expired_omission_covers_nothing_and_says_so(item: str) -> None:
    spec = spec_of(require=without("relearn"), omissions=[left_out(item, "2026-10-01"), left_out(item, "2026-11-23")])
    assert lacking(spec) == [
        "removal needs a requirement under relearn (item relearn); got none, and its omission expired on 2026-11-23"
    ]
    assert omitted(spec, spec.require, as_of=TODAY) == ["relearn: left out, and no omission in force accepts it"]


def test_an_omission_of_what_is_there_says_nothing() -> None:
    spec = spec_of(
        omissions=[left_out("relearn"), left_out(EVERY), left_out("over_refusal"), left_out("quantize", "2020-01-01")]
    )
    assert lacking(spec) == []
    assert omitted(spec, spec.require, as_of=TODAY) == []


def test_what_is_named_comes_before_what_is_meant_by_all() -> None:
    spec = spec_of(require=[LEAKS], omissions=[left_out(EVERY), left_out("relearn")])
    assert lacking(spec) == []
    first, second = omitted(spec, spec.require, as_of=TODAY)
    assert first.startswith("relearn: ")
    assert second.startswith(
        "verbatim, paraphrase, utility, privacy, quantize, representation, in_context, prompts, sampling: "
    )


def test_an_unknown_item_is_refused_with_the_nearest_name() -> None:
    spec = spec_of(omissions=[left_out("quantise")])
    (found,) = missing(spec, spec.require, as_of=TODAY)
    assert (found.path, found.message, found.hint) == (
        ("omissions", 0, "item"),
        "unknown item 'quantise'",
        "did you mean 'quantize'?",
    )


def test_a_profiles_requirements_count() -> None:
    spec = spec_of(require=[LEAKS])
    requirements = [Requirement.model_validate(one) for one in MEETS.values()]
    assert missing(spec, requirements, as_of=TODAY) == []


# The specs that people start from


@pytest.mark.parametrize("name", ["starter", "README"])
def test_what_people_copy_lacks_nothing_and_leaves_nothing_out(name: str, load: Callable[[str], Loaded]) -> None:
    readme = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
    example = readme.partition("```yaml\nauditkit: 1")[2].partition("```")[0]
    loaded = load(starter() if name == "starter" else f"auditkit: 1{example}")
    assert not loaded.spec.omissions
    assert missing(loaded.spec, [entry.requirement for entry in loaded.entries], as_of=TODAY) == []
