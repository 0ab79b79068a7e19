"""The section on attacks: the numbers of the results, every attack in plain words, and text as text."""

import re
from functools import cache
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser

from auditkit.attacks import FAMILIES
from auditkit.evidence.results import AttackDoc, BoundDoc, EstimateDoc
from auditkit.reporting._attacks import Attempt, Family, section
from auditkit.reporting._probing import OTHER, family, gap_text, probing, recovery_text, settings
from auditkit.reporting._words import explanations, wording
from auditkit.reporting.html import render_html
from tests.reporting.sample_attacks import ATTACKS, PARAPHRASE, QUANTISE, RELEARN, UNDEFINED, attacked, lens, under
from tests.reporting.sample_results import TEXTS, estimate, hostile, passing, requirement, results

NO_BREAK = "\u00a0"


@cache
def _page() -> str:
    return render_html(attacked(), {}, TEXTS)


def _section(text: str) -> str:
    found = re.search(r'<section id="attacks".*?</section>', text, re.DOTALL)
    assert found
    return found[0].replace(NO_BREAK, " ")


def _families(*rows) -> dict[str, Family]:
    found = attacked() if not rows else attacked().model_copy(update={"requirements": list(rows)})
    shown = section(found, {doc.slug: f"r{place}" for place, doc in enumerate(found.requirements, start=1)})
    return {one.key: one for one in shown.families}


def _only(*rows) -> Attempt:
    (one,) = _families(*rows).values()
    (attempt,) = one.attempts
    return attempt


def test_without_attacks_one_sentence_says_so_and_what_it_means() -> None:
    text = _section(render_html(passing(), {}, TEXTS))
    assert re.findall(r"<p>(.*?)</p>", text) == [wording().outcome.no_attack]
    assert "cannot tell knowledge that is gone from knowledge that is hidden" in text
    assert "<figure" not in text
    assert "drawn together in section" not in render_html(passing(), {}, TEXTS)


def test_families_stand_from_what_anyone_can_do_to_what_takes_the_weights() -> None:
    titles = re.findall(r'<h3 id="attacks-.*?">(.*?)</h3>', _section(_page()))
    words = explanations().families
    assert titles == [words[key].term for key in (*FAMILIES, "several", "itself")]
    assert set(FAMILIES) < set(words)


def test_a_family_that_is_not_known_is_not_lost() -> None:
    row = under(1, AttackDoc(name="new_one", family="telepathy"), after=0.1)
    assert family(row) == OTHER
    assert _only(row).title == "new one"


def test_which_requirements_look_behind_the_answer() -> None:
    assert not probing(requirement())
    assert probing(under(1, QUANTISE, after=0.1))
    assert probing(lens(1))
    assert probing(requirement(check="in_context_relearning"))
    assert probing(requirement(dimension="robustness"))


def test_every_attack_says_what_it_takes_what_was_tried_and_what_it_cannot_show() -> None:
    text = _section(_page())
    for attack, kinds in ((PARAPHRASE, "jailbreak, prefix<br>"), (QUANTISE, ""), (RELEARN, "")):
        assert f"<p><strong>What it takes.</strong> {attack.attacker}</p>" in text
        assert f"<dd>{attack.budget}<br>{kinds}<span" in text
        assert f"<dd>{attack.limits}</dd>" in text
    assert "bits: 8, 4" in text
    assert "every parameter at its default" in text
    assert text.count(wording().attacks.indicative) == 1


def test_the_table_of_an_attack_has_every_model_before_and_under_it() -> None:
    tried = _only(under(3, QUANTISE, after=0.72, recovery=0.8, worst_group="4 bit", stopped_early=12)).tried[0]
    assert [tuple(cell.replace(NO_BREAK, " ") for cell in line) for line in tried.lines] == [
        ("candidate", "0.140 [0.110, 0.170]", "0.720 [0.670, 0.770]", "+0.580"),
        ("original", "0.870 [0.840, 0.900]", "0.860 [0.820, 0.900]", "−0.010"),
        ("reference", "0.130 [0.100, 0.160]", "0.150 [0.120, 0.180]", "+0.020"),
    ]
    assert (tried.difference, tried.recovery) == ("+0.570 [0.510, 0.630]", "0.800 [0.710, 0.890]")
    assert tried.decided_by == "4 bit; stopped after 12 subjects, since a gross leak was already shown"
    assert tried.word == "Fail"


def test_requirements_under_the_same_attack_share_its_words_and_other_parameters_are_another_attempt() -> None:
    other = QUANTISE.model_copy(update={"params": {"bits": [2]}, "budget": "2 bit"})
    rows = [under(1, QUANTISE, after=0.2), under(2, QUANTISE, after=0.3, check="utility"), under(3, other, after=0.4)]
    attempts = _families(*rows)["precision"].attempts
    assert [[tried.anchor for tried in attempt.tried] for attempt in attempts] == [["r1", "r2"], ["r3"]]


def test_recovery_is_a_number_or_a_reason_and_never_zero_for_want_of_one() -> None:
    assert recovery_text(under(1, QUANTISE, after=0.2, recovery=0.0)) == "0.000 [−0.090, 0.090]"
    assert recovery_text(under(1, QUANTISE, after=0.2)) == f"undefined: {UNDEFINED}"
    said = EstimateDoc(note="undefined: only 8 subjects")
    assert recovery_text(under(1, QUANTISE, after=0.2).model_copy(update={"recovery": said})) == "undefined: only 8 subjects"
    assert recovery_text(under(1, QUANTISE, after=0.2).model_copy(update={"recovery": None})) == "not computed"
    assert recovery_text(under(1, QUANTISE, after=0.2).model_copy(update={"recovery": EstimateDoc()})) == "undefined"


def test_the_difference_is_the_paired_one_only_where_the_bound_names_the_reference() -> None:
    paired = under(1, QUANTISE, after=0.2)
    assert gap_text(paired) == "+0.050 [−0.010, 0.110]"
    kept = BoundDoc(text="at least 0.95 * original", lower=0, model="original", scale=0.95)
    assert gap_text(paired.model_copy(update={"bound": kept})) == "+0.050 (no interval: not what the bound compares)"
    few = paired.model_copy(update={"difference": EstimateDoc(value=0.05, note="only 8 subjects")})
    assert gap_text(few) == "+0.050 (no interval: only 8 subjects)"
    alone = paired.model_copy(update={"models": {"candidate": estimate(0.2)}, "difference": None})
    assert gap_text(alone) == "not measured"


def test_what_was_tried_is_the_budget_or_the_settings_that_decide() -> None:
    from auditkit.evidence.results import GroupDoc

    assert settings(under(1, QUANTISE, PARAPHRASE, after=0.1)) == "8 bit, 4 bit, then 5 wordings of each question"
    groups = [GroupDoc(group=g, model="candidate", estimate=estimate(0.1), decisive=g != "rate") for g in ("a", "b", "rate")]
    assert settings(under(1, ATTACKS["construction"], after=0.1, groups=groups)) == "a, b"
    assert settings(under(1, ATTACKS["weights"], after=0.1)) == "1%, 5%, 10%; indicative only"
    assert settings(requirement(groups=groups)) == ""


def test_a_check_that_probes_by_itself_has_no_before() -> None:
    assert not _only(lens(1)).compared
    text = _section(render_html(results([lens(1)]), {}, TEXTS))
    assert '<th scope="col" colspan="3">Value</th>' in text
    assert "before and under" not in text
    assert [figure.kind for figure in _only(lens(1)).curves] == ["layers"]


def test_nothing_measured_under_an_attack_is_said() -> None:
    broken = under(1, RELEARN, after=0.2, models={}, before={}, difference=None, result="error", estimate=EstimateDoc())
    tried = _only(broken).tried[0]
    assert (tried.lines, tried.difference, tried.word) == ([], "not measured", "Error")
    assert _families(broken)["relearning"].figure is None


def test_an_explanation_of_a_kind_of_figure_stands_once() -> None:
    text = _section(_page())
    assert text.count(explanations().figures["attacked"]) == 1
    assert text.count("before and under attack.") >= 5


def test_details_and_procedures_name_the_attacks() -> None:
    assert "<dt>Under</dt><dd>Round the weights (8 bit, 4 bit)</dd>" in _page()
    procedures = re.search(r'<section id="procedures".*?</section>', _page(), re.DOTALL)[0]
    assert "Round the weights (8 bit, 4 bit); Other wordings (5 wordings of each question)" in procedures


def test_links_of_the_section_lead_to_their_requirements() -> None:
    wanted = set(re.findall(r'href="#(.*?)"', _section(_page())))
    assert wanted <= set(re.findall(r' id="(.*?)"', _page()))
    assert len(wanted) == len([doc for doc in attacked().requirements if probing(doc)])


def test_hostile_text_of_an_attack_stays_text() -> None:
    text = _section(render_html(hostile(), {}, TEXTS))
    assert "<script" not in text
    assert "<img" not in text
    assert "\u202e" not in text
    assert "{{7*7}}" in text


def test_the_same_results_give_the_same_bytes() -> None:
    assert render_html(attacked(), {}, TEXTS) == _page()


@pytest.mark.browser
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_accessibility_violation_and_nothing_beyond_the_page(browser: Browser, tmp_path: Path, scheme: str) -> None:
    path = tmp_path / "report.html"
    path.write_text(_page(), encoding="utf-8")
    context = browser.new_context(color_scheme=scheme, viewport={"width": 320, "height": 640})
    page = context.new_page()
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text))
    page.goto(path.as_uri())
    page.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")
    assert page.evaluate("document.documentElement.scrollWidth") <= 320
    tags = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
    options = {"runOnly": {"type": "tag", "values": tags}, "resultTypes": ["violations"]}
    assert Axe().run(page, options=options).response["violations"] == []
    assert complaints == []
    fills = page.evaluate(
        "[...document.querySelectorAll('#attacks .chart [fill^=\"var(--heat\"]')].map(e => getComputedStyle(e).fill)"
    )
    assert len(set(fills)) == 5
    context.close()


@pytest.mark.browser
def test_on_paper_no_table_or_figure_is_cut_off(browser: Browser, tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    path.write_text(_page(), encoding="utf-8")
    page = browser.new_page(viewport={"width": 642, "height": 900})  # the text width of A4
    page.emulate_media(media="print")
    page.goto(path.as_uri())
    wide = "[...document.querySelectorAll('#attacks .scroll')].filter(e => e.scrollWidth > e.clientWidth + 1).length"
    assert page.evaluate(wide) == 0
    page.close()
