"""TOFU's own data on the embedded model: original, retrained, and unlearned by gradient difference and NPO.

::

    python benchmarks/tofu.py --data FOLDER [--run-dir RUN]      about an hour on two cores

FOLDER holds a copy of TOFU (forget01_perturbed.json, retain_perturbed.json, real_authors_perturbed.json,
world_facts_perturbed.json; MIT licence, not part of this project). Scaled down to what a processor can carry: forget01's forty
rows, 120 rows of the retain set for training and test, 40 of each other set for utility, SmolLM2-135M with LoRA in bfloat16.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

LORA = {"rank": 16, "alpha": 32}
TEACH = {"epochs": 6, "lr": 1.0e-3, "batch": 8, "lora": LORA, "seed": 1}
SHORT = {"max_new_tokens": 48}
"""TOFU generates 200 tokens; its answers have 30 to 60."""


def spec() -> dict[str, Any]:
    """The audit, as a spec that lies beside the data."""
    answers = {"paraphrases": "paraphrased_answer", "perturbed": "perturbed_answer"}
    return {
        "auditkit": 1,
        "title": "TOFU forget01 on SmolLM2-135M",
        "intent": "suppression",
        "models": {
            "base": {"checkpoint": "builtin:smollm2-135m-instruct"},
            "original": {"from": "base", "finetune": {"corpora": ["forget", "retain"], **TEACH}, "dtype": "bfloat16"},
            "reference": {"from": "base", "finetune": {"corpora": ["retain"], **TEACH}, "dtype": "bfloat16"},
            "candidate": {
                "from": "original",
                "unlearn": {"epochs": 5, "lr": 2.0e-4, "batch": 8, "lora": LORA, "seed": 1},
                "dtype": "bfloat16",
            },
        },
        "methods": {"gradient_difference": {}, "npo": {}},
        "targets": [{"name": "two fictitious authors of TOFU (forget01)", "corpus": "forget"}],
        "corpora": {
            "forget": {"file": "forget01_perturbed.json", "columns": answers},
            "retain": {"file": "retain_perturbed.json", "columns": answers, "sample": {"n": 120}},
            "real_authors": {
                "file": "real_authors_perturbed.json",
                "columns": {"perturbed": "perturbed_answer"},
                "sample": {"n": 40},
            },
            "world_facts": {
                "file": "world_facts_perturbed.json",
                "columns": {"perturbed": "perturbed_answer"},
                "sample": {"n": 40},
            },
        },
        "profile": "tofu",
        "require": [
            {
                "name": "tofu: model utility",
                "check": "model_utility",
                "corpus": "retain",
                "with": SHORT,
                "at_least": "0.95 * reference",
            },
            {
                "name": "tofu: knowledge memorization",
                "check": "knowledge_memorization",
                "corpus": "forget",
                "with": {"convention": "tofu", **SHORT},
                "at_most": "reference + 0.05",
            },
        ],
    }


def main() -> None:
    """Write the spec into the run's parent folder and verify it."""
    options = argparse.ArgumentParser(description="TOFU on the embedded model.")
    options.add_argument("--data", type=Path, required=True, help="folder with a copy of TOFU")
    options.add_argument("--run-dir", type=Path, default=Path("auditkit-runs/tofu"))
    given = options.parse_args()
    path = given.run_dir.with_name(f"{given.run_dir.name}-spec.yaml")
    path.parent.mkdir(parents=True, exist_ok=True)
    document = spec()
    for corpus in document["corpora"].values():
        corpus["file"] = str(given.data.resolve() / corpus["file"])
    path.write_text(json.dumps(document, indent=1))
    words = ["verify", str(path), "--run-dir", str(given.run_dir), "--root", str(given.data), "--exit-zero"]
    sys.exit(subprocess.run([sys.executable, "-m", "auditkit", *words], check=False).returncode)


if __name__ == "__main__":
    main()
