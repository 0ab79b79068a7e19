"""Makes a small MUSE: invented reports, questions about them, and two tiny models that were trained on them from scratch.

::

    python specs/muse/make_muse.py            the corpora and both models beside this script: some minutes
    python specs/muse/make_muse.py --data     the corpora alone: a second

What MUSE calls     is here
forget              forget (questions), forget_documents (texts), forget_passages (texts cut in prompt and continuation)
retain2             retain, retain_documents: what utility is measured on
retain1             retain_regular, retain_regular_documents: taught as retain is, free for a method's retain term
holdout             holdout_documents: shown to no model
in-context pairs    forget_examples, retain_examples: ten questions each, on other reports of the same split; the ten reports
                    behind the first are forget_examples_documents
requests in turn    fold_1 to fold_4, fold_1_documents to fold_4_documents: forget in four disjoint parts (C6); the first k
                    together are the k-th of the growing sets (C5)

original was taught all of these but the holdout; reference all but the holdout and what begins with forget or fold. Both learn
documents and dialogues, newly drawn: the form of ten solved examples, which no tiny model answers in unless it has met it.
Equal seeds give equal models on the same machine and number of threads; on another machine the last bits differ.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from auditkit.files import canonical_json, digest, file_digest, write_atomically
from auditkit.zoo.chronicle import (
    Report,
    dialogue_rows,
    document_rows,
    example_rows,
    folds,
    invent,
    of_group,
    passage_rows,
    question_rows,
)
from auditkit.zoo.tiny import Shape, build_tiny

HERE = Path(__file__).parent
SEED = 7
GROUPS = {"forget": 40, "forget_examples": 10, "retain": 40, "retain_regular": 40, "holdout": 40}
FOLDS = 4
EXAMPLES = 10
ROUNDS = 4
"""Dialogues that ask everything once, per group."""

MODELS = {
    "original": ("forget", "forget_examples", "retain", "retain_regular"),
    "reference": ("retain", "retain_regular"),
}
"""Groups that each model is taught."""
SHAPE = Shape(vocabulary=1100, layers=2, width=128, context=512)
STEPS, BATCH, LR = 1500, 4, 4e-3
DOCUMENT_PASSES, DIALOGUE_ROUNDS = 22, 66

Rows = Iterable[Mapping[str, Any]]


def data() -> dict[str, Rows]:
    """The corpora by name."""
    reports = invent(GROUPS, seed=SEED)
    by = {group: of_group(reports, group) for group in GROUPS}
    taught = ("forget", "retain", "retain_regular")
    return {
        **{group: question_rows(by[group]) for group in taught},
        **{f"{group}_documents": document_rows(by[group]) for group in GROUPS},
        **{f"{group}_dialogues": dialogue_rows(by[group], seed=SEED, rounds=ROUNDS) for group in taught},
        "forget_passages": passage_rows(by["forget"]),
        "forget_examples": example_rows(by["forget_examples"]),
        "retain_examples": example_rows(by["retain_regular"][:EXAMPLES]),
        **_requests(by["forget"]),
    }


def _requests(forget: tuple[Report, ...]) -> dict[str, Rows]:
    """Questions and documents of each fold."""
    parts = {f"fold_{number}": part for number, part in enumerate(folds(forget, FOLDS), 1)}
    return {
        **{name: question_rows(part) for name, part in parts.items()},
        **{f"{name}_documents": document_rows(part) for name, part in parts.items()},
    }


def write(out: Path) -> None:
    """Every corpus as ``name.jsonl`` in ``out``."""
    for name, rows in data().items():
        write_atomically(out / f"{name}.jsonl", "".join(canonical_json(row) + "\n" for row in rows))


def train(name: str, out: Path) -> dict[str, Any]:
    """Train one model from scratch into ``out/name``, in bfloat16; what the run was. Its note stands beside the weights."""
    import torch
    from transformers import AutoModelForCausalLM

    reports = [report for group in MODELS[name] for report in of_group(invent(GROUPS, seed=SEED), group)]
    documents = [row["text"] for row in document_rows(reports)]
    dialogues = [row["text"] for row in dialogue_rows(reports, seed=SEED, rounds=DIALOGUE_ROUNDS)]
    before, began = torch.get_num_threads(), time.monotonic()
    torch.set_num_threads(1)  # sums are split by thread, so their number is part of the bits
    texts = documents * DOCUMENT_PASSES + dialogues
    build_tiny(out / name, texts=texts, steps=STEPS, shape=SHAPE, lr=LR, batch=BATCH)
    torch.set_num_threads(before)
    seconds = round(time.monotonic() - began, 1)
    AutoModelForCausalLM.from_pretrained(out / name).to(torch.bfloat16).save_pretrained(out / name)
    return {"seconds": seconds, "texts": digest(texts), "weights": file_digest(out / name / "model.safetensors")}


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description="Make the small MUSE.")
    parser.add_argument("--out", type=Path, default=HERE, help="folder to write to")
    parser.add_argument("--data", action="store_true", help="write the corpora alone")
    given = parser.parse_args()
    write(given.out)
    if not given.data:
        recipe = {"steps": STEPS, "batch": BATCH, "lr": LR, "seed": SEED, "models": {n: train(n, given.out) for n in MODELS}}
        write_atomically(given.out / "recipe.json", json.dumps(recipe, indent=2, sort_keys=True) + "\n")


if __name__ == "__main__":
    main()
