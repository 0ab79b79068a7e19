from __future__ import annotations

from pathlib import Path

import pytest

from auditkit.errors import UserError
from auditkit.paths import inside


def test_a_path_is_taken_from_the_base(tmp_path: Path) -> None:
    assert inside("./a/b.jsonl", tmp_path) == tmp_path.resolve() / "a" / "b.jsonl"
    assert inside(str(tmp_path / "a"), tmp_path) == tmp_path.resolve() / "a"


def test_a_root_widens_what_is_allowed(tmp_path: Path) -> None:
    base, root = tmp_path / "spec", tmp_path / "data"
    assert inside("../data/x", base, [root]) == root.resolve() / "x"
    with pytest.raises(UserError, match="must lie in the spec's folder"):
        inside("../data/x", base)


@pytest.mark.parametrize("path", ["../x", "/etc/passwd", "a/../../x", "~/x", "https://example.org/x", "file:///x", "", "a\0b"])
def test_what_leads_out_is_refused(tmp_path: Path, path: str) -> None:
    with pytest.raises(UserError, match="must"):
        inside(path, tmp_path)


def test_a_link_out_is_refused(tmp_path: Path) -> None:
    base = tmp_path / "spec"
    base.mkdir()
    (base / "link").symlink_to(tmp_path)
    with pytest.raises(UserError, match="leads out"):
        inside("link/x", base)


def test_a_dollar_is_an_ordinary_character(tmp_path: Path) -> None:
    assert inside("$HOME", tmp_path).name == "$HOME"
