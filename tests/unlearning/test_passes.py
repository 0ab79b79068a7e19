"""In which order rows come, and which rows go together."""

from __future__ import annotations

import itertools

import pytest

from auditkit.unlearning._passes import Draw, Passes


def draws(passes, *, epoch=0):
    passes.epoch = epoch
    return [draw for batch in passes for draw in batch]


@pytest.mark.parametrize("size", [1, 3, 7, 20])
def test_a_pass_holds_every_row_once(size):
    passes = Passes([3, 50, 4, 49, 5, 51, 3], size=size, seed=1)
    batches = list(passes)
    assert len(batches) == len(passes) == -(-7 // size)
    assert sorted(draw.forget for draw in itertools.chain(*batches)) == list(range(7))


def test_the_order_is_a_function_of_seed_and_epoch():
    def order(*, seed, epoch):
        return draws(Passes([5] * 9, size=2, seed=seed, retain=5, others=3), epoch=epoch)

    assert order(seed=1, epoch=4) == order(seed=1, epoch=4)
    assert order(seed=1, epoch=4) != order(seed=1, epoch=5)
    assert order(seed=1, epoch=4) != order(seed=2, epoch=4)


def test_reading_one_epoch_does_not_change_the_next():
    read, fresh = (Passes([5] * 9, size=2, seed=1, retain=4) for _ in range(2))
    draws(read, epoch=0), draws(read, epoch=0)
    assert draws(read, epoch=1) == draws(fresh, epoch=1)


def test_rows_of_like_length_stand_together():
    lengths = [5] * 8 + [60] * 8
    batches = list(Passes(lengths, size=4, seed=0))
    assert all(len({lengths[draw.forget] for draw in batch}) == 1 for batch in batches)


def test_cyclic_pairs_row_i_with_row_i_mod_n_in_every_epoch():
    passes = Passes([5] * 10, size=3, seed=2, retain=4, pairing="cyclic")
    for epoch in range(3):
        assert all(draw.retain == draw.forget % 4 for draw in draws(passes, epoch=epoch))


def test_random_pairing_draws_anew_from_all_rows():
    passes = Passes([5] * 10, size=3, seed=2, retain=4)
    pairs = [{draw.forget: draw.retain for draw in draws(passes, epoch=epoch)} for epoch in range(20)]
    assert pairs[0] != pairs[1]
    assert {partner for pair in pairs for partner in pair.values()} == set(range(4))
    assert {pair[0] for pair in pairs} == set(range(4))


def test_other_answers_are_drawn_anew_from_all():
    passes = Passes([5] * 10, size=3, seed=2, others=3)
    chosen = [{draw.forget: draw.other for draw in draws(passes, epoch=epoch)} for epoch in range(20)]
    assert chosen[0] != chosen[1]
    assert {one[0] for one in chosen} == {0, 1, 2}


def test_a_row_alone_has_no_partners():
    assert draws(Passes([5], size=3, seed=2)) == [Draw(0, None, None)]
