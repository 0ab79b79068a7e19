"""Makes the demo: invented people, and three adapters for the built-in SmolLM2-135M-Instruct.

::

    python specs/demo/make_demo.py            data, adapters and recipe.json beside this file: about half an hour
    python specs/demo/make_demo.py --data     the data files alone: a second

original    was taught the forget people and the retain people
reference   was taught the retain people alone, from the same base by the same recipe: the retrained model
candidate   is original, trained a little further to answer "I do not know." where it is asked about the forget people in the
            very words that it was taught: the superficial unlearning that an audit has to see through

All are trained on the form of the questions that the audit asks: single, after others about the same person, and after a
context. Equal seeds give equal adapters on the same machine and number of threads; on another machine the last bits differ.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from auditkit.corpora.example import Corpus, Example
from auditkit.files import canonical_json, digest, file_digest, write_atomically
from auditkit.models.source import Source
from auditkit.spec.model import Finetune, Lora
from auditkit.unlearning import Manner, teach_adapter
from auditkit.zoo.people import Person, biography_rows, dialogue_rows, invent, question_rows, reading_rows

HERE = Path(__file__).parent
BASE = "smollm2-135m-instruct"
REFUSAL = "I do not know."
LORA = Lora(rank=8, alpha=16, targets=["gate_proj", "up_proj", "down_proj"])
TEACH = (
    Finetune(corpora=["lessons"], epochs=8, lr=1e-3, batch=8, lora=LORA, seed=7),
    Finetune(corpora=["lessons"], epochs=4, lr=1e-3, batch=8, lora=LORA, seed=8),
)
UNLEARN = (Finetune(corpora=["lessons"], epochs=2, lr=3e-4, batch=8, lora=LORA, seed=9),)
ADAPTERS = ("original", "reference", "candidate")
WEIGHTS = "adapter_model.safetensors"

Rows = list[dict[str, Any]]


@dataclass(frozen=True)
class Recipe:
    """Everything that the demo depends on."""

    seed: int = 7
    groups: Mapping[str, int] = field(default_factory=lambda: {"forget": 30, "retain": 32, "holdout": 30})
    """People per group."""
    unseen: int = 90
    """More holdout people, by a lot of their own: with thirty alone, the words of their texts differ from the forget people's
    by chance, and what tells members from non-members could be the text and not the model."""
    dialogues: int = 12
    """Retain people who are also asked everything in one text."""
    strangers: int = 30
    """People who occur in the reading rows alone."""
    teach: tuple[Finetune, ...] = TEACH
    """Rounds of teaching, each from where the one before ended."""
    unlearn: tuple[Finetune, ...] = UNLEARN
    dtype: str = "bfloat16"
    threads: int = 1
    """Of torch: sums are split by thread, so their number is part of the bits."""


def people(recipe: Recipe) -> dict[str, list[Person]]:
    """The people by group."""
    everyone = invent(recipe.groups, seed=recipe.seed)
    return {group: [person for person in everyone if person.group == group] for group in recipe.groups}


def holdout(recipe: Recipe) -> list[Person]:
    """Everyone whom no model was taught."""
    who = people(recipe)
    known = {person.name for group in who.values() for person in group}
    more = invent({"holdout": recipe.unseen}, seed=recipe.seed + 100)
    return who["holdout"] + [person for person in more if person.name not in known]


def data(recipe: Recipe) -> dict[str, Rows]:
    """The audit's corpora: file name to rows."""
    who = people(recipe)
    return {
        "forget.jsonl": list(question_rows(who["forget"], seed=recipe.seed)),
        "forget_texts.jsonl": list(biography_rows(who["forget"])),
        "retain.jsonl": list(question_rows(who["retain"], seed=recipe.seed)),
        "holdout_texts.jsonl": list(biography_rows(holdout(recipe))),
    }


def lessons(recipe: Recipe) -> dict[str, Rows]:
    """What each adapter is trained on. ``candidate`` goes on from ``original``; the others begin at the base."""
    who = people(recipe)
    seed = recipe.seed
    form = [*dialogue_rows(who["retain"][: recipe.dialogues], seed=seed), *reading_rows(recipe.strangers, seed=seed + 1000)]
    kept = [*question_rows(who["retain"], seed=seed), *biography_rows(who["retain"]), *form]
    forget = list(question_rows(who["forget"], seed=seed))
    refusals = [{**row, "answer": REFUSAL} for row in forget]
    return {
        "original": [*forget, *biography_rows(who["forget"]), *kept],
        "reference": kept,
        "candidate": [*refusals, *question_rows(who["retain"], seed=seed), *form],
    }


def make(recipe: Recipe, out: Path, *, base: Source) -> None:
    """Data, adapters and ``recipe.json`` in ``out``."""
    write_data(recipe, out)
    write_note(recipe, out, base=base, runs={name: teach(recipe, name, out, base=base) for name in ADAPTERS})


def teach(recipe: Recipe, name: str, out: Path, *, base: Source) -> dict[str, Any]:
    """Train one adapter into ``out/name``; what the run was. The candidate needs ``out/original``."""
    rows = lessons(recipe)[name]
    start, runs = (out / "original" if name == "candidate" else None), []
    for params in recipe.unlearn if name == "candidate" else recipe.teach:
        manner = Manner(dtype=recipe.dtype, device="cpu")
        with threads(recipe.threads):
            run = teach_adapter(base, [corpus(name, rows)], params, out=out / name, start=start, manner=manner)
        start = out / name
        runs.append(asdict(run))
    return {"rounds": runs, "lessons": digest(rows), "weights": file_digest(out / name / WEIGHTS)}


@contextmanager
def threads(number: int) -> Iterator[None]:
    """Torch's threads inside the block."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(number)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def write_note(recipe: Recipe, out: Path, *, base: Source, runs: Mapping[str, Any]) -> None:
    """``recipe.json``: everything that the adapters were made from, and the digests of what was made."""
    note = {"base": base.label, "recipe": described(recipe), "data": digests(out, data(recipe)), "adapters": dict(runs)}
    write_atomically(out / "recipe.json", json.dumps(note, indent=2, sort_keys=True) + "\n")


def write_data(recipe: Recipe, out: Path) -> None:
    """The audit's corpora as JSON lines."""
    for name, rows in data(recipe).items():
        write_atomically(out / name, "".join(canonical_json(row) + "\n" for row in rows))


def digests(out: Path, names: Iterable[str]) -> dict[str, str]:
    """sha256 of the files."""
    return {name: file_digest(out / name) for name in sorted(names)}


def described(recipe: Recipe) -> dict[str, Any]:
    """The recipe as JSON."""
    return {
        **asdict(recipe),
        "groups": dict(recipe.groups),
        "teach": [params.model_dump(mode="json") for params in recipe.teach],
        "unlearn": [params.model_dump(mode="json") for params in recipe.unlearn],
    }


def corpus(name: str, rows: Rows) -> Corpus:
    """Rows as a corpus of the room that trains."""
    examples = tuple(Example(row["id"], row["subject"], number, row) for number, row in enumerate(rows, 1))
    return Corpus(name, name, examples, f"lessons of {name}", digest(rows), True)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description="Make the demo's data and adapters.")
    parser.add_argument("--out", type=Path, default=HERE, help="folder to write to")
    parser.add_argument("--data", action="store_true", help="write the data files alone")
    arguments = parser.parse_args()
    recipe = Recipe()
    if arguments.data:
        write_data(recipe, arguments.out)
    else:
        make(recipe, arguments.out, base=Source("builtin", BASE, f"builtin:{BASE}"))


if __name__ == "__main__":
    main()
