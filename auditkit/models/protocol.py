"""What may be asked of a model, and what it answers.

A *request* is a value: frozen, canonical, hashable; equal requests have equal digests and are asked once. A *record* is the
raw answer. A *subject model* answers batches of requests of one kind. Text models answer the kinds below.

How other kinds of model fit, with no change to what is here: an image, tabular or series classifier or regressor is another
implementation of ``SubjectModel`` that answers a ``Predict`` request (the fields of one example → class log-probabilities or
a value). Such a request and its record are added as two more dataclasses with their own ``kind``; the planner, the store and
the runner look only at ``kind``, ``digest`` and the record's fields.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from auditkit.files import digest

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


NO_NUMBERS = -1
"""In place of a token, or of a number of tokens: the logits were not finite."""


@dataclass(frozen=True, eq=False)
class Scored:
    """Per scored token t of T, in order; natural logarithms, float32."""

    logprob: NDArray[np.float32]
    """log p(token)."""
    hit: NDArray[np.bool_]
    """The token was the argmax."""
    mean: NDArray[np.float32]
    """mu = sum_v p_v log p_v over the vocabulary (the negative entropy)."""
    variance: NDArray[np.float32]
    """sum_v p_v (log p_v - mu)^2: at least 0, not clamped from below."""
    cut_tokens: int = 0
    """Tokens dropped from the front of the prompt to fit the model's window; > 0 is reported, never silent."""


@dataclass(frozen=True, eq=False)
class Generated:
    """A generation."""

    text: str
    """Without special tokens, cut at the first stop string, not stripped."""
    tokens: int
    """New tokens, end token excluded; ``NO_NUMBERS`` where the logits were no finite numbers: then nothing was said."""
    finished: bool
    """Ended by the end token or a stop string, not by the limit."""
    target: str | None = None
    """The true continuation, cut to the limit; None where the request had none."""
    cut_tokens: int = 0

    @property
    def broken(self) -> bool:
        """The model gave no numbers, which is another thing than an answer without words."""
        return self.tokens == NO_NUMBERS


@dataclass(frozen=True, eq=False)
class HiddenStates:
    """Of one position, layer by layer."""

    states: NDArray[np.float32]
    """Shape (layers, width)."""
    layers: NDArray[np.int64]
    """Which layer each row is of; 0 = embeddings."""
    cut_tokens: int = 0


@dataclass(frozen=True, eq=False)
class Lensed:
    """What each layer would say: final norm and head applied to every layer's output, embeddings first."""

    logprob: NDArray[np.float32]
    """Shape (layers + 1,): natural log-probability of the token asked about."""
    rank: NDArray[np.int64]
    """Shape (layers + 1,): how many tokens of the vocabulary are likelier; 0 is the argmax, -1 stands for NaN logits."""
    cut_tokens: int = 0


Record = Scored | Generated | HiddenStates | Lensed


@dataclass(frozen=True)
class Prompt:
    """Text put before what is scored or generated."""

    text: str
    """Plain text, or the user's turn where the model is asked through its chat template."""
    chat: bool = False
    """True: wrap as the user's turn (with the model's system prompt, if it has one). False: as it stands."""
    system: str | None = None
    """A system prompt in place of the model's own; '' for none at all. Only where ``chat``."""
    start: str = ""
    """The beginning of the answer, put into the model's mouth: behind the text, or behind the template's generation prompt."""

    @property
    def lead(self) -> str:
        """See ``Request.lead``."""
        return f"{'chat' if self.chat else 'plain'}:{self.system or ''}:{self.text}"


@dataclass(frozen=True)
class Request:
    """Base of every request."""

    kind: ClassVar[str]
    record: ClassVar[type[Record]]
    """What answers it."""
    stepwise: ClassVar[bool] = False
    """Answered one position after another, each pass reading all weights for few tokens: batches are made wider."""

    @property
    def lead(self) -> str:
        """Text from the beginning of what the model reads: requests with equal beginnings are put into one batch."""
        return ""

    @cached_property
    def digest(self) -> str:
        """Hex sha256 of kind and fields: the request's identity in the plan and in the store."""
        return digest({"kind": self.kind, **asdict(self)})


@dataclass(frozen=True)
class Score(Request):
    """Teacher-forced log-probabilities of a continuation.

    Prompt and continuation are tokenised together and split by character offset: a token that straddles the boundary
    belongs to the continuation. With an empty prompt and no bos token the first token is not predicted, hence not scored.
    """

    kind: ClassVar[str] = "score"
    record: ClassVar[type[Record]] = Scored
    prompt: Prompt
    continuation: str
    score_end: bool = False
    """Also score the end-of-sequence (or end-of-turn) token after the continuation."""

    @property
    def lead(self) -> str:
        """See ``Request``."""
        return self.prompt.lead


@dataclass(frozen=True)
class Generate(Request):
    """Continuation, greedy unless ``temperature`` says otherwise."""

    kind: ClassVar[str] = "generate"
    record: ClassVar[type[Record]] = Generated
    stepwise: ClassVar[bool] = True
    prompt: Prompt
    max_new_tokens: int
    stop: tuple[str, ...] = ()
    """Cut the output before the first of these."""
    target: str | None = None
    """The true continuation; the record returns it cut to ``max_new_tokens`` tokens (MUSE's VerbMem)."""
    temperature: float = 0.0
    """0: greedy. Above: tokens are drawn from softmax(logits / temperature), by the request's own digest as seed."""
    top_p: float = 1.0
    """Drawn from the smallest set of likeliest tokens whose probabilities reach this sum (nucleus sampling)."""
    draw: int = 0
    """Number of the sample: equal requests with other numbers are independent draws."""

    @property
    def lead(self) -> str:
        """See ``Request``."""
        return self.prompt.lead


@dataclass(frozen=True)
class Continue(Request):
    """Greedy continuation of the first ``prefix_tokens`` tokens of a text (the model's own tokens)."""

    kind: ClassVar[str] = "continue"
    record: ClassVar[type[Record]] = Generated
    stepwise: ClassVar[bool] = True
    text: str
    prefix_tokens: int
    max_new_tokens: int

    @property
    def lead(self) -> str:
        """See ``Request``."""
        return self.text


@dataclass(frozen=True)
class Hidden(Request):
    """Hidden states at the last position of a prompt, one per layer asked for (0 = embeddings)."""

    kind: ClassVar[str] = "hidden"
    record: ClassVar[type[Record]] = HiddenStates
    prompt: Prompt
    layers: tuple[int, ...] = ()
    """(): every layer of a model with up to 24, every second of a deeper one; the embeddings and the last always."""

    @property
    def lead(self) -> str:
        """See ``Request``."""
        return self.prompt.lead


@dataclass(frozen=True)
class Lens(Request):
    """The logit lens at the last position of a prompt, for the first token of a continuation (tokenised as in Score)."""

    kind: ClassVar[str] = "lens"
    record: ClassVar[type[Record]] = Lensed
    prompt: Prompt
    continuation: str

    @property
    def lead(self) -> str:
        """See ``Request``."""
        return self.prompt.lead


@dataclass(frozen=True)
class Fingerprint:
    """What a model is made of: hex sha256 of each part, '' for a part it does not have."""

    weights: str
    """Over the name and sha256 of every weight shard."""
    config: str
    tokenizer: str
    chat_template: str
    adapter: str = ""
    """Over every file of the adapter folder."""

    @property
    def digest(self) -> str:
        """One hex sha256 over all parts."""
        return digest(asdict(self))

    def parts(self) -> dict[str, str]:
        """The parts that there are, by name."""
        return {name: value for name, value in asdict(self).items() if value}


class SubjectModel(Protocol):
    """A loaded model. Dropout is off; equal requests get equal answers whatever batch they stand in (fp32: 1e-5)."""

    fingerprint: Fingerprint
    device: str
    dtype: str
    context_length: int
    pass_tokens: int
    """Padded tokens at which one pass is near its fastest: the size of batches."""
    cache_tokens: int
    """Padded tokens of a batch that is answered one position after another."""

    def cost(self, request: Request) -> int:
        """Tokens that the request will occupy, prompt plus new tokens: what batches are sorted and budgeted by."""
        ...

    def shared(self, requests: Sequence[Any]) -> int:
        """Tokens at the beginning that all these requests have in common and that a batch of them is charged once."""
        ...

    def answer(self, requests: Sequence[Any]) -> list[Record]:
        """Answer one batch of requests of one kind, in order. Raises torch.OutOfMemoryError where memory is short."""
        ...

    def close(self) -> None:
        """Free the weights."""
        ...
