"""YAML text → plain values with the position of each, or faults. Never raises, whatever the text.

::

    text ──scan of events──► refuse anchors, aliases, tags, second documents, depth, size   (nothing is built yet)
         ──compose, walk───► values, positions; refuse duplicate keys, keys and scalars that YAML 1.1 misreads
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml

from auditkit.spec._scalars import key_fault, read_scalar, shown

FieldPath = tuple[str | int, ...]

MAX_BYTES = 1_000_000
MAX_DEPTH = 50
MAX_NODES = 100_000

_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # libyaml where PyYAML was built with it: 10 times as fast
_OWN_ODD_KEY = ("sample", "n")  # the format's own name; n is a boolean of YAML 1.1 on paper, and text in the loaders in use
_UNPRINTABLE = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_ADVICE = (
    ("mapping values are not allowed", "put text that holds ': ' in quotes, and check the indentation"),
    ("did not find expected key", "check the indentation of this line and of the one before"),
    ("did not find expected '-' indicator", "check the indentation of this line and of the one before"),
    ("could not find expected ':'", "write key: value"),
    ("did not find expected ',' or", "close the bracket"),
    ("unexpected end of stream", "close the quotes"),
    ("<document start>", "check the indentation of this line and of the one before"),
    ("escape c", "use single quotes where a backslash is meant as it stands"),
)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a value stands, and its key; 1-based lines and columns, columns in characters."""

    line: int
    column: int
    key_line: int
    key_column: int


@dataclass(frozen=True, slots=True)
class Fault:
    """Something wrong with the text itself."""

    path: FieldPath
    line: int
    column: int
    message: str
    hint: str = ""
    at_key: bool = False
    """The key is at fault, not its value."""


@dataclass(frozen=True)
class Document:
    """The values, as far as they could be read."""

    value: Any = None
    places: Mapping[FieldPath, Place] = field(default_factory=dict)
    faults: tuple[Fault, ...] = ()
    readable: bool = True
    """False: the one fault is about the text as a whole, and there are no values."""
    block: bool = False
    """The outermost value is a block collection (several lines of ``key: value`` or ``- entry``)."""


def parse_document(text: str) -> Document:
    """One YAML document → values, positions and faults."""
    try:
        fault = _unprintable(text) or _scan(text)
        node = None if fault else yaml.compose(text, Loader=_LOADER)
    except yaml.YAMLError as error:
        fault, node = _syntax_fault(error, text), None
    if fault is not None:
        return Document(faults=(fault,), readable=False)
    if node is None:
        return Document()
    walk = _Walk()
    value = walk.value(node, (), node.start_mark)
    block = isinstance(node, yaml.CollectionNode) and not node.flow_style
    return Document(value, walk.places, tuple(walk.faults), block=block)


def _at(mark: Any, message: str, hint: str = "") -> Fault:
    return Fault((), mark.line + 1, mark.column + 1, message, hint)


def _unprintable(text: str) -> Fault | None:
    found = _UNPRINTABLE.search(text)
    if found is None:
        return None
    before = text[: found.start()]
    line, column = before.count("\n") + 1, len(before) - (before.rfind("\n") + 1) + 1
    return Fault((), line, column, f"must hold printable text; got U+{ord(found[0]):04X}")


def _scan(text: str) -> Fault | None:
    """The first thing in the stream of events that a spec may not have."""
    depth = nodes = documents = 0
    for event in yaml.parse(text, Loader=_LOADER):
        if fault := _refused(event):
            return fault
        if isinstance(event, yaml.NodeEvent):
            nodes += 1
        if isinstance(event, yaml.DocumentStartEvent):
            documents += 1
        elif isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        if documents > 1:
            return _at(event.start_mark, "must be one document; got a second one", "remove the line ---")
        if depth > MAX_DEPTH:
            return _at(event.start_mark, f"must be nested at most {MAX_DEPTH} deep; got more")
        if nodes > MAX_NODES:
            return _at(event.start_mark, f"must have at most {MAX_NODES:,} values; got more")
    return None


def _refused(event: Any) -> Fault | None:
    if isinstance(event, yaml.AliasEvent):
        hint = "write the value out, or put text that begins with * in quotes"
        return _at(event.start_mark, f"must not use aliases; got *{shown(str(event.anchor))}", hint)
    if getattr(event, "anchor", None) is not None:
        hint = "write the value out where it is needed, or put text that begins with & in quotes"
        return _at(event.start_mark, f"must not use anchors; got &{shown(str(event.anchor))}", hint)
    if getattr(event, "tag", None) is not None:
        hint = "remove the tag, or put text that begins with ! in quotes"
        return _at(event.start_mark, f"must not use tags; got {shown(str(event.tag))}", hint)
    return None


def _syntax_fault(error: yaml.YAMLError, text: str) -> Fault:
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    problem = getattr(error, "problem", None) or getattr(error, "reason", None) or "it cannot be read"
    context = getattr(error, "context", None)
    start = getattr(error, "context_mark", None)
    if context and start and mark and start.line != mark.line:
        problem = f"{problem} {context} that began on line {start.line + 1}"
    hint = next((advice for words, advice in _ADVICE if words in problem), "")
    if "cannot start any token" in problem and mark is not None:
        hint = _bad_start(text, mark)
    message = f"must be YAML; {problem}"
    return Fault((), 0, 0, message, hint) if mark is None else _at(mark, message, hint)


def _bad_start(text: str, mark: Any) -> str:
    char = text[mark.index : mark.index + 1]
    return "indent with spaces, not tabs" if char == "\t" else f"put text that begins with {shown(char)} in quotes"


class _Walk:
    """Builds the values; recursion is bounded by MAX_DEPTH."""

    def __init__(self) -> None:
        self.places: dict[FieldPath, Place] = {}
        self.faults: list[Fault] = []

    def value(self, node: yaml.Node, path: FieldPath, key_mark: Any) -> Any:
        # The start of a block collection is its first entry: its key is the better place to point at.
        block = isinstance(node, yaml.CollectionNode) and not node.flow_style
        mark = key_mark if block else node.start_mark
        self.places[path] = Place(mark.line + 1, mark.column + 1, key_mark.line + 1, key_mark.column + 1)
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, path)
        if isinstance(node, yaml.SequenceNode):
            return [self.value(item, (*path, index), item.start_mark) for index, item in enumerate(node.value)]
        assert isinstance(node, yaml.ScalarNode)  # noqa: S101 - YAML has three kinds of node
        scalar = read_scalar(node)
        if scalar.message:
            self._fault(node, path, scalar.message, scalar.hint)
        return scalar.value

    def _mapping(self, node: yaml.MappingNode, path: FieldPath) -> dict[str, Any]:
        values: dict[str, Any] = {}
        for key, item in node.value:
            if not isinstance(key, yaml.ScalarNode):
                hint = "put text that begins with { or [ in quotes"
                self._fault(key, path, "must have text keys; got a list or a mapping as a key", hint)
                continue
            child = (*path, key.value)
            if key.value in values:
                first = self.places[child].key_line
                message = f"must be given once; got it again after line {first}"
                self._fault(key, child, message, "remove one of the two", at_key=True)
                continue
            message, hint = key_fault(key)
            if message and child[-2:] != _OWN_ODD_KEY:
                self._fault(key, child, message, hint, at_key=True)
            values[key.value] = self.value(item, child, key.start_mark)
        return values

    def _fault(self, node: yaml.Node, path: FieldPath, message: str, hint: str, *, at_key: bool = False) -> None:
        mark = node.start_mark
        self.faults.append(Fault(path, mark.line + 1, mark.column + 1, message, hint, at_key))
