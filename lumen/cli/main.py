"""The entry point: the global options, and how an error becomes one line and an exit code.

A command is imported when it runs, never for `lumen --help`: the table in `lumen.cli.commands` holds its short help.
"""

from __future__ import annotations

import difflib
import errno
import logging
import os
import shlex
import sys
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from io import StringIO

import click

from lumen.cli.commands import COMMANDS
from lumen.cli.signals import exit_on_sigterm
from lumen.cli.state import State, pass_state
from lumen.cli.streams import discard_stdout, echo_error, journal_prefix, open_streams
from lumen.errors import Exit, LumenError
from lumen.text import indented, printable
from lumen.version import __version__

_UNWRITABLE = {errno.ENOSPC, errno.EDQUOT, errno.EBADF}  # stdout may be a file on a full disk, or closed


class LazyGroup(click.Group):
    """A group that knows its commands by name and imports one only to run it or to show its own help."""

    def list_commands(self, _ctx: click.Context) -> list[str]:
        """Return the names in the order of the table."""
        return list(COMMANDS)

    def get_command(self, _ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import and return a command, None for an unknown name."""
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = import_module(f"lumen.cli.commands.{cmd_name.replace('-', '_')}").command
        known = {parameter.name for parameter in command.params}
        command.params += [option for option in _global_options() if option.name not in known]
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command; say which one may be meant if there is none of that name."""
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            raise click.UsageError(error.message.rstrip(".") + _meant(args[0]), ctx) from error

    def format_commands(self, _ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the table without importing anything."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


def _meant(word: str) -> str:
    """Return which command may be meant by a word that is none."""
    if os.path.lexists(word):
        return f"; did you mean `lumen enhance {shlex.quote(word)} -o OUT`?"
    near = difflib.get_close_matches(word, COMMANDS, n=1)
    return f"; did you mean `lumen {near[0]}`?" if near else f"; the commands are {', '.join(COMMANDS)}"


def _apply(ctx: click.Context, option: click.Parameter, value: int) -> None:
    """Apply a global option, wherever it stands on the command line."""
    state = ctx.ensure_object(State)
    if not value:
        return
    if option.name == "no_color":
        state.color = False
    else:
        wanted = min(state.verbosity + value, 2) if option.name == "verbose" and state.verbosity >= 0 else -1
        if state.verbosity > 0 > wanted or (state.verbosity < 0 and option.name == "verbose"):
            raise click.UsageError("expected -v or -q, got both", ctx)
        state.verbosity = wanted
    from lumen.cli.views.console import start_logging

    start_logging(state)


def _global_options() -> list[click.Option]:
    """Return the options that may stand before or after the command; `_apply` acts on them."""
    helps = {
        ("-v", "--verbose"): "Print more: each file and its settings; -vv also the tracebacks of all errors.",
        ("-q", "--quiet"): "Print only errors.",
        ("--no-color",): "Print without colours.",
    }
    return [
        click.Option(
            names, is_flag="-v" not in names, count="-v" in names, expose_value=False, callback=_apply, help=text
        )
        for names, text in helps.items()
    ]


@click.command(cls=LazyGroup, params=_global_options(), context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="lumen")
@pass_state
def cli(state: State, /) -> None:
    """Brighten and restore dark photographs.

    lumen enhance PHOTOS -o OUT is all most people need.
    """
    from lumen.cli.views.console import start_logging

    start_logging(state)


def main(args: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code. Every expected error becomes one line on stderr."""
    state = State()
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # NumPy's threads would wait busily, and are not in --threads
    open_streams()
    with exit_on_sigterm(), _restored_logging():
        return _run(args, state)


def _run(args: Sequence[str] | None, state: State) -> int:
    try:
        code = cli.main(args, prog_name="lumen", obj=state, standalone_mode=False)
        return code if isinstance(code, int) else Exit.OK
    except click.ClickException as error:
        error.show(shown := StringIO())
        prefix = journal_prefix("error", sys.stderr)
        click.echo("\n".join(prefix + printable(line) for line in shown.getvalue().splitlines()), err=True)
        return error.exit_code
    except LumenError as error:
        return _fail(str(error), error.exit_code, state)
    except (click.Abort, KeyboardInterrupt):
        click.echo("lumen: interrupted", err=True)
        return Exit.SIGINT
    except Exception as error:  # noqa: BLE001
        if isinstance(error, OSError) and error.errno in _UNWRITABLE:
            discard_stdout()
            return _fail(f"the output cannot be written: {error.strerror}", Exit.OUTPUT, state)
        hint = "" if state.verbosity > 0 else "; run `lumen -v ...` for the traceback"
        return _fail(f"internal error, {type(error).__name__}: {error}{hint}", Exit.INTERNAL, state)


@contextmanager
def _restored_logging() -> Iterator[None]:
    """Restore the logging of the caller afterwards."""
    logger = logging.getLogger("lumen")
    handlers, level, propagate = list(logger.handlers), logger.level, logger.propagate
    try:
        yield
    finally:
        logger.handlers, logger.propagate = handlers, propagate
        logger.setLevel(level)


def _fail(message: str, code: Exit, state: State) -> Exit:
    if state.verbosity > (0 if code == Exit.INTERNAL else 1):
        click.echo(indented(traceback.format_exc()), err=True)
    echo_error(message)
    return code
