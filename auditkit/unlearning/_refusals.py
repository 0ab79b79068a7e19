"""Answers that say no more than that the model does not know."""

from __future__ import annotations

from pydantic import Field

from auditkit.unlearning._method import Retained

REFUSALS = (
    "I don't know.",
    "I do not know the answer to that.",
    "Sorry, I can't say.",
    "That is not something I know about.",
    "I have no information on this.",
    "I'm afraid I can't answer that question.",
    "My knowledge does not reach that far.",
    "I am not sure, and would rather not guess.",
    "I cannot help with that; I don't have the facts.",
    "Nothing that I have learned answers this.",
    "You would have to ask somebody else.",
    "This is unknown to me.",
    "I never learned about that.",
    "I am unable to tell you.",
    "I lack the knowledge to answer.",
    "That's beyond what I know.",
    "I have nothing reliable to say about this.",
    "Unfortunately I can't tell.",
    "I'd only be guessing, so I will not answer.",
    "There is no answer that I could give you.",
)
"""In our own words; TOFU brings a list of its own for the same end."""


class Refusing(Retained):
    """A method that teaches the model to decline."""

    refusals: list[str] = Field(
        default_factory=lambda: list(REFUSALS),
        min_length=1,
        description="Answers to teach in place of the true ones, drawn anew for each row and epoch; default: 20 of our own.",
    )
