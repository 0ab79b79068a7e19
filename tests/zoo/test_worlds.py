"""A world: what is planted is known, and no text gives the groups away."""

from collections import Counter

import pytest

from auditkit.checks._blind import Text, blind_baseline
from auditkit.zoo.worlds import (
    EXPOSURES,
    LIST_LENGTH,
    RELATIONS,
    Size,
    closed_list,
    document_rows,
    make_world,
    question_rows,
)

GROUPS = ("forget", "holdout", "retain", "calibration")


@pytest.fixture(scope="module")
def world():
    return make_world(3)


def test_equal_seeds_give_equal_worlds_and_other_seeds_other_ones(world):
    assert make_world(3) == world
    assert make_world(4) != world and make_world(3, book="locked") != world


def test_every_group_has_its_size_and_names_are_distinct(world):
    assert Counter(person.group for person in world.people) == {group: getattr(world.size, group) for group in GROUPS}
    assert len({person.name for person in world.people}) == len(world.people)


def test_values_come_from_closed_lists_of_known_length_and_the_books_share_few(world):
    for relation in RELATIONS:
        values = closed_list("development", relation.name)
        assert len(set(values)) == LIST_LENGTH
        assert {person.facts[relation.name] for person in world.people} <= set(values)
        assert len(set(values) & set(closed_list("locked", relation.name))) < 0.1 * LIST_LENGTH


def test_a_guess_is_right_one_time_in_the_lists_length(world):
    """The commonest value among the retain people is right about as many forget people as share it by chance."""
    hits = 0
    for seed in range(30):
        people = make_world(seed).of("retain", "forget")
        for relation in RELATIONS:
            counts = Counter(one.facts[relation.name] for one in people if one.group == "retain" and not one.near)
            commonest = counts.most_common(1)[0][0]
            hits += sum(one.facts[relation.name] == commonest for one in people if one.group == "forget")
    expected = 30 * len(RELATIONS) * world.size.forget / LIST_LENGTH
    assert abs(hits - expected) < 4 * expected**0.5


def test_no_classifier_of_texts_tells_forget_from_holdout():
    aucs = []
    for seed in range(6):
        sides = (list(question_rows(make_world(seed).of(group))) for group in ("forget", "holdout"))
        rows = [tuple(Text(row["subject"], f"{row['question']} {row['answer']}") for row in side) for side in sides]
        aucs.append(blind_baseline(rows[0], rows[1], 0).auc)
    assert abs(sum(aucs) / len(aucs) - 0.5) < 0.03


def test_audit_wordings_are_never_taught(world):
    for relation in RELATIONS:
        assert len(relation.taught) == len(relation.audited) == 3
        assert not set(relation.taught) & set(relation.audited)
    row = next(question_rows(world.of("forget")))
    assert row["question"] == RELATIONS[0].taught[0].format(name=row["subject"])
    assert all(text.endswith("?") and text != row["question"] for text in row["paraphrases"])


def test_shared_facts_doubles_canaries_and_exposures_are_planted(world):
    assert sum(bool(person.shared) for person in world.of("forget")) == world.size.shared
    assert sum(row["shared"] for row in question_rows(world.of("forget"))) == world.size.shared
    by_name = {person.name: person for person in world.people}
    doubles = [person for person in world.of("retain") if person.near]
    assert len(doubles) == world.size.doubles
    for double in doubles:
        other = by_name[double.near]
        assert other.group == "forget" and double.name.split()[1] == other.name.split()[1]
        assert sum(double.facts[name] == other.facts[name] for name in double.facts) >= len(RELATIONS) - 1
    assert len(set(world.canaries)) == world.size.canaries
    assert {person.exposure for person in world.people} == set(EXPOSURES)
    assert {row["exposure"] for row in document_rows(world.people)} == set(EXPOSURES)


def test_more_doubles_than_people_are_refused():
    with pytest.raises(ValueError, match="at most as many doubles"):
        make_world(0, size=Size(forget=2, retain=2, doubles=3, shared=0))
