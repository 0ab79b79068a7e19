"""Token boundaries, bos and eos, chat templates and the model's window."""

from __future__ import annotations

from typing import Any

import pytest

from auditkit.errors import ModelError
from auditkit.models._encode import Encoder, TooLongError
from auditkit.models.protocol import Continue, Generate, Hidden, Lens, Prompt, Score
from auditkit.models.text import TextModel


@pytest.fixture(scope="module")
def tokenizer(tiny: TextModel) -> Any:
    return tiny._encoder.tokenizer


@pytest.fixture
def encoder(tokenizer: Any) -> Encoder:
    return Encoder(tokenizer, context_length=512)


def words(encoder: Encoder, ids: list[int]) -> list[str]:
    return [encoder.tokenizer.decode([token]) for token in ids]


def test_the_whole_is_tokenised_once_and_bos_stands_in_front(encoder: Encoder) -> None:
    row = encoder.score(Score(Prompt("Person 3 lives"), " in town 8."))
    whole = encoder.tokenizer("Person 3 lives in town 8.")["input_ids"]
    assert row.ids == whole
    assert row.ids[0] == encoder.tokenizer.bos_token_id
    assert "".join(words(encoder, row.ids[row.start :])) == " in town 8."


def test_a_token_across_the_boundary_belongs_to_the_continuation(encoder: Encoder) -> None:
    # " lives" is one token of this tokenizer: cut inside the word, all of it is scored.
    row = encoder.score(Score(Prompt("Person 3 li"), "ves in"))
    assert words(encoder, row.ids[row.start :]) == [" lives", " in"]


def test_no_boundary_moves_a_token(encoder: Encoder) -> None:
    text = "Person 3 lives in town 8 é 漢字 and likes…"
    whole = encoder.tokenizer(text)["input_ids"]
    for split in range(len(text) + 1):
        row = encoder.score(Score(Prompt(text[:split]), text[split:]))
        assert row.ids == whole
        scored = encoder.tokenizer.decode(row.ids[row.start :], skip_special_tokens=True)
        assert scored.endswith(text[split:])


def test_an_empty_prompt_without_bos_leaves_the_first_token_unscored(encoder: Encoder) -> None:
    assert encoder.score(Score(Prompt(""), "Person 3")).start == 1
    row = encoder.score(Score(Prompt("Person", chat=True), ""))
    assert row.start == len(row.ids)


def test_genuine_special_tokens_in_a_text_stay(encoder: Encoder) -> None:
    eos = encoder.tokenizer.eos_token_id
    row = encoder.score(Score(Prompt("one</s>"), "two</s>"))
    assert row.ids.count(eos) == 2
    assert row.ids[-1] == eos


def test_the_end_is_scored_on_request(encoder: Encoder) -> None:
    end = encoder.tokenizer.convert_tokens_to_ids("<|end|>")
    plain = encoder.score(Score(Prompt("a"), " b", score_end=True))
    chat = encoder.score(Score(Prompt("a", chat=True), "b", score_end=True))
    assert plain.ids[-1] == encoder.tokenizer.eos_token_id
    assert chat.ids[-1] == end
    assert len(chat.ids) - chat.start == 2


def test_chat_prompts_go_through_the_template_with_the_system_prompt(tokenizer: Any) -> None:
    encoder = Encoder(tokenizer, context_length=512, system="Be brief.")
    row = encoder.prompt(Generate(Prompt("Who?", chat=True), 4))
    assert tokenizer.decode(row.ids) == "<s><|system|>Be brief.<|end|><|user|>Who?<|end|><|assistant|>"
    assert row.ends == {tokenizer.eos_token_id, tokenizer.convert_tokens_to_ids("<|end|>")}
    plain = encoder.prompt(Generate(Prompt("Who?"), 4))
    assert tokenizer.decode(plain.ids) == "<s>Who?"


def test_a_system_prompt_of_the_request_stands_in_place_of_the_models_own(tokenizer: Any) -> None:
    encoder = Encoder(tokenizer, context_length=512, system="Be brief.")

    def seen(prompt: Prompt) -> str:
        text: str = tokenizer.decode(encoder.prompt(Generate(prompt, 4)).ids)
        return text

    assert seen(Prompt("Who?", chat=True, system="Shout.")) == "<s><|system|>Shout.<|end|><|user|>Who?<|end|><|assistant|>"
    assert seen(Prompt("Who?", chat=True, system="")) == "<s><|user|>Who?<|end|><|assistant|>"
    assert seen(Prompt("Who?", system="Shout.")) == "<s>Who?"


def test_the_beginning_of_the_answer_stands_behind_the_prompt(encoder: Encoder) -> None:
    chat, plain = Prompt("Who?", chat=True, start="It is"), Prompt("Who? ", start="It is")
    for request in (Generate(chat, 4), Hidden(chat)):
        assert encoder.tokenizer.decode(encoder.prompt(request).ids) == "<s><|user|>Who?<|end|><|assistant|>It is"
    row = encoder.score(Score(plain, " Bo"))
    assert row.ids == encoder.score(Score(Prompt("Who? It is"), " Bo")).ids
    assert "".join(words(encoder, row.ids[row.start :])) == " Bo"
    lens = encoder.lens(Lens(chat, " town 8"))
    assert words(encoder, lens.ids[lens.start :]) == [" town"]
    assert encoder.tokenizer.decode(lens.ids[: lens.start]).endswith("<|assistant|>It is")
    assert encoder.prompt(Generate(plain, 2, target=" town 8 and")).target == " town 8"


def test_leading_tokens_stand_behind_the_bos_of_everything(tokenizer: Any) -> None:
    lead = (9001, 9002)
    led, plain = Encoder(tokenizer, context_length=512, lead=lead), Encoder(tokenizer, context_length=512)
    for prompt in (Prompt("Person 3"), Prompt("Who?", chat=True), Prompt("")):
        for request in (Generate(prompt, 2), Hidden(prompt)):
            bos, *rest = plain.prompt(request).ids
            assert led.prompt(request).ids == [bos, *lead, *rest]
            assert led.cost(request) == plain.cost(request) + 2
        for asked in (led.score(Score(prompt, " in")), led.lens(Lens(prompt, " in"))):
            assert asked.ids == [asked.ids[0], *lead, *plain.score(Score(prompt, " in")).ids[1:]]
            assert asked.ids[asked.start :] == tokenizer(" in", add_special_tokens=False)["input_ids"]
    whole = plain.prompt(Continue("Person 3 lives in", 2, 3))
    row = led.prompt(Continue("Person 3 lives in", 2, 3))
    assert (row.ids, row.target) == ([whole.ids[0], *lead, *whole.ids[1:]], whole.target)


def test_leading_tokens_are_never_cut_nor_asked_about(tokenizer: Any) -> None:
    led = Encoder(tokenizer, context_length=12, lead=(9001, 9002))
    for row in (
        led.score(Score(Prompt("abcdefghij" * 4), " town")),
        led.prompt(Generate(Prompt("abcdefghij" * 4), 3)),
        led.lens(Lens(Prompt("abcdefghij" * 4, chat=True), " town")),
    ):
        assert row.ids[:3] == [tokenizer.bos_token_id, 9001, 9002]
        assert row.cut > 0
    tokenizer.backend_tokenizer.post_processor, kept = _no_bos(), tokenizer.backend_tokenizer.post_processor
    try:
        # A bos that stands in the text itself is text.
        assert led.score(Score(Prompt(""), "<s>ab")).ids[:3] == [9001, 9002, tokenizer.bos_token_id]
        assert led.score(Score(Prompt(""), "<s>ab")).start == 2
    finally:
        tokenizer.backend_tokenizer.post_processor = kept


def test_a_template_that_prints_the_date_prints_the_same_every_day(tiny_folder: Any) -> None:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(tiny_folder)
    tokenizer.chat_template = (
        "{% if date_string is not defined %}{% set date_string = strftime_now('%Y') %}{% endif %}"
        "{{ date_string }}|{{ strftime_now('%Y-%m-%d') }}|{{ messages[-1].content }}"
    )
    row = Encoder(tokenizer, context_length=512).prompt(Generate(Prompt("hi", chat=True), 1))
    assert tokenizer.decode(row.ids) == "26 Jul 2024|2024-07-26|hi"


def test_chat_without_a_template_and_templates_that_refuse(tiny_folder: Any) -> None:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(tiny_folder)
    tokenizer.chat_template = None
    with pytest.raises(ModelError, match="say chat: plain"):
        Encoder(tokenizer, context_length=512).prompt(Hidden(Prompt("hi", chat=True), (0,)))
    tokenizer.chat_template = "{{ raise_exception('no system prompts') }}"
    with pytest.raises(ModelError, match="no system prompts"):
        Encoder(tokenizer, context_length=512, system="x").prompt(Hidden(Prompt("hi", chat=True), (0,)))


def test_a_long_prompt_loses_its_front_but_not_the_bos(tokenizer: Any) -> None:
    request = Score(Prompt("abcdefghij" * 4), " town")
    whole = Encoder(tokenizer, context_length=512).score(request)
    row = Encoder(tokenizer, context_length=10).score(request)
    # The last token is predicted and never read: eleven fit into a window of ten.
    assert len(row.ids) == 11
    assert row.cut == len(whole.ids) - 11
    assert row.ids == [whole.ids[0], *whole.ids[-10:]]
    assert row.ids[row.start :] == whole.ids[whole.start :]


def test_generation_leaves_room_for_the_new_tokens(tokenizer: Any) -> None:
    row = Encoder(tokenizer, context_length=16).prompt(Generate(Prompt("abcdefghij" * 4), 10))
    assert len(row.ids) == 6
    assert row.cut > 0


def test_what_cannot_fit_is_an_error_in_numbers(tokenizer: Any) -> None:
    small = Encoder(tokenizer, context_length=8)
    with pytest.raises(TooLongError, match="window of 8 tokens; got 4"):
        small.cost(Score(Prompt("a"), "abcdefghij" * 4))
    with pytest.raises(TooLongError, match="window of 8"):
        small.cost(Generate(Prompt("a"), 8))
    with pytest.raises(TooLongError, match="window of 8"):
        small.cost(Continue("abcdefghij", 4, 20))


def test_cutting_never_costs_a_scored_token(tiny_folder: Any) -> None:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(tiny_folder)
    encoder = Encoder(tokenizer, context_length=4)
    request = Score(Prompt("abcdef", chat=True), "ghijk")
    tokenizer.chat_template = "{{ messages[-1].content }}"
    with pytest.raises(TooLongError):
        encoder.score(request)
    assert encoder.score(Score(Prompt("abcdef", chat=True), "ghij")).start == 1


def test_cost_counts_prompt_and_new_tokens(encoder: Encoder) -> None:
    prompt = Prompt("Person 3 lives")
    length = len(encoder.tokenizer(prompt.text)["input_ids"])
    assert encoder.cost(Generate(prompt, 7)) == length + 7
    assert encoder.cost(Hidden(prompt, (0,))) == length
    assert encoder.cost(Score(prompt, " in town")) == length + 2


def test_continue_takes_the_first_tokens_of_the_text(encoder: Encoder) -> None:
    text = "Person 3 lives in town 8 and likes the colour black."
    whole = encoder.tokenizer(text)["input_ids"]
    row = encoder.prompt(Continue(text, prefix_tokens=4, max_new_tokens=3))
    assert row.ids == whole[:5]
    assert row.target == encoder.tokenizer.decode(whole[5:8])
    assert encoder.prompt(Continue("one", prefix_tokens=40, max_new_tokens=3)).target == ""


def test_the_target_is_cut_to_the_models_own_tokens(encoder: Encoder) -> None:
    request = Generate(Prompt("Person 3 lives"), 2, target=" in town 8 and more")
    assert encoder.prompt(request).target == " in town"


def test_an_empty_prompt_still_has_a_first_token(encoder: Encoder) -> None:
    encoder.tokenizer.backend_tokenizer.post_processor, kept = _no_bos(), encoder.tokenizer.backend_tokenizer.post_processor
    try:
        assert encoder.prompt(Generate(Prompt(""), 2)).ids == [encoder.tokenizer.bos_token_id]
        assert encoder.prompt(Continue("", 3, 2)).ids == [encoder.tokenizer.bos_token_id]
    finally:
        encoder.tokenizer.backend_tokenizer.post_processor = kept


def test_an_end_token_that_the_tokenizer_appends_is_dropped(encoder: Encoder) -> None:
    from tokenizers import processors

    eos = encoder.tokenizer.eos_token_id
    kept = encoder.tokenizer.backend_tokenizer.post_processor
    encoder.tokenizer.backend_tokenizer.post_processor = processors.TemplateProcessing(
        single="$A </s>", special_tokens=[("</s>", eos)]
    )
    try:
        assert eos not in encoder.prompt(Generate(Prompt("Person"), 2)).ids
        assert encoder.score(Score(Prompt("Person"), " 3</s>")).ids.count(eos) == 1
    finally:
        encoder.tokenizer.backend_tokenizer.post_processor = kept


def _no_bos() -> Any:
    from tokenizers import processors

    return processors.ByteLevel(trim_offsets=False)


def test_other_kinds_of_request_are_refused(encoder: Encoder) -> None:
    class Predict(Hidden):
        kind = "predict"

    with pytest.raises(TypeError, match="does not answer score"):
        encoder.prompt(Score(Prompt("a"), "b"))
