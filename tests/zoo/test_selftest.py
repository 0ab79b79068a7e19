"""The quick self-test: seven models whose truth is known, built, verified and audited with the shipped profiles."""

import pytest
from filelock import FileLock

from auditkit.decisions.matrix import score
from auditkit.evidence.selftest import SelftestDoc
from auditkit.measurement.progress import Silent
from auditkit.reporting.selftest import render_selftest
from auditkit.zoo.selftest import NOT_BUILT, QUICK, quick, selftest, site_of

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def doc(shared_tmp):
    path = shared_tmp / "selftest.json"
    with FileLock(f"{path}.lock"):
        if not path.exists():
            made = selftest(quick(shared_tmp / "selftest"), progress=Silent(), note=print)
            path.write_text(made.model_dump_json())
    return SelftestDoc.model_validate_json(path.read_text())


def test_every_construction_is_what_it_promises(doc):
    assert doc.not_built == list(NOT_BUILT)
    assert [case.construction for case in doc.cases] == list(QUICK)
    assert all(case.verification for case in doc.cases)


def test_no_model_that_must_fail_passes_and_none_that_must_pass_fails(doc):
    found = score(doc.cases)
    assert found.misses.models.hits == 0, [case.label for case in doc.cases if case.verdict == "PASS"]
    assert found.false_alarms.models.hits == 0
    assert not [case for case in doc.cases if case.verdict == "ERROR"]


def test_the_retrained_model_passes_and_everything_else_fails(doc):
    assert {case.construction: case.verdict for case in doc.cases} == {
        name: "PASS" if name == "retrained" else "FAIL" for name in QUICK
    }


def test_no_cell_is_the_opposite_of_what_was_written_down_before(doc):
    """An abstention is recorded and shown; P in place of F, or F in place of P, is a finding."""
    assert not [(case.construction, text) for case in doc.cases for text in case.deviations if not text.endswith("found I")]


def test_the_page_shows_every_model(doc):
    page = render_selftest(doc)
    assert all(case.title in page for case in doc.cases)


def test_a_model_is_the_same_bits_whoever_makes_it(doc, tmp_path, monkeypatch):
    from dataclasses import replace

    from auditkit.files import file_digest
    from auditkit.zoo.constructions import CONSTRUCTIONS

    site = site_of(doc.seeds[0])
    there = CONSTRUCTIONS.get("broken").build(site).path
    again = replace(site, folder=tmp_path)
    monkeypatch.setattr(type(again), "original", site.original)
    anew = CONSTRUCTIONS.get("broken").build(again).path
    assert anew != there and file_digest(anew / "model.safetensors") == file_digest(there / "model.safetensors")
