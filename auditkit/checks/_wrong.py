"""Wrong answers to put beside true ones, and the folds that they are drawn in.

They are the row's ``perturbed``, else true answers about other subjects of the same fold, of the same relation where rows have
one. From other folds they would bias a probe: one that knows answers by their words alone was fitted on them as true ones
there, and falls far below one half.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from auditkit.text import normalised

if TYPE_CHECKING:
    from auditkit.checks._base import Context
    from auditkit.corpora.example import Example

FOLDS = 5
"""At most; fewer where a fold would have too few subjects to draw wrong answers from."""


def folds_of(context: Context[Any], *, count: int) -> dict[str, int]:
    """The fold of each subject, by lot: nearly equal in size, each with subjects to draw ``count`` wrong answers from."""
    subjects = sorted(context.corpus.subjects())
    folds = max(2, min(FOLDS, len(subjects) // (count + 2)))
    order = context.rng("probe folds", context.corpus.name).permutation(len(subjects))
    return {subjects[index]: place % folds for place, index in enumerate(order)}


def wrong_answers(
    context: Context[Any], rows: Sequence[Example], folds: Mapping[str, int], *, count: int
) -> dict[str, list[str]]:
    """By row's id ``count`` wrong answers, or [] where there are not so many; the same for all models and orders of rows."""
    true: dict[str, set[str]] = defaultdict(set)
    pools: dict[tuple[object, ...], dict[str, str]] = defaultdict(dict)
    for row in rows:
        true[row.subject] |= {normalised(answer) for answer in row.answers}
        for place in _places(row, folds):
            pools[place][normalised(row.answer)] = row.answer
    chosen: dict[str, list[str]] = {}
    for row in rows:
        own = {normalised(text): text for text in row.many("perturbed")}
        sources = (own, *(pools[place] for place in _places(row, folds)))
        found = ([text for key, text in sorted(source.items()) if key and key not in true[row.subject]] for source in sources)
        pool = next((pool for pool in found if len(pool) >= count), [])
        rng = context.rng("wrong answers", context.corpus.name, row.id)
        chosen[row.id] = [pool[index] for index in sorted(rng.choice(len(pool), count, replace=False))] if pool else []
    return chosen


def _places(row: Example, folds: Mapping[str, int]) -> Iterator[tuple[object, ...]]:
    """Where wrong answers for a row are looked for, the best place first."""
    fold, relation = folds[row.subject], row.get("relation")
    if relation:
        yield "fold and relation", fold, relation
        yield "relation", relation
    yield "fold", fold
    yield ("all",)
