from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from auditkit.errors import SpecError
from auditkit.spec.load import Loaded, load_spec

slow = settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])


def attempt(content: bytes, **options: object) -> Loaded | SpecError:
    """Loads, or gives the SpecError; anything else is a failure of the test."""
    handle, name = tempfile.mkstemp()
    try:
        os.write(handle, content)
        os.close(handle)
        return load_spec(Path(name), **options)  # type: ignore[arg-type]
    except SpecError as error:
        assert all("\n" not in str(problem) and str(problem).isprintable() for problem in error.problems)
        return error
    finally:
        Path(name).unlink()


@slow
@given(st.binary(max_size=400))
def test_any_bytes(content):
    assert isinstance(attempt(content), SpecError)


@slow
@given(st.text(alphabet=st.sampled_from("ab:-[]{},&*!|>'\"%@`#?\n \t~=<0123.\\é\u2028\x85"), max_size=120))
def test_any_text_of_yaml_characters(text):
    assert isinstance(attempt(text.encode()), SpecError)


scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=20)
    | st.dates()
    | st.datetimes()
    | st.sampled_from(["no", "1e-3", "012", "0b_", "0x_", "reference + 1", "=", "<<", "2026-13-45", "./a", "a/b"])
)
trees = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4), max_leaves=12
)
FIELDS = [
    *("auditkit", "title", "intent", "seed", "models", "targets", "corpora", "profile", "require", "decide", "waivers"),
    *("report", "candidate", "checkpoint", "from", "finetune", "unlearn", "lora", "file", "columns", "where", "sample", "n"),
    *("access", "omissions", "item", "limits", "sequential"),
    *("check", "name", "corpus", "with", "under", "at_most", "at_least", "between", "confidence"),
]
likely = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(FIELDS), inner, max_size=5),
    max_leaves=20,
)


@slow
@given(trees | likely)
def test_any_yaml(value):
    attempt(yaml.safe_dump(value, allow_unicode=True).encode("utf-8", "surrogatepass"))


@slow
@given(field=st.sampled_from(FIELDS), value=likely)
def test_any_value_in_a_good_spec(field, value, good):
    spec = yaml.safe_load(good)
    spec[field] = value
    attempt(yaml.safe_dump(spec, allow_unicode=True).encode("utf-8", "surrogatepass"))
    attempt(good.encode(), overrides=[f"{field}={yaml.safe_dump(value, default_flow_style=True, allow_unicode=True)}"])


@slow
@given(argument=st.text(max_size=60))
def test_any_override(argument, good):
    attempt(good.encode(), overrides=[argument])
    attempt(good.encode(), overrides=[f"require.0.{argument}"])


@pytest.mark.parametrize(
    "text",
    [
        "a: &a [x]\nb: [*a, *a]\n",
        "a: &a {x: &b {y: *a}}\n",
        "[" * 100_000,
        "{a: " * 50_000,
        "- " * 200_000,
        "? " * 100_000,
        "!!python/object/apply:os.system ['true']",
        "!!binary aGVsbG8=",
        "%YAML 9.9\n---\na: 1",
        "%TAG ! tag:evil,2000:\n---\n!x a",
        "a: 0b_\nb: 0x_\nc: 2026-13-45\nd: 9:99999:9\ne: " + "1" * 5000,
        "a: .nan\nb: .inf\nc: 1.0e+999\n",
        '"\\ud800": 1',
        "a: 1\r\rb: 2\x85c: 3\u2028d: 4",
        "\ufeff\ufeffa: 1",
        "a: |" + "\n " * 10_000,
        "x" * 999_000,
        "'" + "x" * 900_000 + "': 1",
    ],
    ids=range(18),
)
def test_known_bombs_end_in_words(text):
    error = attempt(text.encode())
    assert isinstance(error, SpecError)
    assert all(len(str(problem)) < 1000 for problem in error.problems)


def test_without_libyaml_the_refusals_are_the_same(monkeypatch, good, faults):
    from auditkit.spec import _document

    monkeypatch.setattr(_document, "_LOADER", yaml.SafeLoader)
    assert faults("[" * 2000)[0].endswith("must be nested at most 50 deep; got more")
    assert faults(good.replace("Release gate", "&x gate"))[0].startswith("spec.yaml:2:8: must not use anchors; got &x")
    assert faults(good.replace("at_most:", "at_mots:")) == [
        "spec.yaml:16:5: require.0.at_mots: unknown field; did you mean 'at_most'?"
    ]
    assert faults(good.replace("decide:", "on: 1\ndecide:"))[0].startswith("spec.yaml:20:1: on: must be a text key; got on")
