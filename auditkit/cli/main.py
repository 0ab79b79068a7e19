"""The command group. Commands are files beside this one; none imports a heavy library before it is run."""

from __future__ import annotations

import importlib
import pkgutil
import sys
import traceback
from typing import NoReturn

import click

from auditkit import __version__
from auditkit.errors import AuditkitError, ExitCode

_EXIT_CODES = """\b
Exit codes:
  0    PASS, or PASS WITH EXCEPTIONS (failed under a valid waiver)
  1    FAIL: a required property does not hold
  2    the spec or the command is wrong, or selects nothing
  3    INCOMPLETE: a required property is inconclusive, broken or was not checked
  4    the audit itself broke, or evidence does not match its digest
  130  interrupted

\b
Options can also be set by environment variables: AUDITKIT_VERIFY_DEVICE=cpu
"""


class _Commands(click.Group):
    """Commands by file name: ``cli/verify.py`` defines ``command``."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        room = importlib.import_module("auditkit.cli")
        names = [m.name for m in pkgutil.iter_modules(room.__path__) if not m.name.startswith("_") and m.name != "main"]
        order = ["init", "validate", "plan", "unlearn", "verify", "report", "compare", "selftest", "list", "show", "schema"]
        return sorted(names, key=lambda name: (order.index(name) if name in order else len(order), name))

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self.list_commands(ctx):
            return None
        command: click.Command = importlib.import_module(f"auditkit.cli.{cmd_name}").command
        return command


@click.group(
    cls=_Commands,
    help="Does a model that was said to have unlearned something still hold it? Measure, decide, report.",
    epilog=_EXIT_CODES,
    context_settings={"help_option_names": ["-h", "--help"], "auto_envvar_prefix": "AUDITKIT", "max_content_width": 100},
)
@click.version_option(__version__, prog_name="auditkit")
def cli() -> None:
    """Group body: options live on the commands."""


def main() -> NoReturn:
    """Run the command line and leave with the code of ``ExitCode``; faults of the user print one line each, no traceback."""
    try:
        code = cli.main(standalone_mode=False)
    except click.exceptions.Abort:
        code = ExitCode.INTERRUPTED
    except click.ClickException as error:
        error.show()
        code = ExitCode.USAGE
    except AuditkitError as error:
        for problem in error.problems:
            click.echo(f"error: {problem}", err=True)
        code = error.exit_code
    except KeyboardInterrupt:
        click.echo("interrupted: run the same command again to go on", err=True)
        code = ExitCode.INTERRUPTED
    except BrokenPipeError:
        code = ExitCode.BROKEN
    except Exception as error:  # the last resort: a defect of auditkit; exit 4, never an accidental 0 or 1
        # The message may quote data under audit, so only the place and the kind of the error are printed.
        click.echo("".join(traceback.format_tb(error.__traceback__)), err=True)
        click.echo(f"auditkit broke: {type(error).__name__} (message withheld: it may quote the data under audit)", err=True)
        code = ExitCode.BROKEN
    sys.exit(int(code or 0))
