"""Results of a scale and a sequence, written by hand: few enough numbers to check every quantity on paper."""

from __future__ import annotations

from typing import Any

from auditkit.evidence.results import BoundDoc, CorpusDoc, EstimateDoc, MadeDoc, PointDoc, RequirementDoc, Results, RunDoc
from tests.reporting.sample_results import FRACTION, estimate, requirement, results

KEPT = FRACTION.model_copy(update={"better": "higher", "name": "accuracy"})
KEPT_BOUND = BoundDoc(text="at least 0.9 * original", lower=0.0, model="original", scale=0.9, lower_value=0.72)
LEFT_BOUND = BoundDoc(text="at most reference + 0.1", upper=0.1, model="reference", upper_value=0.2)
REQUESTS = 3


def point(place: PointDoc, of: str, value: float | None, corpus: str, **changes: Any) -> RequirementDoc:
    """One requirement on a step's model."""
    base: dict[str, Any] = {
        "name": f"{place.curve}, {place.kind} {place.step}.{place.asked}.{place.order} on {corpus}",
        "slug": f"{place.curve}-{place.kind}-{place.step}-{place.asked}-{place.order}-{corpus}".replace(" ", "_")[:80],
        "of": of,
        "point": place,
        "corpus": corpus,
        "result": "inconclusive",
        "estimate": estimate(value, n=10, rows=40),
        "models": {"candidate": estimate(value), "original": estimate(0.8), "reference": estimate(0.1)},
        "bound": LEFT_BOUND,
        "controls": [],
        "line": 0,
    }
    return requirement(**(base | changes))


def kept(
    kind: Any, step: int, value: float | None, of: str, order: int = 0, corpus: str = "retain", **changes: Any
) -> RequirementDoc:
    """Utility, unless changed on the same corpus at every point."""
    place = PointDoc(kind=kind, curve="kept", step=step, of=REQUESTS, order=order)
    utility = {"check": "utility", "title": "Utility", "dimension": "utility", "metric": KEPT, "bound": KEPT_BOUND}
    return point(place, of, value, corpus, **(utility | changes))


def left(
    kind: Any, step: int, value: float | None, of: str, corpus: str, *, asked: int | None = None, order: int = 0
) -> RequirementDoc:
    """What is left of the request whose corpus is asked."""
    return point(PointDoc(kind=kind, curve="left", step=step, of=REQUESTS, asked=asked, order=order), of, value, corpus)


def again(asked: int, step: int, before: float, value: float, **changes: Any) -> RequirementDoc:
    """Request ``asked``, asked about again after request ``step``."""
    place = PointDoc(kind="request", curve="comes back", step=step, of=REQUESTS, asked=asked)
    model = f"request_{asked}"
    apart = EstimateDoc(value=value - before, lower=value - before - 0.2, upper=value - before + 0.2, n=10, rows=40)
    own: dict[str, Any] = {
        "bound": BoundDoc(text=f"at most {model} + 0.05", upper=0.05, model=model, upper_value=before + 0.05),
        "difference": apart,
        "models": {"candidate": estimate(value), "original": estimate(0.8), model: estimate(before)},
    }
    return point(place, f"request_{step}", value, f"fold_{asked}", **(own | changes))


def made(seconds: float, tokens: int, forget: list[str], **changes: Any) -> MadeDoc:
    """What a model cost."""
    base: dict[str, Any] = {
        "method": "gradient_difference", "parameters": {"forget": forget}, "steps": 16, "tokens": tokens,
        "seconds": seconds, "peak_memory_bytes": 1 << 30, "device": "cuda",
    }  # fmt: skip
    return MadeDoc(**(base | changes))


def scale_points() -> list[RequirementDoc]:
    """Utility 0.75, 0.7, 0.5."""
    return [kept("size", step, value, f"size_{step}") for step, value in enumerate((0.75, 0.7, 0.5), start=1)]


def sequence_points() -> list[RequirementDoc]:
    """Utility 0.8, 0.7, 0.4: slope -0.2. Left 0.10, 0.30, 0.20. Comes back: +0.02, +0.12, -0.1."""
    return [
        *(kept("request", step, value, f"request_{step}") for step, value in enumerate((0.8, 0.7, 0.4), start=1)),
        kept("order", 3, 0.55, "order_1_request_3", 1, level="advisory"),
        kept("order", 3, 0.45, "order_2_request_3", 2, level="advisory"),
        kept("one_shot", 3, 0.65, "one_shot", level="advisory"),
        *(left("request", k, value, f"request_{k}", f"fold_{k}") for k, value in enumerate((0.1, 0.3, 0.2), start=1)),
        *(left("order", 3, value, "order_1_request_3", f"fold_{j}", asked=j, order=1) for j, value in ((1, 0.12), (3, 0.26))),
        left("one_shot", 3, 0.05, "one_shot", "fold_1", asked=1),
        again(1, 2, 0.1, 0.12),
        again(1, 3, 0.1, 0.22),
        again(2, 3, 0.3, 0.2),
    ]


def costs_of() -> dict[str, MadeDoc]:
    """The last model of the second other order was made elsewhere."""
    folds = ["fold_1", "fold_2", "fold_3"]
    return {
        "reference": made(200.0, 100_000, [], method="finetune", parameters={}),
        **{f"size_{n}": made(10.0 * n, 5_000 * n, folds[:n]) for n in (1, 2, 3)},
        **{f"request_{n}": made(10.0, 5_000, [folds[n - 1]]) for n in (1, 2, 3)},
        "order_1_request_3": made(10.0, 5_000, ["fold_2"], device="cpu", peak_memory_bytes=None),
        "one_shot": made(30.0, 15_000, folds),
    }


def audit(rows: list[RequirementDoc] | None = None, costs: dict[str, MadeDoc] | None = None, **changes: Any) -> Results:
    """An audit with a scale and a sequence, unless given other rows."""
    corpora = [
        CorpusDoc(name=name, role="fold", rows=rows, subjects=10, has_subjects=True, source=f"{name}.jsonl", digest="1d" * 32)
        for name, rows in (("fold_1", 16), ("fold_2", 24), ("fold_3", 40), ("retain", 40))
    ]
    found = [requirement(1), *scale_points(), *sequence_points()] if rows is None else rows
    run = results().run.model_dump() | {"made": costs_of() if costs is None else costs}
    return results(found, **({"corpora": corpora, "run": RunDoc.model_validate(run), "waivers": []} | changes))
