"""What the leak-like checks share: a mean over rows, or one bit per subject."""

from __future__ import annotations

from abc import ABC
from dataclasses import replace
from typing import Literal, TypeVar

from pydantic import Field, model_validator

from auditkit.checks._base import Check, Metric, Params, Statistic


class LeakParams(Params):
    """Which quantity the bound is about."""

    statistic: Literal["mean", "leaking_subjects"] = Field(
        "mean",
        description=(
            "mean: the mean over rows. leaking_subjects: the share of subjects with at least one row at leak_at or above, "
            "with an exact interval; the safer choice for near-zero bounds."
        ),
    )
    leak_at: float | None = Field(
        None, gt=0, le=1, description="The value from which a row counts as leaked; needed by leaking_subjects."
    )

    @model_validator(mode="after")
    def _leak_at_belongs_to_subjects(self) -> LeakParams:
        if self.statistic == "leaking_subjects" and self.leak_at is None:
            raise ValueError("statistic: leaking_subjects needs leak_at, the value from which a row counts as leaked")
        if self.statistic == "mean" and self.leak_at is not None:
            raise ValueError("leak_at has no effect with statistic: mean; set statistic: leaking_subjects")
        return self


L = TypeVar("L", bound=LeakParams)


class LeakCheck(Check[L], ABC):
    """A check whose values are leaks: lower is better, bounded as a mean or as a share of leaking subjects."""

    def statistic(self, params: L) -> Statistic:
        """The mean over rows, or the share of subjects with any row at ``leak_at`` or above."""
        if params.statistic == "mean":
            return Statistic("mean")
        return Statistic("leaking_subjects", at=params.leak_at)

    def metric_for(self, params: L) -> Metric:
        """A share of subjects has its own name; its chance level is measured on the reference."""
        if params.statistic == "mean":
            return self.metric
        name = f"subjects with {self.metric.name} of {params.leak_at:g} or more"
        return replace(self.metric, name=name, unit="fraction", low=0.0, high=1.0, chance=None)
