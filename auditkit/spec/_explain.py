"""pydantic's errors → findings in the house shape: ``must be X; got Y``, a hint, and the path in the user's own text."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ValidationError

from auditkit.errors import did_you_mean
from auditkit.spec._document import FieldPath
from auditkit.spec._scalars import shown
from auditkit.spec._shape import fields, models_at
from auditkit.spec.model import DEVICE_PATTERN, MODEL_PATTERN, NAME_PATTERN, Part

_TYPES = {
    "string_type": "text",
    "string_sub_type": "text",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "bool_type": "true or false",
    "list_type": "a list",
    "tuple_type": "a list",
    "dict_type": "a mapping",
    "mapping_type": "a mapping",
    "model_type": "a mapping",
    "model_attributes_type": "a mapping",
    "none_required": "nothing",
}
_PATTERNS = {
    NAME_PATTERN: "a name (a letter or _, then letters, digits, _ . -)",
    MODEL_PATTERN: "a name (a letter or _, then letters, digits and _)",
    DEVICE_PATTERN: "auto, cpu, mps, cuda or cuda:N",
}
_LONGEST_WORD = 64  # characters compared with known names; a longer one is no misspelling


@dataclass(frozen=True, slots=True)
class Finding:
    """A fault and the field it belongs to."""

    path: FieldPath
    message: str
    hint: str = ""
    at_key: bool = False
    """The key is at fault (an unknown field), not its value."""


@dataclass(frozen=True)
class _Error:
    """One pydantic error with its place in the data, the tags of union branches taken out."""

    detail: Mapping[str, Any]
    path: FieldPath
    branches: tuple[FieldPath, ...]
    """Where in the path a branch of a union was tried."""
    at_key: bool


def explain(error: ValidationError, *, model: type[BaseModel], value: Any) -> list[Finding]:
    """Every fault that pydantic found in ``value`` while reading it as ``model``, one finding per place."""
    found = _drop_shallow([_placed(detail, value) for detail in error.errors(include_url=False)])
    groups: dict[tuple[FieldPath, bool], list[_Error]] = {}
    for item in found:
        groups.setdefault((item.path, item.at_key), []).append(item)
    return [_finding(group, model) for group in groups.values()]


def _placed(detail: Any, value: Any) -> _Error:
    path: list[str | int] = []
    branches: list[FieldPath] = []
    for part in detail["loc"]:
        if _holds(value, part):
            path.append(part)
            value = value[part]
        elif detail["type"] == "missing" and part == detail["loc"][-1]:
            path.append(part)
        elif part != "[key]":
            branches.append(tuple(path))
    at_key = detail["type"] == "extra_forbidden" or detail["loc"][-1:] == ("[key]",)
    return _Error(detail, tuple(path), tuple(branches), at_key)


def _holds(value: Any, part: Any) -> bool:
    if isinstance(value, Mapping):
        return part in value
    return isinstance(value, list | tuple) and isinstance(part, int) and part < len(value)


def _drop_shallow(found: Sequence[_Error]) -> list[_Error]:
    """Of a union, keep the branch that fitted best: the one whose errors lie deepest inside the value."""
    deeper = {branch for item in found for branch in item.branches if len(item.path) > len(branch)}
    return [item for item in found if not any(branch == item.path and branch in deeper for branch in item.branches)]


def _finding(group: Sequence[_Error], model: type[BaseModel]) -> Finding:
    """One finding for all errors of one place: the branches of a union that are of another type become one sentence."""
    telling = [item for item in group if item.detail["type"] not in _TYPES]
    first = (telling or group)[0]
    kind, value = first.detail["type"], first.detail["input"]
    if kind == "extra_forbidden":
        return Finding(first.path, "unknown field", _unknown_field(model, first.path), at_key=True)
    if kind == "missing":
        return Finding(first.path, "must be given; got nothing", _described(model, first.path))
    if kind in _TYPES:
        wanted = _either(_TYPES[item.detail["type"]] for item in group)
        return Finding(first.path, f"must be {wanted}; got {_kind_of(value)}", _type_hint(wanted, value))
    if kind == "literal_error":
        return _literal(first)
    if first.detail["loc"][-1:] == ("[key]",):
        value = first.path[-1]
    return Finding(first.path, _sentence(first.detail, value), _number_advice(value), first.at_key)


def _unknown_field(model: type[BaseModel], path: FieldPath) -> str:
    parts = models_at(model, path[:-1])
    hint = did_you_mean(str(path[-1])[:_LONGEST_WORD], {name for part in parts for name in fields(part)})
    elsewhere = next((part.unknown_key_hint for part in parts if issubclass(part, Part) and part.unknown_key_hint), "")
    return f"{elsewhere}; {hint}" if elsewhere and not hint.startswith("did you mean") else hint


def _described(model: type[BaseModel], path: FieldPath) -> str:
    infos = [info for part in models_at(model, path[:-1]) if (info := fields(part).get(str(path[-1])))]
    words = (infos[0].description or "").rstrip(".") if infos else ""
    return words if words[:2].isupper() else words[:1].lower() + words[1:]


def _literal(error: _Error) -> Finding:
    value, expected = error.detail["input"], str(error.detail["ctx"]["expected"])
    options = re.findall(r"'([^']*)'", expected)
    hint = ""
    if isinstance(value, str):
        hint = did_you_mean(value[:_LONGEST_WORD], options) if options else _number_advice(value)
    if options and not hint.startswith("did you mean"):
        hint = ""  # the message itself lists what there is
    got = repr(shown(value)) if isinstance(value, str) else _kind_of(value)
    return Finding(error.path, f"must be {expected.replace(chr(39), '')}; got {got}", hint)


def _either(words: Iterable[str]) -> str:
    unique = list(dict.fromkeys(words))
    if "a number" in unique and "a whole number" in unique:
        unique.remove("a whole number")
    kept = [word for word in unique if word != "nothing"] or unique
    return ", ".join(kept[:-1]) + ", or " + kept[-1] if len(kept) > 2 else " or ".join(kept)


def _kind_of(value: Any) -> str:
    """What was found where another type was expected."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return f"the text {shown(value)!r}"
    if isinstance(value, int | float):
        return f"the number {value!r}"
    return "a list" if isinstance(value, list | tuple) else "a mapping"


def _type_hint(wanted: str, value: Any) -> str:
    if "text" in wanted and isinstance(value, int | float):
        return f'put it in quotes: "{str(value).lower()}"'
    if "text" in wanted and isinstance(value, dict) and value and not any(value.values()):
        return "put text that begins with { in quotes"
    if "number" in wanted:
        return _number_advice(value)
    if wanted == "true or false" and isinstance(value, str) and value.lower() in ("true", "false"):
        return "remove the quotes"
    return ""


def _number_advice(value: Any) -> str:
    """How to write a number that YAML 1.1 reads as text; '' for what is no number."""
    if not isinstance(value, str) or len(value) > _LONGEST_WORD:
        return ""
    matches = ((pattern.fullmatch(value.strip()), advise) for pattern, advise in _MISWRITTEN)
    return next((advise(match) for match, advise in matches if match), "")


def _exponent_advice(match: re.Match[str]) -> str:
    mantissa, sign, exponent = match.groups()
    full = f"{mantissa if '.' in mantissa else mantissa + '.0'}e{sign or '+'}{exponent}"
    plain = f"{float(full):.12f}".rstrip("0").rstrip(".")
    short = len(plain) <= 14 and float(plain or 0) == float(full)
    return f"YAML reads {match[0]} as text; write {full}" + (f" or {plain}" if short else "")


_MISWRITTEN: tuple[tuple[re.Pattern[str], Callable[[re.Match[str]], str]], ...] = (
    (re.compile(r"([-+]?[0-9]+(?:\.[0-9]*)?|[-+]?\.[0-9]+)[eE]([-+]?)([0-9]{1,3})"), _exponent_advice),
    (re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*%"), lambda match: f"write {float(match[1]) / 100:g}"),
    (re.compile(r"([-+]?[0-9]+),([0-9]+)"), lambda match: f"write {match[1]}.{match[2]}"),
    (re.compile(r"[-+]?0+[0-9]+"), lambda match: f"write {int(match[0])}"),
    (re.compile(r"[-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)"), lambda match: "remove the quotes"),
)


def _sentence(detail: Mapping[str, Any], value: Any) -> str:
    kind, context = detail["type"], detail.get("ctx", {})
    if kind in ("value_error", "assertion_error"):
        return str(context["error"])
    got = shown(repr(value)) if isinstance(value, str | int | float) else _kind_of(value)
    if kind == "string_pattern_mismatch":
        wanted = _PATTERNS.get(context["pattern"], f"text that matches {context['pattern']}")
        return f"must be {wanted}; got {got}"
    if kind in _RULES:
        return f"{_RULES[kind](context)}; got {_size(value) if kind in _SIZES else got}"
    return f"{_plain_message(detail['msg'])}; got {got}"


_SIZES = ("string_too_short", "string_too_long", "too_short", "too_long")
_RULES: dict[str, Callable[[Mapping[str, Any]], str]] = {
    "greater_than": lambda context: f"must be more than {context['gt']:g}",
    "greater_than_equal": lambda context: f"must be at least {context['ge']:g}",
    "less_than": lambda context: f"must be less than {context['lt']:g}",
    "less_than_equal": lambda context: f"must be at most {context['le']:g}",
    "multiple_of": lambda context: f"must be a multiple of {context['multiple_of']:g}",
    "string_too_short": lambda context: f"must have {_count(context['min_length'], 'character')} or more",
    "string_too_long": lambda context: f"must have {_count(context['max_length'], 'character')} or fewer",
    "too_short": lambda context: f"must have {_count(context['min_length'], 'entry')} or more",
    "too_long": lambda context: f"must have {_count(context['max_length'], 'entry')} or fewer",
}


def _count(number: int, word: str) -> str:
    plural = word[:-1] + "ies" if word.endswith("y") else word + "s"
    return f"{number} {word if number == 1 else plural}"


def _size(value: Any) -> str:
    return str(len(value)) if isinstance(value, str | list | tuple | dict) else _kind_of(value)


def _plain_message(message: str) -> str:
    """pydantic's own words for what is not listed above, without their capital."""
    words = message.removeprefix("Input should be ").removeprefix("Value should be ")
    return f"must be {words}" if words != message else f"must be valid: {message[:1].lower()}{message[1:]}"
