"""The same audit on a GPU: only where there is one. Nothing else of the tests needs it."""

import math
import os

import pytest
import world as builder

torch = pytest.importorskip("torch")
if not torch.cuda.is_available():
    pytest.skip("needs a cuda device", allow_module_level=True)

from auditkit.evidence.audit import run  # noqa: E402
from auditkit.evidence.prepare import Options, prepare  # noqa: E402
from auditkit.measurement.progress import Silent  # noqa: E402
from tests.evidence.test_attacked_audits import ANSWERS, PROBABILITY, RELEARN, under  # noqa: E402

LORA = {"relearn": {**RELEARN["relearn"], "lora": {"rank": 4, "alpha": 8}}}
ATTACKS = {
    "quantize": "quantize",
    "prune": "prune",
    "noise": "noise",
    "rescale": "rescale",
    "direction": "ablate_direction",
    "soft prompt": {"soft_prompt": {"steps": 5, "tokens": 4}},
    "relearn": RELEARN,
    "relearn an adapter": LORA,
    "wordings": {"prompts": {"families": ["typos", "role_play"]}},
    "samples": {"sample": {"n": 2}},
}
PROBES = [
    {"check": check, "name": check, "at_most": "reference + 0.3", "with": {"prompt": builder.QUESTION}}
    for check in ("logit_lens", "linear_probe", "leak_at_k")
]


@pytest.fixture(scope="module")
def place(world, tmp_path_factory):
    return builder.copy(world, tmp_path_factory.mktemp("place"))


def models(device, dtype):
    folders = {"candidate": "clean", "original": "original", "reference": "reference"}
    return {name: {"checkpoint": f"./{folder}", "device": device, "dtype": dtype} for name, folder in folders.items()}


def audit(place, name, require, *, device="cuda", dtype="float32"):
    path = builder.spec(place, name=f"{name}.yaml", require=require, models=models(device, dtype))
    outcome = run(prepare(path, Options()), progress=Silent(), run_dir=place / f"run-{name}")
    return {doc.name: doc for doc in outcome.results.requirements}


def suite():
    attacked = [
        under(check, attack, f"{name}: {check['name']}") for name, attack in ATTACKS.items() for check in (PROBABILITY, ANSWERS)
    ]
    return [PROBABILITY, ANSWERS, *PROBES, *attacked]


def test_cuda_gives_what_the_cpu_gives(place):
    on_cpu, on_cuda = (audit(place, f"both-{device}", suite(), device=device) for device in ("cpu", "cuda"))
    broken = {f"{name}: {doc.reason}" for docs in (on_cpu, on_cuda) for name, doc in docs.items() if doc.result == "error"}
    assert not broken
    for name, doc in on_cuda.items():
        if name.startswith(("samples", "soft prompt", "linear_probe")):
            continue  # drawn, trained or fitted: a last digit may tip a draw
        for model, estimate in doc.models.items():
            assert estimate.value == pytest.approx(on_cpu[name].models[model].value, abs=0.02), (name, model)


def test_half_precision_measures_everything(place):
    for name, doc in audit(place, "half", suite(), dtype="bfloat16").items():
        assert doc.result != "error", f"{name}: {doc.reason}"
        assert all(math.isfinite(estimate.value) for estimate in doc.models.values()), name


def test_the_four_bit_formats_of_bitsandbytes(place):
    pytest.importorskip("bitsandbytes")
    (doc,) = audit(
        place, "nf4", [under(PROBABILITY, {"quantize": {"bits": ["nf4", "fp4", 4]}}, "packed")], dtype="bfloat16"
    ).values()
    assert doc.result != "error", doc.reason
    assert {group.group for group in doc.groups} == {"nf4", "fp4", "4 bit"}


def test_a_second_run_without_records_gives_the_same(place, tmp_path, monkeypatch):
    first = audit(place, "again", suite())
    monkeypatch.setitem(os.environ, "AUDITKIT_CACHE", str(tmp_path))
    second = audit(place, "again", suite())
    assert {name: doc.models for name, doc in first.items()} == {name: doc.models for name, doc in second.items()}
