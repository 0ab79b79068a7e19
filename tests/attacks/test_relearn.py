"""Relearning: what is trained on, what is measured, how the attacker chooses, and a training in doses."""

from dataclasses import replace

import pytest

from auditkit.attacks import ATTACKS
from auditkit.attacks._lesson import lesson_of, parts, problems_of
from auditkit.attacks._split import leaks
from auditkit.corpora.typed import examples_digest
from auditkit.unlearning import _doses as teaching
from auditkit.unlearning import doses
from tests.attacks import small_models as small

RELEARN = ATTACKS.get("relearn")
QUICK = {"steps": [1, 3], "lr": [1e-3], "seeds": 2, "batch": 2}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return small.build(tmp_path_factory.mktemp("model") / "candidate")


@pytest.fixture(autouse=True)
def _cache(tmp_path, monkeypatch):
    monkeypatch.setenv("AUDITKIT_CACHE", str(tmp_path / "cache"))


def params(**changes):
    return RELEARN.params(**{**QUICK, **changes})


def subjects(corpus):
    return set(corpus.subjects())


# What is trained on, and what is measured


def test_a_split_by_subject_has_three_parts_that_share_nobody():
    lesson = lesson_of(params(), small.scene())
    measured = RELEARN.measured(params(), small.FORGET, 0)
    assert len(subjects(measured)) == 4 and len(subjects(lesson.validation)) == 1 and len(subjects(lesson.train)) == 3
    assert not subjects(measured) & (subjects(lesson.train) | subjects(lesson.validation))
    assert not subjects(lesson.train) & subjects(lesson.validation)


def test_another_corpus_is_trained_on_whole_and_everything_is_measured():
    elsewhere = params(corpus="retain")
    lesson = lesson_of(elsewhere, small.scene())
    assert subjects(lesson.train) | subjects(lesson.validation) == subjects(small.RETAIN)
    assert RELEARN.measured(elsewhere, small.FORGET, 0) is small.FORGET


def test_a_corpus_may_be_named_by_its_role():
    scene = small.scene()
    kept = replace(small.RETAIN, name="neighbours")
    by_role = replace(scene, corpora={"forget": small.FORGET, "neighbours": kept})
    assert subjects(lesson_of(params(corpus="retain"), by_role).train) <= subjects(kept)
    (message,) = problems_of(params(corpus="retian"), by_role)
    assert message.startswith("corpus must be a corpus of the spec; got 'retian'")


def test_a_split_by_row_may_train_on_facts_of_the_people_measured():
    rows = tuple(replace(row, subject="one") for row in small.FORGET.examples)
    corpus = replace(small.FORGET, examples=rows, digest=examples_digest(rows))
    train, measured = parts(params(split="row"), corpus, 0)
    assert len(train.examples) + len(measured.examples) == 8
    assert not {row.id for row in train.examples} & {row.id for row in measured.examples}


def test_rows_that_state_a_measured_answer_are_not_trained_on():
    scene = small.scene()
    measured = RELEARN.measured(params(), scene.corpus, 0)
    told = measured.examples[0].answer
    rows = tuple(
        replace(row, fields={**row.fields, "answer": f"near {told}"}) if number == 0 else row
        for number, row in enumerate(small.RETAIN.examples)
    )
    retain = replace(small.RETAIN, examples=rows, digest=examples_digest(rows))
    lesson = lesson_of(params(corpus="retain"), replace(scene, corpora={"forget": small.FORGET, "retain": retain}))
    assert leaks(retain, small.FORGET) == {rows[0].id}
    assert rows[0].id not in {row.id for part in (lesson.train, lesson.validation) for row in part.examples}


def test_at_most_so_many_rows_drawn_with_the_seed():
    def drawn(seed):
        return [row.id for row in lesson_of(params(corpus="retain", rows=3), small.scene(seed=seed)).train.examples]

    assert len(drawn(0)) == 3 and drawn(0) == drawn(0)
    assert any(drawn(0) != drawn(seed) for seed in (1, 2, 3))


@pytest.mark.parametrize(("fraction", "got"), [(0.1, "got 1 to train on and 7 to measure"), (0.9, "got 7 to train on and 1")])
def test_fewer_than_two_subjects_on_a_side_are_refused(fraction, got):
    (message,) = problems_of(params(fraction=fraction), small.scene())
    assert "at least 2 subjects on each side" in message and got in message


def test_nothing_left_to_train_on_is_refused():
    same = replace(
        small.RETAIN, examples=tuple(replace(row, fields=small.FORGET.examples[0].fields) for row in small.RETAIN.examples)
    )
    scene = replace(small.scene(), corpora={"forget": small.FORGET, "retain": same})
    (message,) = problems_of(params(corpus="retain"), scene)
    assert "at least 2 subjects must be left to train on; got 0: 8 rows of retain were left out" in message


@pytest.mark.parametrize("wrong", [{"steps": [0]}, {"lr": [0.0]}, {"lr": [1.0]}, {"steps": [2, 2]}, {"steps": []}])
def test_grids_without_sense_are_refused(wrong):
    with pytest.raises(ValueError, match=r"must|at least"):
        params(**wrong)


# How the attacker chooses


class Noted(type(RELEARN)):
    """With validation losses that are given instead of trained for: by learning rate, the seeds' losses by steps."""

    def __init__(self, losses):
        self.losses = losses

    def _notes(self, target, params, scene, lr):
        return [{"validation_loss": loss} for loss in self.losses[lr]]


@pytest.mark.parametrize(
    ("losses", "expected"),
    [
        ({1e-4: [{"1": 2.0, "3": 1.0}], 1e-3: [{"1": 1.5, "3": 0.9}]}, (1e-3, 3)),
        ({1e-4: [{"1": 2.0, "3": 1.0}], 1e-3: [{"1": 1.5, "3": 1.0}]}, (1e-4, 3)),
        ({1e-4: [{"1": 1.0, "3": 0.2}, {"1": 1.0, "3": 2.0}], 1e-3: [{"1": 1.05, "3": 9.0}] * 2}, (1e-4, 1)),
        ({1e-4: [{"1": 2.0, "3": 1.9}], 1e-3: [{"1": 1.5, "3": None}]}, (1e-3, 1)),
        ({1e-4: [{"1": None, "3": None}], 1e-3: [{"1": None, "3": None}]}, (1e-4, 1)),
    ],
    ids=["the smallest", "of equal ones the smaller rate", "mean over seeds", "no number never wins", "none at all"],
)
def test_rate_and_steps_are_those_with_the_smallest_validation_loss(losses, expected):
    chosen = Noted(losses)._choice(None, params(lr=[1e-4, 1e-3], seeds=1), small.scene())
    assert chosen == expected


def test_taught_everything_only_the_first_dose_counts():
    losses = {1e-3: [{"1": 2.0, "3": 0.1}]}
    assert Noted(losses)._choice(None, params(split="none"), small.scene()) == (1e-3, 1)
    assert Noted(losses)._choice(None, params(), small.scene()) == (1e-3, 3)


# The training


def relearned(folder, dose, seed=0, **changes):
    chosen = params(**changes)
    setting = next(one for one in RELEARN.settings(chosen) if one.values == {"steps": dose, "seed": seed})
    return RELEARN.apply(small.target(folder), setting, chosen, small.scene())


@pytest.mark.parametrize("lora", [False, {"rank": 2, "alpha": 4}], ids=["all weights", "an adapter"])
def test_a_dose_does_not_depend_on_how_many_follow_and_seeds_and_steps_differ(folder, lora):
    once = small.weights(relearned(folder, 1, steps=[1], lora=lora))
    also = small.weights(relearned(folder, 1, lora=lora))
    assert small.distance(once, also) == 0
    assert small.distance(once, small.weights(relearned(folder, 3, lora=lora))) > 0
    others = [small.weights(relearned(folder, 1, seed=seed, lora=lora, seeds=4)) for seed in (1, 2, 3)]
    assert any(small.distance(once, other) > 0 for other in others)


def test_the_training_is_made_once_and_leaves_the_checkpoint_alone(folder, monkeypatch):
    before = small.weights(small.target(folder))
    small.weights(relearned(folder, 3))
    assert small.distance(before, small.weights(small.target(folder))) == 0
    monkeypatch.setattr(teaching, "_keep", lambda *_: pytest.fail("trained again"))
    small.weights(relearned(folder, 1))


def test_another_model_row_or_batch_is_another_training(folder):
    def digest(**changes):
        return relearned(folder, 1, **changes).interventions

    assert digest() == digest()
    assert len({digest(), digest(batch=4), digest(fraction=0.26), digest(lora=True), digest(lr=[1e-4])}) == 5


def test_the_validation_loss_is_the_models_own(folder, tmp_path):
    """Against transformers' loss of each row, weighted by its tokens."""
    import torch

    from auditkit.unlearning import Pupil
    from auditkit.unlearning._objective import Lessons

    one = small.target(folder)
    pupil = Pupil.of(one.load(), one.manner, label="model")
    rows = pupil.rows([small.FORGET])
    total = tokens = 0
    for row in rows:
        labels = torch.tensor([row.labels])
        count = int((labels[:, 1:] >= 0).sum())
        total += float(pupil.model(input_ids=torch.tensor([row.ids]), labels=labels).loss) * count
        tokens += count
    assert teaching.validation_loss(pupil, Lessons(rows, pad=pupil.pad)) == pytest.approx(total / tokens, rel=1e-5)


def test_a_training_that_was_stopped_goes_on_and_ends_with_the_same_bits(folder, monkeypatch):
    whole = small.weights(relearned(folder, 3))
    lesson = relearned(folder, 3, batch=1)
    expected = small.weights(lesson)
    import shutil

    from auditkit.files import cache_folder

    shutil.rmtree(cache_folder() / "attacked")
    keep, seen = teaching._keep, []

    def interrupted(pupil, at, loss, base):
        keep(pupil, at, loss, base)
        seen.append(at.name)
        if at.name == "step-3" and seen.count("step-3") == 1:
            raise KeyboardInterrupt

    monkeypatch.setattr(teaching, "_keep", interrupted)
    with pytest.raises(KeyboardInterrupt):
        small.weights(lesson)
    assert small.distance(expected, small.weights(relearned(folder, 3, batch=1))) == 0
    assert seen.count("step-3") >= 2
    assert small.distance(expected, whole) > 0


def test_the_note_tells_losses_and_cost(folder):
    from auditkit.files import cache_folder

    small.weights(relearned(folder, 3))
    notes = [note for path in (cache_folder() / "attacked").iterdir() if (note := doses(path))]
    assert len(notes) == 2
    for note in notes:
        assert set(note["validation_loss"]) == {"1", "3"} and note["run"]["steps"] == 3
    account = RELEARN.account(small.target(folder), params(), small.scene())
    assert account["lr"] == 1e-3 and account["steps"] in (1, 3)
    assert (account["rows_trained"], account["rows_validation"]) == (3, 1)
