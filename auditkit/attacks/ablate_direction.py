"""Direction ablation: what tells forgotten from kept questions apart in the hidden states is taken out of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from auditkit.attacks._attack import ModelAttack, Scene, Setting, Step, Target
from auditkit.attacks._words import distinct, listed
from auditkit.corpora.fitness import missing_fields
from auditkit.errors import did_you_mean
from auditkit.files import digest
from auditkit.models.protocol import Hidden, Prompt
from auditkit.spec.model import Name, Part

if TYPE_CHECKING:
    from auditkit.corpora.example import Corpus, Example
    from auditkit.models.loading import Loaded

Layer = Annotated[int, Field(ge=0)]


class AblateDirectionParams(Part):
    """Where the direction is looked for and taken out."""

    corpus: Name | None = Field(
        None, description="Corpus of the forgotten questions; their answers are not used. Default: the measured one."
    )
    against: Name | None = Field(None, description="Corpus of kept questions. Default: the one with role retain.")
    layers: Literal["all"] | Annotated[list[Layer], Field(min_length=1), AfterValidator(distinct)] = Field(
        "all", description="Decoder layers, from 0. Each has a direction of its own, which is taken out of its output."
    )
    together: bool = Field(
        True,
        description=(
            "true: in all these layers at once. false: in one of them alone, each tried for itself; gentler, where all at once "
            "leave nothing of the original either. Needs a list of layers."
        ),
    )
    rows: int = Field(128, ge=1, le=10_000, description="Rows of each corpus, drawn by the audit's seed; 128 in Arditi et al.")

    @model_validator(mode="after")
    def _alone_needs_a_list(self) -> AblateDirectionParams:
        if not self.together and self.layers == "all":
            raise ValueError("together: false needs a list of layers; got layers: all")
        return self


class AblateDirection(ModelAttack[AblateDirectionParams]):
    """x ← x - (x · d) d at every position, d the difference of means at the last position of the prompts, at length 1.

    Arditi et al. take the direction of one layer out of all; here, as in Łucki et al., every layer has its own.
    """

    name = "ablate_direction"
    title = "Direction ablation"
    summary = "Takes the direction that tells forgotten from kept questions apart out of every layer's output."
    attacker = (
        "The weights, some questions on what was forgotten and some on other things; no answers are needed. "
        "It takes somebody who knows how such models are built, or published code, and a few minutes."
    )
    source = (
        "Łucki et al., arXiv 2409.18025, code ethz-spylab/unlearning-vs-safety (there against the original's states; here, as "
        "an attacker without the original would, against kept questions); Arditi et al., arXiv 2406.11717."
    )
    limits = (
        "Finds what is hidden behind one direction a layer. Some of the direction may carry what the questions are about, and "
        "not that they are blocked; taking it out then costs knowledge. A random direction is shown beside it: where that one "
        "brings back as much, it was not the direction."
    )
    family = "representation"
    params = AblateDirectionParams
    version = 1

    def settings(self, params: AblateDirectionParams) -> Sequence[Setting]:
        """The direction, and a random one that is shown beside it and decides nothing; of each layer where it goes alone."""
        tried: list[tuple[str, list[int] | None]] = [("direction", None if params.layers == "all" else sorted(params.layers))]
        if not params.together and params.layers != "all":
            tried = [(f"direction of layer {layer}", [layer]) for layer in sorted(params.layers)]
        return [
            *(Setting(label, {"random": False, "layers": layers}) for label, layers in tried),
            *(Setting(f"random {label}", {"random": True, "layers": layers}, shown_only=True) for label, layers in tried),
        ]

    def budget(self, params: AblateDirectionParams) -> str:
        """``one direction in every layer``, ``one direction in layer 8, 14 or 20``."""
        if params.layers == "all":
            return "one direction in every layer"
        if not params.together:
            return f"one direction in layer {listed(sorted(params.layers)).replace(' and ', ' or ')}"
        return f"one direction in layer{'s' if len(params.layers) > 1 else ''} {listed(params.layers)}"

    def problems(self, params: AblateDirectionParams, scene: Scene) -> Iterable[str]:
        """Two different corpora are needed, with something to ask in every row."""
        for field, name in (("corpus", params.corpus), ("against", params.against)):
            if name is not None and name not in scene.corpora:
                yield f"{field} must name a corpus of this spec; got {name!r}; {did_you_mean(name, scene.corpora)}"
                return
        forget, kept = _corpora(params, scene)
        if kept is None:
            yield "against must name a corpus where none has the role retain; got none"
            return
        if forget.name == kept.name or forget.digest == kept.digest:
            yield f"against must be another corpus than corpus; got {forget.name} and {kept.name}"
        for corpus in (forget, kept):
            yield from missing_fields(corpus, ("question|prompt|text",))

    def apply(self, target: Target, setting: Setting, params: AblateDirectionParams, scene: Scene) -> Target:
        """The directions are those of the model as earlier steps left it. Raises ModelError on loading: see ``_directions``."""
        forget, kept = _corpora(params, scene)
        if kept is None:
            raise ValueError("ablate_direction has no corpus of kept questions, which its problems tell")
        asked = [self._prompts(corpus, params, scene) for corpus in (forget, kept)]
        random: bool = setting.values["random"]
        layers: list[int] | None = setting.values["layers"]
        system, where = target.manner.system, target.source.label

        def ablate(loaded: Loaded) -> Loaded:
            import torch

            from auditkit.attacks._directions import chosen_blocks, mean_states, project_out

            blocks = chosen_blocks(loaded.model, layers, where=where)
            encoded = [_encoded(loaded, prompts, system) for prompts in asked]
            of_forget, of_kept = (mean_states(loaded.model, blocks, prompts, where=where) for prompts in encoded)
            directions = {block: mean - of_kept[block] for block, mean in of_forget.items()}
            if random:
                directions = {
                    block: torch.from_numpy(scene.rng(self.name, block.part, block.layer).standard_normal(len(direction)))
                    for block, direction in directions.items()
                }
            project_out(directions)
            return loaded

        words = [[asdict(prompt) for prompt in prompts] for prompts in asked]
        drawn = scene.seed if random else None
        return target.then(Step(digest([self.name, self.version, words, system, layers, random, drawn]), ablate))

    def _prompts(self, corpus: Corpus, params: AblateDirectionParams, scene: Scene) -> list[Prompt]:
        rows = corpus.examples
        if len(rows) > params.rows:
            chosen = scene.rng(self.name, corpus.name).choice(len(rows), params.rows, replace=False)
            rows = tuple(rows[index] for index in sorted(chosen))
        return [_prompt(row, chat=scene.chat) for row in rows]


def _corpora(params: AblateDirectionParams, scene: Scene) -> tuple[Corpus, Corpus | None]:
    forget = scene.corpus if params.corpus is None else scene.corpora[params.corpus]
    return forget, scene.role("retain") if params.against is None else scene.corpora[params.against]


def _prompt(row: Example, *, chat: bool) -> Prompt:
    """The question, or the beginning of a text: its first half, in whole words."""
    if row.question:
        return Prompt(row.question, chat=True) if chat else Prompt(f"Question: {row.question}\nAnswer:")
    if row.get("prompt"):
        return Prompt(row.get("prompt"))
    words = row.text.split()
    return Prompt(" ".join(words[: -(-len(words) // 2)]))


def _encoded(loaded: Loaded, prompts: Sequence[Prompt], system: str | None) -> list[list[int]]:
    from auditkit.models._encode import Encoder
    from auditkit.models.text import context_length

    window = context_length(loaded.model.config, loaded.tokenizer)
    encoder = Encoder(loaded.tokenizer, context_length=window, system=system, lead=loaded.lead)
    return [encoder.prompt(Hidden(prompt, (0,))).ids for prompt in prompts]


ATTACK = AblateDirection()
