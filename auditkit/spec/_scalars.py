"""YAML 1.1 scalars → values, refusing those that a person or another loader reads differently.

Only text, null, true, false, decimal integers and decimal fractions pass. PyYAML's own constructors are not used: they raise
bare ValueErrors on hostile text (``0b_``, ``2026-13-45``) and turn ``no``, ``012`` and ``12:30`` into something else silently.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Any

import yaml

from auditkit.text import one_line

_TAG = "tag:yaml.org,2002:"
_WORDS = {"yes": True, "on": True, "true": True, "no": False, "off": False, "false": False}
_INTEGER = re.compile(r"[-+]?(?:0|[1-9][0-9]{0,17})")
_FRACTION = re.compile(r"[-+]?(?:[0-9]+\.[0-9]*|\.[0-9]+)(?:[eE][-+][0-9]+)?")
_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff]")
_KEY_WORDS = re.compile(r"(?i)y|n|yes|no|on|off|true|false|null|~|")
_QUOTED = ("'", '"', "|", ">")
_LONGEST_SHOWN = 60  # characters of the spec's own text in a message


@dataclass(frozen=True, slots=True)
class Scalar:
    """A value, and what is wrong with the way it is written ('' where nothing is)."""

    value: Any
    """Where something is wrong: what the author most likely meant, so that the rest can be validated too."""
    message: str = ""
    hint: str = ""


def shown(text: str) -> str:
    """Text of the spec for a message: printable, short, on one line."""
    return one_line(text, _LONGEST_SHOWN)


def read_scalar(node: yaml.ScalarNode) -> Scalar:
    """The value of a scalar whose tag was resolved."""
    kind, text = node.tag.removeprefix(_TAG), node.value
    if kind == "str":
        return _text(text)
    if kind == "null":
        return Scalar(None)
    if kind == "bool":
        return _boolean(text)
    if kind in ("int", "float"):
        return _number(node, kind)
    reading = "which YAML reads as a date" if kind == "timestamp" else "which has a meaning of its own in YAML"
    return Scalar(text, f"must be text in quotes; got {shown(text)}, {reading}", f'write "{shown(text)}"')


def key_fault(node: yaml.ScalarNode) -> tuple[str, str]:
    """(message, hint) for a key that is not text in every loader; ('', '') for a good one."""
    text, plain = node.value, node.style not in _QUOTED
    if plain and _KEY_WORDS.fullmatch(text):
        reading = "empty" if not text else "true, false or null for many YAML loaders"
        return f"must be a text key; got {shown(text) or 'nothing'}, which is {reading}", "quote it or rename it"
    if plain and node.tag != _TAG + "str":
        return f"must be a text key; got {shown(text)}, which YAML does not read as text", "quote it or rename it"
    if found := _CONTROL.search(text):
        return _control(found[0]), ""
    return "", ""


def _text(text: str) -> Scalar:
    found = _CONTROL.search(text)
    return Scalar(text, _control(found[0])) if found else Scalar(text)


def _control(char: str) -> str:
    return f"must not hold control characters; got U+{ord(char):04X}"


def _boolean(text: str) -> Scalar:
    value = _WORDS[text.lower()]
    word = str(value).lower()
    if text.lower() == word:
        return Scalar(value)
    return Scalar(
        value,
        f"must be true or false, or text in quotes; got {text}, which YAML reads as {word}",
        f'write "{text}" for the text, {word} for the choice',
    )


def _number(node: yaml.ScalarNode, kind: str) -> Scalar:
    text = node.value
    if kind == "int" and _INTEGER.fullmatch(text):
        return Scalar(int(text))
    if kind == "float" and _FRACTION.fullmatch(text):
        value = float(text)
        return Scalar(value) if math.isfinite(value) else Scalar(0.0, f"must be a finite number; got {shown(text)}")
    if re.fullmatch(r"(?i)[-+]?\.(inf|nan)", text):
        return Scalar(0.0, f"must be a finite number; got {text}")
    if re.fullmatch(r"[-+]?[0-9]{19,}", text):
        return Scalar(0, f"must be a number of at most 18 digits; got {len(text)}")
    return _odd_number(node)


def _odd_number(node: yaml.ScalarNode) -> Scalar:
    """Octal, hexadecimal, binary, sexagesimal or with underscores: what YAML reads is rarely what was meant."""
    text = node.value
    reading = _yaml_reading(node)
    decimal = re.fullmatch(r"[-+]?0+([0-9]+)", text)
    meant = decimal[1] if decimal else reading
    as_read = f", which YAML reads as {reading}" if reading else ""
    advice = f'write {meant}, or "{shown(text)}" for text' if meant else f'write "{shown(text)}" for text'
    return Scalar(int(decimal[1]) if decimal else 0, f"must be in plain decimal digits; got {shown(text)}{as_read}", advice)


def _yaml_reading(node: yaml.ScalarNode) -> str:
    if len(node.value) > _LONGEST_SHOWN:
        return ""
    try:
        return str(yaml.SafeLoader("").construct_object(node))
    except (ValueError, OverflowError, yaml.YAMLError):
        return ""
