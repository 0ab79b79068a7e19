"""One registry for every kind of plug-in: a file in a room, or an entry point of another package.

A room's plug-in is one module whose name does not begin with ``_`` and which defines the registry's attribute
(``CHECK``, ``METHOD``, …). Names are listed without importing anything; a module is imported when its name is asked for.
"""

from __future__ import annotations

import importlib
import pkgutil
from dataclasses import dataclass
from functools import cache
from importlib.metadata import entry_points
from typing import Generic, TypeVar

from auditkit.errors import UserError, did_you_mean

T = TypeVar("T")


@dataclass(frozen=True)
class Registry(Generic[T]):
    """The plug-ins of one kind."""

    kind: str
    """The word used in messages: ``check``, ``attack``."""
    package: str
    """The room that holds the built-in ones; also the name of the entry-point group."""
    attribute: str
    """What a plug-in's module must define."""

    def names(self) -> tuple[str, ...]:
        """Every known name, sorted."""
        return tuple(sorted(_targets(self.package)))

    def get(self, name: str) -> T:
        """The plug-in of that name; raises UserError for an unknown one."""
        targets = _targets(self.package)
        if name not in targets:
            raise UserError(f"unknown {self.kind} {name!r}; {did_you_mean(name, targets)}")
        module, _, attribute = targets[name].partition(":")
        plugin: T = getattr(importlib.import_module(module), attribute or self.attribute)
        return plugin


@cache
def _targets(package: str) -> dict[str, str]:
    """Names to ``module`` or ``module:attribute``; a clash between packages is an error that names both."""
    room = importlib.import_module(package)
    found = {
        module.name: f"{package}.{module.name}"
        for module in pkgutil.iter_modules(room.__path__)
        if not module.name.startswith("_")
    }
    for point in entry_points(group=package):
        if point.name in found:
            raise UserError(f"{point.name!r} is defined twice: by {found[point.name]} and by {point.value}")
        found[point.name] = point.value
    return found
