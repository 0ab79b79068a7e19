from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from auditkit.spec.schema import spec_schema
from auditkit.spec.starter import starter

COMMITTED = Path(__file__).parents[2] / "specs" / "auditspec.schema.json"


def test_the_committed_schema_is_that_of_the_models():
    assert json.loads(COMMITTED.read_text(encoding="utf-8")) == spec_schema(), (
        "run: auditkit schema spec > specs/auditspec.schema.json"
    )


def test_the_schema_is_a_schema():
    assert spec_schema()["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    jsonschema.Draft202012Validator.check_schema(spec_schema())


def properties(node: Any) -> list[tuple[str, Any]]:
    if isinstance(node, dict):
        own = list(node.get("properties", {}).items()) if isinstance(node.get("properties"), dict) else []
        return own + [found for value in node.values() for found in properties(value)]
    return [found for value in node for found in properties(value)] if isinstance(node, list) else []


def test_every_field_has_its_sentence():
    found = properties(spec_schema())
    assert len(found) > 60
    assert [name for name, value in found if not value.get("description")] == []


def test_every_part_refuses_unknown_keys():
    parts = [spec_schema(), *spec_schema()["$defs"].values()]
    assert all(part["additionalProperties"] is False for part in parts)


@pytest.mark.parametrize("text", ["good", "starter"])
def test_what_loads_fits_the_schema(text, good, load):
    content = good if text == "good" else starter()
    jsonschema.validate(yaml.safe_load(content), spec_schema())
    assert load(content)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("reference + 0.05", "reference plus 0.05"),
        ("at_most:", "at_mots:"),
        ("removal", "deletion"),
        ("confidence: 0.95", "confidence: 95"),
        ("  reference:", "  acme-7b:"),
    ],
)
def test_an_editor_sees_the_same_faults(old, new, good):
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(yaml.safe_load(good.replace(old, new, 1)), spec_schema())


def test_the_starter_begins_with_the_schema_and_names_every_part(load):
    text = starter()
    assert text.splitlines()[0] == "# yaml-language-server: $schema=auditspec.schema.json"
    assert all(f"{field}:" in text for field in ("models", "targets", "corpora", "require", "decide", "waivers", "report"))
    loaded = load(text)
    assert {"candidate", "original", "reference"} == set(loaded.spec.models)
    assert all(item.because for item in loaded.spec.require)


def test_the_starters_commented_lines_are_true_as_well(load):
    text = starter()
    block = text.split("# waivers:\n")[1].split("\n\n")[0]
    waivers = "waivers:\n" + "".join(f"{line.removeprefix('# ')}\n" for line in block.splitlines())
    assert load(text + waivers).spec.waivers
