"""How far a run is, on standard error. What is asked and what is answered is never shown: it may be the forget text."""

from __future__ import annotations

import sys
import time
from contextlib import AbstractContextManager
from typing import Any, Protocol, Self, TextIO

_LINE_EVERY_SECONDS = 10.0
_MINUTE = 60


class Progress(Protocol):
    """Told by the runner what is going on."""

    def start(self, model: str, kind: str, *, tokens: int, cached: int) -> None:
        """A kind of request begins on a model: ``tokens`` in all, of which ``cached`` are recorded already."""
        ...

    def advance(self, tokens: int) -> None:
        """A batch of so many tokens is recorded."""
        ...

    def note(self, text: str) -> None:
        """Something that a reader should know: loading, short memory, a damaged record."""
        ...

    def finish(self) -> None:
        """The kind of request is done."""
        ...


class Silent(AbstractContextManager["Silent"]):
    """Shows nothing."""

    def start(self, model: str, kind: str, *, tokens: int, cached: int) -> None:
        """See ``Progress``."""

    def advance(self, tokens: int) -> None:
        """See ``Progress``."""

    def note(self, text: str) -> None:
        """See ``Progress``."""

    def finish(self) -> None:
        """See ``Progress``."""

    def __exit__(self, *_: object) -> None:
        """Nothing to close."""


class Lines(Silent):
    """Plain lines, one at the beginning and the end of each step and one every ten seconds."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._step = ""
        self._tokens = self._done = self._cached = 0
        self._began = self._shown = 0.0

    def start(self, model: str, kind: str, *, tokens: int, cached: int) -> None:
        """See ``Progress``."""
        self._step = f"{model}  {kind}"
        self._tokens, self._done, self._cached = tokens, cached, cached
        self._began = self._shown = time.monotonic()
        recorded = f", {cached:,} of them recorded already" if cached else ""
        self._print(f"{self._step}: {tokens:,} tokens{recorded}")

    def advance(self, tokens: int) -> None:
        """See ``Progress``."""
        self._done += tokens
        now = time.monotonic()
        if now - self._shown >= _LINE_EVERY_SECONDS:
            self._shown = now
            share = self._done / max(1, self._tokens)
            left = (self._tokens - self._done) / max(self._rate(), 1e-9)
            self._print(f"{self._step}: {share:.0%}, {self._rate():,.0f} tokens/s, {duration(left)} left")

    def note(self, text: str) -> None:
        """See ``Progress``."""
        self._print(text)

    def finish(self) -> None:
        """See ``Progress``."""
        self._print(f"{self._step}: done in {duration(time.monotonic() - self._began)}, {self._rate():,.0f} tokens/s")

    def _rate(self) -> float:
        return (self._done - self._cached) / max(time.monotonic() - self._began, 1e-9)

    def _print(self, line: str) -> None:
        print(line, file=self._stream, flush=True)


class Bars(Silent):
    """A live display on a terminal."""

    def __init__(self, stream: TextIO) -> None:
        from rich import progress
        from rich.console import Console

        self._bars = progress.Progress(
            progress.TextColumn("{task.description}", markup=False),
            progress.BarColumn(bar_width=24),
            progress.TaskProgressColumn(),
            progress.TextColumn("{task.fields[rate]}", markup=False),
            progress.TimeRemainingColumn(),
            console=Console(file=stream, markup=False, highlight=False),
            transient=True,
        )
        self._task: Any = None
        self._began = 0.0
        self._new = 0

    def __enter__(self) -> Self:
        """Take the terminal's last lines."""
        self._bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Give them back."""
        self._bars.stop()

    def start(self, model: str, kind: str, *, tokens: int, cached: int) -> None:
        """See ``Progress``."""
        self._began, self._new = time.monotonic(), 0
        self._task = self._bars.add_task(f"{model}  {kind}", total=tokens, completed=cached, rate="")

    def advance(self, tokens: int) -> None:
        """See ``Progress``."""
        self._new += tokens
        rate = self._new / max(time.monotonic() - self._began, 1e-9)
        self._bars.update(self._task, advance=tokens, rate=f"{rate:,.0f} tokens/s")

    def note(self, text: str) -> None:
        """See ``Progress``."""
        self._bars.console.print(text)

    def finish(self) -> None:
        """See ``Progress``."""
        self._bars.remove_task(self._task)


def progress_for(*, quiet: bool = False, stream: TextIO | None = None) -> Silent | Lines | Bars:
    """Nothing when quiet, a live display on a terminal, plain lines elsewhere; a context manager."""
    target = sys.stderr if stream is None else stream
    if quiet:
        return Silent()
    return Bars(target) if target.isatty() else Lines(target)


def duration(seconds: float) -> str:
    """``8 s``, ``4 min 05 s``."""
    whole = round(max(0.0, seconds))
    return f"{whole} s" if whole < _MINUTE else f"{whole // _MINUTE} min {whole % _MINUTE:02d} s"
