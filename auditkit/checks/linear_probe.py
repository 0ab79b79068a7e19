"""Can the truth be read off the model's hidden states?"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from pydantic import Field

from auditkit.checks._base import Answers, Check, Context, Metric, Statistic, Values
from auditkit.checks._layers import Layers, alike, chosen_layers, curve, group
from auditkit.checks._probe import Probed, probe
from auditkit.checks._prompting import Asker, PromptParams, make_asker, shot_problems
from auditkit.checks._records import cut_note, hidden
from auditkit.checks._rows import Columns, lacking, mean, require, unmeasured
from auditkit.checks._wrong import folds_of, wrong_answers
from auditkit.errors import Problem
from auditkit.models.protocol import Hidden, HiddenStates, Request

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from auditkit.corpora.example import Corpus, Example

EMBEDDINGS = 0
"""The layer before anything was computed: a control."""


class ProbeParams(PromptParams):
    """Which layers are probed, and against what."""

    layers: Layers = Field(
        "all",
        description="all (of a model with more than 24 every second), or a list of layers; 0 is the embeddings, a control.",
    )
    wrong: int = Field(1, ge=1, le=8, description="Wrong answers beside each true one.")


class LinearProbe(Check[ProbeParams]):
    """Share of questions whose true answer a linear probe ranks above a wrong one, on subjects it was not fitted on.

    0 to 1, 0.5 is guessing, lower is better. States are those of the last token of question and answer. A probe is fitted for
    each model and layer on that model's own states (see ``_probe``); the worst layer counts, corrected by Holm. Wrong answers
    are the row's ``perturbed``, else answers about other subjects (see ``_wrong``), and none that is true of the same subject.
    A probe can also learn which answers look true of anybody: bound it by the reference. Shown beside it: the embeddings, and
    the same probe with true and wrong answers exchanged at random (Hewitt & Liang 2019), which must stay near 0.5.
    """

    name = "linear_probe"
    title = "Linear probe"
    summary = "Whether a simple classifier can tell true answers from wrong ones by the model's hidden states."
    source = (
        "Alain & Bengio 2016, arXiv 1610.01644; control task: Hewitt & Liang 2019, arXiv 1909.03368; on unlearned models: "
        "Lynch et al. 2024, arXiv 2402.16835."
    )
    limits = (
        "A probe finds what is linear and shared between subjects; knowledge stored otherwise stays unseen. Only the "
        "difference to the reference is evidence, because some answers look true of anybody."
    )
    remediation = "The facts are still encoded in the hidden states: unlearn in the layers shown, or retrain without the data."
    dimension = "robustness"
    metric = Metric("probe accuracy", "fraction", 0.0, 1.0, "lower", chance=0.5)
    params = ProbeParams
    fields = ("question", "answer")

    def statistic(self, params: ProbeParams) -> Statistic:
        """The mean of each layer; the worst decides."""
        return Statistic("mean", worst_group=True)

    def problems(self, context: Context[ProbeParams]) -> Iterable[str]:
        """Solved examples that cannot be drawn."""
        return shot_problems(context, context.params)

    def requests(self, context: Context[ProbeParams]) -> Iterable[Request]:
        """One pass per true and wrong answer."""
        return [request for asked in _asked(context) for request in asked.requests]

    def values(self, context: Context[ProbeParams], answers: Answers, reference: Answers | None) -> Values:
        """Per question and layer 1, 0.5 or 0 (a mean of these over several wrong answers); details: both curves."""
        asked = _asked(context)
        if not asked:
            return Columns().values(
                inconclusive="at least 2 subjects are needed: a probe is scored on others than it is fitted on"
            )
        records = [[hidden(answers, request) for request in one.requests] for one in asked]
        there = records[0][0].layers.tolist()
        layers = chosen_layers(context.params.layers, there)
        columns, notes = Columns(), [cut_note(record for row in records for record in row)]
        notes += [_probe_layer(context, asked, _states(records, there.index(layer)), layer, columns) for layer in layers]
        decisive = [layer for layer in layers if layer != EMBEDDINGS]
        return columns.values(
            details={"curve": curve(layers), "layers": [_seen(columns, layer) for layer in layers]},
            notes=[*notes, unmeasured(columns.numbers, "a hidden state was no number")],
            shown_only=[name for name in dict.fromkeys(columns.groups) if name not in set(map(group, decisive))],
            inconclusive="" if decisive else "no layer was probed but the embeddings, which are a control",
        )

    def settle(self, params: ProbeParams, samples: Mapping[str, Values]) -> Mapping[str, Values]:
        """Models of different depth have no layers in common."""
        return alike(samples)


@dataclass(frozen=True)
class _Asked:
    """A question with its answers, the true one first."""

    example: Example
    requests: tuple[Hidden, ...]
    fold: int


def _states(records: Sequence[Sequence[HiddenStates]], place: int) -> NDArray[np.float64]:
    """(questions, answers, width) of one layer."""
    import numpy as np

    return np.array([[record.states[place] for record in row] for row in records], dtype=np.float64)


def _probe_layer(
    context: Context[ProbeParams], asked: Sequence[_Asked], states: NDArray[np.float64], layer: int, columns: Columns
) -> str:
    """Add the layer's values, and those of its control task; returns a note on fits that did not converge, or ''."""
    folds = [one.fold for one in asked]
    runs = {group(layer): probe(states, folds)}
    if layer != EMBEDDINGS:
        swapped = context.rng("probe control", layer).random(len(asked)) < 0.5
        runs[_control(layer)] = probe(states, folds, swapped=swapped)
    for name, found in runs.items():
        for one, value in zip(asked, found.wins, strict=True):
            columns.add(context.corpus, one.example, float(value), group=name)
    return _unfinished(runs)


def _unfinished(runs: Mapping[str, Probed]) -> str:
    parts = [
        f"{name}: {found.unfinished} fits did not converge in 1000 steps" for name, found in runs.items() if found.unfinished
    ]
    return "; ".join(parts) + "." if parts else ""


def _control(layer: int) -> str:
    return f"{group(layer)}, shuffled labels"


def _seen(columns: Columns, layer: int) -> dict[str, Any]:
    """Accuracy of one layer, and what a probe reaches whose labels mean nothing."""
    control = mean(columns.of_group(_control(layer)))
    return {"layer": layer, "accuracy": mean(columns.of_group(group(layer))), "shuffled_labels": control}


def _asked(context: Context[ProbeParams]) -> list[_Asked]:
    """Every question, subject by subject, whatever the order of rows; none where there are fewer than two subjects."""
    corpus = context.corpus
    require(context, lacking(corpus, "question", "answer"))
    if len(corpus.subjects()) < 2:
        return []
    asker, layers = make_asker(context, context.params), _asked_layers(context.params)
    rows = sorted(corpus.examples, key=lambda example: (example.subject, example.id))
    folds = folds_of(context, count=context.params.wrong)
    wrong = wrong_answers(context, rows, folds, count=context.params.wrong)
    require(context, [_too_few(corpus, example, context.params.wrong) for example in rows if not wrong[example.id]])
    return [
        _Asked(
            example,
            tuple(_request(asker, example, text, layers) for text in (example.answer, *wrong[example.id])),
            folds[example.subject],
        )
        for example in rows
    ]


def _asked_layers(params: ProbeParams) -> tuple[int, ...]:
    """As the request has them: () for all."""
    return () if params.layers == "all" else tuple(sorted(set(params.layers)))


def _request(asker: Asker, example: Example, answer: str, layers: tuple[int, ...]) -> Hidden:
    prompt = asker.of(example)
    return Hidden(replace(prompt, start=prompt.start + asker.continuation(answer)), layers)


def _too_few(corpus: Corpus, example: Example, count: int) -> Problem:
    message = f"must have {count} wrong answers in perturbed, or as many different answers about other subjects beside it"
    return Problem(f"{message}; got fewer", where=f"row {example.number}", file=corpus.source)


CHECK = LinearProbe()
