"""Models that the spec makes, and where they are kept.

A made model is a folder ``made/<recipe>/`` of the user's cache. The recipe is everything that its weights depend on: the
parent's fingerprint, the rows, the parameters, how rows are put to the model, precision and device. So a second run finds
it, and another parent, row or parameter makes another.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from auditkit.errors import SpecError, did_you_mean
from auditkit.files import cache_folder, digest
from auditkit.models.source import Source, localise, resolve
from auditkit.unlearning._finetune import NOTE, Manner, finetune, recipe

if TYPE_CHECKING:
    from auditkit.corpora.example import Corpus
    from auditkit.spec.model import Finetune, Model


def materialise(
    name: str,
    models: Mapping[str, Model],
    corpora: Mapping[str, Corpus],
    *,
    base: Path,
    roots: Iterable[Path] = (),
    offline: bool = False,
) -> Source:
    """The source of the model ``name``, on disk: it and the models that it is made from are made where they are not yet.

    Raises SpecError for an unknown unlearning method, ModelError and DataError as ``finetune`` does.
    """
    resolve(name, models, base=base, roots=roots)  # a circle or an unknown name is refused before anything is made
    return _Workshop(models, corpora, base, tuple(roots), offline).source(name)


@dataclass(frozen=True)
class _Workshop:
    models: Mapping[str, Model]
    corpora: Mapping[str, Corpus]
    base: Path
    roots: tuple[Path, ...]
    offline: bool

    def source(self, name: str) -> Source:
        made = self._made(name)
        return localise(resolve(name, self.models, base=self.base, roots=self.roots, made=made), offline=self.offline)

    def _made(self, name: str) -> dict[str, Path]:
        """The folders of the made models that ``name`` rests on, itself included."""
        model = self.models[name]
        if model.from_ is None:
            named = model.checkpoint
            return self._made(named) if named is not None and named in self.models else {}
        if model.finetune is None:
            raise SpecError(_unknown_method(name, model))
        parent = self.source(model.from_)
        return {name: self._taught(parent, model.finetune, Manner.of(model))}

    def _taught(self, parent: Source, params: Finetune, manner: Manner) -> Path:
        corpora = [self.corpora[corpus] for corpus in params.corpora]
        out = cache_folder() / "made" / digest(recipe(parent, corpora, params, manner))
        return out if (out / NOTE).is_file() else finetune(parent, corpora, params, out=out, manner=manner)


def _unknown_method(name: str, model: Model) -> str:
    from auditkit.unlearning import METHODS

    method = str((model.unlearn or {}).get("method", ""))
    return f"models.{name}.unlearn.method must be a known method; got {method!r}; {did_you_mean(method, METHODS.names())}"
