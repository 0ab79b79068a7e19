"""Readers of files, one a file, named after the ending: ``FORMAT`` takes a path and gives rows."""

from __future__ import annotations

from auditkit.corpora.rows import Reader
from auditkit.registry import Registry

FORMATS: Registry[Reader] = Registry("corpus format", "auditkit.corpora.formats", "FORMAT")
