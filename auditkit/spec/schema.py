"""The JSON Schema of a spec, made from the models: what editors complete and check against."""

from __future__ import annotations

from typing import Any

from auditkit.spec.model import Spec


def spec_schema() -> dict[str, Any]:
    """Draft 2020-12. ``specs/auditspec.schema.json`` is this, and a test keeps the two equal."""
    schema = _closed(Spec.model_json_schema(by_alias=True, mode="validation"))
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema, "title": "auditkit spec"}


def _closed(node: Any) -> Any:
    """The same, where names that do not match their pattern are refused; pydantic leaves such mappings open."""
    if isinstance(node, list):
        return [_closed(item) for item in node]
    if not isinstance(node, dict):
        return node
    inner = {key: _closed(value) for key, value in node.items()}
    return {"additionalProperties": False, **inner} if "patternProperties" in inner else inner
