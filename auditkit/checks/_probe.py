"""A linear probe, scored on subjects that it was not fitted on.

StandardScaler and logistic regression (L2, C = 1), folds by subject. A probe that is scored on subjects it has seen would show
what it learned itself, not what the model holds.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

_MOST_ITERATIONS = 1000


@dataclass(frozen=True)
class Probed:
    """One layer of one model."""

    wins: Floats
    """Per question, 0 to 1: the share of its wrong answers that score below the true one, ties half. NaN where a state is no
    number, or no probe could be fitted."""
    unfinished: int
    """Fits that had not converged after 1000 steps."""


def probe(states: Floats, folds: Sequence[int], *, swapped: NDArray[np.bool_] | None = None) -> Probed:
    """Fit and score probes on states (questions, answers, width), whose first answer is the true one.

    ``folds``, one per question: those of one fold are scored by a probe that was fitted on all others.
    ``swapped``, one per question: the first wrong answer counts as the true one, in fitting and in scoring (Hewitt & Liang's
    control task). What the probe then gets right beyond one half it has not got from the model.
    """
    import numpy as np

    if swapped is not None:
        states = states.copy()
        states[swapped, :2] = states[swapped, 1::-1]
    wins = np.full(len(states), np.nan)
    usable = np.isfinite(states).all(axis=(1, 2))
    left = np.array(folds, dtype=np.int64)[usable]
    if len(set(left)) < 2:
        return Probed(wins, 0)
    scores, unfinished = _held_out(states[usable], left)
    margin = scores[:, :1] - scores[:, 1:]
    wins[usable] = ((margin > 0) + 0.5 * (margin == 0)).mean(axis=1)
    return Probed(wins, unfinished)


def _held_out(states: Floats, folds: NDArray[np.int64]) -> tuple[Floats, int]:
    """Out-of-fold scores (questions, answers), higher = more like a true answer, and how many fits did not converge."""
    import numpy as np
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    questions, answers, width = states.shape
    flat = states.reshape(-1, width)
    truth = np.tile(np.arange(answers) == 0, questions)
    groups = np.repeat(folds, answers)
    scores = np.empty(len(flat))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", ConvergenceWarning)
        for fold in sorted(set(folds)):
            test = groups == fold
            fit = make_pipeline(StandardScaler(), LogisticRegression(C=1.0, max_iter=_MOST_ITERATIONS))
            scores[test] = fit.fit(flat[~test], truth[~test]).decision_function(flat[test])
    unfinished = sum(issubclass(one.category, ConvergenceWarning) for one in caught)
    return scores.reshape(questions, answers), unfinished
