"""Settings, repeats and wordings of an attack become one sample: by hand."""

import math
from types import SimpleNamespace

import pytest

from auditkit.attacks import ATTACKS, Setting, Wording
from auditkit.checks import CHECKS
from auditkit.checks._base import Values
from auditkit.evidence.attacking import Chosen
from auditkit.evidence.variants import ANY, CHOSEN, MEAN, Part, Treatment, combine, is_kept, unworded
from auditkit.spec.model import Requirement
from tests.checks import fakes


def job(check="answer_probability", rows=2, **attacks):
    check = CHECKS.get(check)
    chosen = [Chosen(ATTACKS.get(name), ATTACKS.get(name).params(**params)) for name, params in attacks.items()]
    corpus = fakes.people("forget", rows, facts=1)
    return SimpleNamespace(check=check, attacks=chosen, context=SimpleNamespace(params=check.params(), corpus=corpus))


def values(*numbers, groups=(), shown=()):
    names = tuple(f"forget/{n}" for n in range(1, len(numbers) + 1))
    return Values(names, tuple(f"forget/p{n}" for n in range(1, len(numbers) + 1)), numbers, groups=groups, shown_only=shown)


def part(one, *, setting="", word="", repeat=0, shown=False, chosen=True, if_chosen="", x=None):
    treatment = Treatment(Setting(setting, repeat=repeat, shown_only=shown, x=x), (), Wording(word), if_chosen)
    return Part(treatment, one, chosen)


def by_group(sample):
    found = {}
    for group, name, value in zip(sample.groups or ("",) * len(sample.ids), sample.ids, sample.values, strict=True):
        found.setdefault(group, {})[name.removeprefix("forget/")] = value
    return found


def test_without_attacks_the_values_are_the_checks_own():
    own = values(0.1, 0.2)
    assert combine([part(own)], job()) is own


def test_one_setting_without_label_stays_one_component():
    sample = combine([part(values(0.1, 0.2))], job(remove_system_prompt={}))
    assert sample.groups == () and sample.values == (0.1, 0.2)


def test_every_setting_is_a_group_and_repeats_are_more_rows_of_the_same_subjects():
    parts = [
        part(values(0.1, 0.2), setting="weak", repeat=0),
        part(values(0.3, 0.4), setting="weak", repeat=1),
        part(values(0.5, 0.6), setting="strong"),
        part(values(0.9, 0.9), setting="control", shown=True),
    ]
    sample = combine(parts, job(noise={}))
    assert by_group(sample) == {
        "weak": {"1": 0.1, "2": 0.2, "1~1": 0.3, "2~1": 0.4},
        "strong": {"1": 0.5, "2": 0.6},
        "control": {"1": 0.9, "2": 0.9},
    }
    assert sample.shown_only == ("control",)
    assert set(sample.subjects) == {"forget/p1", "forget/p2"}


@pytest.mark.parametrize(
    ("summary", "decides"),
    [("worst_question", {ANY}), ("worst_wording", {"a", "b"}), ("mean", {MEAN})],
)
def test_wordings_the_worst_for_each_question_each_of_them_or_their_mean(summary, decides):
    parts = [part(values(0.1, 0.8), word="a"), part(values(0.7, 0.2), word="b")]
    sample = combine(parts, job(prompts={"summary": summary}))
    found = by_group(sample)
    assert set(found) - set(sample.shown_only) == decides
    assert found["a"] == {"1": 0.1, "2": 0.8} and found["b"] == {"1": 0.7, "2": 0.2}
    assert sorted(found[MEAN].values()) == [0.1, 0.2, 0.7, 0.8]
    assert found.get(ANY, {"1": 0.7, "2": 0.8}) == {"1": 0.7, "2": 0.8}


def test_a_row_that_one_wording_does_not_fit_counts_with_the_others_and_one_that_is_no_number_with_none():
    parts = [part(values(0.1, math.nan), word="a"), part(values(0.7), word="b")]
    found = by_group(combine(parts, job(prompts={})))
    assert found[ANY]["1"] == 0.7 and math.isnan(found[ANY]["2"])


def test_of_what_must_be_kept_the_worst_wording_is_the_lowest():
    parts = [part(values(0.1, 0.8), word="a"), part(values(0.7, 0.2), word="b")]
    assert by_group(combine(parts, job("utility", prompts={})))[ANY] == {"1": 0.1, "2": 0.2}


def test_the_checks_own_groups_are_kept_apart():
    own = values(0.1, 0.2, groups=("definition@1", "none@0"), shown=("none@0",))
    sample = combine([part(own, setting="4 bit"), part(own, setting="8 bit")], job(quantize={}))
    assert set(sample.groups) == {"4 bit: definition@1", "4 bit: none@0", "8 bit: definition@1", "8 bit: none@0"}
    assert set(sample.shown_only) == {"4 bit: none@0", "8 bit: none@0"}


def test_the_setting_that_was_chosen_decides_and_is_a_point_of_the_curve_as_well():
    parts = [
        part(values(0.1, 0.2), setting="1 step", chosen=False, if_chosen=CHOSEN, x=1.0),
        part(values(0.3, 0.4), setting="9 steps", chosen=True, if_chosen=CHOSEN, x=9.0),
    ]
    sample = combine(parts, job(relearn={}))
    assert by_group(sample)[CHOSEN] == by_group(sample)["9 steps"] == {"1": 0.3, "2": 0.4}
    assert set(sample.shown_only) == {"1 step", "9 steps"}
    assert sample.details["curve"] == {
        "axis": "training steps", "x": {"1 step": 1.0, "9 steps": 9.0}, "chosen": 9.0, "start": 0.0,
    }  # fmt: skip


def test_a_check_that_joins_its_groups_itself_keeps_them_and_gets_nothing_to_show():
    own = values(0.1, 0.2, groups=("member", "stranger"))
    parts = [part(own, setting="8 bit"), part(own, setting="control", shown=True)]
    sample = combine(parts, job("privacy_leakage", quantize={"bits": [8]}))
    assert sample.groups == ("member", "stranger") and sample.values == (0.1, 0.2)


def test_a_reason_why_nothing_may_be_decided_is_kept():
    from dataclasses import replace

    broken = replace(values(0.1, 0.2), inconclusive="no rows", notes=("cut",))
    sample = combine([part(values(0.1, 0.2), setting="a"), part(broken, setting="b")], job(quantize={}))
    assert sample.inconclusive == "no rows" and sample.notes == ("cut",)


def test_rows_without_any_wording_are_told_of():
    assert unworded(job(rows=3, prompts={}), values(0.1, 0.2)) == [
        "1 of 3 rows of forget have no wording that fits them: not measured."
    ]
    assert unworded(job(rows=2, prompts={}), values(0.1, 0.2)) == []
    assert unworded(job(rows=3, quantize={}), values(0.1, 0.2)) == []


@pytest.mark.parametrize(
    ("check", "bound", "kept"),
    [
        ("utility", {"at_least": 0.5}, True),
        ("knowledge_memorization", {"at_least": "0.8 * original"}, True),
        ("knowledge_memorization", {"at_most": 0.5}, False),
        ("knowledge_memorization", {"between": [0.1, 0.5]}, False),
        ("privacy_leakage", {"between": [-5, 5]}, False),
    ],
)
def test_a_leak_check_with_a_lower_bound_alone_is_about_something_to_keep(check, bound, kept):
    assert is_kept(Requirement(check=check, **bound), CHECKS.get(check)) is kept
