"""Kind of result, claim level, what was left out and the attacks with budgets stand with the verdict in every format."""

import re
from xml.etree import ElementTree

import pytest

from auditkit.evidence.results import Results
from auditkit.reporting import FORMATS, Report
from auditkit.reporting._outcome import facts
from auditkit.reporting._words import wording
from auditkit.reporting.html import render_html
from auditkit.reporting.terminal import render_terminal
from tests.reporting.sample_attacks import OUTCOME, attacked
from tests.reporting.sample_results import TEXTS, hostile, passing, requirement, results


def _verdict_block(found: Results) -> str:
    return re.search(r'<section id="verdict".*?</section>', render_html(found, {}, TEXTS), re.DOTALL)[0]


def _summary(found: Results) -> str:
    return FORMATS.get("summary").render(Report(found))


def _properties(found: Results, place: int = 0) -> list[tuple[str, str]]:
    root = ElementTree.fromstring(FORMATS.get("junit").render(Report(found)).encode())
    case = list(root.iter("testcase"))[place]
    return [(one.get("name"), one.get("value")) for one in case.iter("property")]


def _folded(text: str) -> str:
    return " ".join(text.split())


def test_the_page_prints_all_four_beneath_the_verdict() -> None:
    block = _verdict_block(attacked())
    headings = re.findall(r"<dt>(.*?)</dt>", block)
    assert headings[:4] == ["Kind of result", "Claim level", "Left out", "Attacks tried"]
    assert "<span>suppression</span>" in block
    for text in (OUTCOME.sentence, OUTCOME.claim_sentence, *OUTCOME.omitted):
        assert text in block
    assert [item for item in re.findall(r"<li>(.*?)</li>", block) if item in OUTCOME.attacks] == OUTCOME.attacks


def test_the_summary_prints_all_four_before_the_table() -> None:
    text = _summary(attacked())
    head = text[: text.index("| Requirement |")]
    assert "**Kind of result:** suppression. Not shown under direct questions" in head
    assert "**Claim level:** L1&#58; not extractable through the interface" in head
    assert "**Left out:** Direction ablation&#58; no time before the release" in head
    assert "**Attacks tried:**\n\n- Other wordings (5 wordings of each question)\n- Round the weights (8 bit, 4 bit)\n" in head


def test_the_terminal_prints_all_four_before_the_verdict() -> None:
    lines = render_terminal(attacked()).splitlines()
    starts = [line.partition(":")[0] for line in lines if line.startswith(("Kind", "Claim", "Left", "Attacks", "FAIL"))]
    assert starts == ["Kind of result", "Claim level", "Left out", "Attacks tried", "FAIL"]
    assert "Attacks tried: Other wordings (5 wordings of each question); Round the weights (8 bit, 4 bit)" in _folded(
        "\n".join(lines)
    )
    assert max(map(len, lines)) <= 100


def test_junit_has_them_as_properties_of_the_verdict_and_stays_valid() -> None:
    assert _properties(attacked()) == [
        ("kind of result", f"suppression. {OUTCOME.sentence}"),
        ("claim level", OUTCOME.claim_sentence),
        ("left out", OUTCOME.omitted[0]),
        *(("attacks tried", attack) for attack in OUTCOME.attacks),
    ]


def test_junit_names_attack_and_recovery_of_a_requirement() -> None:
    rows = dict(_properties(attacked(), 3))
    assert rows["under"] == "Round the weights (8 bit, 4 bit)"
    assert rows["recovery"] == "0.800 [0.710, 0.890]"
    assert {"under", "recovery"}.isdisjoint(dict(_properties(attacked(), 1)))


def test_results_of_an_earlier_version_say_that_the_kind_is_not_known() -> None:
    found = passing()
    assert found.outcome is None
    words = wording().outcome
    assert facts(found) == [("Kind of result", [words.unknown]), ("Attacks tried", [words.no_attack])]
    for text in (_verdict_block(found), _summary(found), _folded(render_terminal(found))):
        assert "Not computed; these results were made by a version" in text
        assert "cannot tell knowledge that is gone from knowledge that is hidden" in text


def test_nothing_left_out_and_nothing_tried_are_said() -> None:
    outcome = OUTCOME.model_copy(update={"omitted": [], "attacks": []})
    printed = dict(facts(results([requirement()], outcome=outcome)))
    assert printed["Left out"] == [wording().outcome.nothing_omitted]
    assert printed["Attacks tried"] == [wording().outcome.no_attack]
    assert dict(facts(attacked(outcome=outcome)))["Attacks tried"][0] == "Other wordings (5 wordings of each question)"


@pytest.mark.parametrize("kind", ["not unlearned", "consistent with removal", "inconclusive", "collapse", "over-unlearned"])
def test_every_kind_has_its_word_and_its_icon(kind: str) -> None:
    block = _verdict_block(attacked(outcome=OUTCOME.model_copy(update={"kind": kind})))
    assert re.search(rf'<span class="badge \w+"><svg class="icon".*?</svg><span>{kind}</span></span>', block)


def test_access_stands_with_the_scope() -> None:
    scope = re.search(r'<section id="scope".*?</section>', render_html(attacked(), {}, TEXTS), re.DOTALL)[0]
    assert "<dt>Access assumed</dt><dd>weights<br>" in scope
    assert "Access assumed" not in render_html(passing(), {}, TEXTS)


def test_hostile_text_of_an_outcome_stays_text() -> None:
    assert "<script" not in _verdict_block(hostile())
    head = _summary(hostile()).partition("| Requirement |")[0]
    assert not re.search(r"<\w|`|\]\(|\x1b|\u202e|://|(?<!\w)@", head)
    assert dict(_properties(hostile()))["left out"].startswith("<script>")
