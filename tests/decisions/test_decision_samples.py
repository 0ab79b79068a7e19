from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from auditkit.checks._base import Values
from auditkit.decisions.samples import (
    UnpairedError,
    content_order,
    decisive_groups,
    require_paired,
    sample_of,
    strata,
)
from auditkit.files import digest


def shuffled(values: Values, seed: int = 0) -> Values:
    order = np.random.default_rng(seed).permutation(len(values.ids))

    def take(column: tuple) -> tuple:
        return tuple(column[i] for i in order) if column else ()

    return replace(
        values,
        ids=take(values.ids),
        subjects=take(values.subjects),
        values=take(values.values),
        groups=take(values.groups),
        labels=take(values.labels),
    )


def test_totals_sizes_and_bits_by_hand(values_of: Callable[..., Values]) -> None:
    sample = sample_of(values_of([[0.1, 0.9], [0.2, 0.3], [0.5, 0.5]]))
    assert sample.totals() == pytest.approx([1.0, 0.5, 1.0])
    assert list(sample.sizes()) == [2, 2, 2]
    assert list(sample.bits(0.5)) == [1, 0, 1]
    assert sample.unit == "subject"


def test_a_row_without_a_subject_is_its_own_unit() -> None:
    values = Values(ids=("forget/1", "forget/2"), subjects=("forget/1", "forget/2"), values=(0.0, 1.0))
    assert sample_of(values).unit == "row"


def test_the_order_of_rows_changes_nothing(values_of: Callable[..., Values]) -> None:
    values = values_of(np.random.default_rng(0).random((9, 3)))
    assert sample_of(values).keys == sample_of(shuffled(values)).keys
    assert np.array_equal(sample_of(values).values, sample_of(shuffled(values)).values)


def test_neither_names_nor_order_change_the_content_order(values_of: Callable[..., Values]) -> None:
    values = values_of(np.random.default_rng(0).integers(0, 3, (12, 3)))
    hidden = replace(
        values,
        ids=tuple(f"forget/{digest(i)}" for i in values.ids),
        subjects=tuple(f"forget/{digest(s)}" for s in values.subjects),
    )
    samples = [
        sample_of(version, None, content_order({"candidate": version}))
        for version in (values, shuffled(values), shuffled(hidden))
    ]
    for other in samples[1:]:
        assert np.array_equal(samples[0].values, other.values)
        assert np.array_equal(samples[0].codes, other.codes)


def test_nan_is_ordered_and_counted(values_of: Callable[..., Values]) -> None:
    values = values_of([[math.nan, 0.1], [0.2, math.inf]])
    assert sample_of(values, None, content_order({"candidate": values})).broken == 2


def test_groups_are_selected_and_shown_ones_are_not_decisive(
    values_of: Callable[..., Values], joined: Callable[..., Values]
) -> None:
    both = replace(joined(values_of([[1.0]], group="b"), values_of([[0.0]], group="a")), shown_only=("a",))
    assert decisive_groups(both) == ("b",)
    assert list(sample_of(both, ("a",)).values) == [0.0]
    assert len(sample_of(both, ("unknown",)).values) == 0


def test_strata_are_the_corpora(values_of: Callable[..., Values], joined: Callable[..., Values]) -> None:
    sample = sample_of(joined(values_of([[0.0], [1.0]], corpus="holdout"), values_of([[0.0], [1.0], [2.0]])))
    assert [len(layer) for layer in strata(sample)] == [3, 2]


def test_pairing_is_by_id_and_names_what_is_missing(values_of: Callable[..., Values]) -> None:
    values = values_of([[0.1, 0.2], [0.3, 0.4]])
    require_paired(sample_of(values), sample_of(shuffled(values)))
    less = Values(ids=values.ids[:-1], subjects=values.subjects[:-1], values=values.values[:-1])
    with pytest.raises(UnpairedError, match=r"1 rows were measured on one of the two models only: forget/1\.1"):
        require_paired(sample_of(values), sample_of(less))


def test_repeated_ids_cannot_be_paired(values_of: Callable[..., Values]) -> None:
    values = values_of([[0.1, 0.2]])
    twice = replace(values, ids=("forget/0.0", "forget/0.0"))
    with pytest.raises(UnpairedError, match="twice"):
        require_paired(sample_of(twice), sample_of(twice))


def test_columns_of_different_length_are_a_defect(values_of: Callable[..., Values]) -> None:
    with pytest.raises(ValueError, match="zip"):
        sample_of(replace(values_of([[0.1, 0.2]]), subjects=("forget/s0",)))
