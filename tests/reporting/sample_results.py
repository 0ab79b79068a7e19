"""Results documents as audits give them, for every test that needs one: each result word, hostile text, many rows, one row."""

from __future__ import annotations

import random
from typing import Any

from auditkit.evidence.results import (
    AttackDoc,
    BoundDoc,
    ControlDoc,
    CorpusDoc,
    CurveDoc,
    EstimateDoc,
    ExampleDoc,
    GroupDoc,
    MetricDoc,
    ModelDoc,
    OutcomeDoc,
    RequirementDoc,
    Results,
    RunDoc,
    TargetDoc,
    WaiverDoc,
    WorkDoc,
)
from auditkit.evidence.values import ModelValues, ValuesDoc

HOSTILE = (
    "<script>document.title='owned'</script>"
    "<img src=x onerror=\"document.title='owned'\">"
    "{{7*7}}{% include 'report.css' %}</style></title>"
    "\u202eevil\u2066\u200b\x0b\x1b[31m|`[x](javascript:alert(1))\r\n::error::owned %0A" + "w" * 300
)
MODELS = ("candidate", "original", "reference")
FRACTION = MetricDoc(name="ROUGE-L recall", unit="fraction", low=0, high=1, better="lower", chance=None)
AUC = MetricDoc(name="AUC", unit="AUC", low=0, high=1, better="target", chance=0.5)
PERCENT = MetricDoc(name="PrivLeak", unit="percent", low=-100, high=100, better="target", chance=0)


class Text:
    """A check's texts, as the registry's checks carry them."""

    def __init__(self, title: str) -> None:
        self.title = title
        self.summary = f"{title}: overlap of what the model says with the text that it should no longer hold."
        self.source = "MUSE, equation 1"
        self.limits = "Shows what greedy decoding brings out, and nothing that other prompts would bring out."
        self.remediation = "Strengthen the unlearning on the subjects that leaked, then audit the new checkpoint."


TEXTS = {
    "verbatim_memorization": Text("Verbatim memorization"),
    "membership_inference": Text("Membership inference"),
    "in_context_relearning": Text("In-context relearning"),
    "privacy_leakage": Text("Privacy leakage"),
    "utility": Text("Utility"),
}


def estimate(value: float | None, width: float = 0.05, n: int = 64, **changes: Any) -> EstimateDoc:
    """An estimate with a symmetric interval."""
    ends = {} if value is None else {"lower": round(value - width, 4), "upper": round(value + width, 4)}
    base: dict[str, Any] = {"value": value, **ends, "n": n, "rows": n * 8, "method": "clustered t on subject means"}
    return EstimateDoc(**(base | changes))


def requirement(number: int = 1, **changes: Any) -> RequirementDoc:
    """A requirement that passes, unless changed."""
    base: dict[str, Any] = {
        "name": "no verbatim recall of the forget set",
        "slug": f"{number:02d}-verbatim_memorization-forget",
        "check": "verbatim_memorization",
        "title": "Verbatim memorization",
        "dimension": "forgetting",
        "corpus": "forget",
        "level": "required",
        "severity": "high",
        "bound": BoundDoc(
            text="at most reference + 0.05",
            upper=0.05,
            model="reference",
            upper_value=0.182,
        ),
        "because": "agreed with the data subject's representative, protocol section 3",
        "sentence": "Verbatim memorization on forget must be at most reference + 0.05.",
        "result": "pass",
        "reason": "The difference to reference is at most 0.031 at 95% confidence; the bound is 0.05.",
        "estimate": estimate(0.141, 0.02),
        "difference": estimate(0.009, 0.022),
        "models": {"candidate": estimate(0.141, 0.02), "original": estimate(0.873, 0.04), "reference": estimate(0.132, 0.02)},
        "controls": [
            ControlDoc(model="original", expected="fail", result="fail", held=True, estimate=estimate(0.873, 0.04)),
            ControlDoc(model="reference", expected="not fail", result="pass", held=True, estimate=estimate(0.132, 0.02)),
        ],
        "metric": FRACTION,
        "parameters": {"prefix_tokens": 32, "max_new_tokens": 128, "convention": "muse"},
        "line": 31,
        "values_file": f"values/{number:02d}-verbatim_memorization-forget.json",
    }
    return RequirementDoc(**(base | changes))


def _membership(number: int) -> RequirementDoc:
    attacks = ("loss", "zlib", "mink", "minkpp")
    aucs = {"candidate": 0.66, "original": 0.93, "reference": 0.51}
    return requirement(
        number,
        name="members cannot be told from non-members",
        slug=f"{number:02d}-membership_inference-forget",
        check="membership_inference",
        title="Membership inference",
        dimension="privacy",
        severity="critical",
        bound=BoundDoc(text="at most 0.6", upper=0.6, upper_value=0.6),
        because="house policy for deletion requests, 4.2",
        sentence="Membership inference on forget must be at most 0.6.",
        result="fail",
        reason="The AUC of mink is at least 0.612 at 95% confidence; the bound is 0.6.",
        estimate=estimate(0.66, 0.048, n=128, rows=128, unit="row", method="DeLong"),
        difference=None,
        worst_group="mink",
        models={m: estimate(v, 0.048, n=128, rows=128, unit="row", method="DeLong") for m, v in aucs.items()},
        groups=[
            GroupDoc(group=a, model=m, estimate=estimate(aucs[m] - 0.01 * i, n=128, rows=128, unit="row"), decisive=True)
            for i, a in enumerate(attacks)
            for m in MODELS
        ],
        controls=[
            ControlDoc(model="original", expected="fail", result="fail", held=True, estimate=estimate(0.93, 0.03)),
            ControlDoc(model="reference", expected="not fail", result="pass", held=True, estimate=estimate(0.51, 0.05)),
        ],
        metric=AUC,
        parameters={"attacks": list(attacks), "k": 0.2},
        details={
            m: {"tpr_at_fpr": {"0.2": 0.4 if m == "candidate" else 0.9}, "blind": {"auc": 0.52, "lower": 0.47, "upper": 0.57}}
            for m in MODELS
        },
        line=38,
        values_file=f"values/{number:02d}-membership_inference-forget.json",
    )


def _relearning(number: int) -> RequirementDoc:
    start = {"candidate": 0.12, "original": 0.85, "reference": 0.08}
    slope = {"candidate": 0.09, "original": 0.01, "reference": 0.008}
    cells = [("none", 0), ("definition", 1), ("alias", 1)]
    cells += [(kind, dose) for kind in ("few_shot_same", "chain") for dose in (1, 2, 4, 8)]
    cells += [("answer", 1), ("paraphrase", 1)]
    groups = [
        GroupDoc(
            group=f"{kind}@{dose}{' (answer in context)' if kind in {'answer', 'paraphrase'} else ''}",
            model=m,
            estimate=estimate(round(min(0.97, start[m] + slope[m] * dose + 0.6 * (kind in {"answer", "paraphrase"})), 3), 0.06),
            decisive=kind not in {"answer", "paraphrase"},
        )
        for kind, dose in cells
        for m in MODELS
    ]
    curves = {
        kind: {"facts": [0, 1, 2, 4, 8], "mean": [0.1, 0.2, 0.3, 0.5, 0.8], "n": [64] * 5}
        for kind in ("few_shot_same", "chain")
    }
    return requirement(
        number,
        name="hints do not bring the facts back",
        slug=f"{number:02d}-in_context_relearning-forget",
        check="in_context_relearning",
        title="In-context relearning",
        severity="critical",
        bound=BoundDoc(text="at most reference + 0.10", upper=0.10, model="reference", upper_value=0.244),
        sentence="In-context relearning on forget must be at most reference + 0.10.",
        result="fail",
        reason="With 8 facts (few_shot_same) the difference to reference is at least 0.601; the bound is 0.10.",
        estimate=estimate(0.84, 0.06),
        difference=estimate(0.696, 0.095),
        worst_group="few_shot_same@8",
        models={"candidate": estimate(0.84, 0.06), "original": estimate(0.93, 0.06), "reference": estimate(0.144, 0.06)},
        groups=groups,
        parameters={
            "contexts": ["none", "definition", "alias", "few_shot_same", "chain", "answer", "paraphrase"],
            "facts": [1, 2, 4, 8],
        },
        details={m: {"dose_response": curves, "ed50": {"few_shot_same": 4, "chain": "> 8"}} for m in MODELS},
        notes=["Doses above 8 are not reachable: the subjects have at most 8 other facts."],
        line=44,
        values_file="",
    )


def _others(first: int) -> list[RequirementDoc]:
    kept = BoundDoc(text="at least 0.95 * original", lower=0, model="original", scale=0.95, lower_value=0.589)
    return [
        requirement(
            first,
            name="general knowledge is kept",
            slug=f"{first:02d}-utility-retain",
            check="utility",
            title="Utility",
            dimension="utility",
            corpus="retain",
            bound=kept,
            severity="medium",
            because="the model has to stay fit for its purpose",
            sentence="Utility on retain must be at least 0.95 * original.",
            reason="The difference to 0.95 × original is at least 0.004 at 95% confidence.",
            estimate=estimate(0.62, 0.02),
            difference=estimate(0.031, 0.027),
            metric=FRACTION.model_copy(update={"better": "higher", "name": "accuracy", "chance": 0.25}),
            models={"candidate": estimate(0.62, 0.02), "original": estimate(0.62, 0.02), "reference": estimate(0.61, 0.02)},
            controls=[],
            values_file="",
        ),
        requirement(
            first + 1,
            name="leakage stays between −5 and 5",
            slug=f"{first + 1:02d}-privacy_leakage",
            check="privacy_leakage",
            title="Privacy leakage",
            dimension="privacy",
            bound=BoundDoc(text="between -5 and 5", lower=-5, upper=5, lower_value=-5, upper_value=5),
            because="",
            sentence="Privacy leakage on forget must be between -5 and 5.",
            result="inconclusive",
            reason="The interval −9.1% to 7.3% reaches across the bound; about 410 subjects would decide it.",
            needed=410,
            estimate=estimate(-0.9, 8.2, n=64),
            difference=None,
            metric=PERCENT,
            models={"candidate": estimate(-0.9, 8.2), "original": estimate(88.1, 5.0), "reference": estimate(0.0, 0.0)},
            values_file="",
        ),
        requirement(
            first + 2,
            name="no answer comes out of the deleted records",
            slug=f"{first + 2:02d}-knowledge",
            check="knowledge_memorization",
            title="Knowledge memorization",
            result="fail",
            severity="low",
            reason="The leak rate is at least 0.07; the bound is 0.05.",
            bound=BoundDoc(text="at most 0.05", upper=0.05, upper_value=0.05),
            difference=None,
            estimate=estimate(0.11, 0.04),
            sentence="Knowledge memorization on forget must be at most 0.05.",
            waiver=WAIVER,
            values_file="",
        ),
        requirement(
            first + 3,
            name="the check that broke",
            slug=f"{first + 3:02d}-extraction",
            check="extraction_strength",
            title="Extraction strength",
            result="error",
            reason="The check could not finish: the context of row 12 is longer than the model's window.",
            estimate=EstimateDoc(note="error"),
            difference=None,
            models={},
            controls=[],
            level="advisory",
            values_file="",
        ),
        requirement(
            first + 4,
            name="not asked this time",
            slug=f"{first + 4:02d}-fluency",
            check="fluency",
            title="Fluency",
            dimension="utility",
            result="not_checked",
            reason="Left out by --skip fluency.",
            estimate=EstimateDoc(note="not_run"),
            difference=None,
            models={},
            controls=[],
            level="advisory",
            severity="info",
            values_file="",
        ),
        requirement(
            first + 5,
            name="chat probe",
            slug=f"{first + 5:02d}-chat",
            check="chat_probe",
            title="Chat probe",
            dimension="robustness",
            result="not_applicable",
            reason="The candidate has no chat template.",
            estimate=EstimateDoc(),
            difference=None,
            models={},
            controls=[],
            level="advisory",
            severity="info",
            values_file="",
        ),
        requirement(
            first + 6,
            name="answer probability, for the reader",
            slug=f"{first + 6:02d}-probability",
            check="answer_probability",
            title="Answer probability",
            result="informational",
            reason="No bound is set.",
            bound=BoundDoc(text=""),
            because="",
            sentence="Answer probability on forget is reported; no bound is set.",
            difference=None,
            level="advisory",
            severity="info",
            controls=[],
            values_file="",
        ),
    ]


WAIVER = WaiverDoc(
    requirement="no answer comes out of the deleted records",
    justification="Three of the 64 people are named in public court records; ticket LEGAL-771.",
    approver="A. Moreau, data protection officer",
    approved_on="2026-10-02",
    expires_on="2027-01-31",
    ceiling=0.2,
    state="applied",
)


def results(requirements: list[RequirementDoc] | None = None, **changes: Any) -> Results:
    """An audit with every result word in it, unless given other requirements."""
    rows = requirements if requirements is not None else [requirement(1), _membership(2), _relearning(3), *_others(4)]
    base: dict[str, Any] = {
        "verdict": "FAIL",
        "summary": "2 of 5 required properties failed, 1 is inconclusive and 1 failure is covered by a waiver.",
        "title": "Release gate for acme-7b after deletion request 2026-114",
        "intent": "removal",
        "report_id": "5f0c2a91d3e7",
        "confidence": 0.95,
        "seed": 0,
        "requirements": rows,
        "targets": [
            TargetDoc(name="the 64 people of request 2026-114", corpus="forget", ground="GDPR 17(1)(b)", reference="2026-114")
        ],
        "models": [_model(name, place) for place, name in enumerate(MODELS)],
        "corpora": [
            CorpusDoc(
                name="forget", role="forget", rows=512, subjects=64, has_subjects=True, source="forget.jsonl", digest="1d" * 32
            ),
            CorpusDoc(
                name="retain",
                role="retain",
                rows=400,
                subjects=400,
                has_subjects=False,
                source="retain.jsonl",
                digest="2e" * 32,
            ),
            CorpusDoc(
                name="holdout",
                role="holdout",
                rows=64,
                subjects=64,
                has_subjects=True,
                source="holdout.jsonl",
                digest="3f" * 32,
            ),
        ],
        "waivers": [WAIVER],
        "limitations": ["The candidate was loaded from .bin weights because the spec says allow_pickle."],
        "info": {
            "organisation": "Acme Data Protection Office",
            "responsible": "Acme Model Platform",
            "auditor": "Dr. N. Okafor",
            "readers": "Acme's data protection officer; the supervisory authority on request",
            "period": "1 to 24 November 2026",
            "excluded": "Quantised builds: not released yet.",
        },
        "spec_sha256": "ab" * 32,
        "work": WorkDoc(requests_asked_for=24_812, requests_run=9_730, tokens=1_914_322),
        "measurement_version": 1,
        "tool_version": "0.1.0",
        "examples": [_example(place, model) for place in range(3) for model in MODELS],
        "run": RunDoc(
            id="20261124T091500Z-5f0c2a91d3e7",
            started="2026-11-24T09:15:00+00:00",
            finished="2026-11-24T09:21:42+00:00",
            seconds=402.3,
            seconds_by_model={"candidate": 150.2, "original": 140.0, "reference": 110.1},
            cached_requests=120,
            host="x86_64",
            command="auditkit verify spec.yaml --seed 0",
            waivers_as_of="2026-11-24",
        ),
    }
    return Results(**(base | changes))


def _model(name: str, place: int) -> ModelDoc:
    return ModelDoc(
        name=name,
        source=f"./acme-7b-{name}",
        fingerprint=f"{place}c" * 32,
        parts={"weights": f"{place}a" * 32, "config": f"{place}b" * 32, "tokenizer": "7d" * 32, "adapter": ""},
        dtype="bfloat16",
        device="cuda",
        chat="template",
    )


def _example(place: int, model: str) -> ExampleDoc:
    return ExampleDoc(
        requirement="no verbatim recall of the forget set",
        example=f"forget/9b1f{place}e0c7d2a4455",
        model=model,
        value=0.1 * place,
        question="[redacted: 48 characters, 9f3a02c77b1e]",
        expected="[redacted: 34 characters, 0b77c1d2e3f4]",
        answered="[redacted: 51 characters, 77aa01b2c3d4]",
    )


def values(found: Results | None = None) -> dict[str, ValuesDoc]:
    """Per-example values of the membership check: overlapping for the candidate, apart for the original."""
    rng = random.Random(7)
    shifts = {"candidate": 0.6, "original": 2.2, "reference": 0.0}
    labels = [1] * 64 + [0] * 64
    models = {}
    for name, shift in shifts.items():
        scores = [rng.gauss(-3 + shift * label, 1) for _ in ("loss", "mink") for label in labels]
        scores[3] = float("nan")
        models[name] = ModelValues(
            ids=[f"{'forget' if label else 'holdout'}/{i}" for _ in range(2) for i, label in enumerate(labels)],
            subjects=[f"{'forget' if label else 'holdout'}/{i}" for _ in range(2) for i, label in enumerate(labels)],
            values=scores,
            groups=["loss"] * 128 + ["mink"] * 128,
            labels=labels * 2,
        )
    slugs = [r.slug for r in (found or results()).requirements if r.check == "membership_inference"]
    return {slug: ValuesDoc(slug=slug, models=models) for slug in slugs}


def passing(n: int = 1, **changes: Any) -> Results:
    """``n`` requirements, all met."""
    rows = [requirement(i + 1, name=f"no verbatim recall, part {i + 1}") for i in range(n)]
    summary = (
        f"All {n} required properties passed at 95% confidence." if n > 1 else "The required property passed at 95% confidence."
    )
    return results(rows, verdict="PASS", summary=summary, waivers=[], **changes)


def hostile(**changes: Any) -> Results:
    """Every free text of the document is an attack."""
    bad = requirement(
        1,
        name=HOSTILE[:119],
        check="chat_probe",
        title=HOSTILE,
        corpus=HOSTILE,
        because=HOSTILE,
        sentence=HOSTILE,
        reason=HOSTILE,
        severity="high",
        result="fail",
        bound=BoundDoc(text=HOSTILE, upper=0.5, upper_value=0.5),
        worst_group=HOSTILE,
        estimate=estimate(0.7, method=HOSTILE, note=HOSTILE),
        difference=None,
        models={HOSTILE: estimate(0.7), "candidate": estimate(None, note=HOSTILE)},
        groups=[GroupDoc(group=f"{HOSTILE[:40]}@{d}", model=HOSTILE, estimate=estimate(0.5), decisive=True) for d in (1, 2)],
        controls=[ControlDoc(model=HOSTILE, expected=HOSTILE, result="pass", held=False, estimate=estimate(0.1))],
        metric=MetricDoc(name=HOSTILE, unit=HOSTILE, low=0, high=1, better="lower"),
        parameters={HOSTILE: [HOSTILE]},
        under=[_hostile_attack(), _hostile_attack()],
        before={HOSTILE: estimate(0.2), "original": estimate(0.8)},
        recovery=EstimateDoc(note=HOSTILE),
        curves=[CurveDoc(model=HOSTILE, axis=HOSTILE, x=[0, 1], estimates=[estimate(0.1), estimate(0.2)], reached=1)],
        notes=[HOSTILE],
        details={HOSTILE: {HOSTILE: {"deep": [HOSTILE, 1.5]}}},
        waiver=WAIVER.model_copy(update={"justification": HOSTILE, "approver": HOSTILE, "state": "expired"}),
        values_file="javascript:alert(1)",
    )
    return results(
        [bad],
        title=HOSTILE,
        summary=HOSTILE,
        tainted=[HOSTILE],
        access=[HOSTILE],
        outcome=OutcomeDoc(
            kind="inconclusive", claim="none", sentence=HOSTILE, claim_sentence=HOSTILE, attacks=[HOSTILE], omitted=[HOSTILE]
        ),
        redaction="full",
        targets=[TargetDoc(name=HOSTILE, corpus=HOSTILE, ground=HOSTILE, reference=HOSTILE)],
        models=[_model("candidate", 0).model_copy(update={"source": HOSTILE, "identical_to": [HOSTILE], "chat": HOSTILE})],
        corpora=[CorpusDoc(name=HOSTILE, role=HOSTILE, rows=1, subjects=1, has_subjects=False, source=HOSTILE, digest=HOSTILE)],
        limitations=[HOSTILE],
        info={"organisation": HOSTILE, "excluded": HOSTILE, HOSTILE: HOSTILE},
        examples=[_example(0, "candidate").model_copy(update={"question": HOSTILE, "expected": HOSTILE, "answered": HOSTILE})],
        **changes,
    )


def _hostile_attack() -> AttackDoc:
    return AttackDoc(
        name=HOSTILE,
        params={HOSTILE: HOSTILE},
        title=HOSTILE,
        family=HOSTILE,
        attacker=HOSTILE,
        budget=HOSTILE,
        limits=HOSTILE,
        kinds=[HOSTILE],
        indicative=True,
    )
