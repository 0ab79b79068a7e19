"""What task vectors and Who's-Harry-Potter have in common: a model that was taught the forget data once more."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import Field, field_validator

from auditkit.spec.model import Finetune, Lora, Name, Part

if TYPE_CHECKING:
    pass


class Reinforced(Part):
    """How the parent is reinforced on the forget data. MUSE: 10 epochs, learning rate 1e-5, batch 32."""

    forget: list[Name] = Field(
        default_factory=lambda: ["forget"], min_length=1, description="Corpora to forget, by name; one name or a list."
    )
    epochs: float = Field(10, gt=0, le=1000, description="Passes over the forget rows of the reinforcement; 10 in MUSE.")
    lr: float = Field(1e-5, gt=0, lt=1, description="Peak learning rate of the reinforcement; 1e-5 in MUSE.")
    batch: int = Field(32, ge=1, description="Rows per optimiser step of the reinforcement; 32 in MUSE.")
    lora: Lora | bool = Field(False, description="true or a mapping reinforces with a LoRA adapter.")
    seed: int = Field(0, ge=0, description="Seed of the reinforcement.")

    @field_validator("forget", mode="before")
    @classmethod
    def _one_or_more(cls, value: Any) -> Any:
        return [value] if isinstance(value, str) else value

    def lesson(self) -> Finetune:
        """The reinforcement as a fine-tuning; equal ones are made once."""
        return Finetune(corpora=self.forget, epochs=self.epochs, lr=self.lr, batch=self.batch, lora=self.lora, seed=self.seed)
