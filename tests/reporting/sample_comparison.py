"""Comparisons as ``compare`` gives them: every result word and every shown word, a missing requirement, hostile text."""

from __future__ import annotations

from typing import Any

from auditkit.evidence.comparison import CandidateDoc, CellDoc, ComparedDoc, Comparison, PointDoc, TradeOffDoc
from auditkit.evidence.results import EstimateDoc, MadeDoc
from tests.reporting.sample_results import FRACTION, HOSTILE, PERCENT, estimate

KEPT = FRACTION.model_copy(update={"name": "accuracy", "better": "higher"})
NAMES = ("npo", "gradient_ascent", "rmu")
REFERENCE = MadeDoc(
    method="finetune", parameters={"epochs": 5}, steps=900, tokens=1_402_113, seconds=3725.0,
    peak_memory_bytes=None, device="cuda",
)  # fmt: skip


def comparison(**changes: Any) -> Comparison:
    """Three candidates on three requirements, the last of which one of them lacks."""
    questions = (0.2, 0.03, 0.45)
    kept = (0.78, 0.31, 0.8)
    base: dict[str, Any] = {
        "tool_version": "0.1.0",
        "title": "Which method for deletion request 2026-114",
        "confidence": 0.95,
        "seed": 0,
        "baseline": "npo",
        "candidates": [_candidate(place, name) for place, name in enumerate(NAMES)],
        "requirements": [
            _compared("direct questions", "forgetting", questions, ("better", "worse"), ("pass", "pass", "fail")),
            _compared("general knowledge", "utility", kept, ("worse", "no difference shown"), ("pass", "fail", "pass"), KEPT),
            _compared("leakage", "privacy", (1.5, -8.0), ("undecided",), ("inconclusive", "error"), PERCENT),
        ],
        "reference_cost": REFERENCE,
        "trade_off": TradeOffDoc(
            forgetting="direct questions",
            utility="general knowledge",
            points=[
                PointDoc(name=n, role="baseline" if n == "npo" else "candidate", forgetting=estimate(x), utility=estimate(y))
                for n, x, y in zip(NAMES, questions, kept, strict=True)
            ]
            + [
                PointDoc(name="original", role="original", forgetting=estimate(0.9), utility=estimate(0.8)),
                PointDoc(name="reference", role="reference", forgetting=estimate(0.12), utility=estimate(0.79)),
            ],
        ),
        "notes": ["The original is not the same model in all run folders."],
    }
    return Comparison(**(base | changes))


def hostile() -> Comparison:
    """Every text of the data's own is hostile."""
    document = comparison().model_dump(mode="json")
    names = {name: f"{name}{HOSTILE}" for name in (*NAMES, "direct questions", "general knowledge", "leakage")}
    return Comparison.model_validate(_renamed(document, names | {"Which method for deletion request 2026-114": HOSTILE}))


def _renamed(part: Any, names: dict[str, str]) -> Any:
    if isinstance(part, str):
        return names.get(part, part)
    if isinstance(part, dict):
        return {key: _renamed(item, names) for key, item in part.items()}
    return [_renamed(item, names) for item in part] if isinstance(part, list) else part


def _candidate(place: int, name: str) -> CandidateDoc:
    made = MadeDoc(
        method=name, parameters={"lr": 1e-5, "lora": {"rank": 8}}, steps=120, tokens=48_000, seconds=60.5 + place,
        peak_memory_bytes=3 << 29, device="cuda",
    )  # fmt: skip
    return CandidateDoc(
        name=name,
        verdict=("PASS", "FAIL", "INCOMPLETE")[place],
        summary="All required properties hold.",
        source=f"from original, unlearn {name}",
        fingerprint=f"{place}c" * 32,
        report_id=f"5f0c2a91d3e{place}",
        manifest_sha256=f"{place}e" * 32,
        cost=made if place < 2 else None,
        cost_ratio=0.0162 if place == 0 else None,
    )


def _compared(name: str, dimension: str, values: tuple, shown: tuple, results: tuple, metric: Any = FRACTION) -> ComparedDoc:
    cells = [
        CellDoc(
            candidate=candidate,
            result=result,
            level="required",
            bound="at most 0.2",
            reason="The bound is 0.2.",
            estimate=estimate(value) if result != "error" else EstimateDoc(note="error"),
            difference=None if word is None else estimate(None if word == "undecided" else round(value - values[0], 3)),
            shown=word,
        )
        for candidate, value, result, word in zip(NAMES, values, results, (None, *shown), strict=False)
    ]
    return ComparedDoc(
        name=name,
        check="knowledge_memorization",
        title="Knowledge memorization",
        dimension=dimension,
        corpus="forget",
        metric=metric,
        cells=cells,
        missing=list(NAMES[len(cells) :]),
        models={"original": estimate(0.9), "reference": estimate(0.12)},
    )
