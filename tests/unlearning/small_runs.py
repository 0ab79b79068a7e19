"""Trainings of seconds on the tiny model: what the tests of the loop and of its resumption share.

Run as a program it trains in children that are killed again and again (``killed_again_and_again``): a process of its own,
so that they are forked from one that has no threads of torch.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from auditkit.models.source import Source
from auditkit.spec.model import Lora
from auditkit.unlearning._objective import Lessons, make_objective, parent_of
from auditkit.unlearning._passes import Passes
from auditkit.unlearning._pupil import Manner, Pupil
from auditkit.unlearning._rows import IGNORED, Row
from auditkit.unlearning._settings import Settings
from auditkit.unlearning._trainer import Run, train

DROPPING = Lora(rank=4, alpha=8, dropout=0.1)
SETTINGS = Settings(epochs=3, lr=3e-3, seed=3, save_every=1, weight_decay=0.01, schedule="linear")
STEPS = 9
"""Of a run with SETTINGS: three an epoch."""
FORGET = [Row([1, 20 + n, 30 + n, 40], [IGNORED, IGNORED, 30 + n, 40]) for n in range(6)]
RETAIN = [Row([1, 60 + n, 70 + n], [IGNORED, IGNORED, 70 + n]) for n in range(4)]
OTHERS = [[Row([1, 20 + n, 80 + k], [IGNORED, IGNORED, 80 + k]) for k in range(3)] for n in range(6)]


def taught(step: Any) -> Any:
    """The loss on the forget rows, as teaching has it; their partners are not looked at."""
    return step.model.tokens(step.forget).nll()


def all_roles(step: Any) -> Any:
    """A loss on every role: forgotten a little, kept, answered otherwise."""
    kept, other = step.model.tokens(step.retain).nll(), step.model.tokens(step.other).nll()
    return kept + other - 0.1 * step.model.tokens(step.forget).nll()


def opened(source: Source, lora: Lora | None = None, *, seed: int = 3) -> Pupil:
    """The model with its weights, or an adapter's, ready to train."""
    pupil = Pupil.load(source, Manner(dtype="float32", device="cpu"))
    pupil.open(lora, seed=seed)
    return pupil


def run(
    pupil: Pupil,
    state: Path,
    *,
    settings: Settings = SETTINGS,
    size: int = 2,
    loss: Callable[[Any], Any] = all_roles,
    pairing: Any = "random",
    examine: Callable[[int], bool] | None = None,
    autocast: Any = None,
) -> Run:
    """Train the pupil on the rows above, in batches of ``size``."""
    lessons = Lessons(FORGET, retain=RETAIN, others=OTHERS, pad=pupil.pad)
    parent = parent_of(None, asked=False, adapter=False)
    objective = make_objective(pupil.model, parent, loss, lessons, autocast=autocast, seed=settings.seed)
    passes = Passes(
        [len(row.ids) for row in FORGET],
        size=size,
        seed=settings.seed,
        retain=len(lessons.retain),
        others=len(OTHERS[0]),
        pairing=pairing,
    )
    return train(objective, passes, settings, state=state, device="cpu", examine=examine)


def weights(pupil: Pupil) -> dict[str, Any]:
    """What trains."""
    return {name: weight.detach().clone() for name, weight in pupil.model.named_parameters() if weight.requires_grad}


def same(one: dict[str, Any], other: dict[str, Any]) -> bool:
    """Bit for bit."""
    import torch

    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


PIECES = 8
"""In how many pieces trainings are cut, all rounds together, before the program ends."""


def killed_again_and_again(source: Source, folder: Path, lora: Lora | None, rng: random.Random) -> list[int]:
    """Train into ``folder / "end.safetensors"``; a child after the other is killed. The steps of the state at each kill."""
    from auditkit.unlearning._state import last_state

    state, end = folder / "state", folder / "end.safetensors"
    seen: list[int] = []
    while not end.exists():
        before = _files(state)
        child = os.fork()
        if child == 0:
            _train_and_write(source, state, lora, end)
            os._exit(0)
        ended = 0
        while not ended and _files(state) == before:
            time.sleep(0.001)
            ended, code = os.waitpid(child, os.WNOHANG)
        if not ended:
            # Short enough to hit the writing of a state, long enough for a run to get on.
            time.sleep(rng.uniform(0, 0.06))
            os.kill(child, signal.SIGKILL)
            _, code = os.waitpid(child, 0)
        if code not in (0, signal.SIGKILL):
            raise ChildProcessError(f"a training ended with {code}")
        whole = last_state(state)
        seen.append(int(whole.name.rpartition("-")[2]) if whole else 0)
    return seen


def _files(folder: Path) -> list[str]:
    """All of them; ``os.walk`` does not mind that some go while it looks."""
    return sorted(os.path.join(place, name) for place, _, names in os.walk(folder) for name in names)  # noqa: PTH118


def _train_and_write(source: Source, state: Path, lora: Lora | None, end: Path) -> None:
    from safetensors.torch import save_file

    pupil = opened(source, lora)
    run(pupil, state)
    save_file(weights(pupil), end.with_name("unnamed"))
    end.with_name("unnamed").rename(end)


def main(folder: Path, lora: Lora | None, seed: int) -> None:
    import torch

    torch.set_num_threads(1)
    # Loads all that a training loads once, not in every child.
    source = Source.of_folder(folder / "base")
    run(opened(source, lora), folder / "warm", settings=replace(SETTINGS, epochs=0.3))
    # On a machine that is fast for a moment a training is over after few kills: then there is another.
    rng, rounds = random.Random(seed), []
    while sum(map(len, rounds)) < PIECES:
        place = folder / f"round-{len(rounds)}"
        place.mkdir()
        rounds.append(killed_again_and_again(source, place, lora, rng))
    print(json.dumps(rounds))


if __name__ == "__main__":
    main(Path(sys.argv[1]), DROPPING if sys.argv[2] == "lora" else None, int(sys.argv[3]))
