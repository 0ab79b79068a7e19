"""lm-eval's tasks, asked through our requests.

Two phases. Collecting: a task builds its instances, and each becomes a ``Score`` or ``Generate`` request. Answering: lm-eval's
own ``evaluate`` runs on an ``LM`` that answers from the records, so filters, metrics and per-document values are lm-eval's.
Tasks are asked as plain text, greedily, with lm-eval's default seed for solved examples; ``repeats`` repeat one answer.
lm-eval puts a start token before an empty context; we do so only where the tokenizer does.
"""

from __future__ import annotations

import contextlib
import difflib
import io
import logging
import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from auditkit.errors import DataError, Problem, did_you_mean
from auditkit.models.protocol import Generate, Generated, Prompt, Record, Request, Score, Scored

SHOT_SEED = 1234
"""lm-eval's default ``fewshot_random_seed``."""
NEW_TOKENS = 256
"""lm-eval's default ``max_gen_toks``."""
METRICS = ("acc_norm", "acc", "exact_match")
"""Per-document metrics in 0 to 1; the first that a task has is its value."""


@dataclass(frozen=True, eq=False)
class TaskSet:
    """What is reported as one: a task, or the tasks of a built-in group."""

    name: str
    tasks: Mapping[str, Any]
    """lm-eval's task objects by task name."""


@dataclass(frozen=True)
class Document:
    """One document of a task, answered."""

    task: str
    number: int
    metrics: Mapping[str, float]
    """By name; NaN where a record was not finite."""


def is_folder(name: str) -> bool:
    """A folder of tasks is spelled as a path; everything else is the name of a built-in task."""
    return name.startswith(("./", "../", "/", "~"))


def load_tasks(name: str, base: Path) -> tuple[TaskSet, ...]:
    """A built-in task or group as one, or each task of a folder. Raises DataError where one or its data cannot be loaded."""
    return _load(name, (base / Path(name).expanduser()).resolve() if is_folder(name) else None)


@lru_cache(maxsize=64)
def _load(name: str, folder: Path | None) -> tuple[TaskSet, ...]:
    with _quietly():
        manager = _manager(folder, name)
        names = list(manager.all_subtasks) if folder else [name]
        if not names or (folder is None and name not in manager.task_index):
            raise DataError(_unknown(name, folder, manager))
        where = contextlib.chdir(folder) if folder else contextlib.nullcontext()
        try:
            # Data files named in a task's YAML are looked for from the folder that was given.
            with where:
                tasks = manager.load(names)["tasks"]
        except Exception as error:
            # In a folder that the user gave, YAML and code are the user's: whatever they raise is theirs to mend.
            if folder or isinstance(error, OSError | ImportError):
                raise DataError(_unreachable(name, folder, error)) from error
            raise
    for task_name, task in tasks.items():
        _fit(task_name, task)
    if folder:
        return tuple(TaskSet(task_name, {task_name: task}) for task_name, task in sorted(tasks.items()))
    return (TaskSet(name, tasks),)


@lru_cache(maxsize=8)
def _manager(folder: Path | None, name: str) -> Any:
    from lm_eval.tasks import TaskManager

    found = folder or _folder_of(name)
    if found is None:
        return TaskManager()
    return TaskManager(include_path=str(found), include_defaults=False)


def _folder_of(name: str) -> Path | None:
    """The folder of a built-in task; reading all of lm-eval's files as YAML takes 15 seconds. None for groups and tags."""
    spec = find_spec("lm_eval")
    origin = spec.origin if spec is not None else None
    if origin is None:
        return None
    line = re.compile(rf"^task:\s*[\"']?{re.escape(name)}[\"']?\s*$".encode(), re.MULTILINE)
    files = sorted(Path(origin).with_name("tasks").rglob("*.yaml"))
    return next((file.parent for file in files if line.search(file.read_bytes())), None)


def _unknown(name: str, folder: Path | None, manager: Any) -> Problem:
    if folder is not None:
        return Problem(f"the folder {name} holds no lm-eval task (a YAML file with `task:`)", where="tasks")
    close = difflib.get_close_matches(name, manager.all_tasks, n=1)
    hint = did_you_mean(name, close) if close else "`lm-eval ls tasks` lists them"
    return Problem(f"unknown lm-eval task {name!r}", where="tasks", hint=hint)


def _unreachable(name: str, folder: Path | None, error: Exception) -> Problem:
    what = "data or code of the tasks in" if folder else "the data of the built-in lm-eval task"
    hint = "" if folder else "give a folder of tasks with local data instead (./folder, with allow_task_code: true)"
    said = next(iter(str(error).splitlines()), "")
    return Problem(f"{what} {name} cannot be loaded: {type(error).__name__}: {said}", where="tasks", hint=hint)


def _fit(name: str, task: Any) -> None:
    """Refuse what cannot be asked through recorded requests."""
    reasons = {
        "runs code that models write (unsafe_code)": getattr(task, "UNSAFE_CODE", False),
        "needs images or sound": getattr(task, "MULTIMODAL", False),
        "scores whole texts (loglikelihood_rolling)": task.OUTPUT_TYPE == "loglikelihood_rolling",
        f"has none of the metrics {', '.join(METRICS)}": not set(METRICS) & set(task.aggregation()),
        "samples its answers": _samples(task),
        "names a right choice that is none of its choices": _misses_its_choices(task),
    }
    for reason, holds in reasons.items():
        if holds:
            raise DataError(Problem(f"lm-eval task {name} cannot be used: it {reason}", where="tasks"))


def _samples(task: Any) -> bool:
    if task.OUTPUT_TYPE != "generate_until":
        return False
    kwargs = dict(task.config.generation_kwargs or {})
    return bool(kwargs.get("do_sample")) and float(kwargs.get("temperature") or 1) > 0


def _misses_its_choices(task: Any) -> bool:
    """lm-eval counts such a document as wrong for every model, and only logs it."""
    if task.OUTPUT_TYPE != "multiple_choice" or task.multiple_input or not len(task.eval_docs):
        return False
    first = task.eval_docs[0]
    right, options = task.doc_to_target(first), task.doc_to_choice(first)
    return not all(
        0 <= one < len(options) if isinstance(one, int) else one in options
        for one in (right if isinstance(right, list) else [right])
    )


def task_requests(task_set: TaskSet, rows: int | None) -> Iterator[Request]:
    """What to ask of every model: the instances of the first ``rows`` documents of each task."""
    for task in task_set.tasks.values():
        task.set_fewshot_seed(SHOT_SEED)
        with _quietly():
            task.build_all_requests(limit=rows, rank=0, world_size=1)
        yield from (_request(instance) for instance in task.instances)


def task_documents(task_set: TaskSet, rows: int | None, answer: Callable[[Any], Record]) -> list[Document]:
    """Every document with the metrics that lm-eval computes from the recorded answers."""
    from lm_eval.evaluator import evaluate

    for task in task_set.tasks.values():
        task.set_fewshot_seed(SHOT_SEED)
    everything = {"tasks": dict(task_set.tasks), "groups": {}, "group_map": {}}
    with _quietly():
        found = evaluate(_recorded_lm()(answer), everything, limit=rows, bootstrap_iters=0, log_samples=True)
    return [_document(name, sample) for name, samples in found["samples"].items() for sample in _first_filter(samples)]


def primary(documents: Sequence[Document]) -> str:
    """The metric that stands for these documents."""
    return next(metric for metric in METRICS if all(metric in document.metrics for document in documents))


def _first_filter(samples: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Samples come once per filter; the first filter is the one that lm-eval lists first."""
    return [sample for sample in samples if sample["filter"] == samples[0]["filter"]]


def _document(task: str, sample: Mapping[str, Any]) -> Document:
    broken = any(isinstance(r, tuple) and not math.isfinite(r[0]) for resps in sample["resps"] for r in resps)
    names = [name for name in METRICS if name in sample]
    return Document(task, int(sample["doc_id"]), {name: math.nan if broken else float(sample[name]) for name in names})


def _request(instance: Any) -> Score | Generate:
    if instance.request_type == "loglikelihood":
        context, continuation = instance.args
        return Score(Prompt(context), continuation)
    context, kwargs = instance.args
    until = kwargs.get("until") or []
    stop = (until,) if isinstance(until, str) else tuple(until)
    limit = kwargs.get("max_gen_toks") or kwargs.get("max_new_tokens") or NEW_TOKENS
    return Generate(Prompt(context), int(limit), stop)


@cache
def _recorded_lm() -> type[Any]:
    from lm_eval.api.model import LM

    class RecordedLM(LM):  # type: ignore[misc]  # lm-eval is untyped
        """lm-eval's model interface, answered from records."""

        def __init__(self, answer: Callable[[Any], Record]) -> None:
            super().__init__()
            self._answer = answer

        def loglikelihood(self, requests: list[Any]) -> list[tuple[float, bool]]:
            """(sum of log-probabilities, every token is the argmax) per request."""
            return [_likelihood(self._answer(_request(instance))) for instance in requests]

        def loglikelihood_rolling(self, requests: list[Any]) -> list[float]:
            """Refused when the task is loaded."""
            raise NotImplementedError

        def generate_until(self, requests: list[Any]) -> list[str]:
            """The greedy text per request."""
            return [_text(self._answer(_request(instance))) for instance in requests]

    return RecordedLM


def _likelihood(record: Record) -> tuple[float, bool]:
    if not isinstance(record, Scored):
        raise TypeError(f"a score request was answered with {type(record).__name__}")
    if record.logprob.size == 0:
        return math.nan, False
    return float(record.logprob.astype("float64").sum()), bool(record.hit.all())


def _text(record: Record) -> str:
    if not isinstance(record, Generated):
        raise TypeError(f"a generate request was answered with {type(record).__name__}")
    return record.text


@contextlib.contextmanager
def _quietly() -> Iterator[None]:
    """Without lm-eval's progress bars and chatter."""
    logger = logging.getLogger("lm_eval")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with contextlib.redirect_stderr(io.StringIO()):
            yield
    finally:
        logger.setLevel(level)
