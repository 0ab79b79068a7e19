from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest

from auditkit.checks._base import Metric, Values
from auditkit.spec.model import Decide


@pytest.fixture
def values_of() -> Callable[..., Values]:
    """Rows of equally sized subjects: ``values_of([[.1, .2], [.3, .4]])`` has two subjects of two rows."""

    def make(
        rows: Sequence[Sequence[float]],
        *,
        corpus: str = "forget",
        group: str = "",
        label: int | None = None,
        first: int = 0,
        **more: object,
    ) -> Values:
        keys = [
            (f"{corpus}/s{first + i}", f"{corpus}/{first + i}.{j}", v) for i, row in enumerate(rows) for j, v in enumerate(row)
        ]
        return Values(
            ids=tuple(key[1] for key in keys),
            subjects=tuple(key[0] for key in keys),
            values=tuple(float(key[2]) for key in keys),
            groups=(group,) * len(keys) if group else (),
            labels=() if label is None else (label,) * len(keys),
            **more,  # type: ignore[arg-type]
        )

    return make


@pytest.fixture
def joined() -> Callable[..., Values]:
    """The rows of several Values, one after the other."""

    def make(*parts: Values) -> Values:
        return Values(
            ids=tuple(i for part in parts for i in part.ids),
            subjects=tuple(s for part in parts for s in part.subjects),
            values=tuple(v for part in parts for v in part.values),
            groups=tuple(g for part in parts for g in part.groups),
            labels=tuple(label for part in parts for label in part.labels),
            shown_only=parts[0].shown_only,
        )

    return make


@pytest.fixture
def share() -> Metric:
    return Metric("share of subjects", "fraction", 0.0, 1.0, "lower", 0.0)


@pytest.fixture
def score() -> Metric:
    return Metric("score", "fraction", 0.0, 1.0, "lower")


@pytest.fixture
def kept() -> Metric:
    return Metric("accuracy", "fraction", 0.0, 1.0, "higher", 0.25)


@pytest.fixture
def area() -> Metric:
    return Metric("AUC", "AUC", 0.0, 1.0, "lower", 0.5)


@pytest.fixture
def decide() -> Decide:
    return Decide()
