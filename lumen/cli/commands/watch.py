"""`lumen watch`: every picture that arrives in a folder, once."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_args

import click

from lumen.cli.options import enhance_options, parse_amount, picture_options, runtime_options
from lumen.cli.state import State, pass_state
from lumen.config import OnSuccess, WatchBackend, WatchOptions, WatchOrder
from lumen.errors import UsageError

_SPAN = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|m|min|h)?", re.IGNORECASE)
_SECONDS = {"ms": 0.001, "": 1.0, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0}


def parse_span(text: str) -> float:
    """Return seconds: `2`, `2s`, `500ms`, `1.5m` or `1h`.

    >>> parse_span("500ms"), parse_span("2m")
    (0.5, 120.0)
    """
    match = _SPAN.fullmatch(text.strip())
    seconds = float(match[1]) * _SECONDS[(match[2] or "").lower()] if match else 0.0
    if not seconds > 0:
        raise click.BadParameter(f"expected a length of time above 0 such as 2s, 500ms or 1m, got {text!r}")
    return seconds


def parse_space(text: str) -> int:
    """Return a number of bytes, 0 for none."""
    return 0 if text.strip() == "0" else parse_amount(text)


def parse_on_success(text: str) -> tuple[OnSuccess, Path | None]:
    """Return what is done with inputs, and the folder of `move:DIR`."""
    what, colon, folder = text.partition(":")
    if what == "move" and folder:
        return "move", Path(folder)
    if what in ("keep", "delete") and not colon:
        return ("keep" if what == "keep" else "delete"), None
    raise click.BadParameter(f"expected keep, move:DIR or delete, got {text!r}")


@click.command("watch")
@click.argument("folder", required=False, metavar="IN", type=click.Path(path_type=Path))
@click.argument("out", required=False, metavar="[OUT]", type=click.Path(path_type=Path))
@click.option(
    "--settle",
    type=parse_span,
    metavar="TIME",
    default="2s",
    show_default=True,
    help="A file is taken when it has not changed for so long.",
)
@click.option(
    "--backend",
    type=click.Choice(get_args(WatchBackend)),
    default="auto",
    show_default=True,
    help="How changes are noticed; auto polls on network mounts.",
)
@click.option(
    "--rescan", type=parse_span, metavar="TIME", default="60s", show_default=True, help="Look at everything so often."
)
@click.option(
    "--incomplete-timeout",
    type=parse_span,
    metavar="TIME",
    default="120s",
    show_default=True,
    help="A file that does not decode may still be on its way for so long.",
)
@click.option(
    "--retries", type=click.IntRange(min=1), default=5, show_default=True, help="Attempts at a file, at most."
)
@click.option(
    "--on-success",
    type=parse_on_success,
    metavar="keep|move:DIR|delete",
    default="keep",
    show_default=True,
    help="What becomes of an input when its result is on the disk.",
)
@click.option(
    "--failed-dir", type=click.Path(path_type=Path), metavar="DIR", help="Move inputs there that cannot be enhanced."
)
@click.option("--ignore", multiple=True, metavar="GLOB", help="Leave out files and folders that match (repeatable).")
@click.option(
    "--order",
    type=click.Choice(get_args(WatchOrder)),
    default="oldest",
    show_default=True,
    help="Which file is first when several wait.",
)
@click.option("--skip-backlog", is_flag=True, help="Leave out what is there at the start and was not seen before.")
@click.option("--oneshot", is_flag=True, help="End when everything that is there is finished.")
@click.option(
    "--min-free",
    type=parse_space,
    metavar="SIZE",
    help="Pause while less is free for results. [default: 1GiB, or a tenth of a smaller disk]",
)
@click.option("--log", "log_file", type=click.Path(path_type=Path), metavar="FILE", help="Write the lines there.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object per event, on stdout or in the log.")
@click.option(
    "--status",
    "status_of",
    type=click.Path(path_type=Path),
    metavar="OUT",
    help="Say how the watcher of an output folder fares, and end.",
)
@picture_options
@pass_state
@click.pass_context
def command(
    ctx: click.Context,
    state: State,
    /,
    folder: Path | None,
    out: Path | None,
    status_of: Path | None,
    log_file: Path | None,
    as_json: bool,
    **options: Any,
) -> None:
    """Enhance every picture that arrives in IN, once, and write it to OUT under the same name (default: IN-enhanced).

    A file is taken when it has stood still and decodes whole, whatever uploads it and whatever is lost on the way of
    events. What was done stands in OUT/.lumen/ and survives any end. SIGTERM and Ctrl-C finish what is in work, a
    second one stops at once, SIGHUP opens the log anew.

    Exit codes: 0 stopped or, with --oneshot, all done; 2 usage, 3 some files failed (--oneshot), 4 all failed
    (--oneshot), 5 model or device unavailable, 6 output unwritable or held by another run, 130 stopped by Ctrl-C.
    """
    if status_of is not None:
        from lumen.cli.views.watch import show_status

        show_status(state, status_of, as_json=as_json)
        return
    if folder is None:
        raise UsageError("expected a folder to watch, or --status OUT")
    from lumen.cli.signals import stoppable
    from lumen.cli.views.watch import EventLog

    logs: list[EventLog] = []

    def reopen() -> None:
        for each in logs:
            each.reopen()

    # In this order: whoever sees the log must be heard.
    with stoppable(reopen) as ending, EventLog(state, log_file, as_json=as_json) as log:
        logs.append(log)
        from lumen.runtime.memory import return_freed_memory
        from lumen.runtime.open import model_sets
        from lumen.watching.service import Service

        return_freed_memory()
        models, enhancing = model_sets(runtime_options(options)), enhance_options(options)
        code = ending.run(Service(folder, models, enhancing, _watching(folder, out, options), log.tell))
    ctx.exit(code)


def _watching(folder: Path, out: Path | None, options: Mapping[str, Any]) -> WatchOptions:
    """Return how the folder is watched, from the values of the options."""
    from lumen.watching.folders import default_output

    on_success, archive = options["on_success"]
    return WatchOptions(
        output=default_output(folder) if out is None else out,
        settle_s=options["settle"],
        backend=options["backend"],
        rescan_s=options["rescan"],
        incomplete_timeout_s=options["incomplete_timeout"],
        retries=options["retries"],
        on_success=on_success,
        archive=archive,
        failed_dir=options["failed_dir"],
        ignore=options["ignore"],
        order=options["order"],
        skip_backlog=options["skip_backlog"],
        oneshot=options["oneshot"],
        min_free_bytes=options["min_free"],
        suffix=options["suffix"],
        format=options["format"],
    )
