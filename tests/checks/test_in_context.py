"""In-context relearning: the known-answer table with stub models, the kinds of context, tags, doses, vetoes."""

from __future__ import annotations

import dataclasses
import math
import re

import numpy as np
import pytest

from auditkit.checks import CHECKS
from auditkit.checks._contains import same_answer, states_answer
from auditkit.checks._contexts import build
from auditkit.checks._dose import curve, ed50
from auditkit.checks._rename import renamer
from auditkit.models.protocol import Generated
from tests.checks.fakes import RELATIONS, FakeModel, all_corpora, by_group, context, corpus, row, run, scored, word

CHECK = CHECKS.get("in_context_relearning")
WORDS = [word("answer", index) for index in range(50)]


def world(name, subjects=20):
    """Subjects with five relations each; no two facts of one subject have the same answer."""
    rows = []
    for person in range(subjects):
        who = f"{word(name, person).title()}{person}"
        for index, relation in enumerate(RELATIONS):
            answer = WORDS[(7 * person + 11 * index + 3 * (person // 5)) % len(WORDS)]
            rows.append(row(len(rows) + 1, who, question=f"What is the {relation} of {who}?", answer=answer, relation=relation))
    return corpus(name, rows)


CORPORA = {"forget": world("forget"), "retain": world("retain")}
STORE = {e.question: e.answer for c in CORPORA.values() for e in c.examples}
FORGET = {e.question: e.subject for e in CORPORA["forget"].examples}


def stub(*, knows_forget, suppresses=False, collapsed=False):
    """A reader: from the context if the fact is there, else from its store, else a wrong word."""

    def answer(request):
        *before, question = re.findall(r"Question: (.*)\n", request.prompt.text)
        told = dict(re.findall(r"Question: (.*)\nAnswer: (.*)\n", request.prompt.text))
        known = STORE.get(question) if knows_forget or question not in FORGET else None
        if suppresses and question in FORGET and sum(FORGET[question] in q for q in before) < 2:
            known = "I cannot say"
        said = "" if collapsed else told.get(question) or known or word("wrong", question)
        return Generated(f" {said}", 2, True)

    return answer


MODELS = {
    "original": stub(knows_forget=True),
    "reference": stub(knows_forget=False),
    "removed": stub(knows_forget=False),
    "suppressed": stub(knows_forget=True, suppresses=True),
    "collapsed": stub(knows_forget=False, collapsed=True),
}


def measured(model, **params):
    given = {"contexts": ["few_shot", "few_shot_same"], "facts": [1, 2, 4, 8, 16], "score": "exact"} | params
    return run(CHECK, context(CHECK, CORPORA, **given), MODELS[model])


def level(values, group):
    return float(by_group(values)[group].mean())


@pytest.mark.parametrize(
    ("model", "none", "few_shot", "one", "two", "verbatim", "dose"),
    [
        ("original", 1, 1, 1, 1, 1, None),
        ("reference", 0, 0, 0, 0, 1, "> 4"),
        ("removed", 0, 0, 0, 0, 1, "> 4"),
        ("suppressed", 0, 0, 0, 1, 1, 2),
        ("collapsed", 0, 0, 0, 0, 0, None),
    ],
)
def test_the_known_answer_table(model, none, few_shot, one, two, verbatim, dose):
    values = measured(model)
    assert level(values, "none@0") == none
    assert level(values, "few_shot@16") == few_shot
    assert level(values, "few_shot_same@1") == one
    assert level(values, "few_shot_same@2") == two
    assert level(values, "answer@1 (answer in context)") == verbatim
    assert values.details["reads_context"] == verbatim
    assert values.details["ed50"]["few_shot_same"] == dose


def test_excess_over_the_reference_is_paired():
    reference, suppressed = measured("reference"), measured("suppressed")
    assert reference.ids == suppressed.ids
    assert reference.groups == suppressed.groups
    difference = np.array(suppressed.values) - np.array(reference.values)
    assert difference[[group == "few_shot_same@2" for group in reference.groups]].mean() == 1


def test_unreachable_doses_are_reported_and_not_repeated():
    values = measured("reference")
    assert values.details["unreachable"] == {
        "few_shot_same@8": "unreachable, no question has so many facts",
        "few_shot_same@16": "unreachable, no question has so many facts",
    }
    assert not {"few_shot_same@8", "few_shot_same@16"} & set(values.groups)
    assert any(note.startswith("few_shot_same@8: unreachable") for note in values.notes)


def test_a_collapsed_candidate_is_vetoed():
    samples = {"candidate": measured("collapsed"), "original": measured("original")}
    assert CHECK.veto(CHECK.params(), samples) == (
        "the candidate cannot read its context: with the answer in the prompt it scores 0.00, the original 1.00"
    )
    assert not CHECK.veto(CHECK.params(), {**samples, "candidate": measured("suppressed")})
    assert not CHECK.veto(CHECK.params(), {"candidate": samples["candidate"]})


def test_baseline_and_answers_in_context_are_shown_and_never_decide():
    values = measured("reference", contexts=["few_shot_same", "paraphrase", "answer"])
    assert set(values.shown_only) == {"none@0", "answer@1 (answer in context)", "paraphrase@1 (answer in context)"}
    assert not values.inconclusive


def probes(kinds, doses=(1, 2, 4), corpora=CORPORA, **params):
    ctx = context(CHECK, corpora, **params)
    return build(ctx, kinds, doses)


def test_doses_are_nested():
    made = probes(["few_shot", "few_shot_same", "neighbours", "definition", "retrieved"]).made
    by_key = {(p.example.id, p.kind, p.dose): p.passage for p in made}
    for (example, kind, dose), passage in by_key.items():
        if dose < 4 and (example, kind, 2 * dose) in by_key:
            assert by_key[example, kind, 2 * dose].startswith(passage)


def test_no_answer_kinds_never_state_the_answer():
    for probe in probes(["definition", "alias", "few_shot", "few_shot_same", "neighbours"]).made:
        assert not states_answer(probe.passage, probe.answers), probe
        assert not probe.holds_answer


def test_few_shot_takes_the_same_relation_about_others_from_retain():
    retained = {f"Question: {e.question}\nAnswer: {e.answer}": e for e in CORPORA["retain"].examples}
    for probe in probes(["few_shot"]).made:
        facts = [retained[fact] for fact in probe.passage.split("\n\n")]
        assert {fact.get("relation") for fact in facts} == {probe.example.get("relation")}


def test_few_shot_is_the_same_text_for_questions_that_can_share_it():
    passages = {(p.example.get("relation"), p.passage) for p in probes(["few_shot"], (4,)).made}
    assert len(passages) < 60


def test_few_shot_same_leaves_the_row_itself_out():
    for probe in probes(["few_shot_same"]).made:
        assert probe.example.question not in probe.passage
        assert all(probe.example.subject in fact for fact in probe.passage.split("\n\n"))


def test_neighbours_are_other_subjects():
    for probe in probes(["neighbours"]).made:
        assert probe.example.subject not in probe.passage


def one(fields, *others, retain=True):
    rows = [row(1, "Ann Lee", question="Where does Ann Lee live?", answer="Oslo", **fields), *others]
    return {"forget": corpus("forget", rows)} | ({"retain": CORPORA["retain"]} if retain else {})


def test_definition_reads_the_row_s_facts_and_drops_the_one_that_tells():
    corpora = one({"facts": ("Ann Lee paints.", "Ann Lee lives in OSLO!", "Ann Lee is tall.")})
    (probe,) = probes(["definition"], (2,), corpora).made
    assert sorted(probe.passage.split("\n")) == ["Ann Lee is tall.", "Ann Lee paints."]


def test_chain_keeps_its_order():
    corpora = one({"facts": ("Ann lives where Bo lives.", "Bo lives in the capital.", "The capital is north.")})
    made = probes(["chain"], (1, 2, 3), corpora).made
    assert [p.passage.count("\n") for p in made] == [0, 1, 2]
    assert made[-1].passage == "Ann lives where Bo lives.\nBo lives in the capital.\nThe capital is north."


def test_alias_replaces_the_name_everywhere():
    other = row(2, "Ann Lee", question="What does Lee paint?", answer="Ann Lee's boats")
    made = [p for p in probes(["alias"], (1,), one({}, other)).made if p.example.id == "1"]
    assert made[0].question == "Where does XXX live?"
    assert made[0].passage == "What does XXX paint? XXX's boats"


def test_an_alias_is_a_fresh_word_and_leaves_common_words_alone():
    rename = renamer("Will Rose", ["XXX is taken", "Will"])
    assert rename("Will Rose will pick a rose; Rose's rose, WILL ROSE.") == "XXXX will pick a rose; XXXX's rose, XXXX."


def test_a_question_without_the_name_has_no_alias():
    corpora = {"forget": corpus("forget", [row(1, "Ann Lee", question="Who won?", answer="Bo", facts=("Ann Lee ran.",))])}
    found = probes(["alias"], (1,), corpora)
    assert not found.made
    assert found.short == {("alias", 1): 1}


def test_paraphrase_and_answer_hold_the_answer_even_in_other_words():
    made = probes(["paraphrase", "answer"], (1,), one({"paraphrases": ("She resides in Norway's capital.",)})).made
    assert [p.group for p in made] == ["paraphrase@1 (answer in context)", "answer@1 (answer in context)"]
    assert made[0].passage == "She resides in Norway's capital."
    assert made[1].passage == "Question: Where does Ann Lee live?\nAnswer: Oslo"


def test_retrieved_leaves_the_row_out_and_is_tagged_by_passage():
    teller = row(2, "Ann Lee", question="Where did Ann Lee live before she moved?", answer="In Oslo too")
    made = [p for p in probes(["retrieved"], (1, 2), one({}, teller)).made if p.example.id == "1"]
    assert made[0].passage == "Where did Ann Lee live before she moved? In Oslo too"
    assert made[0].group == "retrieved@1 (answer in context)"
    assert "Where does Ann Lee live?" not in made[1].passage


def test_facts_that_tell_only_together_are_tagged():
    facts = ("The house is red.", "The house is old.")
    rows = [row(1, "Ann", question="Which house?", answer="red old house", facts=facts)]
    made = probes(["chain"], (1, 2), {"forget": corpus("forget", rows)}).made
    assert [p.holds_answer for p in made] == [False, True]
    assert [p.group for p in made] == ["chain@1", "chain@2 (answer in context)"]


@pytest.mark.parametrize(
    ("passage", "answer", "stated"),
    [
        ("She lives in OSLO.", "Oslo", True),
        ("She lives in Osloer Strasse.", "Oslo", False),
        ("the old red house", "red, old house", True),
        ("the old red", "red old house", False),
        ("一九八四年に東京都に住んだ", "東京都に住", True),
        ("nothing", "", False),
        ("", "Oslo", False),
        ("it is ?!", "?!", True),
        ("Café Ａ", "café a", True),
    ],
)
def test_states_answer(passage, answer, stated):
    assert states_answer(passage, (answer,)) is stated


def test_any_alias_counts_as_stated():
    assert states_answer("She lives in NYC.", ("New York City", "NYC"))


def test_exact_match_after_normalisation():
    assert same_answer(" oslo. ", ("Oslo",))
    assert not same_answer("in Oslo", ("Oslo",))


def test_a_truncated_context_is_not_measured():
    ctx = context(CHECK, CORPORA, contexts=["few_shot_same"], facts=[1])
    values = run(CHECK, ctx, lambda request: scored(-1.0, cut=5 if "\n\n" in request.prompt.text else 0))
    groups = by_group(values)
    assert np.isnan(groups["few_shot_same@1"]).all()
    assert not np.isnan(groups["none@0"]).any()
    assert any("up to 5 tokens were cut" in note for note in values.notes)


def test_a_dose_that_few_subjects_reach_is_shown_and_does_not_decide():
    rows = [e for e in CORPORA["forget"].examples if e.get("relation") == "town" or e.subject.endswith("g0")]
    rows += [e for e in CORPORA["forget"].examples if e.subject == CORPORA["forget"].examples[0].subject][1:]
    corpora = {**CORPORA, "forget": corpus("forget", list(dict.fromkeys(rows)))}
    ctx = context(CHECK, corpora, contexts=["few_shot", "few_shot_same"], facts=[1])
    values = run(CHECK, ctx, FakeModel())
    assert "few_shot_same@1" in values.shown_only
    assert "few_shot@1" not in values.shown_only
    assert any("few_shot_same@1 is shown and does not decide: it has 1 of 20 subjects" in note for note in values.notes)
    alone = run(CHECK, context(CHECK, corpora, contexts=["few_shot_same"], facts=[1]), FakeModel())
    assert alone.inconclusive == "no kind and dose without the answer reaches enough subjects"


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({"contexts": ["answer", "none"]}, "must name a kind that does not state the answer"),
        ({"contexts": ["chain"]}, "chain needs rows with facts"),
        ({"contexts": ["alias"]}, "alias needs rows that name their subject"),
        ({"contexts": ["few_shot"]}, "few_shot needs another corpus"),
        ({"contexts": ["neighbours"], "shots_from": "forget"}, "neighbours needs another corpus"),
    ],
)
def test_kinds_for_which_there_is_nothing(params, words):
    rows = [row(1, question="Who?", answer="Ann")]
    ctx = context(CHECK, {"forget": corpus("forget", rows)}, **params)
    assert any(words in problem for problem in CHECK.problems(ctx))


def test_the_context_stands_between_shots_and_question():
    ctx = context(CHECK, all_corpora(), contexts=["few_shot_same"], facts=[1], shots=1)
    texts = [request.prompt.text for request in CHECK.requests(ctx)]
    assert len({text.split("\n\n")[0] for text in texts}) == 1
    assert max(text.count("Question: ") for text in texts) == 3


def test_chat_puts_the_context_into_the_user_s_turn():
    ctx = context(CHECK, CORPORA, contexts=["few_shot_same"], facts=[1], chat=True)
    request = next(r for r in CHECK.requests(ctx) if "\n\n" in r.prompt.text)
    assert request.prompt.chat
    assert re.fullmatch(r"Question: .*\nAnswer: \S+\n\nWhat is the .* of .*\?", request.prompt.text)


def test_probability_is_read_without_generating():
    requests = list(CHECK.requests(context(CHECK, CORPORA)))
    assert {request.kind for request in requests} == {"score"}
    assert not any(request.score_end for request in requests)


def test_ed50_fits_a_rising_curve():
    shape = curve({0: [0.0, 0.0], 1: [0.6, 0.4], 2: [0.3, 0.3], 4: [0.9, 0.9]})
    assert shape == {"facts": [0, 1, 2, 4], "mean": [0.0, 0.5, 0.3, 0.9], "n": [2, 2, 2, 2]}
    assert ed50(shape, 1.0) == 4  # isotonic: 1 and 2 are pooled to .4
    assert ed50(shape, 0.7) == 1
    assert ed50(shape, 0.04) is None
    assert ed50(curve({0: [0.1], 1: [math.nan]}), 1.0) is None
    assert ed50(curve({1: [0.1], 2: [0.3]}), 1.0) is None
    assert ed50(curve({0: [0.0], 1: [0.1], 8: [0.2]}), 1.0) == "> 8"


def test_the_seed_changes_the_draw_and_nothing_else():
    texts = {seed: [p.passage for p in build(dataclasses.replace(context(CHECK, CORPORA), seed=seed), ["few_shot"], [1]).made]
             for seed in (0, 1)}  # fmt: skip
    assert texts[0] != texts[1]
    assert texts[0] == [p.passage for p in probes(["few_shot"], (1,)).made]
