"""What speaks against the training that a spec asks for is said before anything is trained, where it was written."""

import json
import shutil

import pytest
import world as builder

from auditkit.corpora.load import load_corpus
from auditkit.errors import SpecError, UserError
from auditkit.evidence.prepare import Options, prepare
from auditkit.evidence.subjects import made_models, planned
from auditkit.models.source import Source
from auditkit.spec.model import CorpusSource, Finetune
from auditkit.unlearning import _trainer
from auditkit.unlearning._teach import teach

UNLEARN = {"method": "npo", "lr": 0.0005, "epochs": 1}
CORPORA = {"forget": {"file": "forget.jsonl"}, "retain": {"file": "retain.jsonl"}, "texts": {"file": "holdout_texts.jsonl"}}


@pytest.fixture(scope="module")
def place(world, tmp_path_factory):
    folder = builder.copy(world, tmp_path_factory.mktemp("place"))
    shutil.copy(folder / "forget.jsonl", folder / "both.jsonl")
    return folder


def models(unlearn=UNLEARN, **more):
    made = {"original": {"checkpoint": "./original"}, "reference": {"checkpoint": "./reference"}}
    return {**made, "candidate": {"from": "original", "unlearn": unlearn}, **more}


def told(place, **changes):
    """``line: message`` of every fault; the line as it stands in the spec, so that nobody counts lines."""
    spec = builder.spec(place, **{"models": models(), "corpora": CORPORA, "require": builder.REQUIRE[:1], **changes})
    with pytest.raises(UserError) as caught:
        prepare(spec, Options())
    lines = spec.read_text().splitlines()
    assert all(problem.file == str(spec) and problem.line and problem.column for problem in caught.value.problems)
    return [
        f"{lines[problem.line - 1][problem.column - 1 :].rstrip(',')} | {problem.where}: {problem.message}; {problem.hint}"
        for problem in caught.value.problems
    ]


def test_a_spec_without_faults_is_prepared(place):
    stop = {"corpus": "forget", "at_most": "reference", "with": builder.QUICK}
    spec = builder.spec(place, models=models({**UNLEARN, "stop": stop}), corpora=CORPORA, require=builder.REQUIRE[:1])
    assert set(prepare(spec, Options()).sources) == {"candidate", "original", "reference"}


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ({"lr": 3}, "3 | models.candidate.unlearn.lr: must be less than 1; got 3; "),
        ({"beta": 0}, "0 | models.candidate.unlearn.beta: must be more than 0; got 0; "),
        ({"epochs": "many"}, "\"many\" | models.candidate.unlearn.epochs: must be a number; got the text 'many'; "),
        ({"betta": 0.1}, "\"betta\": 0.1 | models.candidate.unlearn.betta: unknown field; did you mean 'beta'?"),
        (
            {"method": "npoo"},
            "\"npoo\" | models.candidate.unlearn.method: unknown unlearning method 'npoo'; did you mean 'npo'?",
        ),
        (
            {"forget": "forgt"},
            "\"forgt\" | models.candidate.unlearn.forget: unknown corpus 'forgt'; did you mean 'forget'?",
        ),
        (
            {"retain": ["retain", "retian"]},
            "[ | models.candidate.unlearn.retain: unknown corpus 'retian'; did you mean 'retain'?",
        ),
        (
            {"retain": ["forget"]},
            "{ | models.candidate.unlearn: what is forgotten must not be kept as well; got forget on both sides; "
            "leave it out of one; ",
        ),
        (
            {"save": "adapter"},
            "{ | models.candidate.unlearn: save: adapter needs lora; got all weights in training; ",
        ),
    ],
)
def test_parameters_of_a_method(place, words, expected):
    assert told(place, models=models({**UNLEARN, **words})) == [expected]


def test_an_unlearning_without_method(place):
    (line,) = told(place, models=models({"lr": 0.1}))
    assert line.startswith("{ | models.candidate.unlearn.method: must name an unlearning method; got none; known: alt_po, ")


def test_a_forget_corpus_of_which_nothing_is_kept(place):
    corpora = {**CORPORA, "forget": {"file": "forget.jsonl", "where": {"subject": "nobody"}}}
    assert told(place, corpora=corpora) == [
        "{ | corpora.forget.where: must keep a row of forget.jsonl; got 0 of 48 rows; compare the values with those of the file"
    ]


def test_equal_rows_in_two_files(place):
    (line,) = told(place, corpora={**CORPORA, "retain": {"file": "both.jsonl"}})
    assert line.startswith(
        "{ | models.candidate.unlearn: forget and retain must not overlap; got row 1 is row 1 of both.jsonl, "
    )
    assert line.endswith("and 43 more; remove these rows from both.jsonl; ")


def test_the_models_of_a_scale_say_what_is_theirs_and_repeat_nothing(place):
    corpora = {**CORPORA, "more": {"file": "both.jsonl", "role": "more"}}
    require = [{**builder.REQUIRE[0], "corpus": "forget"}]
    lines = told(place, models=models({**UNLEARN, "retain": "more", "forget": "texts"}), corpora=corpora,
                 scale={"sizes": ["texts", "forget"], "require": require})  # fmt: skip
    (line,) = lines
    assert line.startswith("{ | models.candidate.unlearn: forget and more must not overlap; got row 1 is row 1 of both.jsonl, ")
    lines = told(place, models=models({**UNLEARN, "lr": 3}), scale={"sizes": ["forget", "retain"], "require": require})
    assert lines == ["3 | models.candidate.unlearn.lr: must be less than 1; got 3; "]


SEEN = "must never have seen what had to be forgotten; got one that was trained on forget"
AGAIN = "retrain it without the forget data"


@pytest.mark.parametrize(
    "more",
    [
        {"reference": {"from": "original", "finetune": {"corpora": ["retain", "forget"]}}},
        {"reference": {"from": "base", "finetune": {"corpora": ["retain"]}}},
        {"reference": {"checkpoint": "base"}},
        {"reference": {"from": "base", "unlearn": {"method": "gradient_ascent"}}},
        {"reference": {"from": "base", "unlearn": {"method": "retrain"}}},
    ],
    ids=["itself", "before", "under-another-name", "unlearned-since", "retrained-from-it"],
)
def test_a_reference_that_the_spec_taught_what_had_to_be_forgotten(place, more):
    base = {"from": "original", "finetune": {"corpora": ["forget"]}}
    assert told(place, models=models(base=base, **more)) == [f"{{ | models.reference: {SEEN} (by this spec); {AGAIN}"]


def test_a_reference_that_was_taught_rows_of_it_from_another_file(place):
    corpora = {**CORPORA, "other": {"file": "both.jsonl", "role": "other"}}
    reference = {"from": "original", "finetune": {"corpora": ["other"]}}
    assert told(place, models=models(reference=reference), corpora=corpora) == [
        f"{{ | models.reference: {SEEN} (other, which it is taught, has rows of it); {AGAIN}"
    ]


@pytest.mark.parametrize("role", ["forget", "documents"])
def test_what_had_to_be_forgotten_is_known_by_its_role_by_the_targets_and_by_what_is_unlearned(place, role):
    corpora = {**CORPORA, "forget": {"file": "forget.jsonl", "role": role}}
    require = [{**builder.REQUIRE[0], "corpus": "forget"}]
    reference = {"from": "original", "finetune": {"corpora": ["forget"]}}
    targets = [] if role == "documents" else [{"name": "people", "corpus": "forget"}]
    lines = told(place, models=models(reference=reference), corpora=corpora, require=require, targets=targets)
    assert lines == [f"{{ | models.reference: {SEEN} (by this spec); {AGAIN}"]


def test_a_reference_whose_folder_tells_that_it_was_trained_on_it(place, tmp_path):
    corpora = [load_corpus(name, CorpusSource(file=f"{name}.jsonl"), base=place) for name in ("forget", "retain")]
    taught = Finetune(corpora=["forget", "retain"], epochs=0.1, batch=48)
    teach(Source.of_folder(place / "reference"), corpora, taught, out=place / "taught")
    assert told(place, models=models(reference={"checkpoint": "./taught"})) == [
        f"{{ | models.reference: {SEEN} (by the account of its unlearning.json); {AGAIN}"
    ]
    note = json.loads((place / "taught" / "unlearning.json").read_text())
    note["data"] = note["data"][1:]
    (place / "taught" / "unlearning.json").write_text(json.dumps(note))
    spec = builder.spec(place, models=models(reference={"checkpoint": "./taught"}), require=builder.REQUIRE[:1])
    assert prepare(spec, Options())


STOP = {"corpus": "forget", "at_most": "reference", "with": {}}


@pytest.mark.parametrize(
    ("stop", "expected"),
    [
        (
            "first epoch with forget <= refrence",
            '"first epoch with forget <= refrence" | models.candidate.unlearn.stop.at_most: must name a model of the spec; '
            "got 'refrence'; did you mean 'reference'?",
        ),
        (
            "first epoch with forgt <= reference",
            "\"first epoch with forgt <= reference\" | models.candidate.unlearn.stop.corpus: unknown corpus 'forgt'; "
            "did you mean 'forget'?",
        ),
        (
            "when it is done",
            '"when it is done" | models.candidate.unlearn.stop: must be "first epoch with CORPUS <= MODEL" or a mapping; '
            "got 'when it is done'; ",
        ),
        (
            {**STOP, "check": "knowlege_memorization"},
            '"knowlege_memorization" | models.candidate.unlearn.stop.check: must be a known check; '
            "got 'knowlege_memorization'; did you mean 'knowledge_memorization'?",
        ),
        (
            {**STOP, "check": "privacy_leakage"},
            '"privacy_leakage" | models.candidate.unlearn.stop.check: must need one model and one corpus; '
            "got privacy_leakage, which compares; knowledge_memorization is one",
        ),
        (
            {**STOP, "with": {"max_new_token": 3}},
            "3 | models.candidate.unlearn.stop.with.max_new_token: unknown field; did you mean 'max_new_tokens'?",
        ),
        (
            {**STOP, "with": {"statistic": "leaking_subjects", "leak_at": 0.5}},
            "{ | models.candidate.unlearn.stop.check: must be a mean over rows; got knowledge_memorization, whose quantity is "
            "another under the parameters that stand in with; leave statistic to its default",
        ),
        (
            {**STOP, "corpus": "texts"},
            '"texts" | models.candidate.unlearn.stop.corpus: knowledge_memorization: every row of holdout_texts.jsonl must '
            "have question; got none in rows 1, 2, 3, 4, 5 and 7 more; ",
        ),
        (
            {**STOP, "at_most": "candidate"},
            '"candidate" | models.candidate.unlearn.stop.at_most: must name a model that is there before candidate is made; '
            "got candidate; name reference or original",
        ),
        (
            {**STOP, "at_most": "later"},
            '"later" | models.candidate.unlearn.stop.at_most: must name a model that is there before candidate is made; '
            "got later; name reference or original",
        ),
    ],
)
def test_a_stop_rule_that_cannot_be_followed(place, stop, expected):
    later = {"from": "candidate", "finetune": {"corpora": ["retain"]}}
    assert told(place, models=models({**UNLEARN, "stop": stop}, later=later)) == [expected]


def test_two_stop_rules_that_wait_for_each_other(place):
    other = {"from": "original", "unlearn": {**UNLEARN, "stop": {**STOP, "at_most": "candidate"}}}
    lines = told(place, models=models({**UNLEARN, "stop": {**STOP, "at_most": "other"}}, other=other))
    assert [line.split(" | ")[0] for line in lines] == ['"other"', '"candidate"']


def test_nothing_is_trained_to_find_a_fault(place, monkeypatch):
    monkeypatch.setattr(_trainer, "train", None)
    assert told(place, models=models({**UNLEARN, "retain": "forget"}))


@pytest.mark.parametrize(
    "note",
    [
        '{"lineage": 5, "run": {"steps": "x"}}',
        '{"method": "finetune", "data": 3}',
        '{"method": "finetune", "data": [{"sha256": []}]}',
    ],
)
def test_a_note_from_elsewhere_may_hold_anything(place, note):
    """A checkpoint is hostile: what it says of its making is neither trusted as a cost nor able to break the audit."""
    (place / "reference" / "unlearning.json").write_text(note)
    try:
        audit = prepare(builder.spec(place), Options())
        assert made_models(audit, planned(audit)) == {}
    finally:
        (place / "reference" / "unlearning.json").unlink()


def test_a_verdict_needs_a_requirement_of_the_candidate(place):
    others = [{**item, "of": "reference", "at_most": 0.9} for item in builder.REQUIRE]
    with pytest.raises(SpecError, match="must hold a requirement of the candidate; got requirements of other models only"):
        prepare(builder.spec(place, require=others), Options())
