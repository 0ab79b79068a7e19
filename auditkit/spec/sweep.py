"""``methods:`` and ``grid:`` spelt out: one spec for each candidate, as overrides of the one that was written."""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping, Sequence
from typing import Any

from auditkit.errors import Problem, SpecError
from auditkit.spec.load import Loaded

MOST = 200
"""Candidates of one sweep."""


def is_sweep(loaded: Loaded) -> bool:
    """Whether the spec asks for several candidates."""
    return bool(loaded.spec.methods or loaded.spec.grid)


def variants(loaded: Loaded, knows: Any) -> dict[str, tuple[str, ...]]:
    """Candidate → the overrides that make the spec its own.

    ``knows(method, parameter)`` says whether a method has a parameter: what the candidate's ``unlearn`` and the grid share out
    goes to the methods that have it, and must be known to one at least. Raises SpecError.
    """
    spec = loaded.spec
    shared = dict(spec.models["candidate"].unlearn or {})
    own_method = shared.pop("method", None)
    listed = {name: {"method": name, **words} for name, words in spec.methods.items()}
    methods: Mapping[str, Mapping[str, Any]] = listed or {str(own_method or "candidate"): {"method": own_method}}
    _refuse_strangers(loaded, [str(words["method"]) for words in methods.values()], shared, knows)
    found: dict[str, tuple[str, ...]] = {}
    for name, words in methods.items():
        method = str(words["method"])
        common = {key: value for key, value in shared.items() if knows(method, key)}
        axes = {key: values for key, values in spec.grid.items() if knows(method, key) and key not in words}
        for point in itertools.product(*axes.values()):
            chosen = dict(zip(axes, point, strict=True))
            found[_label(name, chosen)] = _overrides({**common, **chosen, **words})
    if len(found) > MOST:
        raise SpecError(loaded.problem(("grid",), f"must make at most {MOST} candidates; got {len(found)}"))
    return found


def _refuse_strangers(loaded: Loaded, methods: Sequence[str], shared: Mapping[str, Any], knows: Any) -> None:
    problems: list[Problem] = []
    for where, names in ((("models", "candidate", "unlearn"), shared), (("grid",), loaded.spec.grid)):
        for name in names:
            if not any(knows(method, name) for method in methods):
                problems.append(loaded.problem((*where, name), f"must be a parameter of one of the methods; got {name!r}"))
    if problems:
        raise SpecError(problems)


def _label(name: str, chosen: Mapping[str, Any]) -> str:
    return ",".join([name, *(f"{key}={value}" for key, value in chosen.items())])


def _overrides(words: Mapping[str, Any]) -> tuple[str, ...]:
    return (f"models.candidate.unlearn={json.dumps(words)}", "methods={}", "grid={}")
