"""The JSON Schema of a spec, made from the models: what editors complete and check against."""

from __future__ import annotations

from typing import Any

from auditkit.spec.model import Spec


def spec_schema() -> dict[str, Any]:
    """Draft 2020-12. ``specs/auditspec.schema.json`` is this, and a test keeps the two equal."""
    schema = Spec.model_json_schema(by_alias=True, mode="validation")
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **schema,
        "title": "auditkit spec",
    }
