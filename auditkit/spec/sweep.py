"""``methods:`` and ``grid:`` spelt out: one spec for each candidate, as overrides of the one that was written."""

from __future__ import annotations

import itertools
import json
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from auditkit.errors import Problem, SpecError
from auditkit.spec._document import FieldPath
from auditkit.spec.load import Loaded

MOST = 200
"""Candidates of one sweep."""

_UNLEARN: FieldPath = ("models", "candidate", "unlearn")
_LONGEST_VALUE = 40  # characters of a grid's value in a label
_LONGEST_LABEL = 120  # a folder's name has at most 255, and more is put before and behind it

Knows = Callable[[str, str], bool]


@dataclass(frozen=True)
class Variant:
    """One candidate of a sweep."""

    overrides: tuple[str, ...]
    """``path=value``, on top of those that the spec was loaded with: the spec in which it is the only candidate."""
    origins: Mapping[str, FieldPath]
    """Where the spec gives each parameter, ``method`` among them: overrides have no line of their own."""

    def located(self, loaded: Loaded, problem: Problem) -> Problem:
        """A Problem of the candidate's own spec, at the place of the sweep's spec that it comes from."""
        if problem.file != f"--set {'.'.join(map(str, _UNLEARN))}":
            return problem
        key, _, rest = problem.where.partition(".")
        path = self.origins.get(key, self.origins["method"][:-1])
        more = tuple(rest.split(".")) if rest else ()
        return loaded.problem((*path, *more), problem.message, problem.hint)


def is_sweep(loaded: Loaded) -> bool:
    """Whether the spec asks for several candidates."""
    return bool(loaded.spec.methods or loaded.spec.grid)


def variants(loaded: Loaded, knows: Knows) -> dict[str, Variant]:
    """Candidates by name, which is safe as the name of a folder.

    ``knows(method, parameter)`` says whether a method has a parameter: what the candidate's ``unlearn`` and the grid share out
    goes to the methods that have it, and must be known to one at least. Raises SpecError.
    """
    spec = loaded.spec
    shared = dict(spec.models["candidate"].unlearn or {})
    own = shared.pop("method", None)
    methods = {name: {"method": name, **words} for name, words in spec.methods.items()} or {str(own): {"method": own}}
    _refuse_strangers(loaded, [str(words["method"]) for words in methods.values()], shared, knows)
    _refuse_too_many(loaded, methods, knows)
    found: dict[str, Variant] = {}
    for name, words in methods.items():
        method = str(words["method"])
        common = {key: value for key, value in shared.items() if knows(method, key)}
        axes = _axes(loaded, words, knows)
        listed: FieldPath = ("methods", name) if spec.methods else _UNLEARN
        origins = {key: (*_UNLEARN, key) for key in common} | {key: ("grid", key) for key in axes}
        origins |= {key: (*listed, key) for key in words}
        for point in itertools.product(*axes.values()):
            chosen = dict(zip(axes, point, strict=True))
            made = Variant(_overrides({**common, **chosen, **words}), origins)
            found[_free(_label(name, chosen), found)] = made
    return found


def _axes(loaded: Loaded, words: Mapping[str, Any], knows: Knows) -> dict[str, list[Any]]:
    """The part of the grid that is one method's: what it gives itself stands."""
    method = str(words["method"])
    return {key: values for key, values in loaded.spec.grid.items() if knows(method, key) and key not in words}


def _refuse_strangers(loaded: Loaded, methods: Sequence[str], shared: Mapping[str, Any], knows: Knows) -> None:
    problems: list[Problem] = []
    for where, names in ((_UNLEARN, shared), (("grid",), loaded.spec.grid)):
        for name in names:
            if not any(knows(method, name) for method in methods):
                message = f"must be a parameter of one of the methods ({', '.join(dict.fromkeys(methods))}); got {name!r}"
                hint = "`auditkit show METHOD` lists a method's parameters"
                problems.append(loaded.problem((*where, name), message, hint, at_key=True))
    if problems:
        raise SpecError(problems)


def _refuse_too_many(loaded: Loaded, methods: Mapping[str, Mapping[str, Any]], knows: Knows) -> None:
    """Before any is made: ten values of each of ten parameters are ten thousand million."""
    count = sum(math.prod(map(len, _axes(loaded, words, knows).values())) for words in methods.values())
    if count > MOST:
        hint = "fewer values, or several specs"
        raise SpecError(loaded.problem(("grid",), f"must make at most {MOST} candidates; got {count:,}", hint))


def _label(name: str, chosen: Mapping[str, Any]) -> str:
    """``npo,lr=0.001``: letters, digits and ``,=._+-`` alone, whatever the values are."""
    return ",".join([name, *(f"{key}={_word(value)}" for key, value in chosen.items())])[:_LONGEST_LABEL].rstrip(".")


def _word(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value)
    return re.sub(r"[^A-Za-z0-9._+-]+", "_", text).strip("_")[:_LONGEST_VALUE]


def _free(label: str, taken: Mapping[str, Any]) -> str:
    """The label, with a number where another has the same; folders of some systems know no capitals."""
    known = {other.casefold() for other in taken}
    free, number = label, 1
    while free.casefold() in known:
        number += 1
        free = f"{label},{number}"
    return free


def _overrides(words: Mapping[str, Any]) -> tuple[str, ...]:
    return (f"{'.'.join(map(str, _UNLEARN))}={_yaml(words)}", "methods={}", "grid={}")


def _yaml(value: Any) -> str:
    """A value in YAML's flow style, which reads it as what it is: JSON does not do, for its 1e-05 is a text in YAML 1.1."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{_yaml(str(key))}: {_yaml(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_yaml, value)) + "]"
    if isinstance(value, float):
        digits, exponent, power = repr(value).partition("e")
        return f"{digits}{'' if '.' in digits else '.0'}{exponent}{power}"
    if isinstance(value, str):
        # JSON writes what lies above U+FFFF as two surrogates, which YAML does not join again.
        quoted = json.dumps(value, ensure_ascii=False)
        return re.sub(r"[^\x20-\x7e]", lambda found: f"\\U{ord(found[0]):08x}", quoted)
    return json.dumps(value)
