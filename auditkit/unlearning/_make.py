"""Models that the spec makes, and where they are kept.

A made model is a folder ``made/<recipe>/`` of the user's cache. The recipe is everything that its weights depend on: the
parent's fingerprint, the rows, the method and its parameters, how rows are put to the model, precision and device. So a
second run finds it, and another parent, row or parameter makes another.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from pydantic import ValidationError

from auditkit.errors import Problem, SpecError, did_you_mean
from auditkit.files import alone, cache_folder, digest
from auditkit.models.source import Source, localise, resolve
from auditkit.spec._explain import explain
from auditkit.unlearning._note import NOTE, recipe
from auditkit.unlearning._pupil import Manner
from auditkit.unlearning._teach import taught_recipe, teach

if TYPE_CHECKING:
    from auditkit.corpora.example import Corpus
    from auditkit.spec.model import Finetune, Model
    from auditkit.unlearning._method import Method, Stop


class Examiner(Protocol):
    """Whoever measures the models of epochs against a stop rule: an audit does, this room cannot."""

    def key(self, stop: Stop) -> str:
        """Digest of everything that the answer depends on besides the model: it is part of the recipe."""
        ...

    def __call__(self, stop: Stop, source: Source, manner: Manner) -> bool:
        """Whether the model meets the rule."""
        ...


def materialise(
    name: str,
    models: Mapping[str, Model],
    corpora: Mapping[str, Corpus],
    *,
    base: Path,
    roots: Iterable[Path] = (),
    offline: bool = False,
    examiner: Examiner | None = None,
    note: Callable[[str], None] = lambda _: None,
) -> Source:
    """The source of the model ``name``, on disk: it and the models that it is made from are made where they are not yet.

    ``note`` is told what is being made. Raises SpecError for an unknown unlearning method or its parameters, ModelError,
    DataError and TrainingError as the methods do, ValueError for a stop rule without ``examiner``.
    """
    # A circle, an unknown name or method is refused before anything is made.
    resolve(name, models, base=base, roots=roots)
    for other, model in models.items():
        if model.unlearn is not None:
            chosen_method(other, model)
    return _Workshop(models, corpora, base, tuple(roots), offline, examiner, note).source(name)


def find(
    name: str, models: Mapping[str, Model], corpora: Mapping[str, Corpus], *, base: Path, roots: Iterable[Path] = ()
) -> Source | None:
    """Like ``materialise``, but nothing is made: None where the model or one before it is not there yet.

    A model with a stop rule counts as not there: its rule would have to be looked up by measuring.
    """
    shop = _Workshop(models, corpora, base, tuple(roots), True, None, _refuse_making)
    try:
        return shop.source(name)
    except _NotMadeError:
        return None


class _NotMadeError(Exception):
    """A model is not there and may not be made."""


def _refuse_making(words: str) -> None:
    raise _NotMadeError(words)


def chosen_method(name: str, model: Model) -> tuple[Method[Any], Any]:
    """The method that a model's ``unlearn:`` names, and its parameters. Raises SpecError."""
    from auditkit.unlearning import METHODS

    words = dict(model.unlearn or {})
    method = str(words.pop("method", ""))
    if method not in METHODS.names():
        hint = did_you_mean(method, METHODS.names())
        raise SpecError(f"models.{name}.unlearn.method must be a known method; got {method!r}; {hint}")
    plugin = METHODS.get(method)
    try:
        return plugin, plugin.params.model_validate(words)
    except ValidationError as error:
        faults = explain(error, model=plugin.params, value=words)
        where = ("models", name, "unlearn")
        raise SpecError(
            [Problem(fault.message, ".".join(map(str, (*where, *fault.path))), hint=fault.hint) for fault in faults]
        ) from error


@dataclass(frozen=True)
class _Workshop:
    models: Mapping[str, Model]
    corpora: Mapping[str, Corpus]
    base: Path
    roots: tuple[Path, ...]
    offline: bool
    examiner: Examiner | None
    note: Callable[[str], None]

    def source(self, name: str) -> Source:
        """The model on disk, made if need be. Adapters that the spec puts on a made model are loaded onto it."""
        model = self.models[name]
        if model.from_ is not None:
            return self._made(name, model)
        named = str(model.checkpoint)
        below = self.source(named) if named in self.models else None
        made = {named: below.path} if below is not None else {}
        source = resolve(name, self.models, base=self.base, roots=self.roots, made=made)
        if below is not None:
            own = source.adapters[-1:] if model.adapter is not None else ()
            source = replace(below, adapters=(*below.adapters, *own), label=source.label)
        return localise(source, offline=self.offline)

    def _made(self, name: str, model: Model) -> Source:
        parent = self.source(str(model.from_))
        manner = Manner.of(model)
        if model.finetune is not None:
            return replace(self._taught(parent, manner, model.finetune, name), label=name)
        return replace(self._unlearned(name, model, parent, manner), label=name)

    def _taught(self, parent: Source, manner: Manner, params: Finetune, name: str) -> Source:
        corpora = [self.corpora[corpus] for corpus in params.corpora]
        out = _place(taught_recipe(parent, corpora, params, manner))
        if not (out / NOTE).is_file():
            self.note(f"{name}: teaching {', '.join(params.corpora)}")
            with alone(out):
                if not (out / NOTE).is_file():
                    teach(parent, corpora, params, out=out, manner=manner)
        return Source.of_folder(out)

    def _unlearned(self, name: str, model: Model, parent: Source, manner: Manner) -> Source:
        from auditkit.unlearning._method import Order
        from auditkit.unlearning._unlearn import made_source

        method, params = chosen_method(name, model)
        used = [self.corpora[corpus] for corpus in method.corpora(params)]
        made = recipe(method.name, parent, used, params.model_dump(mode="json", by_alias=True), manner)
        stop = getattr(params, "stop", None)
        examine = None
        if stop is not None and self.examiner is not None:
            made["stop"] = self.examiner.key(stop)
            examine = _Bound(self.examiner, stop, manner)
        out = _place(made)

        def taught(lesson: Finetune) -> Source:
            return self._taught(parent, manner, lesson, name)

        order = Order(parent, self.corpora, made, out, manner, taught, examine)
        if method.teaches:
            # It is a fine-tuning, and told of, found and kept as one.
            return method.make(order, params)
        if not (out / NOTE).is_file():
            self.note(f"{name}: {method.title}")
            if stop is not None and examine is None:
                raise ValueError(f"the model {name} has a stop rule, which needs an examiner")
            with alone(out):
                if not (out / NOTE).is_file():
                    return method.make(order, params)
        return made_source(parent, out, as_adapter=getattr(params, "save", "merged") == "adapter")


@dataclass(frozen=True)
class _Bound:
    """An examiner with its rule."""

    examiner: Examiner
    stop: Stop
    manner: Manner

    def __call__(self, source: Source) -> bool:
        return self.examiner(self.stop, source, self.manner)


def _place(made: Mapping[str, Any]) -> Path:
    return cache_folder() / "made" / digest(made)
