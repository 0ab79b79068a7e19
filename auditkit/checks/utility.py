"""Has the model kept what it should know? Retained knowledge (MUSE's C4) and lm-eval tasks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import Field

from auditkit.checks._base import Answers, Check, Context, Metric, Statistic, Values
from auditkit.checks._prompting import shot_problems
from auditkit.checks._questions import QuestionParams, answer_details, answer_notes, ask, ask_one, mark
from auditkit.checks._records import cut_note, generated
from auditkit.checks._rows import Columns, mean, unmeasured
from auditkit.errors import DataError, Problem
from auditkit.models.protocol import Generated, Record, Request

if TYPE_CHECKING:
    from auditkit.checks._lm_eval import TaskSet
    from auditkit.corpora.example import Example

RETAIN = "retain knowledge"


class UtilityParams(QuestionParams):
    """What is asked beside the retain corpus."""

    retain_knowledge: bool = Field(True, description="Ask the corpus's questions, as knowledge_memorization does.")
    tasks: list[str] = Field(
        default_factory=list,
        max_length=64,
        description=(
            "lm-eval tasks or groups by name (their data come from the hub), or ./folder with local tasks, "
            "which needs allow_task_code: true because a task's YAML may name Python code."
        ),
    )
    task_rows: int | None = Field(None, ge=1, description="Only the first documents of each task, as lm-eval's --limit does.")


class Utility(Check[UtilityParams]):
    """KnowMem(f, D_retain) (Shi et al. 2407.06460, C4) and lm-eval tasks, each a group; 0 to 1, higher is better.

    ``retain knowledge``: ROUGE-L of greedy answers, with the requests of knowledge_memorization. ``task/<name>``: per document
    lm-eval's acc_norm, acc or exact_match, the first that the task has, computed by lm-eval from the recorded answers; the
    documents of a group of tasks are pooled. The worst group decides.
    """

    name = "utility"
    title = "Utility"
    summary = "How well the model still answers what it was to keep, and how it does on standard tasks."
    source = "MUSE, Shi et al. 2024, arXiv 2407.06460, C4; lm-evaluation-harness (EleutherAI) for tasks."
    limits = "Shows what was asked and nothing more: abilities outside these questions and tasks may have suffered."
    remediation = "Unlearn with a smaller step or a stronger retain term, or choose an earlier checkpoint."
    dimension = "utility"
    metric = Metric("utility", "fraction", 0.0, 1.0, "higher")
    params = UtilityParams
    role = "retain"
    fields = ("question", "answer")

    def statistic(self, params: UtilityParams) -> Statistic:
        """The mean of each group; the worst decides."""
        return Statistic("mean", worst_group=True)

    def fields_for(self, params: UtilityParams) -> tuple[str, ...]:
        """Question and answer, where the retain corpus is asked."""
        return super().fields_for(params) if params.retain_knowledge else ()

    def problems(self, context: Context[UtilityParams]) -> Iterable[str]:
        """Nothing to measure, a task folder that is missing or not permitted, shots that cannot be drawn."""
        params = context.params
        if not params.retain_knowledge and not params.tasks:
            yield "nothing is measured: give tasks, or leave retain_knowledge on"
        for name in params.tasks:
            yield from _folder_problems(context, name)
        yield from shot_problems(context, params)

    def requests(self, context: Context[UtilityParams]) -> Iterable[Request]:
        """One generation per row, and the requests of every task. Raises DataError where a task cannot be loaded."""
        from auditkit.checks._lm_eval import task_requests

        if context.params.retain_knowledge:
            yield from (request for _, request in ask(context, context.corpus, context.params))
        for tasks in _task_sets(context):
            yield from task_requests(tasks, context.params.task_rows)

    def shown(self, context: Context[UtilityParams], example: Example) -> Request | None:
        """The answer to the row's question."""
        return ask_one(context, context.params, example) if context.params.retain_knowledge else None

    def values(self, context: Context[UtilityParams], answers: Answers, reference: Answers | None) -> Values:
        """ROUGE-L per row and a metric per document; details: means, metric names, empty and degenerate answers."""
        columns, details, notes = Columns(), dict[str, Any](), list[str]()
        if context.params.retain_knowledge:
            records = _retain(context, answers, columns)
            details |= answer_details(records)
            notes += answer_notes(context.params, records, chat=context.chat)
        cut: list[Record] = []
        details["tasks"] = {tasks.name: _task(context, tasks, answers, columns, cut) for tasks in _task_sets(context)}
        notes += [cut_note(cut), unmeasured(columns.numbers, "the answers were not finite, or ROUGE cannot compare them")]
        return columns.values(details=details, notes=notes)


def _folder_problems(context: Context[UtilityParams], name: str) -> Iterator[str]:
    from auditkit.checks._lm_eval import is_folder

    if not is_folder(name):
        return
    if not context.task_code:
        yield f"tasks: the folder {name} may hold code; permit it with allow_task_code: true"
    elif not (Path(context.folder) / Path(name).expanduser()).is_dir():
        yield f"tasks: no folder {name}"


def _task_sets(context: Context[UtilityParams]) -> Iterator[TaskSet]:
    """The tasks asked for. Raises DataError naming the requirement."""
    from auditkit.checks._lm_eval import load_tasks

    for name in context.params.tasks:
        faults = list(_folder_problems(context, name))
        if faults:
            raise DataError([Problem(fault, where=context.requirement) for fault in faults])
        try:
            yield from load_tasks(name, Path(context.folder))
        except DataError as error:
            raise DataError(
                [Problem(p.message, f"{context.requirement}: {p.where}", hint=p.hint) for p in error.problems]
            ) from error


def _retain(context: Context[UtilityParams], answers: Answers, columns: Columns) -> list[Generated]:
    records = []
    for example, request in ask(context, context.corpus, context.params):
        record = generated(answers, request)
        records.append(record)
        columns.add(context.corpus, example, mark(context.params, example, record), group=RETAIN)
    return records


def _task(
    context: Context[UtilityParams], tasks: TaskSet, answers: Answers, columns: Columns, records: list[Record]
) -> dict[str, Any]:
    """Put a task's documents into the columns; its means by metric."""
    from auditkit.checks._lm_eval import primary, task_documents

    def answer(request: Request) -> Record:
        records.append(answers(request))
        return records[-1]

    documents = task_documents(tasks, context.params.task_rows, answer)
    metric = primary(documents)
    for document in documents:
        identity = f"task/{document.task}/{document.number}"
        columns.put(identity, identity, document.metrics[metric], group=f"task/{tasks.name}")
    names = documents[0].metrics
    means = {name: mean(document.metrics.get(name, float("nan")) for document in documents) for name in names}
    return {"metric": metric, "means": means, "documents": len(documents)}


CHECK = Utility()
