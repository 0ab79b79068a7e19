"""Where each field of a spec was written: in the file, or on the command line."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from auditkit.errors import Problem
from auditkit.spec._document import FieldPath, Place
from auditkit.spec._scalars import shown


def dotted(path: FieldPath) -> str:
    """``require.2.at_most``, printable and short whatever the keys are."""
    return ".".join(str(part) if isinstance(part, int) else shown(part) for part in path)


@dataclass(frozen=True)
class Positions:
    """Paths to places, for messages."""

    file: str
    places: Mapping[FieldPath, Place]
    overridden: Mapping[FieldPath, str] = field(default_factory=dict)
    """Path to the label of the command-line option that set it."""

    def override(self, path: FieldPath, label: str) -> Positions:
        """The same, with everything at and under ``path`` set by an option."""
        depth = len(path)
        places = {key: place for key, place in self.places.items() if key[:depth] != path}
        labels = {key: name for key, name in self.overridden.items() if key[:depth] != path}
        return replace(self, places=places, overridden={**labels, path: label})

    def known(self, path: FieldPath) -> bool:
        """Whether the file, or an option, has a field there."""
        return path in self.places or path in self.overridden

    def problem(self, path: FieldPath, message: str, hint: str = "", *, at_key: bool = False) -> Problem:
        """A Problem at a field: the position of the longest known prefix of its path."""
        for length in range(len(path), -1, -1):
            prefix = path[:length]
            if label := self.overridden.get(prefix):
                return Problem(message, where=dotted(path[length:]), file=label, hint=hint)
            if place := self.places.get(prefix):
                of_key = at_key and length == len(path)
                line, column = (place.key_line, place.key_column) if of_key else (place.line, place.column)
                return Problem(message, dotted(path), self.file, line, column, hint)
        return Problem(message, dotted(path), self.file, hint=hint)
