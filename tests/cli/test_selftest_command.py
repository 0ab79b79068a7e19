"""``auditkit selftest`` prints the matrix and leaves with a code; the models themselves are tests/zoo/test_selftest.py."""

import json

import pytest
from click.testing import CliRunner

from auditkit.cli.main import cli
from auditkit.evidence.selftest import NotBuiltDoc
from auditkit.zoo import selftest
from tests.reporting import sample_selftest as sample


def ran(monkeypatch, tmp_path, doc, *words):
    monkeypatch.setattr(selftest, "selftest", lambda *_, **__: doc)
    result = CliRunner().invoke(cli, ["selftest", "--out", str(tmp_path), *words], standalone_mode=False)
    return result.return_value, result.output


@pytest.mark.parametrize(
    ("truth", "verdict", "code"),
    [
        ("must fail", "FAIL", 0),
        ("must fail", "PASS", 1),
        ("must fail", "INCOMPLETE", 0),
        ("must pass", "PASS", 0),
        ("must pass", "FAIL", 1),
        ("must not decide", "PASS", 1),
        ("must not decide", "INCOMPLETE", 0),
        ("at the bound", "PASS", 0),
        ("must fail", "ERROR", 3),
    ],
)
def test_a_wrong_verdict_is_exit_1_and_a_broken_audit_exit_3(monkeypatch, tmp_path, truth, verdict, code):
    doc = sample.selftest(cases=[sample.case("Z3", "refusal", 0, truth, verdict)], not_built=[])
    found, printed = ran(monkeypatch, tmp_path, doc)
    assert found == code
    assert (truth in printed and "miss rate" in printed) or "0 of 0 models" in printed
    assert json.loads((tmp_path / "selftest.json").read_text())["cases"][0]["verdict"] == verdict
    assert (tmp_path / "selftest.html").read_text().startswith("<!doctype html>")


def test_a_model_that_is_not_what_it_promises_or_no_model_at_all_is_no_success(monkeypatch, tmp_path):
    unbuilt = NotBuiltDoc(label="Z3", construction="refusal", why="forget asked must be at most 0.05; got 0.300")
    doc = sample.selftest(
        cases=[sample.case("Z1", "retrained", 0, "must pass", "PASS")], not_built=[*selftest.NOT_BUILT, unbuilt]
    )
    code, printed = ran(monkeypatch, tmp_path, doc)
    assert code == 3 and "not audited: Z3 refusal: forget asked" in printed
    assert ran(monkeypatch, tmp_path, sample.selftest(cases=[], not_built=[]))[0] == 3


def test_an_unknown_construction_is_refused_before_anything_is_built(tmp_path):
    result = CliRunner().invoke(cli, ["selftest", "--only", "refusl", "--out", str(tmp_path)], standalone_mode=False)
    assert "unknown construction 'refusl'" in str(result.exception) and not list(tmp_path.iterdir())
