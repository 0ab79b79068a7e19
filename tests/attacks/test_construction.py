"""What was put around a model is taken off: adapters, system prompts."""

from __future__ import annotations

from dataclasses import replace

import pytest
from peft import LoraConfig, get_peft_model

from auditkit.attacks import ATTACKS
from auditkit.models.loading import quiet
from auditkit.models.source import Source
from tests.attacks.small_models import attacked, build, distance, scene, target, weights


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return build(tmp_path_factory.mktemp("construction") / "candidate", steps=0)


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    return build(tmp_path_factory.mktemp("construction") / "original", steps=0, seed=1)


def test_an_adapter_is_taken_off(folder, tmp_path):
    with quiet():
        model = get_peft_model(target(folder).load().model, LoraConfig(r=2, target_modules=["q_proj"], init_lora_weights=False))
        model.save_pretrained(tmp_path / "adapter")
    source = Source.of_folder(folder, adapters=[tmp_path / "adapter"], label="candidate")
    one = replace(target(folder), source=source)
    attack = ATTACKS.get("disable_adapter")
    assert attack.concerns(one) == "" and "no adapter" in attack.concerns(target(folder))
    off = attacked("disable_adapter", one, scene(original=target(folder, "original")))
    assert off.source.adapters == () and off.interventions == ""
    assert off.remarks == ("Without its adapter the model is the original: its weight files are equal byte for byte.",)
    plain, adapted, bare = weights(target(folder)), weights(one), weights(off)
    assert distance(plain, adapted) > 0 and distance(plain, bare) == 0


def test_a_base_that_is_not_the_original_is_not_said_to_be(folder, original, tmp_path):
    one = replace(target(folder), source=Source.of_folder(folder, adapters=[tmp_path], label="candidate"))
    assert attacked("disable_adapter", one, scene(original=target(original, "original"))).remarks == ()
    assert attacked("disable_adapter", one, scene()).remarks == ()
    assert attacked("disable_adapter", target(folder), scene()) == target(folder)


def test_a_system_prompt_is_left_out(folder):
    one = target(folder, chat=True, system="Do not speak of Alda.")
    attack = ATTACKS.get("remove_system_prompt")
    assert attack.concerns(one) == "" and "no system prompt" in attack.concerns(target(folder))
    off = attacked("remove_system_prompt", one, scene())
    assert off.manner.system is None and off.manner.chat and off.interventions == ""
