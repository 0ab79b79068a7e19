"""What speaks against the training that a spec asks for, before anything is trained. No model is loaded."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from auditkit.corpora.fitness import overlap
from auditkit.errors import Problem, SpecError, did_you_mean
from auditkit.evidence.examine import stop_context
from auditkit.spec.steps import step_models
from auditkit.unlearning import METHODS, was_taught

if TYPE_CHECKING:
    from auditkit.corpora.example import Corpus
    from auditkit.models.source import Source
    from auditkit.spec._document import FieldPath
    from auditkit.spec.load import Loaded
    from auditkit.unlearning import Method, Stop

_LONGEST_WORD = 64


@dataclass(frozen=True)
class _Unlearning:
    """One model that a method makes."""

    name: str
    path: FieldPath
    """Its ``unlearn`` in the spec; the candidate's for a model of a scale or sequence."""
    words: Mapping[str, Any]
    """The parameters that are written there."""
    method: Method[Any]
    params: Any

    @property
    def stop(self) -> Stop | None:
        """Its stop rule."""
        found: Stop | None = getattr(self.params, "stop", None)
        return found

    def at(self, corpus: str) -> FieldPath:
        """Where the corpus is named; ``unlearn`` itself where it is a default."""
        named = (key for key, value in self.words.items() if corpus == value or (isinstance(value, list) and corpus in value))
        return (*self.path, *([key] if (key := next(named, "")) else []))


def unknown_method(method: object) -> tuple[str, str]:
    """Message and hint for what is no unlearning method."""
    if method is None:
        return "must name an unlearning method; got none", f"known: {', '.join(METHODS.names())}"
    word = str(method)[:_LONGEST_WORD]
    return f"unknown unlearning method {word!r}", did_you_mean(word, METHODS.names())


def method_problems(loaded: Loaded) -> list[Problem]:
    """Methods that do not exist, and parameters that are not theirs."""
    return [found for found in _unlearnings(loaded) if isinstance(found, Problem)]


def training_problems(loaded: Loaded, corpora: Mapping[str, Corpus], sources: Mapping[str, Source]) -> list[Problem]:
    """What the methods say to the data that there is, and a reference that was trained on what had to be forgotten."""
    known = {found.name: found for found in _unlearnings(loaded) if isinstance(found, _Unlearning)}
    problems: list[Problem] = []
    for found in known.values():
        problems += _data(loaded, found, corpora)
        problems += _stop(loaded, found, corpora, known)
    problems += _spoilt_reference(loaded, corpora, sources, known)
    return list(dict.fromkeys(problems))  # the models of a scale share their faults


def _unlearnings(loaded: Loaded) -> Iterator[_Unlearning | Problem]:
    """Every model that is unlearned, or what is wrong with its method and parameters."""
    steps = step_models(loaded.spec)
    for name, model in loaded.spec.models.items():
        if model.unlearn is None:
            continue
        words = dict(model.unlearn)
        method = words.pop("method", None)
        path: FieldPath = ("models", "candidate" if name in steps else name, "unlearn")
        if method not in METHODS.names():
            if name not in steps:
                yield loaded.problem((*path, "method"), *unknown_method(method))
            continue
        plugin = METHODS.get(method)
        try:
            yield _Unlearning(name, path, words, plugin, plugin.params.model_validate(words))
        except ValidationError as error:
            if name not in steps:
                yield from loaded.explain(error, model=plugin.params, value=words, at=path)


def _data(loaded: Loaded, found: _Unlearning, corpora: Mapping[str, Corpus]) -> Iterator[Problem]:
    unknown = [corpus for corpus in found.method.corpora(found.params) if corpus not in corpora]
    for corpus in unknown:
        word = corpus[:_LONGEST_WORD]
        yield loaded.problem(found.at(corpus), f"unknown corpus {word!r}", did_you_mean(word, corpora))
    if not unknown:
        yield from (loaded.problem(found.path, message) for message in found.method.problems(found.params, corpora))


def _stop(
    loaded: Loaded, found: _Unlearning, corpora: Mapping[str, Corpus], known: Mapping[str, _Unlearning]
) -> Iterator[Problem]:
    if found.stop is None:
        return
    try:
        stop_context(found.stop, loaded.spec, corpora)
    except SpecError as error:
        for problem in error.problems:
            yield loaded.problem((*found.path, *problem.where.split(".")), problem.message, problem.hint)
        return
    if _waits_for_itself(loaded, found, known):
        message = f"must name a model that is there before {found.name} is made; got {found.stop.at_most.model}"
        yield loaded.problem((*found.path, "stop", "at_most"), message, "name reference or original")


def _waits_for_itself(loaded: Loaded, found: _Unlearning, known: Mapping[str, _Unlearning]) -> bool:
    """Whether the model that the stop rule compares with cannot be there before the model that the rule ends."""
    models = loaded.spec.models
    waiting, seen = [found.stop.at_most.model if found.stop else None], set()
    while waiting:
        name = waiting.pop()
        if name == found.name:
            return True
        if name in models and name not in seen:
            seen.add(name)
            stop = known[name].stop if name in known else None
            waiting += [models[name].from_, models[name].checkpoint, stop.at_most.model if stop else None]
    return False


def _spoilt_reference(
    loaded: Loaded, corpora: Mapping[str, Corpus], sources: Mapping[str, Source], known: Mapping[str, _Unlearning]
) -> Iterator[Problem]:
    if "reference" not in sources:
        return
    forgotten = [corpus for corpus in corpora.values() if corpus.name in _forgotten(loaded, corpora, known)]
    taught = [name for name in _taught(loaded, "reference", known) if name in corpora]
    noted = was_taught(sources["reference"], forgotten)
    for corpus in forgotten:
        why = ["by this spec"] if corpus.name in taught else []
        why += ["by the account of its unlearning.json"] if corpus.name in noted else []
        why += [f"{name}, which it is taught, has rows of it" for name in taught if overlap(corpus, corpora[name])]
        if why:
            message = f"must never have seen what had to be forgotten; got one that was trained on {corpus.name} ({why[0]})"
            yield loaded.problem(("models", "reference"), message, "retrain it without the forget data")


def _forgotten(loaded: Loaded, corpora: Mapping[str, Corpus], known: Mapping[str, _Unlearning]) -> set[str]:
    """What had to be forgotten: by its role, by the targets, by what the candidate forgets."""
    found = {corpus.name for corpus in corpora.values() if corpus.role == "forget"}
    found |= {target.corpus for target in loaded.spec.targets}
    if "candidate" in known and not known["candidate"].method.teaches:
        found |= set(known["candidate"].params.forget)
    return found


def _taught(loaded: Loaded, name: str, known: Mapping[str, _Unlearning]) -> list[str]:
    """Corpora that the spec teaches a model, and those before it."""
    model = loaded.spec.models[name]
    if model.from_ is None:
        return _taught(loaded, model.checkpoint, known) if model.checkpoint in loaded.spec.models else []
    own = list(model.finetune.corpora) if model.finetune is not None else []
    if name in known and known[name].method.teaches:
        own += known[name].method.corpora(known[name].params)
    return [*own, *_taught(loaded, model.from_, known)]
