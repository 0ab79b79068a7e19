"""Area under the ROC curve, P(score of a member > score of a non-member), ties half; and the difference of two.

Variance: DeLong's (1988) in its form for clustered rows (Obuchowski 1997): each row's placement among the rows of the other
class, centred, is summed by subject. With one row per subject it is DeLong's. t quantiles with Satterthwaite's degrees of
freedom; a single AUC on the logit scale.

Near 0 and 1, and for two models whose scores nearly agree, that variance tends to nothing while the truth need not. So no
bound lies closer than what ``n = min(members, non-members)`` independent pairs allow that all agree: ``1 - alpha ** (1 / n)``
of the distance to the end of the range. At AUC 1 that is the exact bound ``alpha ** (1 / n)``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import expit, logit

from auditkit.decisions.intervals import Interval, t_half_width, zero_event_share

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from auditkit.decisions.samples import Sample


@dataclass(frozen=True)
class Classes:
    """How many independent subjects stand behind an AUC."""

    members: int
    others: int

    @property
    def fewer(self) -> int:
        """Subjects of the smaller class."""
        return min(self.members, self.others)


def classes(sample: Sample) -> Classes:
    """Subjects with member rows and with non-member rows."""
    return Classes(*(len(np.unique(sample.codes[sample.labels == label])) for label in (1, 0)))


def in_both_classes(sample: Sample) -> int:
    """How many subjects have rows of both classes; such rows are not independent across the classes, as all below assumes."""
    return len(np.intersect1d(sample.codes[sample.labels == 1], sample.codes[sample.labels == 0]))


def auc(scores: NDArray[np.float64], labels: NDArray[np.int64]) -> float:
    """P(member > non-member) + P(tie) / 2 over all pairs."""
    members, others = scores[labels == 1], np.sort(scores[labels == 0])
    return float(_placements(members, others).mean())


def auc_interval(sample: Sample, *, alpha: float) -> Interval:
    """The AUC of one model. Needs two subjects of each class."""
    value = auc(sample.values, sample.labels)
    found = classes(sample)
    variance, freedom = _variance(sample, _centred(sample.values, sample.labels))
    lower = upper = value
    if 0 < value < 1:
        half = t_half_width(variance, freedom, alpha=alpha) / (value * (1 - value))
        lower, upper = float(expit(logit(value) - half)), float(expit(logit(value) + half))
    share = zero_event_share(found.fewer, alpha=alpha)
    return Interval(
        value,
        min(lower, value * (1 - share)),
        max(upper, 1 - (1 - value) * (1 - share)),
        _method(sample, "logit scale"),
        _sizes(found),
    )


def auc_difference(sample: Sample, model: Sample, scale: float, *, alpha: float) -> Interval:
    """AUC of ``sample`` minus ``scale`` times that of ``model``, on the same rows."""
    value = auc(sample.values, sample.labels) - scale * auc(model.values, sample.labels)
    found = classes(sample)
    influence = _centred(sample.values, sample.labels) - scale * _centred(model.values, sample.labels)
    variance, freedom = _variance(sample, influence)
    half = t_half_width(variance, freedom, alpha=alpha)
    share = zero_event_share(found.fewer, alpha=alpha)
    lower, upper = value - max(half, share * (value + scale)), value + max(half, share * (1 - value))
    return Interval(value, max(-scale, lower), min(1.0, upper), _method(sample, "paired"), _sizes(found))


def _placements(scores: NDArray[np.float64], others: NDArray[np.float64]) -> NDArray[np.float64]:
    """Share of the sorted ``others`` below each score, ties half."""
    below, up_to = np.searchsorted(others, scores, "left"), np.searchsorted(others, scores, "right")
    placed: NDArray[np.float64] = (below + up_to) / (2 * len(others))
    return placed


def _centred(scores: NDArray[np.float64], labels: NDArray[np.int64]) -> NDArray[np.float64]:
    """Each row's influence on the AUC times the number of rows of its class."""
    placed = np.empty_like(scores)
    members, others = scores[labels == 1], scores[labels == 0]
    placed[labels == 1] = _placements(members, np.sort(others))
    placed[labels == 0] = 1 - _placements(others, np.sort(members))
    centred: NDArray[np.float64] = placed - placed[labels == 1].mean()
    return centred


def _variance(sample: Sample, influence: NDArray[np.float64]) -> tuple[float, float]:
    """Variance and degrees of freedom from influences summed by subject, class by class."""
    parts, freedoms = [], []
    for label in (1, 0):
        chosen = sample.labels == label
        sums = np.bincount(sample.codes[chosen], weights=influence[chosen])
        subjects = len(np.unique(sample.codes[chosen]))
        parts.append(subjects / (subjects - 1) * float((sums**2).sum()) / float(chosen.sum()) ** 2)
        freedoms.append(subjects - 1)
    total = sum(parts)
    if total == 0:
        return 0.0, float(min(freedoms))
    spread = sum(part**2 / freedom for part, freedom in zip(parts, freedoms, strict=True))
    return total, max(total**2 / spread, float(min(freedoms)))


def _method(sample: Sample, how: str) -> str:
    clustered = len(sample.subjects) < len(sample.values)
    return f"DeLong{' clustered by subject (Obuchowski)' if clustered else ''}, {how}"


def _sizes(found: Classes) -> str:
    return f"{found.members} members, {found.others} non-members."
