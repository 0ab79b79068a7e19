"""Run folders without models: values drawn here, decided by the package, written as ``verify`` writes them."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from auditkit.checks import CHECKS
from auditkit.checks._base import Values
from auditkit.evidence.bundle import Outcome, write_bundle
from auditkit.evidence.conclude import Item, conclude
from auditkit.evidence.results import CorpusDoc, MadeDoc, ModelDoc, Results, RunDoc, WorkDoc
from auditkit.evidence.values import ValuesDoc
from auditkit.spec.load import load_spec
from auditkit.spec.model import Spec

SUBJECTS, ROWS = 24, 3
ANSWERS = {"check": "knowledge_memorization", "name": "answers", "corpus": "forget", "at_most": "reference + 0.1"}
KEPT = {"check": "utility", "name": "kept", "corpus": "retain", "at_least": "0.9 * original"}
REQUIRE = (ANSWERS, KEPT)
LEVELS = {"original": {"answers": 0.9, "kept": 0.8}, "reference": {"answers": 0.15, "kept": 0.8}}


def rows(name: str, corpus: str, level: float, *, seed: int, group: str = "") -> Values:
    """Values around a level: a part that the subject shares over all models, and noise of the model's own."""
    shared = np.random.default_rng([ord(letter) for letter in name]).normal(0, 0.08, SUBJECTS)
    noise = np.random.default_rng(seed).normal(0, 0.05, (SUBJECTS, ROWS))
    values = np.clip(level + shared[:, None] + noise, 0, 1)
    places = [(subject, row) for subject in range(SUBJECTS) for row in range(ROWS)]
    return Values(
        ids=tuple(f"{corpus}/{subject}.{row}" for subject, row in places),
        subjects=tuple(f"{corpus}/person {subject}" for subject, _ in places),
        values=tuple(float(values[place]) for place in places),
        groups=(group,) * len(places) if group else (),
    )


def measured(levels: Mapping[str, float], seed: int = 1, require: Sequence[Mapping[str, Any]] = REQUIRE) -> dict[str, Any]:
    """Requirement → model → values. ``levels``: of the candidate, by requirement."""
    models = {"candidate": (levels, seed), "original": (LEVELS["original"], 901), "reference": (LEVELS["reference"], 902)}
    return {
        one["name"]: {
            model: rows(
                one["name"],
                one["corpus"],
                level.get(one["name"], 0.5),
                seed=drawn,
                group="retain knowledge" if one["check"] == "utility" else "",
            )
            for model, (level, drawn) in models.items()
        }
        for one in require
    }


def made(method: str, seconds: float, **changes: Any) -> MadeDoc:
    """What a model cost."""
    base = {
        "method": method, "parameters": {"lr": 1e-5}, "steps": 120, "tokens": 48_000, "seconds": seconds,
        "peak_memory_bytes": 3 << 29, "device": "cuda",
    }  # fmt: skip
    return MadeDoc(**(base | changes))


def bundle(
    folder: Path,
    samples: Mapping[str, Mapping[str, Values]],
    *,
    key: bytes | None = b"key",
    require: Sequence[Mapping[str, Any]] = REQUIRE,
    costs: Mapping[str, MadeDoc] | None = None,
    prints: Mapping[str, str] | None = None,
    digests: Mapping[str, str] | None = None,
    decide: Mapping[str, Any] | None = None,
    seed: int = 0,
) -> Path:
    """Write the run folder of one candidate; ``samples`` by requirement and model."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    spec = _spec(folder.parent, require, decide or {}, seed)
    items = [
        Item(
            requirement=requirement,
            slug=f"r{place}",
            check=CHECKS.get(requirement.check),
            corpus=requirement.corpus or "",
            line=0,
            samples=samples.get(requirement.name or "", {}),
            parameters=CHECKS.get(requirement.check).params.model_validate(requirement.with_).model_dump(mode="json"),
        )
        for place, requirement in enumerate(spec.require)
    ]
    concluded = conclude(items, spec, standing=[], tainted=False, as_of=dt.date(2026, 1, 1))
    fingerprints = {"candidate": f"{folder.name}", "original": "0" * 64, "reference": "1" * 64} | dict(prints or {})
    results = Results(
        verdict=concluded.verdict.value,
        summary=concluded.summary,
        title="A small audit",
        intent="removal",
        report_id=f"report-{folder.name}"[:20],
        confidence=spec.decide.confidence,
        seed=spec.seed,
        requirements=concluded.requirements,
        targets=[],
        models=[_model(name, fingerprint) for name, fingerprint in fingerprints.items()],
        corpora=[_corpus(name, (digests or {}).get(name, "d" * 64)) for name in ("forget", "retain")],
        spec_sha256="s" * 64,
        work=WorkDoc(requests_asked_for=1, requests_run=1, tokens=1),
        measurement_version=1,
        tool_version="0",
        run=RunDoc(id="run", started="", finished="", seconds=1.0, made=dict(costs or {})),
    )
    values = {item.slug: ValuesDoc.of(item.slug, item.samples, key=key) for item in items if item.samples}
    documents = {"spec.resolved.json": spec.model_dump(mode="json", by_alias=True)}
    return write_bundle(Outcome(folder, results, values, documents=documents), {})


def _spec(folder: Path, require: Sequence[Mapping[str, Any]], decide: Mapping[str, Any], seed: int) -> Spec:
    document = {
        "auditkit": 1,
        "title": "A small audit",
        "intent": "removal",
        "seed": seed,
        "models": {name: {"checkpoint": f"./{name}"} for name in ("candidate", "original", "reference")},
        "targets": [{"name": "the people", "corpus": "forget"}],
        "corpora": {name: {"file": f"{name}.jsonl"} for name in ("forget", "retain")},
        "require": list(require),
        "decide": dict(decide),
    }
    path = folder / "spec.yaml"
    path.write_text(json.dumps(document))
    spec = load_spec(path).spec
    path.unlink()
    return spec


def _model(name: str, fingerprint: str) -> ModelDoc:
    return ModelDoc(
        name=name, source=f"./{name}", fingerprint=fingerprint, parts={}, dtype="float32", device="cpu", chat="plain"
    )


def _corpus(name: str, digest: str) -> CorpusDoc:
    return CorpusDoc(
        name=name,
        role=name,
        rows=SUBJECTS * ROWS,
        subjects=SUBJECTS,
        has_subjects=True,
        source=f"{name}.jsonl",
        digest=digest,
    )
