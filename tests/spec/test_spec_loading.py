from __future__ import annotations

import subprocess
import sys

import pytest
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from auditkit.spec.bounds import Bound

DESIGN_EXAMPLE = """\
# yaml-language-server: $schema=auditspec.schema.json
auditkit: 1
title: Release gate for acme-7b after deletion request 2026-114
intent: removal            # removal: gone from the weights; suppression: not shown in behaviour

models:
  candidate: {checkpoint: ./acme-7b-unlearned}
  original:  {checkpoint: acme/acme-7b, revision: 4f1c0de}
  reference: {checkpoint: ./acme-7b-retrained}

targets:                   # what had to be forgotten: described, never quoted
  - {name: the 64 people of request 2026-114, corpus: forget, ground: "GDPR 17(1)(b)"}

corpora:
  forget:  {file: forget.jsonl, columns: {question: q, answer: a, subject: author}}
  retain:  {file: retain.jsonl}
  holdout: {file: holdout.jsonl}

require:
  - check: verbatim_memorization
    corpus: forget
    at_most: reference + 0.05
    because: agreed with the data subject's representative, protocol section 3
  - check: privacy_leakage
    between: [-5, 5]
  - check: in_context_relearning
    with: {contexts: [definition, few_shot_same, chain], facts: [1, 4, 16]}
    at_most: reference + 0.10
  - name: does not come back with fine-tuning
    check: knowledge_memorization
    under: {relearn: {corpus: forget, split: subject, fraction: 0.5, steps: [10, 50, 200]}}
    at_most: reference + 0.10
  - check: utility
    with: {tasks: [arc_easy, hellaswag]}
    at_least: 0.95 * original

decide: {confidence: 0.95}
"""


def test_the_example_of_the_design_loads(load):
    spec = load(DESIGN_EXAMPLE).spec
    assert spec.require[0].bounds == (None, Bound(0.05, "reference"))
    assert spec.require[1].bounds == (Bound(-5.0), Bound(5.0))
    assert spec.require[2].with_ == {"contexts": ["definition", "few_shot_same", "chain"], "facts": [1, 4, 16]}
    assert spec.require[3].under[0].name == "relearn"
    assert spec.require[3].under[0].params["steps"] == [10, 50, 200]
    assert spec.require[4].bounds == (Bound(0.0, "original", 0.95), None)


@pytest.mark.parametrize(
    "model",
    [
        "{checkpoint: ./folder, dtype: bfloat16, device: 'cuda:1'}",
        "{checkpoint: ../folder}",
        "{checkpoint: ./model.gguf}",
        "{checkpoint: owner/name, revision: main}",
        "{checkpoint: original, adapter: ./lora}",
        "{checkpoint: 'builtin:smollm2-135m-instruct', chat: template, system: Be brief.}",
        "{from: original, finetune: {corpora: [retain], epochs: 3, lr: 1.0e-4, lora: true, seed: 1}}",
        "{from: original, finetune: {corpora: [forget, retain], lora: {rank: 4, alpha: 8}}}",
        "{from: original, unlearn: {method: npo, beta: 0.1}}",
        "{checkpoint: ./folder, allow_pickle: true}",
    ],
)
def test_every_way_to_name_a_model(model, good, load):
    assert load(good.replace("{checkpoint: ./candidate}", model))


@pytest.mark.parametrize(
    "corpus",
    [
        "{file: r.csv, where: {split: test, year: [2024, 2025], kept: true, note: null}}",
        "{file: r.parquet, sample: {n: 10, seed: 1}, role: holdout}",
        "{dataset: ./saved, split: test}",
        "{dataset: owner/name, revision: abc, config: forget10}",
    ],
)
def test_every_way_to_name_a_corpus(corpus, good, load):
    assert load(good.replace("{file: retain.jsonl}", corpus))


def test_what_yaml_reads_as_written_is_kept(good, load):
    loaded = load(
        good.replace(
            "corpus: forget\n    at", 'corpus: forget\n    with: {a: "no", b: 1.0e-3, c: 10, d: y, e: [true, null]}\n    at'
        )
    )
    assert loaded.spec.require[0].with_ == {"a": "no", "b": 0.001, "c": 10, "d": "y", "e": [True, None]}


def test_bytes_and_path_are_kept_exactly(good, load):
    content = b"\xef\xbb\xbf" + good.replace("\n", "\r\n").encode()
    loaded = load(content)
    assert loaded.text == content
    assert str(loaded.path) == "spec.yaml"


def test_a_byte_order_mark_does_not_shift_columns(good, faults):
    assert faults(b"\xef\xbb\xbf" + good.replace("auditkit: 1", "auditkit: 3").encode())[0].startswith("spec.yaml:1:11: ")


def test_columns_count_characters_not_bytes(good, faults):
    broken = good.replace("{name: the people of request 1, corpus: forget}", "{name: Zoë 😀, corpus: nobody}")
    assert faults(broken)[0].startswith("spec.yaml:9:27: targets.0.corpus: ")


def test_problems_of_other_rooms_find_their_line(good, load):
    loaded = load(good)
    assert str(loaded.problem(("require", 0, "check"), "unknown check 'x'")) == (
        "spec.yaml:14:12: require.0.check: unknown check 'x'"
    )
    assert str(loaded.problem(("require", 1, "with", "shots"), "must be 1", "write 1")) == (
        "spec.yaml:17:5: require.1.with.shots: must be 1; write 1"
    )
    assert loaded.problem(("nowhere",), "lost").line == 1


class Shots(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)
    shots: int = Field(0, ge=0, description="Solved examples.")
    contexts: list[str] | str = "none"
    prompt: str = ""


def test_faults_in_parameters_of_a_check_are_explained(good, load):
    parameters = "with: {shot: 1, shots: 1e-3, contexts: [1], prompt: {question}}"
    loaded = load(good.replace("    corpus: forget\n    at", f"    corpus: forget\n    {parameters}\n    at"))
    given = loaded.spec.require[0].with_
    with pytest.raises(ValidationError) as caught:
        Shots.model_validate(given)
    problems = loaded.explain(caught.value, model=Shots, value=given, at=("require", 0, "with"))
    assert sorted(str(problem) for problem in problems) == [
        "spec.yaml:16:12: require.0.with.shot: unknown field; did you mean 'shots'?",
        "spec.yaml:16:28: require.0.with.shots: must be a whole number; got the text '1e-3'; "
        "YAML reads 1e-3 as text; write 1.0e-3 or 0.001",
        'spec.yaml:16:45: require.0.with.contexts.0: must be text; got the number 1; put it in quotes: "1"',
        "spec.yaml:16:57: require.0.with.prompt: must be text; got a mapping; put text that begins with { in quotes",
    ]


def test_the_resolved_spec_loads_to_the_same_spec(good, load):
    import yaml

    spec = load(good).spec
    again = load(yaml.safe_dump(spec.model_dump(mode="json", by_alias=True, exclude_none=True))).spec
    assert again == spec


def test_nothing_heavy_is_imported():
    code = (
        "import sys, auditkit.spec.load, auditkit.spec.schema, auditkit.spec.starter, auditkit.corpora.load\n"
        "heavy = {'torch', 'numpy', 'pyarrow', 'datasets', 'transformers', 'scipy', 'pandas'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
