"""Dose-response: how the score rises with the number of facts in the context."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

MIN_RISE = 0.05
"""Below this there is nothing to recover, and ED50 is not defined."""


def curve(points: Mapping[int, Sequence[float]]) -> dict[str, list[Any]]:
    """``facts``, ``mean`` and ``n`` by rising dose; a dose with a NaN has no mean."""
    doses = sorted(points)
    means = [math.fsum(points[dose]) / len(points[dose]) if points[dose] else math.nan for dose in doses]
    return {
        "facts": doses,
        "mean": [mean if math.isfinite(mean) else None for mean in means],
        "n": [len(points[dose]) for dose in doses],
    }


def ed50(shape: Mapping[str, Sequence[Any]], ceiling: float) -> int | str | None:
    """The smallest measured dose whose isotonic fit reaches half the way from no context to the ceiling.

    ``"> k"`` where the largest measured dose k does not; None where there is less than 0.05 to recover, or a mean is missing.
    """
    doses, means = list(shape["facts"]), list(shape["mean"])
    if len(doses) < 2 or doses[0] != 0 or any(mean is None for mean in means) or ceiling - means[0] < MIN_RISE:
        return None
    from sklearn.isotonic import IsotonicRegression

    fitted = IsotonicRegression().fit_transform(doses, means, sample_weight=shape["n"])
    half = means[0] + (ceiling - means[0]) / 2
    reached = [dose for dose, level in zip(doses, fitted, strict=True) if dose > 0 and level >= half - 1e-9]
    return reached[0] if reached else f"> {doses[-1]}"
