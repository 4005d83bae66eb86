"""`lumen watch`: enhance every picture that arrives in a folder, once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from lumen.cli.help import GroupedCommand
from lumen.cli.options import (
    PATH,
    Decorator,
    field_option,
    json_option,
    options_of,
    parse_on_success,
    parse_space,
    parse_span,
    picture_options,
    span_as_typed,
)
from lumen.cli.signals import service_signals
from lumen.cli.state import State, pass_state
from lumen.config import EnhanceOptions, RuntimeOptions, WatchOptions
from lumen.errors import UsageError


def _span_option(spelling: str, field: str, text: str) -> Decorator:
    return field_option(WatchOptions, spelling, field, type=parse_span, show=span_as_typed, metavar="TIME", help=text)


@click.command("watch", cls=GroupedCommand)
@click.argument("folder", required=False, metavar="IN", type=PATH)
@click.argument("output", required=False, metavar="[OUT]", type=PATH)
@_span_option("--settle", "settle_s", "Process a file once it is unchanged for this long.")
@field_option(WatchOptions, "--backend", help="How changes are noticed; auto polls on network mounts.")
@_span_option("--rescan", "rescan_s", "Scan the whole folder this often.")
@_span_option(
    "--incomplete-timeout", "incomplete_timeout_s", "How long a file that does not decode may still be uploading."
)
@field_option(WatchOptions, "--retries", type=click.IntRange(min=1), help="Maximum attempts per file.")
@field_option(
    WatchOptions,
    "--on-success",
    type=parse_on_success,
    metavar="keep|move:DIR|delete",
    help="What to do with an input once its result is on disk.",
)
@field_option(WatchOptions, "--failed-dir", type=PATH, metavar="DIR", help="Folder for inputs that cannot be enhanced.")
@field_option(WatchOptions, "--ignore", metavar="GLOB", help="Skip files and folders that match (repeatable).")
@field_option(WatchOptions, "--order", help="Which file to take first when several are waiting.")
@field_option(WatchOptions, "--skip-backlog", help="Skip files that are there at the start and were not seen before.")
@field_option(WatchOptions, "--oneshot", help="Stop when every file that is there is finished.")
@field_option(
    WatchOptions,
    "--min-free",
    "min_free_bytes",
    type=parse_space,
    metavar="SIZE",
    help="Pause while less space is free for results.  [default: 1GiB, or a tenth of a smaller disk]",
)
@click.option("--log", "log_file", type=PATH, metavar="FILE", help="Write the log to FILE.")
@json_option("event, on stdout or in the log")
@click.option(
    "--status",
    "status_of",
    type=PATH,
    metavar="OUT",
    help="Show the status of the watcher that writes to OUT, and exit.",
)
@picture_options
@pass_state
@click.pass_context
def command(
    ctx: click.Context,
    state: State,
    /,
    folder: Path | None,
    output: Path | None,
    status_of: Path | None,
    log_file: Path | None,
    as_json: bool,
    **values: Any,
) -> None:
    """Enhance every picture that arrives in IN, once, and write it to OUT under the same name (default: IN-enhanced).

    A file is processed once it is unchanged for --settle and decodes completely, however it was uploaded. OUT/.lumen/
    records what was done and survives crashes. SIGTERM and Ctrl-C finish the files in work, a second one stops at once,
    SIGHUP reopens the log.

    Exit codes: 0 stopped or, with --oneshot, all done; 2 usage, 3 some files failed (--oneshot), 4 all failed
    (--oneshot), 5 model or device unavailable, 6 output not writable or held by another run, 130 stopped by Ctrl-C.
    """
    if status_of is not None:
        from lumen.cli.views.watch import show_status

        show_status(state, status_of, as_json=as_json)
        return
    if folder is None:
        raise UsageError("expected a folder to watch, or --status OUT")
    from lumen.cli.views.watch import EventLog

    # In this order: whoever sees the log may send signals already.
    with service_signals() as signals, EventLog(state, log_file, as_json=as_json) as log:
        signals.on_hangup = log.reopen
        from lumen.runtime.memory import return_freed_memory
        from lumen.runtime.open import model_sets
        from lumen.watching.service import Service

        return_freed_memory()
        models, enhancing = model_sets(options_of(RuntimeOptions, values)), options_of(EnhanceOptions, values)
        code = signals.run(Service(folder, models, enhancing, _watching(folder, output, values), log.tell))
    ctx.exit(code)


def _watching(folder: Path, output: Path | None, values: dict[str, Any]) -> WatchOptions:
    """Return how the folder is watched; `--on-success` sets two fields."""
    from lumen.watching.folders import default_output

    on_success, archive = values["on_success"]
    output = default_output(folder) if output is None else output
    return options_of(WatchOptions, values, output=output, on_success=on_success, archive=archive)
