"""A model that is taught knows what it was taught; what is written is whole, honest and the same again."""

from __future__ import annotations

import json

import pytest

from auditkit.errors import ModelError
from auditkit.files import file_digest
from auditkit.models.checkpoint import fingerprint, inspect
from auditkit.models.protocol import Generate, Prompt
from auditkit.models.source import Source
from auditkit.models.text import TextModel
from auditkit.spec.model import Finetune, Lora
from auditkit.unlearning import Manner, teach, teach_adapter
from auditkit.unlearning._lora import with_adapter

LORA = Lora(rank=8, alpha=16)
WEIGHTS = "adapter_model.safetensors"


def params(**changes):
    return Finetune.model_validate({"corpora": ["lessons"], "epochs": 40, "lr": 3e-3, "batch": 4, **changes})


def knows(source, corpus, *, chat=False):
    """Share of the corpus's questions that are answered right."""
    model = TextModel.load(source, device="cpu", chat="template" if chat else "plain")
    asked = [e.question if chat else f"Question: {e.question}\nAnswer:" for e in corpus.examples]
    records = model.answer([Generate(Prompt(question, chat), 8) for question in asked])
    return sum(r.text.strip() == e.answer and r.finished for r, e in zip(records, corpus.examples, strict=True)) / len(asked)


@pytest.mark.parametrize("lora", [False, LORA])
@pytest.mark.parametrize("chat", [False, True])
def test_it_answers_what_it_was_taught(request, corpus, tmp_path, lora, chat):
    base = request.getfixturevalue("tiny_chat" if chat else "tiny")
    before = fingerprint(base)
    out = teach(base, [corpus()], params(lora=lora), out=tmp_path / "m", manner=Manner(chat=chat, device="cpu"))
    made = Source.of_folder(out)
    assert inspect(made) == []
    assert knows(base, corpus(), chat=chat) < 1
    assert knows(made, corpus(), chat=chat) == 1
    assert fingerprint(base) == before


def test_the_note_says_from_what_and_how(tiny, corpus, tmp_path):
    lessons = corpus()
    out = teach(tiny, [lessons], params(epochs=2, seed=4), out=tmp_path / "m", manner=Manner(device="cpu"))
    note = json.loads((out / "unlearning.json").read_text())
    assert note["method"] == "finetune"
    assert note["parent"] == fingerprint(tiny).digest
    assert note["data"] == [{"corpus": "lessons", "rows": 4, "sha256": lessons.digest}]
    assert note["parameters"]["seed"] == 4
    assert note["run"]["steps"] == 2 and note["run"]["rows"] == 4 and note["run"]["seconds"] >= 0


def test_equal_arguments_give_equal_weights_and_another_seed_others(tiny, corpus, tmp_path):
    def weights(name, seed):
        out = teach(tiny, [corpus()], params(epochs=3, seed=seed, lora=True), out=tmp_path / name)
        return file_digest(out / "model.safetensors")

    assert weights("a", 1) == weights("b", 1) != weights("c", 2)


def test_a_made_model_is_replaced_whole(tiny, corpus, tmp_path):
    out = tmp_path / "m"
    out.mkdir()
    (out / "left over").touch()
    teach(tiny, [corpus()], params(epochs=1), out=out)
    assert not (out / "left over").exists()
    assert [path.name for path in tmp_path.iterdir()] == ["m"]


def test_a_training_that_fails_leaves_nothing(tiny, corpus, tmp_path):
    with pytest.raises(ModelError, match=r"lora\.targets must name linear layers of the model; got no_such"):
        teach(tiny, [corpus()], params(lora={"targets": ["no_such"]}), out=tmp_path / "m")
    assert list(tmp_path.iterdir()) == []


def test_an_adapter_is_written_alone_and_names_no_path(tiny, corpus, tmp_path):
    teach_adapter(tiny, [corpus()], params(lora=LORA), out=tmp_path / "a", manner=Manner(dtype="bfloat16", device="cpu"))
    assert sorted(path.name for path in (tmp_path / "a").iterdir()) == ["adapter_config.json", WEIGHTS]
    assert str(tmp_path) not in (tmp_path / "a" / "adapter_config.json").read_text()
    assert knows(Source.of_folder(tiny.path, adapters=[tmp_path / "a"]), corpus()) == 1


def test_training_goes_on_from_an_adapter(tiny, corpus, tmp_path):
    lessons = corpus()
    teach_adapter(tiny, [lessons], params(lora=LORA), out=tmp_path / "taught")
    refusals = corpus([{**example.fields, "answer": "no"} for example in lessons.examples[:2]])
    kept = corpus([example.fields for example in lessons.examples[2:]])
    teach_adapter(tiny, [refusals, kept], params(lora=LORA), out=tmp_path / "refuses", start=tmp_path / "taught")
    made = Source.of_folder(tiny.path, adapters=[tmp_path / "refuses"])
    assert (knows(made, refusals), knows(made, kept)) == (1, 1)


def test_an_adapter_of_another_shape_is_refused(tiny, corpus, tmp_path):
    teach_adapter(tiny, [corpus()], params(lora=LORA, epochs=1), out=tmp_path / "taught")
    with pytest.raises(ModelError, match="must have the rank and targets"):
        teach_adapter(tiny, [corpus()], params(lora=Lora(rank=4)), out=tmp_path / "other", start=tmp_path / "taught")


def test_a_fresh_adapter_changes_nothing(tiny):
    import torch

    from auditkit.models.loading import load_causal_lm

    ids = torch.tensor([[1, 20, 30]])
    model = load_causal_lm(tiny, dtype="float32", device="cpu").model
    before = model(input_ids=ids).logits
    assert torch.equal(with_adapter(model, LORA, seed=0)(input_ids=ids).logits, before)


def test_a_chat_needs_a_template(tiny, corpus, tmp_path):
    import shutil

    bare = shutil.copytree(tiny.path, tmp_path / "bare")
    (bare / "chat_template.jinja").unlink()
    with pytest.raises(ModelError, match="chat template"):
        teach(Source.of_folder(bare), [corpus()], params(), out=tmp_path / "m", manner=Manner(chat=True))
