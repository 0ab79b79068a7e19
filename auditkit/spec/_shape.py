"""Which fields may stand where: a walk over the annotations of pydantic models."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from auditkit.spec._document import FieldPath


def fields(part: type[BaseModel]) -> dict[str, FieldInfo]:
    """The fields of a model under the names that are written in YAML (``with``, not ``with_``)."""
    return {info.alias or name: info for name, info in part.model_fields.items()}


def parts_at(root: Any, path: FieldPath) -> list[Any]:
    """The types that may stand at ``path`` below ``root``, unions taken apart; [] where nothing may."""
    found = list(_members(root))
    for key in path:
        found = [kind for parent in found for child in _children(parent, key) for kind in _members(child)]
    return found


def models_at(root: Any, path: FieldPath) -> list[type[BaseModel]]:
    """Those of ``parts_at`` that have fields."""
    return [part for part in parts_at(root, path) if isinstance(part, type) and issubclass(part, BaseModel)]


def allows_new(root: type[BaseModel], path: FieldPath) -> bool:
    """Whether ``path`` may be set although the text does not have it.

    True for a field of a part and for an entry of a mapping of plain values (``columns``, ``where``, ``with``); False for an
    entry whose value is a part (``models``, ``corpora``): those are made in the text.
    """
    parents = parts_at(root, path[:-1])
    if any(path[-1] in fields(part) for part in models_at(root, path[:-1])):
        return True
    mappings = [part for part in parents if part is Any or get_origin(part) is dict]
    return bool(mappings) and isinstance(path[-1], str) and not models_at(root, path)


def _members(annotation: Any) -> Iterator[Any]:
    origin = get_origin(annotation)
    if origin is Annotated:
        yield from _members(get_args(annotation)[0])
    elif origin in (Union, UnionType):
        for member in get_args(annotation):
            yield from _members(member)
    else:
        yield annotation


def _children(part: Any, key: str | int) -> Iterator[Any]:
    origin, arguments = get_origin(part), get_args(part)
    if part is Any:
        yield Any
    elif isinstance(part, type) and issubclass(part, BaseModel):
        if isinstance(key, str) and key in (known := fields(part)):
            yield known[key].annotation
    elif origin in (dict, Mapping):
        yield arguments[1]
    elif origin in (list, tuple) and isinstance(key, int):
        yield arguments[0]
