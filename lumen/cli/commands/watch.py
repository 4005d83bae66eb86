"""`lumen watch`: enhance every picture that arrives in a folder, once."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from lumen.cli.help import GroupedCommand
from lumen.cli.options import (
    PATH,
    field_option,
    json_option,
    options_of,
    parse_on_success,
    parse_space,
    parse_span,
    picture_options,
    span_as_typed,
)
from lumen.cli.settings import rules_of, settings_option
from lumen.cli.signals import service_signals
from lumen.cli.state import State, pass_state
from lumen.cli.values import OnDisk
from lumen.config import EnhanceOptions, RuntimeOptions, WatchOptions
from lumen.errors import UsageError

if TYPE_CHECKING:
    from lumen.watching.events import Event

_FOLDER = OnDisk("a store tells of no changes, and keeps no ledger; run lumen enhance on it from time to time instead")
_watch = partial(field_option, WatchOptions)
_span = partial(_watch, type=parse_span, show=span_as_typed, metavar="TIME")


@click.command("watch", cls=GroupedCommand)
@click.argument("folder", required=False, metavar="IN", type=_FOLDER)
@click.argument("output", required=False, metavar="[OUT]", type=_FOLDER)
@_span("--settle", "settle_s", help="Process a file once it is unchanged for this long.")
@_watch("--backend", help="How changes are noticed; auto polls on network mounts.")
@_span("--rescan", "rescan_s", help="Scan the whole folder this often.")
@_span(
    "--incomplete-timeout", "incomplete_timeout_s", help="How long a file that does not decode may still be uploading."
)
@_span("--timeout", "timeout_s", help="How long a file may be read or decoded without progress.")
@_watch("--retries", metavar="N", type=click.IntRange(min=1), help="Maximum attempts per file.")
@_watch(
    "--on-success",
    type=parse_on_success,
    metavar="keep|move:DIR|delete",
    help="What to do with an input once its result is on disk.",
)
@_watch("--failed-dir", type=PATH, metavar="DIR", help="Folder for inputs that cannot be enhanced.")
@_watch("--clips", help="Take clips too, not only pictures.")
@_watch("--ignore", metavar="GLOB", help="Skip files and folders that match (repeatable).")
@_watch("--order", help="Which file to take first when several are waiting.")
@_watch("--skip-backlog", help="Skip files that are there at the start and were not seen before.")
@_watch("--moved-from", type=PATH, metavar="DIR", help="IN was at DIR before: its results stay valid.")
@_watch("--steady", help="Each folder is the sequence of one camera, and gets a steady light.")
@_watch("--oneshot", help="Stop when every file that is there is finished.")
@_watch(
    "--min-free",
    "min_free_bytes",
    type=parse_space,
    metavar="SIZE",
    help="Pause while less space is free for results.  [default: 1GiB, or a tenth of a smaller disk]",
)
@_watch("--page", type=PATH, metavar="FILE.html", help="Show how the watcher is doing on a page, for any browser.")
@_watch("--metrics", type=PATH, metavar="FILE.prom", help="Write metrics for Prometheus' node exporter to FILE.prom.")
@click.option("--log", "log_file", type=PATH, metavar="FILE", help="Write the log to FILE.")
@json_option("event, on stdout or in the log")
@click.option(
    "--status",
    "status_of",
    type=PATH,
    metavar="OUT",
    help="Show the status of the watcher that writes to OUT, and exit: with 0 if all is well.",
)
@click.option(
    "--stale",
    "stale_s",
    type=parse_span,
    default="10m",
    show_default=True,
    metavar="TIME",
    help="With --status: how long a file may wait.",
)
@settings_option
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
    stale_s: float,
    log_file: Path | None,
    as_json: bool,
    **values: Any,
) -> None:
    """Enhance every picture that arrives in IN, once, and write it to OUT under the same name (default: IN-enhanced).

    A file is processed once it is unchanged for --settle and decodes completely, however it was uploaded. OUT/.lumen/
    records what was done and survives crashes. SIGTERM and Ctrl-C finish the files in work, a second one stops at once,
    SIGHUP reopens the log.

    Exit codes: 0 stopped or, with --oneshot, all done; 2 usage, 3 some files failed (--oneshot), 4 all failed
    (--oneshot), 5 model or device unavailable or decoders hang, 6 output not writable or held by another run, 130
    stopped by Ctrl-C. Of --status: 0 all is well, 3 files failed or wait too long, 6 paused or no watcher alive.
    """
    if status_of is not None:
        from lumen.cli.views.watch import show_status

        ctx.exit(show_status(state, status_of, stale_s=stale_s, as_json=as_json))
    if folder is None:
        raise UsageError("expected a folder to watch, or --status OUT")
    if ctx.get_parameter_source("stale_s") is ParameterSource.COMMANDLINE:
        raise UsageError("expected --stale with --status: it says when a status is no longer well")
    from lumen.cli.service_manager import ServiceManager
    from lumen.cli.views.watch import EventLog

    # In this order: whoever sees the log may send signals already.
    with service_signals() as signals, EventLog(state, log_file, as_json=as_json) as log:
        signals.on_hangup = log.reopen
        from lumen.runtime.memory import return_freed_memory
        from lumen.runtime.open import model_sets
        from lumen.watching.folders import default_output
        from lumen.watching.service import Service

        return_freed_memory()
        models, enhancing = model_sets(options_of(RuntimeOptions, values)), options_of(EnhanceOptions, values)
        on_success, archive = values["on_success"]  # one option sets two fields
        watching = options_of(
            WatchOptions, values, output=output or default_output(folder), on_success=on_success, archive=archive
        )
        manager = ServiceManager()

        def tell(event: Event) -> None:
            manager.tell(event)
            log.tell(event)

        code = signals.run(Service(folder, models, enhancing, watching, tell, rules_of(ctx), manager.sign_s))
    ctx.exit(code)
