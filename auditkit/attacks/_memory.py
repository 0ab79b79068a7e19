"""What an attack computed once and need not compute again, in the user's cache."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from auditkit.files import cache_folder, digest, write_atomically

if TYPE_CHECKING:
    from auditkit.attacks._attack import Target


def identity(target: Target) -> str:
    """Digest of the attacked model as it runs: its files, what was done to it, its precision and device."""
    from auditkit.models.checkpoint import fingerprint
    from auditkit.models.device import device_kind, resolve_device, resolve_dtype

    device = resolve_device(target.manner.device)
    precision = resolve_dtype(target.manner.dtype, device=device)
    return digest([fingerprint(target.source).digest, target.interventions, precision, device_kind(device)])


def remembered(key: list[Any], compute: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """``compute()``, plain JSON, or what it gave for an equal key before."""
    path = cache_folder() / "attacked" / f"{digest(key)}.json"
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, json.dumps(compute()))
    found: dict[str, Any] = json.loads(path.read_text())
    return found
