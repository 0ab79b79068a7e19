"""``auditkit unlearn``: make the unlearned model where there is none yet."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from auditkit.cli._options import options, spec_options
from auditkit.errors import UserError, did_you_mean

if TYPE_CHECKING:
    from auditkit.evidence.prepare import Audit
    from auditkit.models.source import Source


@click.command(
    short_help="Make the unlearned model of a spec.",
    help=(
        "Make the candidate of a spec by its `unlearn`, or by --method from the original, and the models that it is made from. "
        "Killed and run again, it goes on from the last saved state. Nothing is audited: verify does that, and finds the model "
        "that was made here."
    ),
)
@spec_options
@click.option("--method", help="Unlearning method, in place of the spec's; `auditkit list methods` names all.")
@click.option("--model", "names", multiple=True, metavar="NAME", help="Model to make (repeatable); default: candidate.")
@click.option("--out", type=click.Path(path_type=Path), help="Copy the model there; default: it stays in auditkit's cache.")
@click.option("--quiet", is_flag=True, help="No progress.")
def command(method: str | None, names: tuple[str, ...], out: Path | None, quiet: bool, **given: Any) -> None:
    """Prints where each model lies and what it cost."""
    from auditkit.evidence.subjects import on_disk
    from auditkit.evidence.sweep import audits
    from auditkit.measurement.progress import progress_for

    given["overrides"] = (*given["overrides"], *_by_method(method, given["spec"], given["overrides"]))
    audited = audits(given["spec"], options(**given))
    wanted = names or ("candidate",)
    if out is not None and (len(audited) > 1 or len(wanted) > 1):
        raise UserError("--out takes one model; got several; make them one by one, or leave them in the cache")
    _refuse_taken(out)
    with progress_for(quiet=quiet) as progress:
        for name, audit in audited.items():
            for model in wanted:
                _refuse_unmade(audit, model)
                source = on_disk(audit, model, progress.note)
                click.echo("\n".join(_told(f"{name}: {model}" if name else model, source, out)))


def _by_method(method: str | None, spec: Path, overrides: tuple[str, ...]) -> tuple[str, ...]:
    """Overrides that make the candidate by another method: a candidate that lies on disk already is made from the original."""
    from auditkit.spec.load import load_spec
    from auditkit.unlearning import METHODS

    if method is None:
        return ()
    if method not in METHODS.names():
        raise UserError(f"--method must be an unlearning method; got {method!r}; {did_you_mean(method, METHODS.names())}")
    written = load_spec(spec, overrides=overrides).spec
    if written.methods or written.grid:
        raise UserError("--method needs a spec with one candidate; got one with methods or grid, which name theirs")
    if written.models["candidate"].unlearn is not None:
        return (f"models.candidate.unlearn.method={method}",)
    if "original" not in written.models:
        raise UserError("--method needs a model named original to start from; got a spec without; add it under models")
    return (f"models.candidate={{from: original, unlearn: {{method: {method}}}}}",)


def _refuse_taken(out: Path | None) -> None:
    if out is not None and out.exists():
        raise UserError(f"--out must be a folder that is not there yet; got {out}, which is")


def _refuse_unmade(audit: Audit, name: str) -> None:
    models = audit.spec.models
    if name not in models:
        raise UserError(f"--model must be a model of the spec; got {name!r}; {did_you_mean(name, models)}")
    if models[name].from_ is None:
        hint = "give --method, or write from and unlearn" if name == "candidate" else "name one that has"
        raise UserError(f"--model must be a model that the spec makes; got {name}, which has no from; {hint}")


def _told(name: str, source: Source, out: Path | None) -> list[str]:
    from auditkit.unlearning import read_note

    folder = source.adapters[-1] if source.adapters else source.path
    if out is not None:
        folder = _copied(folder, out)
    note = read_note(source) or {}
    run = note.get("run") or {}
    peak = run.get("peak_memory_bytes")
    cost = f"{run.get('steps')} steps, {run.get('tokens'):,} tokens, {run.get('seconds')} s"
    stopped = f", stopped after epoch {run['stopped']}" if run.get("stopped") else ""
    memory = f", peak memory {peak / 1e9:.1f} GB" if peak else ""
    return [f"{name}: {note.get('method')} in {folder}", f"  {cost}{stopped}{memory}"]


def _copied(folder: Path, out: Path) -> Path:
    """Complete or not at all; what a killed run left beside it goes."""
    partial = out.with_name(f".{out.name}.partial")
    try:
        shutil.rmtree(partial, ignore_errors=True)
        shutil.copytree(folder, partial)
        return partial.rename(out)
    except (OSError, shutil.Error) as error:
        shutil.rmtree(partial, ignore_errors=True)
        why = getattr(error, "strerror", None) or "not every file could be copied"
        raise UserError(f"--out must be a folder that can be written; got {out}: {why}; the model lies in {folder}") from None
