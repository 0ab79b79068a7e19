"""The key that redacts a bundle: kept on this machine, never in the bundle.

The same spec keeps the same key on one machine, so that a resumed run writes the same bytes.
"""

from __future__ import annotations

import secrets

from auditkit.files import cache_folder, write_atomically


def audit_key(spec_digest: str) -> bytes:
    """The audit's secret key, made at first use and readable by its owner alone."""
    path = cache_folder() / "keys" / f"{spec_digest}.key"
    if not path.exists():
        write_atomically(path, secrets.token_hex(32))
        path.chmod(0o600)
    return bytes.fromhex(path.read_text())
