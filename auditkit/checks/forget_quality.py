"""Are the truth ratios distributed as a retrained model's are? TOFU's forget quality."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from auditkit.checks._base import Answers, Check, Context, Metric, Statistic, Values
from auditkit.checks._choices import TRUTH_FIELDS, Choices, choices, cut_in, losses
from auditkit.checks._prompting import PromptParams, shot_problems
from auditkit.checks._rows import Columns, unmeasured
from auditkit.models.protocol import Request

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

GROUP = "truth ratio"
WARNING = (
    "A large p-value is not evidence of forgetting: with few rows every model reaches one. "
    "This requirement can fail, but it cannot pass."
)


class ForgetQualityParams(PromptParams):
    """How truth ratios are taken."""

    convention: Literal["tofu", "answer"] = Field(
        "tofu", description="tofu (and open-unlearning): the end-of-sequence token is scored too. answer: it is not."
    )


class ForgetQuality(Check[ForgetQualityParams]):
    """p-value of the two-sample Kolmogorov-Smirnov test between the truth ratios of the model and of the reference, 0 to 1.

    ``scipy.stats.ks_2samp`` as in both published codes (TOFU 2401.06121). The value per row is 1 / (1 + TR), a falling
    function of TR: the test sees only ranks, so its D and p are those of TR. p depends on the number of rows (TOFU's code
    uses the first 300, open-unlearning all): compare only equal numbers. Small p: the distributions differ. A large p shows
    nothing.
    """

    name = "forget_quality"
    title = "Forget quality (Kolmogorov-Smirnov)"
    summary = "Whether the model's truth ratios on the forget set are distributed differently from the retrained reference's."
    source = (
        "TOFU, Maini et al. 2024, arXiv 2401.06121, forget quality; open-unlearning src/evals/metrics/privacy.py (ks_test)."
    )
    limits = WARNING
    remediation = "Look at truth_ratio and answer_probability against the reference, which have intervals."
    dimension = "forgetting"
    metric = Metric("forget quality, KS p-value", "p-value", 0.0, 1.0, "higher")
    params = ForgetQualityParams
    fields = TRUTH_FIELDS
    needs_reference = True

    def statistic(self, params: ForgetQualityParams) -> Statistic:
        """The p-value against the reference; it proves no absence."""
        return Statistic("function", function=ks_p_value, relative_to_reference=True, evidence_of_absence=False)

    def problems(self, context: Context[ForgetQualityParams]) -> Iterable[str]:
        """Solved examples that cannot be drawn."""
        return shot_problems(context, context.params)

    def requests(self, context: Context[ForgetQualityParams]) -> Iterable[Request]:
        """One teacher-forced pass per right and wrong answer, the same as truth_ratio's."""
        return [request for asked in _asked(context) for request in asked.requests]

    def values(self, context: Context[ForgetQualityParams], answers: Answers, reference: Answers | None) -> Values:
        """1 / (1 + TR) per row; details: D and p against the reference."""
        asked = _asked(context)
        columns = _columns(context, asked, answers)
        details: dict[str, Any] = {}
        if reference is not None and asked:
            details = _test(columns, _columns(context, asked, reference))
        notes = [WARNING, cut_in(answers, asked), unmeasured(columns.numbers, "an answer could not be scored")]
        missing = "" if reference is not None else "forget quality compares with a retrained reference, and there is none"
        return columns.values(details=details, notes=notes, inconclusive=missing)


def ks_p_value(values: Mapping[str, NDArray[np.float64]], reference: Mapping[str, NDArray[np.float64]] | None) -> float:
    """p of the two-sample KS test; NaN without a reference or with a NaN among the values."""
    import numpy as np

    if reference is None:
        return float("nan")
    mine, theirs = values[GROUP], reference[GROUP]
    if mine.size == 0 or theirs.size == 0 or not (np.isfinite(mine).all() and np.isfinite(theirs).all()):
        return float("nan")
    return _ks(mine, theirs)[1]


def _ks(mine: NDArray[np.float64], theirs: NDArray[np.float64]) -> tuple[float, float]:
    from scipy.stats import ks_2samp

    with warnings.catch_warnings():
        # Where the exact distribution overflows scipy says so and takes the asymptotic one, as the published code does.
        warnings.simplefilter("ignore", RuntimeWarning)
        found = ks_2samp(mine, theirs)
    return float(found.statistic), float(found.pvalue)


def _asked(context: Context[ForgetQualityParams]) -> list[Choices]:
    return choices(context, context.corpus, context.params, score_end=context.params.convention == "tofu")


def _columns(context: Context[ForgetQualityParams], asked: list[Choices], answers: Answers) -> Columns:
    columns = Columns()
    for choice in asked:
        columns.add(context.corpus, choice.example, losses(answers, choice).preference, group=GROUP)
    return columns


def _test(mine: Columns, theirs: Columns) -> dict[str, Any]:
    import numpy as np

    a, b = np.array(mine.numbers), np.array(theirs.numbers)
    if not (np.isfinite(a).all() and np.isfinite(b).all()):
        return {}
    statistic, p_value = _ks(a, b)
    return {"ks_statistic": statistic, "p_value": p_value, "rows": len(mine.numbers)}


CHECK = ForgetQuality()
