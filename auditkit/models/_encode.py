"""Requests → token ids.

Prompt and continuation are tokenised together and split by character offset: tokenised apart, a merge across the boundary
would put other tokens in than the model was trained on. A token that straddles the boundary belongs to the continuation.
"""

from __future__ import annotations

import datetime as dt
from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from auditkit.errors import ModelError
from auditkit.models.protocol import Continue, Generate, Hidden, Lens, Prompt, Request, Score

TEMPLATE_DATE = dt.datetime(2024, 7, 26)
"""Templates that print today's date get this one (Llama 3's own default): the same prompt every day."""
_DATE_CODES = "YymdBbAajHMSpIZ"
_MARK = "auditkit"


@dataclass(frozen=True, slots=True)
class ScoreRow:
    """One sequence to score: tokens ``start`` and later are the continuation."""

    ids: list[int]
    start: int
    """At least 1: the first token has nothing before it that could predict it."""
    cut: int


@dataclass(frozen=True, slots=True)
class Sampling:
    """How tokens are drawn."""

    temperature: float
    top_p: float
    seed: int
    """From the request's digest: its own, whatever batch it stands in."""


@dataclass(frozen=True, slots=True)
class PromptRow:
    """One prompt to continue."""

    ids: list[int]
    cut: int
    max_new_tokens: int = 0
    ends: frozenset[int] = frozenset()
    """Tokens that end what is generated."""
    stop: tuple[str, ...] = ()
    target: str | None = None
    sampling: Sampling | None = None
    """None: greedy."""


class TooLongError(ModelError):
    """A request that does not fit into the model's window, whatever is cut from its prompt."""


class Encoder:
    """Tokenises requests for one model."""

    def __init__(
        self,
        tokenizer: Any,
        *,
        context_length: int,
        system: str | None = None,
        ends: frozenset[int] = frozenset(),
        lead: tuple[int, ...] = (),
    ) -> None:
        """``ends``: tokens that the checkpoint's generation config names as ends. ``lead``: see ``Loaded.lead``."""
        self.tokenizer = tokenizer
        self._configured_ends = ends
        self._lead = list(lead)
        self.context_length = context_length
        self.system = system
        self._known: dict[Score, tuple[array[int], int, int]] = {}

    def cost(self, request: Request) -> int:
        """Tokens that the request occupies, new ones included. Raises TooLongError."""
        if isinstance(request, Score):
            return len(self.score(request).ids)
        if isinstance(request, Lens):
            return self.lens(request).start
        row = self.prompt(request)
        return len(row.ids) + row.max_new_tokens

    def score(self, request: Score) -> ScoreRow:
        """Raises TooLongError where the continuation alone is longer than the window.

        The row is remembered, four bytes a token, from planning until ``forget``.
        """
        if request not in self._known:
            row = self._score(request)
            self._known[request] = (array("i", row.ids), row.start, row.cut)
        ids, start, cut = self._known[request]
        return ScoreRow(ids.tolist(), start, cut)

    def forget(self, requests: Sequence[Score]) -> None:
        """These requests are answered."""
        for request in requests:
            self._known.pop(request, None)

    def _score(self, request: Score) -> ScoreRow:
        ids, start, keep = self._joint(request.prompt, request.continuation)
        if request.score_end:
            ids = [*ids, self._end(request.prompt)]
        # The last token is predicted and never read; the first scored one needs something before it.
        fixed = len(ids) - start + (1 if start and not keep else 0)
        ids, cut = self._fit(ids, self.context_length + 1, fixed=fixed, keep=keep)
        return ScoreRow(ids, max(1, start - cut), cut)

    def lens(self, request: Lens) -> ScoreRow:
        """The prompt and the one token that is asked about. Raises TooLongError, and ModelError where there is no token."""
        ids, start, keep = self._joint(request.prompt, request.continuation)
        start = max(1, start)
        if len(ids) <= start:
            raise ModelError("the continuation of a lens request must have a token that something stands before; got none")
        read, cut = self._fit(ids[:start], self.context_length, fixed=1, keep=min(keep, start - 1))
        return ScoreRow([*read, ids[start]], len(read), cut)

    def _joint(self, prompt: Prompt, continuation: str) -> tuple[list[int], int, int]:
        """Prompt and continuation as one: ids, where the continuation starts, how many tokens at the front must stay."""
        text = self._rendered(prompt)
        ids, ends = self._tokens(text + continuation, special=not prompt.chat)
        start = next((index for index, end in enumerate(ends) if end > len(text)), len(ids))
        front = min(self._kept_front(ids, special=not prompt.chat), start)
        return self._led(ids, front), start + len(self._lead), front + len(self._lead)

    def prompt(self, request: Request) -> PromptRow:
        """What a Generate, Continue or Hidden request puts before the model. Raises TooLongError."""
        if isinstance(request, Continue):
            return self._continue(request)
        if not isinstance(request, Generate | Hidden):
            raise TypeError(f"a text model does not answer {request.kind} requests")
        text = self._rendered(request.prompt)
        special = not request.prompt.chat
        ids, _ = self._tokens(text, special=special)
        ids = ids or [self._first()]
        front = self._kept_front(ids, special=special)
        ids = self._led(ids, front)
        new = request.max_new_tokens if isinstance(request, Generate) else 0
        ids, cut = self._fit(ids, self.context_length - new, fixed=1, keep=front + len(self._lead))
        if isinstance(request, Hidden):
            return PromptRow(ids, cut)
        ends = self._ends(chat=request.prompt.chat)
        return PromptRow(ids, cut, new, ends, request.stop, self._target(request, text), _sampling(request))

    def decode(self, ids: Sequence[int]) -> str:
        """Text of new tokens, special ones left out."""
        text: str = self.tokenizer.decode(ids, skip_special_tokens=True, clean_up_tokenization_spaces=False)
        return text

    def _ends(self, *, chat: bool) -> frozenset[int]:
        found = {self.tokenizer.eos_token_id, self._end_of_turn if chat else None}
        return self._configured_ends | {token for token in found if token is not None}

    def _continue(self, request: Continue) -> PromptRow:
        ids, _ = self._tokens(request.text, special=True)
        front = self._kept_front(ids, special=True)
        split = front + request.prefix_tokens
        target = self.decode(ids[split : split + request.max_new_tokens])
        ids = self._led(ids[:split] or [self._first()], front)
        room = self.context_length - request.max_new_tokens
        ids, cut = self._fit(ids, room, fixed=1, keep=front + len(self._lead))
        return PromptRow(ids, cut, request.max_new_tokens, self._ends(chat=False), (), target)

    def _target(self, request: Generate, text: str) -> str | None:
        if request.target is None:
            return None
        ids, ends = self._tokens(text + request.target, special=not request.prompt.chat)
        own = [token for token, end in zip(ids, ends, strict=True) if end > len(text)]
        return self.decode(own[: request.max_new_tokens])

    def _tokens(self, text: str, *, special: bool) -> tuple[list[int], list[int]]:
        """Ids and, per token, where its characters end. Special tokens that a tokenizer puts *behind* a text are dropped:
        the text goes on, or its end is scored on its own."""
        encoded = self.tokenizer(text, add_special_tokens=special, return_offsets_mapping=True, truncation=False, verbose=False)
        ids, offsets = list(encoded["input_ids"]), encoded["offset_mapping"]
        while special and ids and tuple(offsets[len(ids) - 1]) == (0, 0) and ids[-1] == self.tokenizer.eos_token_id:
            ids.pop()
        return ids, [end for _, end in offsets[: len(ids)]]

    def _kept_front(self, ids: list[int], *, special: bool) -> int:
        """Tokens at the front that stay when a prompt is cut: the bos token, which models lean on. Leading tokens stand
        behind it in a chat too."""
        return int((special or bool(self._lead)) and bool(ids) and ids[0] == self.tokenizer.bos_token_id)

    def _led(self, ids: list[int], front: int) -> list[int]:
        """With the leading tokens, behind a bos token."""
        return [*ids[:front], *self._lead, *ids[front:]] if self._lead else ids

    def _fit(self, ids: list[int], room: int, *, fixed: int, keep: int) -> tuple[list[int], int]:
        """Drop tokens behind the first ``keep`` until ``room`` are left; the last ``fixed`` must stay."""
        over = len(ids) - room
        if over <= 0:
            return ids, 0
        if fixed + keep > room:
            got = len(ids) + self.context_length - room
            raise TooLongError(
                f"must fit into the model's window of {self.context_length} tokens; got {got}, and cutting "
                "the prompt does not help: shorten the row or ask for fewer new tokens"
            )
        return [*ids[:keep], *ids[keep + over :]], over

    def _first(self) -> int:
        """What an empty prompt becomes: something has to stand before the first new token."""
        for token in (self.tokenizer.bos_token_id, self.tokenizer.eos_token_id):
            if token is not None:
                return int(token)
        raise ModelError("an empty prompt needs a tokenizer with a bos or eos token; got one without")

    def _rendered(self, prompt: Prompt) -> str:
        text = self._template(prompt.text, system=prompt.system) if prompt.chat else prompt.text
        return text + prompt.start

    def _template(self, user: str, assistant: str | None = None, *, system: str | None = None) -> str:
        """One turn, and the beginning of the next; ``system``: see ``Prompt.system``."""
        from jinja2 import TemplateError

        if not self.tokenizer.chat_template:
            raise ModelError("chat: template needs a tokenizer with a chat template; got one without; say chat: plain")
        told = self.system if system is None else system or None
        turns = [] if told is None else [{"role": "system", "content": told}]
        turns.append({"role": "user", "content": user})
        if assistant is not None:
            turns.append({"role": "assistant", "content": assistant})
        try:
            text: str = self.tokenizer.apply_chat_template(
                turns,
                chat_template=_dated(self.tokenizer.chat_template),
                tokenize=False,
                add_generation_prompt=assistant is None,
                date_string=TEMPLATE_DATE.strftime("%d %b %Y"),
            )
        except TemplateError as error:
            raise ModelError(f"the model's chat template refuses the turns: {error}") from error
        return text

    def _end(self, prompt: Prompt) -> int:
        """The token that ends the continuation: end of turn in a chat, end of text otherwise."""
        token = self._end_of_turn if prompt.chat else self.tokenizer.eos_token_id
        if token is None:
            raise ModelError("the end of a text cannot be scored: the tokenizer has no eos token")
        return int(token)

    @cached_property
    def _end_of_turn(self) -> int | None:
        """The first token that the template puts behind an assistant's words, where it is a special one; else eos."""
        _, _, tail = self._template(_MARK, _MARK * 2).rpartition(_MARK)
        ids = self.tokenizer(tail, add_special_tokens=False, verbose=False)["input_ids"]
        if ids and ids[0] in self.tokenizer.all_special_ids:
            return int(ids[0])
        eos: int | None = self.tokenizer.eos_token_id
        return eos


def _sampling(request: Generate) -> Sampling | None:
    if request.temperature == 0:
        return None
    return Sampling(request.temperature, request.top_p, int(request.digest, 16))


def _dated(template: str) -> str:
    """The template with its clock stopped.

    transformers gives templates a ``strftime_now`` and lets no caller replace it, so the template gets a macro of that name.
    """
    if "strftime_now" not in template:
        return template
    codes = "".join(f"|replace('%{code}','{TEMPLATE_DATE.strftime('%' + code)}')" for code in _DATE_CODES)
    return f"{{% macro strftime_now(form) %}}{{{{ form{codes} }}}}{{% endmacro %}}{template}"
