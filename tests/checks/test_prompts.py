"""Templates place text and do nothing else; solved examples never come from the measured corpus."""

from __future__ import annotations

import dataclasses

import pytest
from pydantic import ValidationError

from auditkit.checks import CHECKS
from auditkit.checks._prompting import PromptParams, make_asker, parse_template
from auditkit.errors import DataError
from tests.checks.fakes import FakeModel, all_corpora, context, corpus, row, run

KNOWLEDGE = CHECKS.get("knowledge_memorization")


def asker(*, chat=False, plain=None, **params):
    ctx = context(KNOWLEDGE, all_corpora(), chat=chat)
    given = PromptParams.model_validate(params)
    return make_asker(ctx, given) if plain is None else make_asker(ctx, given, plain=plain)


def test_plain_and_chat_defaults():
    assert asker().prompt("Who?").text == "Question: Who?\nAnswer:"
    assert asker().continuation("Ann") == " Ann"
    assert not asker().prompt("Who?").chat
    assert asker(chat=True).prompt("Who?").text == "Who?"
    assert asker(chat=True).continuation("Ann") == "Ann"
    assert asker(chat=True).prompt("Who?").chat


def test_the_answer_follows_whitespace_without_another_space():
    assert asker(prompt="Q: {question}\nA: ").continuation("Ann") == "Ann"
    assert asker(prompt="Q: {question}\nA:").continuation("Ann") == " Ann"
    assert asker(prompt="{question}").continuation("Ann") == " Ann"


def test_the_prompt_ends_where_the_answer_begins():
    made = asker(prompt="<q>{question}</q><a>{answer}</a>")
    assert made.prompt("Who?").text == "<q>Who?</q><a>"
    assert made.solved("Who?", "Ann") == "<q>Who?</q><a> Ann</a>"


def test_a_context_has_its_place_or_stands_before():
    assert asker().prompt("Who?", "Ann paints.").text == "Ann paints.\n\nQuestion: Who?\nAnswer:"
    assert asker(prompt="{question} ({context})").prompt("Who?", "Ann").text == "Who? (Ann)"


@pytest.mark.parametrize(
    "template",
    [
        "{question.__class__}",
        "{question!r}",
        "{question:>10000000000}",
        "{question[0]}",
        "{0}",
        "{}",
        "{name} {question}",
        "{question",
        "question}",
        "no field",
        "{question} {question}",
        "{question}{answer}{answer}",
        "{answer} {question}",
    ],
)
def test_a_template_can_only_place_text(template):
    with pytest.raises(ValidationError, match="must"):
        PromptParams(prompt=template)


def test_the_message_names_the_unknown_field():
    with pytest.raises(ValueError, match=r"must use only \{question\}, \{answer\} and \{context\}; got \{name\}"):
        parse_template("{name}")


def test_braces_in_data_are_text():
    assert asker().prompt("What is {answer} {0}?").text == "Question: What is {answer} {0}?\nAnswer:"
    assert asker(prompt="{{{question}}}").prompt("x").text == "{x}"


def test_muse_keeps_its_trailing_space():
    request = next(iter(KNOWLEDGE.requests(context(KNOWLEDGE, all_corpora()))))
    assert request.prompt.text.startswith("Question: What is the town of ")
    assert request.prompt.text.endswith("\nAnswer: ")
    assert request.max_new_tokens == 32
    assert request.stop == ("\n\n", "\nQuestion", "Question:")


def test_shots_stand_first_and_are_the_same_for_every_question():
    corpora = all_corpora()
    requests = list(KNOWLEDGE.requests(context(KNOWLEDGE, corpora, shots_from="examples")))
    heads = {request.prompt.text.rsplit("Question: ", 1)[0] for request in requests}
    assert len(heads) == 1
    head = heads.pop()
    assert head.count("Question: ") == head.count("Answer: ") == 10
    known = {f"Question: {e.question}\nAnswer: {e.answer}\n\n" for e in corpora["examples"].examples}
    assert all(f"{part}\n\n" in known for part in head.strip("\n").split("\n\n"))


def test_shots_default_to_the_retain_corpus_and_depend_on_the_seed():
    def head(seed):
        ctx = context(KNOWLEDGE, all_corpora(), shots=3, seed=seed)
        return next(iter(KNOWLEDGE.requests(ctx))).prompt.text.rsplit("Question: ", 1)[0]

    assert head(0) == head(0)
    assert len({head(seed) for seed in range(5)}) > 1


def test_all_rows_of_a_shots_file_stand_in_file_order():
    shots = [row(number, question=f"q{number}", answer=f"a{number}") for number in range(1, 12)]
    corpora = {**all_corpora(), "icl": corpus("icl", shots)}
    request = next(iter(KNOWLEDGE.requests(context(KNOWLEDGE, corpora, shots_from="icl", shots=11))))
    assert [line.split()[1] for line in request.prompt.text.split("\n\n")][:11] == [f"q{n}" for n in range(1, 12)]


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({"shots_from": "forget"}, "must not be the corpus that is measured"),
        ({"shots_from": "copy"}, "must not be the corpus that is measured"),
        ({"shots_from": "other_forget"}, "must not be a corpus that had to be forgotten"),
        ({"shots_from": "exmples"}, "did you mean 'examples'"),
        ({"shots_from": "tiny"}, "needs as many rows with question and answer; tiny has 1"),
    ],
)
def test_what_solved_examples_may_not_be(params, words):
    corpora = all_corpora()
    corpora["copy"] = dataclasses.replace(corpora["forget"], name="copy", role="copy")
    corpora["other_forget"] = dataclasses.replace(corpora["examples"], name="other_forget", role="forget", digest="o")
    corpora["tiny"] = corpus("tiny", [row(1, question="q", answer="a")])
    ctx = context(KNOWLEDGE, corpora, name="forget", **params)
    assert any(words in problem for problem in KNOWLEDGE.problems(ctx))
    with pytest.raises(DataError, match="requirement knowledge_memorization"):
        list(KNOWLEDGE.requests(ctx))


def test_shots_need_a_corpus():
    corpora = {"forget": all_corpora()["forget"]}
    assert "name one with shots_from" in next(iter(KNOWLEDGE.problems(context(KNOWLEDGE, corpora, shots=2))))


def test_a_row_s_own_context_is_read_only_where_the_template_asks_for_it():
    corpora = {"forget": corpus("forget", [row(1, question="Who?", answer="Ann", context="Ann paints.")])}

    def prompt(**params):
        return next(iter(KNOWLEDGE.requests(context(KNOWLEDGE, corpora, **params)))).prompt.text

    assert "paints" not in prompt()
    assert KNOWLEDGE.fields_for(KNOWLEDGE.params(prompt="{context} {question}")) == ("question", "answer", "context")
    assert KNOWLEDGE.fields_for(KNOWLEDGE.params()) == ("question", "answer")
    assert prompt(prompt="{context} {question}") == "Ann paints. Who?"


def test_zero_shot_muse_says_so():
    values = run(KNOWLEDGE, context(KNOWLEDGE, all_corpora()), FakeModel())
    assert any("without solved examples" in note for note in values.notes)
