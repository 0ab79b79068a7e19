"""Attacks in an audit: composed, shared, compared with the reference, and broken without breaking the audit."""

import pytest
import world as builder

from auditkit.attacks import ATTACKS
from auditkit.evidence.audit import plan_of, run
from auditkit.evidence.bundle import write_bundle
from auditkit.evidence.prepare import Options, prepare
from auditkit.evidence.replay import replay
from auditkit.measurement.progress import Silent

PROBABILITY = {
    "check": "answer_probability",
    "name": "probability",
    "at_most": "reference + 0.3",
    "with": {"prompt": builder.QUESTION},
}
ANSWERS = {"check": "knowledge_memorization", "name": "answers", "at_most": "reference + 0.3", "with": builder.QUICK}
RELEARN = {"relearn": {"steps": [1, 3], "lr": [0.001], "seeds": 2, "fraction": 0.2}}


class Listening(Silent):
    """Remembers what it is told."""

    def __init__(self):
        self.notes = []

    def note(self, text):
        self.notes.append(text)


@pytest.fixture(scope="module")
def place(world, tmp_path_factory):
    return builder.copy(world, tmp_path_factory.mktemp("place"))


def audit(path, **options):
    progress = Listening()
    outcome = run(prepare(path, Options(**options)), progress=progress, run_dir=path.parent / f"run-{path.stem}")
    return {doc.name: doc for doc in outcome.results.requirements}, outcome, progress.notes


def spec(place, name, *require, **changes):
    return builder.spec(place, name=f"{name}.yaml", require=list(require), **changes)


def under(requirement, attack, name="", **changes):
    return {**requirement, "under": attack, "name": name or f"{requirement['name']} attacked", **changes}


def test_two_requirements_under_the_same_attack_share_the_models_that_it_makes(place):
    own = {"relearn": {**RELEARN["relearn"], "lr": [0.0007]}}  # trained by no other test
    path = spec(place, "shared", under(PROBABILITY, own), under(ANSWERS, own))
    found, _, notes = audit(path)
    # 3 models x 1 learning rate x 2 seeds, each trained once; 3 models x 2 steps x 2 seeds loaded once.
    assert sum("relearning" in note for note in notes) == 6
    assert sum("+" in note and "loading" in note for note in notes) == 12
    assert all(doc.result != "error" for doc in found.values())
    _, again, notes = audit(path)
    assert not notes
    assert list(again.results.requirements) == list(found.values())


def test_every_model_is_attacked_alike_and_the_rows_trained_on_are_not_measured(place):
    found, _, _ = audit(spec(place, "alike", PROBABILITY, under(PROBABILITY, RELEARN)))
    plain, attacked = found["probability"], found["probability attacked"]
    assert set(attacked.models) == set(attacked.before) == {"candidate", "original", "reference"}
    # 12 people, of whom a fifth is trained on.
    assert plain.estimate.n == 12 and attacked.estimate.n == attacked.before["candidate"].n == 10
    assert attacked.recovery is not None and attacked.recovery.value == pytest.approx(
        (attacked.models["candidate"].value - attacked.models["reference"].value)
        / (attacked.models["original"].value - attacked.models["reference"].value)
    )


def test_relearning_has_a_curve_whose_first_point_is_the_model_as_it_was(place):
    found, _, _ = audit(spec(place, "curve", under(PROBABILITY, RELEARN)))
    doc = found["probability attacked"]
    original = next(curve for curve in doc.curves if curve.model == "original")
    assert original.axis == "training steps" and original.x == [0, 1, 3] and original.chosen in (1, 3)
    assert original.estimates[0] == doc.before["original"]
    assert original.reached == 0
    assert next(curve for curve in doc.curves if curve.model == "reference").reached is None


def test_the_original_is_caught_under_every_weight_attack_and_the_clean_model_under_none(place):
    attacks = {"quantize": {"bits": [8]}, "prune": {"amounts": [0.05]}, "noise": {"scales": [0.01], "seeds": 2}}
    require = [under(PROBABILITY, {name: params}, name=name) for name, params in attacks.items()]
    found, _, _ = audit(spec(place, "clean", *require))
    assert {doc.name: doc.result for doc in found.values()} == dict.fromkeys(attacks, "pass")
    found, _, _ = audit(spec(place, "original", *require, models=_models("original"), intent="suppression", access="api"))
    assert {doc.name: doc.result for doc in found.values()} == dict.fromkeys(attacks, "fail")


def _models(candidate):
    return {
        name: {"checkpoint": f"./{folder}"}
        for name, folder in (("candidate", candidate), ("original", "original"), ("reference", "reference"))
    }


def test_interventions_go_one_after_another(place):
    both = [{"quantize": {"bits": [8, 4]}}, {"prompts": {"families": ["typos", "role_play"], "summary": "worst_wording"}}]
    found, _, _ = audit(spec(place, "both", under(PROBABILITY, both)))
    (doc,) = found.values()
    groups = {group.group for group in doc.groups}
    assert any(group.startswith("8 bit, ") for group in groups) and any(group.startswith("4 bit, ") for group in groups)
    assert doc.worst_group in groups
    assert [attack.name for attack in doc.under] == ["quantize", "prompts"]


def test_an_attack_that_breaks_on_one_model_is_an_error_of_that_requirement_and_the_others_go_on(place, monkeypatch):
    attack = ATTACKS.get("quantize")
    real = type(attack).apply

    def broken(self, target, setting, params, scene):
        if target.name == "reference":
            raise ZeroDivisionError("secret forget text")
        return real(self, target, setting, params, scene)

    monkeypatch.setattr(type(attack), "apply", broken)
    found, outcome, _ = audit(
        spec(place, "broken", PROBABILITY, under(PROBABILITY, "quantize"), under(ANSWERS, RELEARN, "other"))
    )
    assert {name: doc.result for name, doc in found.items()} == {
        "probability": "pass",
        "probability attacked": "error",
        "other": found["other"].result,
    }
    assert found["other"].result != "error"
    assert "ZeroDivisionError" in found["probability attacked"].reason and "secret" not in outcome.results.model_dump_json()
    assert outcome.results.verdict in ("INCOMPLETE", "FAIL")


def test_a_model_that_cannot_be_measured_under_attack_is_an_error_as_well(place, monkeypatch):
    from auditkit.attacks import quantize

    monkeypatch.setattr(quantize, "quantised", lambda *_, **__: 1 / 0)
    found, _, notes = audit(spec(place, "unmeasured", PROBABILITY, under(PROBABILITY, {"quantize": {"bits": [5]}})))
    assert found["probability"].result == "pass" and found["probability attacked"].result == "error"
    assert any("broke" in note for note in notes)


def test_a_choice_that_cannot_be_made_is_an_error_of_its_requirement(place, monkeypatch):
    from auditkit.errors import TrainingError

    def refused(*_):
        raise TrainingError("the loss must be finite; got nan")

    monkeypatch.setattr(type(ATTACKS.get("relearn")), "chosen", refused)
    found, _, _ = audit(spec(place, "choice", PROBABILITY, under(PROBABILITY, RELEARN)))
    assert found["probability"].result == "pass" and found["probability attacked"].result == "error"
    assert "the loss must be finite; got nan" in found["probability attacked"].reason


def test_an_attack_with_nothing_to_act_on_is_not_applicable_and_no_pass(place):
    found, outcome, _ = audit(spec(place, "idle", under(PROBABILITY, "disable_adapter")))
    (doc,) = found.values()
    assert doc.result == "not_applicable" and "adapter" in doc.reason
    assert outcome.results.verdict == "INCOMPLETE"


def test_planning_makes_and_trains_nothing(place):
    path = spec(place, "planned", under(PROBABILITY, {"relearn": {**RELEARN["relearn"], "lr": [0.0002]}}))
    forecasts = plan_of(prepare(path, Options()))
    attacked = [one for one in forecasts if "+" in one.model]
    assert len(attacked) == 3 * 2 * 2 and all(one.cached == 0 and one.merged > 0 for one in attacked)


def test_a_replay_decides_the_same_and_keeps_what_was_before_the_attack(place, tmp_path):
    _, outcome, _ = audit(spec(place, "replayed", PROBABILITY, under(PROBABILITY, "quantize"), under(ANSWERS, RELEARN)))
    folder = write_bundle(outcome, {})
    again = replay(folder)
    assert again.results == outcome.results


def test_repeats_of_a_setting_are_more_rows_of_the_same_subjects(place):
    found, _, _ = audit(spec(place, "repeats", under(PROBABILITY, {"noise": {"scales": [0.05], "seeds": 3}})))
    (doc,) = found.values()
    assert doc.estimate.n == 12 and doc.estimate.rows == 3 * doc.before["candidate"].rows


def test_what_the_attacks_cost_beyond_the_limits_is_refused_with_the_figure(place):
    from auditkit.errors import SpecError

    path = spec(place, "limits", under(PROBABILITY, RELEARN), under(ANSWERS, RELEARN, "same"), limits={"training_steps": 17})
    with pytest.raises(SpecError, match=r"limits.training_steps: must cover what the attacks ask for, 18; got 17"):
        prepare(path, Options())


def test_what_is_left_out_costs_nothing(place):
    path = spec(place, "left-out", PROBABILITY, under(PROBABILITY, RELEARN), limits={"training_steps": 0})
    found, _, notes = audit(path, only=("probability",))
    assert {name: doc.result for name, doc in found.items()} == {"probability": "pass", "probability attacked": "not_checked"}
    assert not any("relearning" in note for note in notes)


LEAK = {
    "check": "answer_probability",
    "name": "leaks",
    "at_most": 0.2,
    "sequential": True,
    "with": {"prompt": builder.QUESTION, "statistic": "leaking_subjects", "leak_at": 0.5},
}


def test_a_gross_leak_stops_a_sequential_requirement_early_with_a_failure(place):
    models = _models("original")
    found, _, notes = audit(spec(place, "early", under(LEAK, "quantize"), models=models, intent="suppression", access="api"))
    (doc,) = found.values()
    assert doc.result == "fail" and doc.stopped_early == doc.estimate.n == 10
    assert any("after 10 subjects" in note for note in notes)


def test_without_a_leak_all_subjects_are_asked_and_decided_once(place):
    found, _, _ = audit(spec(place, "late", {**LEAK, "at_most": 0.5}))
    (doc,) = found.values()
    assert doc.result == "pass" and doc.stopped_early is None and doc.estimate.n == 12


def test_a_quantity_that_is_no_bit_per_subject_cannot_be_sequential(place):
    from auditkit.errors import SpecError

    with pytest.raises(SpecError, match=r"require.0.sequential: needs one bit per subject"):
        prepare(spec(place, "mean", {**PROBABILITY, "sequential": True}), Options())


PAIRS = {
    "quantize": {"bits": [8]},
    "prune": {"amounts": [0.1]},
    "noise": {"scales": [0.01], "seeds": 1},
    "rescale": {"lambdas": [0.5]},
    "relearn": {"steps": [1], "lr": [0.001], "seeds": 1, "fraction": 0.2},
    "ablate_direction": {"layers": [1]},
    "soft_prompt": {"steps": 1, "tokens": 2, "fraction": 0.2},
    "disable_adapter": {},
    "remove_system_prompt": {},
    "prompts": {"families": ["typos"], "summary": "mean"},
    "sample": {"n": 2},
}
CHECKED = {
    "in_context_relearning": {"contexts": ["few_shot_same"], "facts": [1]},
    "knowledge_memorization": {"max_new_tokens": 4},
    "over_refusal": {"max_new_tokens": 4},
    "utility": {"max_new_tokens": 4},
    "verbatim_memorization": {"prefix_tokens": 4, "max_new_tokens": 4},
    "membership_inference": {"attacks": ["loss"], "blind_margin": 0.3},
    "privacy_leakage": {"scale": "delta_auc"},
    "fluency": {"max_new_tokens": 4},
}
ON = {"verbatim_memorization": "forget_texts", "membership_inference": "forget_texts", "privacy_leakage": "forget_texts"}
ON |= {"over_refusal": "retain", "utility": "retain", "model_utility": "retain"}


def test_the_pairs_hold_every_attack():
    assert set(PAIRS) == set(ATTACKS.names())


def test_any_attack_goes_with_any_check(place):
    """Every pair is measured on all three models, or refused before anything runs, in words."""
    from auditkit.checks import CHECKS
    from auditkit.errors import SpecError

    pairs = [(attack, check) for attack in PAIRS for check in CHECKS.names()]
    require = []
    for attack, check in pairs:
        one = {
            "check": check,
            "name": f"{check} under {attack}",
            "corpus": ON.get(check, "forget"),
            "with": CHECKED.get(check, {}),
            "under": {attack: PAIRS[attack]},
            "level": "advisory",
        }
        require.append(one)
    kept, refused = [], []
    plain = {**PROBABILITY, "name": "plain"}
    for one in require:
        try:
            prepare(spec(place, "pair", plain, one), Options())
            kept.append(one)
        except SpecError as error:
            refused.append((one["name"], str(error)))
    assert len(kept) > 0.75 * len(require), refused
    # Attacks that divide or ask a corpus of questions do not fit texts, and say so.
    assert all(any(word in words for word in ("needs", "must", "needed", "changes nothing")) for _, words in refused), refused
    found, _, _ = audit(spec(place, "pairs", plain, *kept, decide={"resamples": 200}))
    idle = ("disable_adapter", "remove_system_prompt")
    for name, doc in found.items():
        expected = "not_applicable" if name.endswith(idle) else "pass" if name == "plain" else "informational"
        assert doc.result == expected, f"{name}: {doc.result}: {doc.reason}"
        assert doc.result != "informational" or {"candidate", "original", "reference"} <= set(doc.models), name


def test_a_decision_under_a_changed_spec_must_hold_what_the_intent_asks_for(place):
    from auditkit.errors import SpecError

    _, outcome, _ = audit(spec(place, "whole", PROBABILITY))
    folder = write_bundle(outcome, {})
    assert replay(folder, overrides=["require.probability.at_most=reference + 0.4"]).changed
    with pytest.raises(SpecError, match="intent: removal needs a requirement under relearn"):
        replay(folder, overrides=["omissions=[]"])


def test_attacked_models_are_named_with_their_digest_and_their_measurements(place):
    _, outcome, _ = audit(spec(place, "named", under(PROBABILITY, {"quantize": {"bits": [8]}})))
    names = set(outcome.results.attacked)
    assert {name.partition("+")[0] for name in names} == {"candidate", "original", "reference"}
    assert all(f"measurements/{name}.score.parquet" in outcome.files for name in names)
    assert len(set(outcome.results.attacked.values())) == 3


def test_attacked_runs_are_compared_where_the_attacks_are_the_same(place):
    from auditkit.errors import UserError
    from auditkit.evidence.compare import compare

    folders = []
    for name, candidate, attack in (("one", "clean", "quantize"), ("two", "original", "quantize"), ("three", "clean", "prune")):
        path = spec(place, f"compared-{name}", under(PROBABILITY, {attack: {}}, "same"), models=_models(candidate))
        _, outcome, _ = audit(path)
        folders.append(write_bundle(outcome, {}))
    compare(folders[:2])
    with pytest.raises(UserError, match="under"):
        compare([folders[0], folders[2]])


def test_an_excerpt_shows_the_wording_that_gave_its_value(place):
    attack = {"prompts": {"families": ["typos", "paraphrase"]}}
    path = spec(place, "excerpt", under(ANSWERS, attack), models=_models("original"), intent="suppression", access="api")
    with_text = run(prepare(path, Options()), progress=Listening(), run_dir=place / "run-excerpt", show_text=True)
    shown = with_text.results.examples
    assert shown and all(example.expected in example.answered for example in shown if example.value == 1)


def test_the_steps_of_a_sequence_are_attacked_like_any_model(place):
    import json

    rows = [json.loads(line) for line in (place / "forget.jsonl").read_text().splitlines()]
    people = list(dict.fromkeys(row["subject"] for row in rows))
    for name, part in (("first", people[:6]), ("second", people[6:])):
        builder.write_rows(place / f"{name}.jsonl", [row for row in rows if row["subject"] in part])
    step = {**PROBABILITY, "corpus": "step", "under": {"quantize": {"bits": [8]}}, "name": "after"}
    unlearn = {"method": "idk_nll", "lr": 0.001, "epochs": 1, "forget": "forget"}
    path = spec(
        place,
        "sequence",
        {**PROBABILITY, "corpus": "forget"},
        models={**_models("original"), "candidate": {"from": "original", "unlearn": unlearn}},
        corpora={
            "forget": {"file": "forget.jsonl"},
            "retain": {"file": "retain.jsonl"},
            "first": {"file": "first.jsonl", "role": "part"},
            "second": {"file": "second.jsonl", "role": "part"},
        },
        sequence={"requests": ["first", "second"], "one_shot": True, "require": [step]},
    )
    found, outcome, _ = audit(path)
    from auditkit.reporting import render_all

    assert render_all(outcome.results, outcome.values)
    attacked = [doc for name, doc in found.items() if name.startswith("after")]
    assert len(attacked) == 4 and all(doc.result != "error" and doc.before for doc in attacked)


def test_a_prompt_attack_that_changes_no_question_is_refused_and_never_a_pass(place):
    from auditkit.errors import SpecError

    with pytest.raises(SpecError, match="under: sample changes nothing that answer_probability asks"):
        prepare(spec(place, "nothing", PROBABILITY, under(PROBABILITY, "sample")), Options())
    assert prepare(spec(place, "something", PROBABILITY, under(ANSWERS, {"sample": {"n": 2}})), Options()).jobs
