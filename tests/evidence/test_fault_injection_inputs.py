"""Faults of those who write a spec, or who hand in a model: each ends as FAIL, INCOMPLETE or an error, and never as PASS.

The audits are right without the fault: of the clean model, which passes, and of the leaking one, which fails
(``test_fault_injection``).
"""

from __future__ import annotations

import json
import math
import shutil
from pathlib import Path
from typing import Any

import pytest
import world as builder

from auditkit.errors import DataError, ModelError, SpecError
from auditkit.evidence.bundle import write_bundle
from auditkit.evidence.replay import replay
from auditkit.zoo.tiny import build_tiny
from tests.evidence import faults
from tests.evidence.faults import ANSWERS, FLUENT, KEPT, MEMBERSHIP, PROBABILITY, audit, checkpoints, reason, results, word

LEAKS = (ANSWERS, PROBABILITY, MEMBERSHIP)
CANDIDATES = pytest.mark.parametrize("candidate", ["clean", "leaky"])


@pytest.fixture(scope="module")
def place(world: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return faults.prepared(world, tmp_path_factory.mktemp("inputs"))


# -- bounds -------------------------------------------------------------------------------------------------------------------


@CANDIDATES
@pytest.mark.parametrize("bound", [1.0, 1, 7.5, "reference + 1", "0 * reference + 1"])
@pytest.mark.parametrize("original", ["original", ""])
def test_a_limit_that_the_worst_model_meets_is_refused(place: Path, candidate: str, bound: Any, original: str) -> None:
    models = checkpoints(candidate=candidate, original=original)
    with pytest.raises(SpecError, match=r"require\.0\.at_most: must be a bound that a model can miss"):
        audit(place, {**ANSWERS, "at_most": bound}, models=models)


@pytest.mark.parametrize("bound", [0, -1, "original - 1", "0.5 * original - 0.5"])
def test_so_is_one_below_the_worst_that_is_kept(place: Path, bound: Any) -> None:
    with pytest.raises(SpecError, match=r"require\.0\.at_least: must be a bound that a model can miss"):
        audit(place, {**KEPT, "at_least": bound}, ANSWERS)


def test_an_open_range_is_refused_and_one_closed_on_a_side_is_not(place: Path) -> None:
    both = {name: value for name, value in MEMBERSHIP.items() if name != "at_most"}
    with pytest.raises(SpecError, match=r"between: must be a bound that a model can miss; got 0 and 1"):
        audit(place, {**both, "between": [0, 1]})
    assert word(place, {**both, "between": [0, 0.75]}) == "PASS"


def test_what_is_only_reported_may_have_any_bound(place: Path) -> None:
    found = audit(place, PROBABILITY, {**ANSWERS, "at_most": 1, "level": "advisory"})
    assert found.results.verdict == "PASS"


def test_a_recorded_failure_is_not_decided_again_under_an_empty_limit(place: Path) -> None:
    found = audit(place, ANSWERS, candidate="leaky")
    assert found.results.verdict == "FAIL"
    folder = write_bundle(found, {})
    with pytest.raises(SpecError, match="must be a bound that a model can miss"):
        replay(folder, overrides=["require.answers.at_most=1.0"])
    assert replay(folder, overrides=["require.answers.at_most=reference + 0.4"]).results.verdict == "FAIL"


@CANDIDATES
def test_a_limit_that_no_known_model_misses_has_no_power(place: Path, candidate: str) -> None:
    found = audit(place, {**ANSWERS, "at_most": 0.99}, candidate=candidate)
    assert found.results.verdict == "INCOMPLETE" and "no power" in reason(found, "answers")


# -- checkpoints --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("models", "verdict"),
    [
        ({"candidate": "original"}, "FAIL"),
        ({"reference": "original"}, "INCOMPLETE"),
        ({"reference": "original", "candidate": "leaky"}, "INCOMPLETE"),
        ({"original": "clean", "candidate": "leaky"}, "INCOMPLETE"),
        ({"original": "reference"}, "INCOMPLETE"),
        ({"original": "clean"}, "FAIL"),
    ],
)
def test_a_wrong_checkpoint_is_no_pass(place: Path, models: dict[str, str], verdict: str) -> None:
    assert word(place, *LEAKS, models=checkpoints(**models)) == verdict


@pytest.mark.parametrize("same", ["original", "clean", "leaky"])
@pytest.mark.parametrize("original", ["original", ""])
def test_a_reference_that_is_the_candidate_is_refused(place: Path, same: str, original: str) -> None:
    with pytest.raises(ModelError, match=r"models\.reference: must be another model than the candidate"):
        audit(place, *LEAKS, models=checkpoints(candidate=same, reference=same, original=original))


def test_a_bound_must_not_compare_the_candidate_with_itself_under_another_name(place: Path) -> None:
    models = {**checkpoints(candidate="leaky"), "retrained": {"checkpoint": "./leaky"}, "copy": {"checkpoint": "./leaky"}}
    with pytest.raises(ModelError, match="must compare with another model than candidate; got retrained"):
        audit(place, {**ANSWERS, "at_most": "retrained + 0.3"}, models=models)
    assert word(place, ANSWERS, models={**models, "candidate": {"checkpoint": "./clean"}}) == "PASS", "nothing names them"


@pytest.mark.parametrize("original", ["original", ""])
def test_a_reference_that_is_the_candidate_saved_anew_is_found_by_its_values(
    place: Path, original: str, tmp_path: Path
) -> None:
    own = builder.copy(place, tmp_path)
    faults.weights(own, "anew", lambda tensors: tensors, base="leaky", note="saved again")
    for requirement in (PROBABILITY, MEMBERSHIP):
        found = word(own, requirement, models=checkpoints(candidate="leaky", reference="anew", original=original))
        assert found == "INCOMPLETE"
    clean = checkpoints(candidate="clean", reference="anew-clean", original=original)
    faults.weights(own, "anew-clean", lambda tensors: tensors, base="clean", note="saved again")
    found = audit(own, PROBABILITY, models=clean)
    assert found.results.verdict == "INCOMPLETE" and "compared with itself" in reason(found, "probability")


@pytest.mark.parametrize("by", [math.nan, math.inf])
@pytest.mark.parametrize("broken", ["candidate", "reference", "original"])
def test_a_model_whose_numbers_are_none_decides_nothing(place: Path, tmp_path: Path, broken: str, by: float) -> None:
    """Also where it only has to say something: its greedy answer would be no leak."""
    own = builder.copy(place, tmp_path)
    faults.weights(own, "broken", lambda tensors: faults.scaled(tensors, "model.norm.weight", by))
    models = checkpoints(**{broken: "broken"})
    found = audit(own, *LEAKS, faults.SAMPLED, models=models)
    assert "pass" not in {result for name, result in results(found).items() if broken != "reference" or name != "membership"}
    assert found.results.verdict == "INCOMPLETE"
    passages = {"check": "verbatim_memorization", "corpus": "forget_texts", "at_most": 0.5, "with": {"prefix_tokens": 4}}
    assert word(own, passages, models=models) == "INCOMPLETE"


@pytest.mark.parametrize("name", ["kept", "fluent"])
def test_a_model_that_says_the_same_whatever_it_is_asked_fails_what_it_has_to_keep(
    place: Path, tmp_path: Path, name: str
) -> None:
    """Every token as likely as any other: no leak is left, and nothing else."""
    own = builder.copy(place, tmp_path)
    faults.weights(own, "constant", lambda tensors: faults.scaled(tensors, "model.norm.weight", 0.0))
    found = audit(own, *faults.WHOLE, candidate="constant")
    assert found.results.verdict == "FAIL" and results(found)[name] == "fail"
    membership = audit(own, MEMBERSHIP, candidate="constant")
    assert membership.results.verdict == "INCOMPLETE" and "rank nothing" in reason(membership, "membership")


def test_a_model_that_ends_at_once_fails_what_it_has_to_keep(place: Path, tmp_path: Path) -> None:
    """Zero tokens for every question: whatever comes is an end, by the model's own configuration."""
    own = builder.copy(place, tmp_path)
    shutil.copytree(own / "leaky", own / "silent")
    file = own / "silent" / "generation_config.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "eos_token_id": list(range(500))}))
    found = audit(own, ANSWERS, KEPT, FLUENT, candidate="silent")
    assert found.results.verdict == "FAIL" and results(found) == {"answers": "pass", "kept": "fail", "fluent": "fail"}
    with pytest.raises(SpecError, match="max_new_tokens: must be at least 1"):
        audit(own, {**ANSWERS, "with": {**builder.QUICK, "max_new_tokens": 0}})


def test_a_model_with_the_tokenizer_of_another_fails_what_it_has_to_keep(place: Path, tmp_path: Path) -> None:
    """As many tokens, other numbers: it reads and writes gibberish."""
    own = builder.copy(place, tmp_path)
    shutil.copytree(own / "leaky", own / "foreign")
    assert (own / "foreign" / "tokenizer.json").read_text() != (own / "reference" / "tokenizer.json").read_text()
    shutil.copy(own / "reference" / "tokenizer.json", own / "foreign" / "tokenizer.json")
    found = audit(own, candidate="foreign")
    assert found.results.verdict == "FAIL" and results(found)["kept"] == "fail"


@pytest.mark.parametrize("requirement", [ANSWERS, PROBABILITY], ids=lambda one: one["name"])
def test_a_window_too_small_for_the_questions_hides_no_leak(place: Path, tmp_path: Path, requirement: dict[str, Any]) -> None:
    """The beginning of a question, with the name in it, is cut off; the answer could not be right."""
    own = builder.copy(place, tmp_path)
    shutil.copytree(own / "leaky", own / "narrow")
    file = own / "narrow" / "config.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "max_position_embeddings": 22}))
    found = audit(own, requirement, candidate="narrow")
    assert found.results.verdict == "INCOMPLETE" and "not asked alike" in reason(found, requirement["name"])
    alike = checkpoints(**dict.fromkeys(("candidate", "original"), "narrow"))
    assert word(own, requirement, models=alike) != "PASS"
    with pytest.raises(ModelError, match="must fit into the model's window of 22 tokens"):
        audit(own, MEMBERSHIP, candidate="narrow")


# -- data ---------------------------------------------------------------------------------------------------------------------


@CANDIDATES
def test_forget_and_holdout_swapped_have_no_power(place: Path, candidate: str) -> None:
    swapped = faults.corpora(forget="holdout", forget_texts="holdout_texts", holdout="forget_texts")
    found = audit(place, *LEAKS, candidate=candidate, corpora=swapped)
    assert found.results.verdict == "INCOMPLETE" and set(results(found).values()) == {"inconclusive"}


@CANDIDATES
@pytest.mark.parametrize("copies", [1, 9])
def test_rows_of_a_subject_under_other_names_are_refused(place: Path, candidate: str, copies: int) -> None:
    """They would count as further subjects, and make any interval as narrow as one likes."""
    texts, questions = faults.rows(place, "forget_texts"), faults.rows(place, "forget")
    for name, given in (("more_texts", texts), ("more", questions)):
        again = [{**row, "id": f"{row['id']}-{i}", "subject": f"{row['subject']} {i}"} for i in range(copies) for row in given]
        builder.write_rows(place / f"{name}.jsonl", [*given, *again])
    for files in ({"forget": "more"}, {"forget_texts": "more_texts"}):
        with pytest.raises((SpecError, DataError), match="must have one subject; got row"):
            audit(place, *LEAKS, candidate=candidate, corpora=faults.corpora(**files))


def test_a_corpus_that_nothing_measures_may_hold_copies(place: Path) -> None:
    builder.write_rows(place / "twice.jsonl", [{"question": "Who?", "answer": "I"}] * 2)
    corpora = {**faults.corpora(), "shots": {"file": "twice.jsonl", "role": "examples"}}
    assert word(place, ANSWERS, corpora=corpora) == "PASS"


@CANDIDATES
def test_one_subject_decides_nothing(place: Path, candidate: str) -> None:
    for name in ("forget", "forget_texts"):
        given = faults.rows(place, name)
        builder.write_rows(place / f"one_{name}.jsonl", [row for row in given if row["subject"] == given[0]["subject"]])
        builder.write_rows(place / f"as_one_{name}.jsonl", [{**row, "subject": "all of them"} for row in given])
    for kind in ("one", "as_one"):
        corpora = faults.corpora(forget=f"{kind}_forget", forget_texts=f"{kind}_forget_texts")
        found = audit(place, *LEAKS, candidate=candidate, corpora=corpora)
        assert found.results.verdict == "INCOMPLETE" and set(results(found).values()) == {"inconclusive"}


def test_one_subject_decides_nothing_by_an_exact_bound_either(place: Path) -> None:
    given = faults.rows(place, "forget")
    builder.write_rows(place / "single.jsonl", [row for row in given if row["subject"] == given[0]["subject"]])
    leaks = {"statistic": "leaking_subjects", "leak_at": 0.5, **builder.QUICK}
    for bound in (0.5, 0.96):
        requirement = {**ANSWERS, "at_most": bound, "with": leaks}
        assert word(place, requirement, corpora=faults.corpora(forget="single")) == "INCOMPLETE"


def test_a_holdout_that_the_reference_was_trained_on_is_no_holdout(place: Path) -> None:
    """Reference and candidate were taught the holdout by mistake: forget rows look stranger, whatever is left of them."""
    texts = [row["text"] for row in faults.rows(place, "holdout_texts")]
    for name, seed in (("taught", 0), ("taught_too", 5)):
        build_tiny(place / name, texts=texts, steps=60, seed=seed, shape=builder.SHAPE, lr=5e-3)
    found = audit(place, MEMBERSHIP, models=checkpoints(candidate="taught_too", reference="taught"))
    assert found.results.requirements[0].models["candidate"].value < 0.5
    assert found.results.verdict == "INCOMPLETE" and "the non-members look trained on" in reason(found, "membership")
    leakage = {"check": "privacy_leakage", "corpus": "forget_texts", "between": [-20, 20], "name": "leakage"}
    found = audit(place, leakage, models=checkpoints(candidate="taught_too", reference="taught"))
    assert found.results.verdict == "INCOMPLETE" and "not exchangeable" in reason(found, "leakage")
