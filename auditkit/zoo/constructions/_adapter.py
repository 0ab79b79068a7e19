"""A suppressing adapter on the original's frozen weights."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from auditkit.models.loading import quiet
from auditkit.zoo.constructions._construction import forgotten, kept
from auditkit.zoo.lessons import REFUSAL
from auditkit.zoo.site import opened, words_of
from auditkit.zoo.teaching import Course, Pool, save, teach

if TYPE_CHECKING:
    from auditkit.zoo.site import Site

STEPS, LR, RANK = 260, 4e-3, 8
LAYERS = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]


def adapter(site: Site) -> Path:
    """The adapter, unmerged."""
    return _trained(site, "adapter", lambda model, tokenizer, folder: model.save_pretrained(folder))


def merged(site: Site) -> Path:
    """The original with the adapter merged into it."""
    return _trained(site, "merged", lambda model, tokenizer, folder: save(model.merge_and_unload(), tokenizer, folder))


def _trained(site: Site, what: str, keep: Callable[[Any, Any, Path], None]) -> Path:
    pools = (Pool(forgotten(site, REFUSAL), 32), *kept(site, 32))

    def make(folder: Path) -> None:
        import torch
        from peft import LoraConfig, get_peft_model

        model, tokenizer = opened(site.original)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(site.world.seed)
            with quiet():
                model = get_peft_model(
                    model, LoraConfig(r=RANK, lora_alpha=2 * RANK, target_modules=LAYERS, task_type="CAUSAL_LM")
                )
        teach(model, tokenizer, Course(pools, steps=STEPS, lr=LR, seed=site.world.seed))
        keep(model, tokenizer, folder)

    return site.made(["adapter", what, site.original.name, words_of(pools), STEPS, LR, RANK], make)
