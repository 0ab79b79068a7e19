"""What a report may not conclude. It says what was not found, under which attacks, and never that something is gone.

The words below occur nowhere in text that auditkit writes. ``removal`` names an intent and a kind of result, in fixed phrases
alone. What a spec, a model or a corpus says is quoted as it stands.
"""

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

import auditkit
from auditkit.checks import CHECKS
from auditkit.evidence.results import OutcomeDoc, Results
from auditkit.reporting import github_annotations, render_all
from auditkit.reporting._words import glossary
from auditkit.reporting.comparison import render_comparison
from auditkit.reporting.comparison_table import render_comparison_table
from auditkit.reporting.html import templates_folder
from auditkit.reporting.terminal import render_terminal
from tests.reporting.sample_attacks import OUTCOME, attacked_rows
from tests.reporting.sample_comparison import comparison
from tests.reporting.sample_results import requirement, results

CONCLUSIONS = re.compile(r"\b(removed|erased|deleted|complian(t|ce)|complies|comply)\b", re.IGNORECASE)
ALLOWED: tuple[str, ...] = ()
"""Fixed sentences that deny or define one of the words, in full. There is none, and each would need its reason here."""
REMOVAL = (
    "consistent with removal",
    "intent: removal",
    "suppression, not removal",
    "Removal, suppression",
    "Removal means that the knowledge is gone from the weights; it is never shown, only not refuted by the attacks tried.",
    "Removal from the weights does not prevent use of the same knowledge",
)
"""Every phrase in which the word may stand: an intent, a kind of result, a denial, a definition."""
FROM_THE_SPEC = ("the deleted records", "the records")
"""A requirement's name in the samples, which a user wrote, and what stands for it here."""
ROOMS = ("checks", "attacks", "decisions", "evidence", "reporting", "measurement", "unlearning")
KINDS = tuple(glossary().outcomes)
VERDICTS = tuple(glossary().verdicts)


def _concluding(text: str) -> list[str]:
    for phrase in ALLOWED:
        text = text.replace(phrase, "")
    return [text[max(0, found.start() - 60) : found.end() + 20] for found in CONCLUSIONS.finditer(text)]


def _claiming_removal(text: str) -> list[str]:
    folded = re.sub(r"<[^>]*>|&#?\w+;|\\u\{..\}", " ", text)
    folded = re.sub(r"\s+", " ", folded)
    for phrase in REMOVAL:
        folded = re.sub(re.escape(phrase).replace(r"\ ", " ?"), "", folded, flags=re.IGNORECASE)
    return [
        folded[max(0, found.start() - 60) : found.end() + 20] for found in re.finditer(r"\bremoval\b", folded, re.IGNORECASE)
    ]


@cache
def _outcome(kind: str) -> OutcomeDoc:
    claim = "L3" if kind == "consistent with removal" else "none"
    sentence = "No evidence of the data was found under the attacks tried." if claim == "L3" else "It is open."
    return OUTCOME.model_copy(update={"kind": kind, "claim": claim, "sentence": sentence})


def _audit(kind: str, verdict: str, intent: str) -> Results:
    rows = [*results().requirements, *attacked_rows()]
    found = results(rows, verdict=verdict, intent=intent, outcome=_outcome(kind), summary="One sentence.")
    return Results.model_validate_json(found.model_dump_json().replace(*FROM_THE_SPEC))


def _files(found: Results) -> dict[str, str]:
    files = render_all(found, {})
    return {**files, "terminal": render_terminal(found), "annotations": github_annotations(found, "spec.yaml")}


@pytest.mark.parametrize(("kind", "intent"), [(kind, ("removal", "suppression")[i % 2]) for i, kind in enumerate(KINDS)])
def test_no_kind_of_result_is_reported_as_something_gone(kind: str, intent: str) -> None:
    found = _audit(kind, VERDICTS[KINDS.index(kind) % len(VERDICTS)], intent)
    for name, text in _files(found).items():
        assert _concluding(text) == [], name
        assert _claiming_removal(text) == [], name


@pytest.mark.parametrize("verdict", VERDICTS)
@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_with_every_verdict_prints_its_own_name_and_no_other(kind: str, verdict: str) -> None:
    found = results([requirement()], verdict=verdict, outcome=_outcome(kind), summary="One sentence.", waivers=[])
    files = _files(found)
    for name in ("report.html", "junit.xml", "summary.md", "terminal"):
        assert kind in files[name], name
        assert _concluding(files[name]) == [], name
    for other in KINDS:
        assert other == kind or f"Kind of result: {other}" not in files["terminal"]


def test_the_texts_of_every_check_are_searched() -> None:
    rows = [requirement(number, check=name, name=name) for number, name in enumerate(CHECKS.names(), start=1)]
    text = render_all(results(rows, waivers=[]), {})["report.html"]
    assert all(f"<dd>{CHECKS.get(name).title}" in text for name in CHECKS.names())
    assert _concluding(text) == []


def test_a_comparison_concludes_no_more() -> None:
    for text in (*render_comparison(comparison()).values(), render_comparison_table(comparison())):
        assert _concluding(text) == []


def _written(path: Path) -> Iterator[str]:
    """String literals of a module, docstrings aside."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    described = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in described:
            yield node.value


def test_no_fixed_text_holds_the_words() -> None:
    package = Path(auditkit.__file__).parent
    modules = [path for room in ROOMS for path in (package / room).rglob("*.py")]
    assert len(modules) > 100
    for path in modules:
        assert [found for text in _written(path) for found in _concluding(text)] == [], path
    fixed = [*(package / "reporting" / "data").glob("*.yaml"), *templates_folder().rglob("*.j2")]
    assert len(fixed) > 20
    for path in fixed:
        lines = [line for line in path.read_text(encoding="utf-8").splitlines() if not line.lstrip().startswith("#")]
        assert _concluding("\n".join(lines)) == [], path


def test_the_search_would_find_them() -> None:
    assert len(_concluding("It was Removed, erased,\nand is compliant.")) == 3
    assert _concluding("Irremovable; a deletion request") == []
    assert _claiming_removal("<b>Removal</b> is shown") != []
    assert _claiming_removal("Kind: consistent\n with removal.") == []
