"""A checkpoint on disk, before it is loaded: what speaks against it, its files and its fingerprint. No torch here."""

from __future__ import annotations

from auditkit.models._digests import Entry, Manifest, changed, fingerprint, manifest
from auditkit.models._inspect import inspect

__all__ = ["Entry", "Manifest", "changed", "fingerprint", "inspect", "manifest"]
