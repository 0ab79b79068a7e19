"""Numbers from one teacher-forced pass: pure functions of the recorded arrays, computed in float64.

The first token of a text without context is not predicted, so a text of n tokens has T = n - 1 scored ones. Nothing scored,
or anything not finite, gives NaN.
"""

from __future__ import annotations

import math
import zlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from auditkit.models.protocol import Scored

MIN_VARIANCE = 1e-6
"""Min-K%++: the variance is clamped from below, as open-unlearning does."""


def mean_nll(record: Scored) -> float:
    """-(1/T) sum_t log p_t in nats; >= 0, lower means better known."""
    return -_mean(record.logprob)


def probability(record: Scored) -> float:
    """exp(-mean NLL): the length-normalised probability, 0 to 1 (TOFU; open-unlearning ``probability``)."""
    return math.exp(-mean_nll(record))


def zlib_score(record: Scored, text: str) -> float:
    """Mean log p per byte of the compressed text, <= 0; higher is more member-like (Carlini et al. 2021)."""
    return _mean(record.logprob) / len(zlib.compress(text.encode("utf-8", "surrogatepass")))


def min_k(record: Scored, k: float) -> float:
    """Mean of the lowest max(1, int(k T)) log-probabilities; higher is more member-like (Shi et al. 2310.16789).

    The published code uses int(k T), which is 0 for short texts and gives NaN there.
    """
    return _lowest(_float64(record.logprob), k)


def min_k_plus_plus(record: Scored, k: float) -> float:
    """Min-K% of z_t = (log p_t - mu_t) / sigma_t, mu and sigma over the vocabulary (Zhang et al. 2404.02936)."""
    import numpy as np

    sigma = np.sqrt(np.maximum(_float64(record.variance), MIN_VARIANCE))
    return _lowest((_float64(record.logprob) - _float64(record.mean)) / sigma, k)


def exact_memorization(record: Scored) -> float:
    """Share of tokens that were the argmax, 0 to 1 (Tirumala et al. 2205.10770; open-unlearning)."""
    return float(record.hit.mean()) if _usable(record) else math.nan


def extraction_strength(record: Scored, *, floor_one_token: bool = False) -> float:
    """1 - k/T with k the length of the shortest prefix after which every token is the argmax (Carlini et al. 2021).

    0 (nothing can be extracted) to 1 (all of it, from nothing). ``floor_one_token``: a miss on the last token gives 1/T, as
    open-unlearning's loop does, where a complete miss and a hit on the last token score alike.
    """
    if not _usable(record):
        return math.nan
    tokens = int(record.hit.size)
    extracted = tokens if record.hit.all() else int(record.hit[::-1].argmin())
    return max(extracted, 1 if floor_one_token else 0) / tokens


def _usable(record: Scored) -> bool:
    """Something was scored, and the model's outputs were numbers: an argmax over NaN means nothing."""
    import numpy as np

    return record.hit.size > 0 and bool(np.isfinite(record.logprob).all())


def _float64(array: NDArray[np.float32]) -> NDArray[np.float64]:
    import numpy as np

    return array.astype(np.float64)


def _mean(array: NDArray[np.float32]) -> float:
    if array.size == 0:
        return math.nan
    value = float(_float64(array).mean())
    return value if math.isfinite(value) else math.nan


def _lowest(numbers: NDArray[np.float64], k: float) -> float:
    import numpy as np

    if numbers.size == 0 or not np.isfinite(numbers).all():
        return math.nan
    count = max(1, int(k * numbers.size))
    return float(np.partition(numbers, count - 1)[:count].mean())
