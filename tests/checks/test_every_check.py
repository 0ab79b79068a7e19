"""What must hold of every registered check, and of those to come."""

from __future__ import annotations

import dataclasses
import json
import math
import random
import subprocess
import sys

import numpy as np
import pytest
import yaml

from auditkit.checks import CHECKS
from auditkit.corpora.example import Corpus
from auditkit.errors import DataError
from tests.checks.fakes import FakeModel, all_corpora, by_group, context, run

VARIANTS = {
    "verbatim_memorization": [{"prefix_tokens": 3}, {"prefix_tokens": 3, "convention": "open-unlearning"}],
    "knowledge_memorization": [{}, {"convention": "tofu", "statistic": "leaking_subjects", "leak_at": 0.5}, {"shots": 2}],
    "extraction_strength": [{}, {"convention": "open-unlearning", "shots_from": "examples"}],
    "answer_probability": [{}, {"convention": "tofu", "aliases": "ignored"}],
    "leak_at_k": [{}, {"samples": 3, "k": 4}, {"k": 5, "statistic": "leaking_subjects", "leak_at": 0.5}],
    "over_refusal": [{}, {"convention": "tofu"}],
    "truth_ratio": [{"aggregate": name} for name in ("closer_to_1_better", "true_better", "prob_mean")],
    "membership_inference": [{}, {"attacks": ["reference", "min_k++"], "k": 0.5}],
    "privacy_leakage": [{}, {"attack": "loss", "scale": "delta_auc"}],
    "in_context_relearning": [
        {"contexts": ["definition", "alias", "few_shot", "few_shot_same", "neighbours", "chain", "retrieved", "paraphrase"]},
        {"score": "rouge_recall", "facts": [2, 1]},
        {"score": "exact", "contexts": ["few_shot_same"], "prompt": "{context}|{question}|"},
    ],
    "logit_lens": [{}, {"layers": [1]}],
    "linear_probe": [{}, {"layers": [0, 2], "wrong": 2}],
}
CASES = [(name, params) for name in CHECKS.names() for params in VARIANTS.get(name, [{}])]
IDS = [f"{name}-{index}" for index, (name, _) in enumerate(CASES)]
each = pytest.mark.parametrize(("name", "params"), CASES, ids=IDS)
each_check = pytest.mark.parametrize("name", CHECKS.names())


def measured(name, params, *, corpora=None, model=None, seed=0, chat=False):
    check = CHECKS.get(name)
    ctx = context(check, corpora or all_corpora(), seed=seed, chat=chat, **params)
    return run(check, ctx, model or FakeModel("candidate"), FakeModel("reference"))


def as_table(values):
    groups = values.groups or ("",) * len(values.ids)
    return {(i, g): v for i, g, v in zip(values.ids, groups, values.values, strict=True)}


def quantity(check, params, values):
    """The quantity that the bound is about, as decisions would compute its point estimate."""
    statistic = check.statistic(check.params.model_validate(params))
    if statistic.kind == "function":
        reference = by_group(
            run(check, context(check, all_corpora(), **params), FakeModel("reference"), FakeModel("reference"))
        )
        return [statistic.function(by_group(values), reference)]
    if statistic.kind == "auc":
        labels = np.array(values.labels)
        return [
            float((np.subtract.outer(v[labels_of == 1], v[labels_of == 0]) > 0).mean())
            for group, v in by_group(values).items()
            for labels_of in [labels[np.array(values.groups) == group]]
        ]
    return [float(v.mean()) for v in by_group(values).values()]


@each
def test_the_same_again(name, params):
    first, second = measured(name, params), measured(name, params)
    assert first == second
    assert json.dumps(first.details, sort_keys=True, allow_nan=False) == json.dumps(second.details, sort_keys=True)


@each
def test_the_order_of_examples_does_not_matter(name, params):
    def shuffled(corpus: Corpus) -> Corpus:
        rows = list(corpus.examples)
        random.Random(5).shuffle(rows)
        return dataclasses.replace(corpus, examples=tuple(rows))

    corpora = all_corpora()
    one = measured(name, params)
    other = measured(name, params, corpora={key: shuffled(value) for key, value in corpora.items()})
    assert as_table(one) == pytest.approx(as_table(other))
    assert one.inconclusive == other.inconclusive
    assert json.dumps(one.details, sort_keys=True) == json.dumps(other.details, sort_keys=True)


@each
def test_the_quantity_stays_inside_its_range(name, params):
    check = CHECKS.get(name)
    metric = check.metric_for(check.params.model_validate(params))
    assert metric.low < metric.high
    assert metric.chance is None or metric.low <= metric.chance <= metric.high
    values = measured(name, params)
    assert values.values
    assert not values.inconclusive
    for number in quantity(check, params, values):
        assert metric.low <= number <= metric.high
    if check.statistic(check.params.model_validate(params)).kind in ("mean", "leaking_subjects"):
        assert all(metric.low <= value <= metric.high for value in values.values)


@each
def test_columns_have_one_length_and_name_real_rows(name, params):
    corpora = all_corpora()
    values = measured(name, params)
    assert len(values.ids) == len(values.subjects) == len(values.values)
    assert len(values.groups) in (0, len(values.ids))
    assert len(values.labels) == (len(values.ids) if CHECKS.get(name).statistic(
        CHECKS.get(name).params.model_validate(params)).kind == "auc" else 0)  # fmt: skip
    assert set(values.shown_only) <= set(values.groups)
    known = {f"{c.name}/{e.id}": f"{c.name}/{e.subject}" for c in corpora.values() for e in c.examples}
    assert all(known[i] == s for i, s in zip(values.ids, values.subjects, strict=True))
    groups = values.groups or ("",) * len(values.ids)
    assert len(set(zip(values.ids, groups, strict=True))) == len(values.ids)


@each_check
def test_an_empty_corpus_decides_nothing(name):
    check = CHECKS.get(name)
    role = check.role
    values = measured(name, VARIANTS.get(name, [{}])[0], corpora=all_corpora(empty=role))
    assert values.inconclusive
    for other in check.other_roles:
        values = measured(name, VARIANTS.get(name, [{}])[0], corpora=all_corpora(empty=other))
        assert values.inconclusive


@each
def test_nan_from_the_model_stays_nan(name, params):
    check = CHECKS.get(name)
    ctx = context(check, all_corpora(), **params)
    asked = list(check.requests(ctx))
    values = run(check, ctx, FakeModel("candidate", nan=True), FakeModel("reference"))
    if all(request.kind in ("score", "lens", "hidden") for request in asked):
        assert all(math.isnan(value) for value in values.values)
        assert all(math.isnan(number) for number in quantity(check, params, values)) or check.metric.unit == "AUC"
    json.dumps(values.details, allow_nan=False)


@each
def test_parameters_survive_yaml(name, params):
    model = CHECKS.get(name).params
    full = model.model_validate(params).model_dump(mode="json")
    again = model.model_validate(yaml.safe_load(yaml.safe_dump(full)))
    assert again.model_dump(mode="json") == full


@each_check
def test_parameters_have_defaults_and_descriptions(name):
    model = CHECKS.get(name).params
    model()
    for key, field in model.model_fields.items():
        assert field.description, key
        assert key.lower() not in ("on", "off", "yes", "no", "y", "n", "true", "false", "null")


@each_check
def test_unknown_parameters_are_refused(name):
    with pytest.raises(ValueError, match="extra"):
        CHECKS.get(name).params.model_validate({"thershold": 1})


@each
def test_requests_are_hashable_and_equal_for_all_models(name, params):
    check = CHECKS.get(name)
    ctx = context(check, all_corpora(), **params)
    first, second = list(check.requests(ctx)), list(check.requests(ctx))
    assert first
    assert {hash(request) for request in first} == {hash(request) for request in second}
    assert [request.digest for request in first] == [request.digest for request in second]


@each
@pytest.mark.parametrize("chat", [False, True])
def test_only_asks_what_it_announced(name, params, chat):
    assert measured(name, params, chat=chat).values


@each_check
def test_a_row_without_its_field_is_named_with_file_and_requirement(name):
    corpora = all_corpora()
    check = CHECKS.get(name)
    params = VARIANTS.get(name, [{}])[0]
    broken = corpora[check.role]
    rows = [dataclasses.replace(broken.examples[0], fields={"note": "nothing here"}), *broken.examples[1:]]
    corpora[check.role] = dataclasses.replace(broken, examples=tuple(rows))
    with pytest.raises(DataError) as caught:
        list(check.requests(context(check, corpora, **params)))
    message = str(caught.value)
    assert f"{broken.name}.jsonl" in message
    assert "row 1" in message
    assert f"requirement {name}" in message
    assert "must have" in message


@each
def test_a_sound_spec_has_no_problems(name, params):
    check = CHECKS.get(name)
    assert list(check.problems(context(check, all_corpora(), **params))) == []


@each_check
def test_says_what_it_is(name):
    check = CHECKS.get(name)
    assert check.name == name
    for words in (check.title, check.summary, check.source, check.limits, check.remediation, type(check).__doc__):
        assert words
        assert len(words) > 5
    for sentence in (check.summary, check.limits, check.remediation):
        assert sentence[0].isupper()
        assert sentence.endswith(".")
    assert check.role in ("forget", "retain", "holdout")
    assert check.dimension in ("forgetting", "privacy", "utility", "robustness")


def test_importing_the_checks_loads_nothing_heavy():
    heavy = ("torch", "transformers", "numpy", "scipy", "sklearn", "lm_eval", "rouge_score", "nltk", "pyarrow", "datasets")
    code = (
        "import sys; from auditkit.checks import CHECKS\n"
        "for name in CHECKS.names():\n"
        "    check = CHECKS.get(name); check.params(); check.params.model_json_schema(); check.metric_for(check.params())\n"
        f"print([m for m in {heavy!r} if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
