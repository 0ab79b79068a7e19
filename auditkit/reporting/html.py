"""``report.html``: one self-contained file, no script, nothing fetched.

One template environment, sandboxed and escaping everything; data is never a template and never exempt from escaping.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from auditkit.reporting import _numbers
from auditkit.reporting._page import page
from auditkit.reporting._printable import printable
from auditkit.reporting._vocabulary import WORDS, CheckText

if TYPE_CHECKING:
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    from auditkit.evidence.results import Results
    from auditkit.evidence.values import ValuesDoc

_PACKAGE = Path(__file__).parents[1]


def render_html(results: Results, values: Mapping[str, ValuesDoc], check_texts: Mapping[str, CheckText] | None = None) -> str:
    """The report. ``values`` by slug feed the score figures; a check without texts is shown without them."""
    shown = printable(results)
    template = environment().get_template("report.html.j2")
    return template.render(page=page(results, shown, values, check_texts or {}), style_hash=_style_hash())


def templates_folder() -> Path:
    """Inside the package where a wheel put them, else beside it in a checkout."""
    installed = _PACKAGE / "_templates"
    return installed if installed.is_dir() else _PACKAGE.parent / "templates"


@cache
def environment() -> ImmutableSandboxedEnvironment:
    """The one environment. Escaping does not depend on a file's ending; a missing name is an error, not an empty string."""
    from jinja2 import FileSystemLoader, StrictUndefined
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    made = ImmutableSandboxedEnvironment(
        loader=FileSystemLoader(templates_folder()),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=False,
    )
    names = ("number", "signed", "interval", "observed", "sample", "bound_here", "plain", "utc")
    made.filters.update({name: getattr(_numbers, name) for name in names})
    made.globals["WORDS"] = WORDS
    return made


def _style_hash() -> str:
    """What the content security policy allows: the one style block, as the template includes it."""
    style = environment().get_template("report.css").render()
    return "sha256-" + base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
