"""Gradient difference on LoRA: the trainer (transformers' Trainer with our batches, states and loss) against bare loops.

The loops know the same batches and do nothing but forward, backward, clip and step: one as it is usually written, with the
whole vocabulary's logits at every position, one with the head at answer positions alone, as ours. Then peak memory of NPO,
each in a process of its own.
"""

from __future__ import annotations

import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from _common import about, best, documents, parser, source_of, table

from auditkit.corpora.example import Corpus, Example
from auditkit.spec.model import Lora
from auditkit.unlearning import METHODS, Manner
from auditkit.unlearning._method import Order
from auditkit.unlearning._objective import Lessons, batch_of
from auditkit.unlearning._passes import Passes
from auditkit.unlearning._pupil import Pupil
from auditkit.unlearning._settings import Settings
from auditkit.unlearning._trainer import train

ROWS, BATCH = 48, 8
LORA = Lora.model_validate({"rank": 8})
MEMORY = {"npo": {}, "npo, kl": {"retain_loss": "kl"}}


def main() -> None:
    """Measure and print; with ``--case``, be the process whose memory is measured."""
    options = parser(__doc__ or "")
    options.add_argument("--case", default="")
    given = options.parse_args()
    if given.case:
        memory(given.model, *given.case.split("/"))
        return
    # First of all: a process inherits the peak of the one that it is forked from.
    loaded = peak(given.model, "load", "full")
    peaks = {(case, kind): peak(given.model, case, kind) for case in MEMORY for kind in ("full", "lora")}
    pupil = Pupil.load(source_of(given.model), Manner(device=given.device, dtype=given.dtype))
    pupil.open(LORA, seed=0)
    lessons = Lessons(pupil.rows([corpus("forget", 1)]), retain=pupil.rows([corpus("retain", 2)]), pad=pupil.pad)
    passes = Passes([len(row.ids) for row in lessons.forget], size=BATCH, seed=0, retain=ROWS)
    works = [
        ("bare loop, all logits", lambda: bare(pupil, lessons, passes, everywhere)),
        ("bare loop, answers' logits", lambda: bare(pupil, lessons, passes, answers_only)),
        ("auditkit", lambda: ours(pupil, lessons, passes)),
    ]
    tokens = sum(int(part["attention_mask"].sum()) for batch in passes for part in lessons.collate(batch).values())
    found = best(given.rounds, works)
    fastest = min(found["bare loop, all logits"], found["bare loop, answers' logits"])
    rows = [(name, f"{tokens / spent:,.0f}", f"{fastest / spent:.2f}") for name, spent in found.items()]
    table(("training", "tokens/s", "ratio to the best bare loop"), rows, model=about(given))
    table(
        ("NPO in float32", "peak memory, MB", "above the loaded model, MB"),
        [
            (f"{case}, {kind}", f"{value / 1024:,.0f}", f"{(value - loaded) / 1024:,.0f}")
            for (case, kind), value in peaks.items()
        ],
    )


def corpus(name: str, seed: int) -> Corpus:
    """Questions of about ten words with answers of about thirty."""
    texts = documents(ROWS, shortest=36, longest=44, seed=seed)
    fields = [{"question": " ".join(text.split()[:10]) + "?", "answer": " ".join(text.split()[10:])} for text in texts]
    examples = tuple(Example(str(n), str(n), n, row) for n, row in enumerate(fields, 1))
    return Corpus(name, name, examples, name, name, False)


def ours(pupil: Pupil, lessons: Lessons, passes: Passes) -> None:
    """One epoch as auditkit trains, saved state included."""
    from auditkit.unlearning._objective import make_objective, parent_of

    method = METHODS.get("gradient_difference")
    params = method.params()
    parent = parent_of(pupil.model, asked=False, adapter=True)
    objective = make_objective(pupil.model, parent, lambda step: method.loss(step, params), lessons)
    with tempfile.TemporaryDirectory() as folder:
        train(objective, passes, Settings(1, 1e-5), state=Path(folder), device=pupil.device)


def bare(pupil: Pupil, lessons: Lessons, passes: Passes, loss_of: Callable[[Any, Any], Any]) -> None:
    """The same epoch in a plain loop."""
    import torch

    weights = [weight for weight in pupil.model.parameters() if weight.requires_grad]
    optimiser = torch.optim.AdamW(weights, lr=1e-5, weight_decay=0.0, fused=True)
    pupil.model.train()
    passes.epoch = 0
    for draws in passes:
        batches = {role: batch_of(part, pupil.device) for role, part in lessons.collate(draws).items()}
        loss = loss_of(pupil.model, batches["retain"]) - loss_of(pupil.model, batches["forget"])
        loss.backward()
        torch.nn.utils.clip_grad_norm_(weights, 1.0)
        optimiser.step()
        optimiser.zero_grad(set_to_none=True)


def everywhere(model: Any, batch: Any) -> Any:
    """Cross-entropy as transformers computes it."""
    return model(input_ids=batch.ids, attention_mask=batch.mask, labels=batch.labels, use_cache=False).loss


def answers_only(model: Any, batch: Any) -> Any:
    """Cross-entropy with the head on the positions that predict an answer's token."""
    import torch

    inner = model.get_base_model()
    states = inner.model(input_ids=batch.ids, attention_mask=batch.mask, use_cache=False).last_hidden_state
    labels = batch.labels[:, 1:]
    wanted = labels != -100
    return torch.nn.functional.cross_entropy(inner.lm_head(states[:, :-1][wanted]).float(), labels[wanted])


def peak(model: str, case: str, kind: str) -> int:
    """Peak resident size of a process of its own, in KiB."""
    command = [sys.executable, __file__, "--model", model, "--case", f"{case}/{kind}"]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return int(done.stdout.split()[-1])


def memory(model: str, case: str, kind: str) -> None:
    """Unlearn by NPO for one epoch, or only load."""
    source = source_of(model)
    if case == "load":
        Pupil.load(source, Manner(device="cpu", dtype="float32"))
    else:
        method = METHODS.get("npo")
        params = method.params.model_validate({"epochs": 1, "batch": BATCH, "lora": kind == "lora", **MEMORY[case]})
        corpora = {"forget": corpus("forget", 1), "retain": corpus("retain", 2)}
        with tempfile.TemporaryDirectory() as folder:
            out = Path(folder) / "made"
            made = {"benchmark": time.time()}
            method.make(Order(source, corpora, made, out, Manner(device="cpu", dtype="float32"), lambda _: source), params)
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)


if __name__ == "__main__":
    main()
