"""Model → model: teaching it, and making it forget; one method a file."""

from __future__ import annotations

from typing import Any

from auditkit.registry import Registry
from auditkit.unlearning._doses import Course, doses, teach_in_doses, with_dose
from auditkit.unlearning._make import chosen_method, find, materialise
from auditkit.unlearning._method import Method, Stop
from auditkit.unlearning._note import read_note, was_taught
from auditkit.unlearning._pupil import Manner, Pupil
from auditkit.unlearning._teach import teach, teach_adapter

__all__ = [
    "METHODS",
    "Course",
    "Manner",
    "Method",
    "Pupil",
    "Stop",
    "chosen_method",
    "doses",
    "find",
    "materialise",
    "read_note",
    "teach",
    "teach_adapter",
    "teach_in_doses",
    "was_taught",
    "with_dose",
]

METHODS: Registry[Method[Any]] = Registry("unlearning method", "auditkit.unlearning", "METHOD")
