from __future__ import annotations

import io
from pathlib import Path

import pytest

from auditkit.measurement import progress as progress_module
from auditkit.measurement.plan import Budget, Plan, Subject
from auditkit.measurement.progress import Bars, Lines, Silent, duration, progress_for
from auditkit.measurement.runner import measure
from auditkit.measurement.store import Store
from auditkit.models.protocol import Generate, Prompt
from tests.measurement.fake_model import FakeModel


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def run(stream: io.StringIO, folder: Path, subject: Subject, *, quiet: bool = False) -> str:
    requests = [Generate(Prompt(f"secret question {n}"), 4) for n in range(12)]
    plan = Plan.build({"candidate": subject}, {"candidate": [("row", requests)]})
    with progress_for(quiet=quiet, stream=stream) as shown:
        measure(plan, lambda _: FakeModel(), Store(folder), progress=shown, budget=Budget(16, 4 * 16))
    return stream.getvalue()


def test_plain_lines_when_not_a_terminal(tmp_path: Path, subject: Subject, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress_module, "_LINE_EVERY_SECONDS", 0.0)
    text = run(io.StringIO(), tmp_path, subject)
    lines = text.splitlines()
    assert lines[0] == "candidate: loading"
    assert lines[1] == "candidate  generate: 84 tokens"
    assert "tokens/s" in lines[2]
    assert lines[2].endswith("left")
    assert "done in 0 s" in lines[-1]
    assert "\x1b" not in text


def test_a_live_display_on_a_terminal(tmp_path: Path, subject: Subject) -> None:
    text = run(Terminal(), tmp_path, subject)
    assert "candidate: loading" in text
    assert "candidate  generate" in text


@pytest.mark.parametrize("stream", [io.StringIO(), Terminal()])
def test_what_is_asked_is_never_shown(tmp_path: Path, subject: Subject, stream: io.StringIO) -> None:
    assert "secret" not in run(stream, tmp_path, subject)


def test_quiet_shows_nothing(tmp_path: Path, subject: Subject) -> None:
    assert run(Terminal(), tmp_path, subject, quiet=True) == ""


def test_what_is_recorded_is_said() -> None:
    stream = io.StringIO()
    lines = Lines(stream)
    lines.start("candidate", "score", tokens=1200, cached=200)
    assert stream.getvalue() == "candidate  score: 1,200 tokens, 200 of them recorded already\n"


def test_markup_in_a_name_stays_text() -> None:
    stream = Terminal()
    with Bars(stream) as bars:
        bars.note("[bold]x[/bold] [link=http://evil]y[/link]")
    assert "[bold]x[/bold] [link=http://evil]y[/link]" in stream.getvalue()


def test_the_display_is_chosen_by_the_stream() -> None:
    assert isinstance(progress_for(quiet=True), Silent)
    assert isinstance(progress_for(stream=io.StringIO()), Lines)
    assert isinstance(progress_for(stream=Terminal()), Bars)


def test_durations_read_as_words() -> None:
    assert [duration(seconds) for seconds in (-1, 8.4, 60, 245)] == ["0 s", "8 s", "1 min 00 s", "4 min 05 s"]
