"""The area under the ROC curve and its curve, of plain arrays."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

MEMBERS_PER_FPR = 10
"""Non-members expected beyond the threshold before a TPR at a fixed FPR is given."""
ROC_POINTS = 200


def auc(positives: NDArray[np.float64], negatives: NDArray[np.float64]) -> float:
    """P(positive > negative) + P(equal) / 2, 0 to 1; NaN where a side is empty or holds a NaN."""
    import numpy as np

    if positives.size == 0 or negatives.size == 0 or np.isnan(positives).any() or np.isnan(negatives).any():
        return float("nan")
    ordered = np.sort(negatives)
    below, upto = np.searchsorted(ordered, positives, "left"), np.searchsorted(ordered, positives, "right")
    return float((below + upto).sum(dtype=np.float64) / (2 * positives.size * negatives.size))


def roc(positives: NDArray[np.float64], negatives: NDArray[np.float64]) -> dict[str, list[float]]:
    """The ROC curve as ``fpr`` and ``tpr``, at most 200 points, both ends kept."""
    import numpy as np

    fpr, tpr = _curve(positives, negatives)
    if fpr.size > ROC_POINTS:
        kept = np.unique(np.linspace(0, fpr.size - 1, ROC_POINTS).astype(int))
        fpr, tpr = fpr[kept], tpr[kept]
    return {"fpr": [round(float(x), 6) for x in fpr], "tpr": [round(float(x), 6) for x in tpr]}


def tpr_at_fpr(positives: NDArray[np.float64], negatives: NDArray[np.float64], fprs: tuple[float, ...]) -> dict[str, Any]:
    """The largest TPR with an FPR of at most the target, not interpolated; words where there are too few non-members."""
    fpr, tpr = _curve(positives, negatives)
    found: dict[str, Any] = {}
    for target in fprs:
        needed = round(MEMBERS_PER_FPR / target)
        if negatives.size >= needed:
            found[f"{target:g}"] = float(tpr[fpr <= target].max())
        else:
            found[f"{target:g}"] = f"not given: needs {needed} non-members, there are {negatives.size}"
    return found


def _curve(positives: NDArray[np.float64], negatives: NDArray[np.float64]) -> tuple[Any, Any]:
    import numpy as np
    from sklearn.metrics import roc_curve

    labels = np.concatenate([np.ones(positives.size, int), np.zeros(negatives.size, int)])
    fpr, tpr, _ = roc_curve(labels, np.concatenate([positives, negatives]))
    return fpr, tpr
