"""Stop rules: the model of an epoch measured as an audit measures it, with what was measured kept."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from auditkit.checks import CHECKS
from auditkit.checks._base import Check, Context, Values
from auditkit.corpora.fitness import missing_fields
from auditkit.errors import Problem, SpecError, did_you_mean
from auditkit.files import digest
from auditkit.measurement.plan import Plan, Subject
from auditkit.measurement.runner import measure
from auditkit.measurement.store import Store
from auditkit.models.checkpoint import fingerprint
from auditkit.spec._explain import explain

if TYPE_CHECKING:
    from collections.abc import Callable

    from auditkit.corpora.example import Corpus
    from auditkit.models.source import Source
    from auditkit.spec.model import Spec
    from auditkit.unlearning import Manner, Stop


@dataclass
class StopRule:
    """Measures models for ``Training.stop``; the models that bounds name are measured once."""

    spec: Spec
    corpora: Mapping[str, Corpus]
    source_of: Callable[[str], Source]
    """The model of that name, on disk."""
    note: Callable[[str], None] = lambda _: None
    _bounds: dict[str, float] = field(default_factory=dict)

    def key(self, stop: Stop) -> str:
        """Digest of rule, data, bound and everything that a score depends on besides the model."""
        context = self._context(stop)
        rule = stop.model_dump(mode="json", by_alias=True)
        return digest([rule, context.corpus.digest, self.spec.seed, self._bound(stop)])

    def __call__(self, stop: Stop, source: Source, manner: Manner) -> bool:
        """The point estimate against the bound, as the papers do it: no error is stated here, the audit states it later."""
        value, bound = self._value(stop, source, manner.dtype, manner.device, manner.system), self._bound(stop)
        self.note(f"{stop.check} on {stop.corpus}: {value:.3f}, stops at {bound:.3f}")
        return value <= bound

    def _bound(self, stop: Stop) -> float:
        bound = stop.at_most
        if bound.model is None:
            return bound.offset
        name = f"{bound.model}/{digest(stop.model_dump(mode='json', by_alias=True))}"
        if name not in self._bounds:
            model = self.spec.models[bound.model]
            self._bounds[name] = self._value(stop, self.source_of(bound.model), model.dtype, model.device, model.system)
        return bound.scale * self._bounds[name] + bound.offset

    def _value(self, stop: Stop, source: Source, dtype: str, device: str, system: str | None) -> float:
        from auditkit.models.text import TextModel

        check, context = CHECKS.get(stop.check), self._context(stop)
        subject = Subject.of(fingerprint(source), dtype=dtype, device=device, system=system)
        needs = {"epoch": [(stop.check, list(check.requests(context)))]}
        chat = "template" if context.chat else "plain"

        def opened(_: str) -> TextModel:
            return TextModel.load(source, dtype=dtype, device=device, chat=chat, system=system)

        found = measure(Plan.build({"epoch": subject}, needs), opened, Store.default())
        values: Values = check.values(context, found.of("epoch"), None)
        # A value that is not a number makes the mean none either, and no comparison with it is true: the rule is not met.
        return math.fsum(values.values) / len(values.values) if values.values else math.nan

    def _context(self, stop: Stop) -> Context[Any]:
        return stop_context(stop, self.spec, self.corpora)


def stop_context(stop: Stop, spec: Spec, corpora: Mapping[str, Corpus]) -> Context[Any]:
    """What the rule's check is asked with. Raises SpecError for a rule that cannot be followed; ``where`` is the field."""
    check, params = _asked(stop)
    if stop.at_most.model is not None and stop.at_most.model not in spec.models:
        hint = did_you_mean(stop.at_most.model, spec.models)
        raise _fault("at_most", f"must name a model of the spec; got {stop.at_most.model!r}", hint)
    if stop.corpus not in corpora:
        raise _fault("corpus", f"unknown corpus {stop.corpus!r}", did_you_mean(stop.corpus, corpora))
    context = Context(
        corpus=corpora[stop.corpus],
        corpora=corpora,
        params=params,
        seed=spec.seed,
        chat=spec.models["candidate"].chat == "template",
        requirement=f"stop: {stop.check}",
        task_code=spec.allow_task_code,
    )
    for message in missing_fields(context.corpus, check.fields_for(params)):
        raise _fault("corpus", f"{stop.check}: {message}")
    for message in check.problems(context):
        raise _fault("with", f"{stop.check}: {message}")
    return context


def _asked(stop: Stop) -> tuple[Check[Any], Any]:
    """The check and its parameters. Raises SpecError where they give no mean of one model on one corpus."""
    if stop.check not in CHECKS.names():
        raise _fault("check", f"must be a known check; got {stop.check!r}", did_you_mean(stop.check, CHECKS.names()))
    check: Check[Any] = CHECKS.get(stop.check)
    if check.needs_reference or check.other_roles:
        raise _fault(
            "check", f"must need one model and one corpus; got {stop.check}, which compares", "knowledge_memorization is one"
        )
    try:
        params = check.params.model_validate(stop.with_)
    except ValidationError as error:
        faults = explain(error, model=check.params, value=stop.with_)
        where = ("stop", "with")
        raise SpecError(
            [Problem(fault.message, ".".join(map(str, (*where, *fault.path))), hint=fault.hint) for fault in faults]
        ) from error
    statistic = check.statistic(params)
    if statistic.kind != "mean" or statistic.worst_group:
        got = f"{stop.check}, whose quantity is another under the parameters that stand in with"
        raise _fault("check", f"must be a mean over rows; got {got}", "leave statistic to its default")
    return check, params


def _fault(field: str, message: str, hint: str = "") -> SpecError:
    return SpecError(Problem(message, f"stop.{field}", hint=hint))
