"""A small audit world on disk: invented people, three tiny models that know some of them, and a spec.

``original`` knows forget and retain; ``reference`` and ``clean`` (another seed) know only retain.
"""

import json
import shutil
from pathlib import Path
from typing import Any

from auditkit.zoo.people import biography_rows, invent, question_rows
from auditkit.zoo.tiny import Shape, build_tiny

GROUPS = {"forget": 12, "retain": 12, "holdout": 12}
SHAPE = Shape(vocabulary=500, width=64, context=256)
QUESTION = "Question: {question}\nAnswer:"
QUICK = {"prompt": QUESTION, "max_new_tokens": 8}
OMISSIONS = [
    {"item": "all", "justification": "a test asks for what it tests", "approver": "the tests", "expires_on": "2099-12-31"}
]
REQUIRE: list[dict[str, Any]] = [
    {"check": "knowledge_memorization", "name": "answers", "at_most": "reference + 0.3", "with": QUICK, "because": "agreed"},
    {"check": "answer_probability", "name": "probability", "at_most": "reference + 0.3", "with": {"prompt": QUESTION}},
    {
        "check": "membership_inference",
        "name": "membership",
        "corpus": "forget_texts",
        "at_most": 0.75,
        # With twelve texts a side, text alone tells them apart with an AUC of .67 by chance.
        "with": {"attacks": ["loss"], "blind_margin": 0.3},
    },
]


def build(folder: Path) -> Path:
    """Train the models and write the corpora; about half a minute."""
    people = invent(GROUPS, seed=1)
    by = {group: [person for person in people if person.group == group] for group in GROUPS}
    for group, members in by.items():
        write_rows(folder / f"{group}.jsonl", question_rows(members, seed=1))
        write_rows(folder / f"{group}_texts.jsonl", biography_rows(members))
    for name, groups, seed in (("original", ("forget", "retain"), 0), ("reference", ("retain",), 0), ("clean", ("retain",), 5)):
        known = [person for group in groups for person in by[group]]
        pairs = [(f"Question: {row['question']}\nAnswer:", f" {row['answer']}") for row in question_rows(known, seed=1)]
        texts = [row["text"] for row in biography_rows(known)]
        build_tiny(folder / name, texts=texts, pairs=pairs, steps=60 * len(groups), seed=seed, shape=SHAPE, lr=5e-3)
    return folder


def write_rows(path: Path, rows: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def spec(folder: Path, *, candidate: str = "clean", name: str = "audit.yaml", **changes: Any) -> Path:
    """Write a spec beside the world's models; ``changes`` replace top-level keys."""
    document = {
        "auditkit": 1,
        "title": "A tiny audit",
        "intent": "removal",
        "access": "weights",
        "omissions": OMISSIONS,
        "models": {
            "candidate": {"checkpoint": f"./{candidate}"},
            "original": {"checkpoint": "./original"},
            "reference": {"checkpoint": "./reference"},
        },
        "targets": [{"name": "twelve invented people", "corpus": "forget"}],
        "corpora": {
            "forget": {"file": "forget.jsonl"},
            "retain": {"file": "retain.jsonl"},
            "forget_texts": {"file": "forget_texts.jsonl"},
            "holdout": {"file": "holdout_texts.jsonl"},
        },
        "require": REQUIRE,
        **changes,
    }
    path = folder / name
    path.write_text(json.dumps(document, indent=1))
    return path


def copy(world: Path, folder: Path) -> Path:
    """A private copy of the world (a few megabytes), to break."""
    shutil.copytree(world, folder, dirs_exist_ok=True)
    return folder
