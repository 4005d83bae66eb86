"""`lumen enhance`: enhance files and folders, or one picture from stdin to stdout."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from lumen.batch.named_result import with_named_result
from lumen.cli.help import GroupedCommand
from lumen.cli.options import (
    PLACE,
    BareOption,
    engine_option,
    field_option,
    given_options,
    json_option,
    options_of,
    parse_shard,
    picture_options,
)
from lumen.cli.pages import PageReport
from lumen.cli.settings import rules_of, settings_given, settings_option
from lumen.cli.signals import stop_on_ctrl_c
from lumen.cli.state import State, pass_state
from lumen.cli.values import OnDisk, Place
from lumen.config import BatchOptions, EngineChoice, EnhanceOptions, RuntimeOptions
from lumen.errors import Exit, UsageError
from lumen.files.paths import is_folder, require_input
from lumen.files.store_path import StorePath
from lumen.text import printable

if TYPE_CHECKING:
    from lumen.batch.engines.engine import BatchEngine
    from lumen.batch.listed import PathList
    from lumen.batch.run import Batch
    from lumen.cli.views.batch import BatchView
    from lumen.enhance.picture_rules import PictureOptions

STREAM = Path("-")
# Options about many files or about names, which have no meaning for one picture to stdout.
BATCH_ONLY = {field.name for field in fields(BatchOptions)} - {"output", "format", "frames"}
BATCH_ONLY |= {"files_from", "null", "reference", "report", "dry_run", "as_json"}

_IN_PLACE = "originals are replaced, and kept, on disks alone"

_batch = partial(field_option, BatchOptions)
_enhance = partial(field_option, EnhanceOptions)


@click.command("enhance", cls=GroupedCommand)
@click.argument("inputs", nargs=-1, metavar="INPUT...", type=PLACE)
@_batch(
    "-o",
    "--out",
    "output",
    metavar="DIR|FILE|-",
    type=PLACE,
    help="Folder for the results, or the file for the result of one picture; - is stdout. A folder or file may be the "
    "URL of one, such as s3://BUCKET/DIR.",
)
@_batch("--in-place", help="Replace the pictures themselves, each one once.")
@_batch("--backup", metavar="DIR", type=OnDisk(_IN_PLACE), help="With --in-place: copy the originals to DIR first.")
@_batch("-r", "--recursive", help="Include sub-folders; the results mirror them.")
@_batch(
    "--follow-links/--no-follow-links",
    help="Follow links that are found in folders; never done in place.",
)
@_batch("--clips", help="Take the clips in folders too; a clip that is named is taken in any case.")
@_batch("--include", metavar="GLOB", help="Take only files that match (path or name; repeatable).")
@_batch("--exclude", metavar="GLOB", help="Skip files and folders that match (repeatable).")
@click.option("--files-from", metavar="FILE|-", type=PLACE, help="Read the inputs from a list.")
@click.option("-0", "--null", is_flag=True, help="Paths in the list end with NUL, not with a newline.")
@_batch(
    "--shard",
    type=parse_shard,
    show=lambda shard: "{}/{}".format(*shard),
    show_default=False,
    metavar="I/N",
    help="Process part I of N of the files, such as 1/4, to share the work between machines.",
)
@_batch(
    "--existing",
    help="If a result exists: skip it, update it if the input is newer or --settings names other options for it, "
    "overwrite it, or refuse to start.",
)
@_batch(
    "--compare",
    help="Also write a picture of before (left) and after (right) beside each result: a.jpg.compare.jpg for a.jpg.",
)
@_batch(
    "--steady",
    cls=BareOption,
    bare="name",
    metavar="[=name|time]",
    show_default=False,
    help="Pictures of a folder are a sequence, in the order of their names or by time, and get one steady light.",
)
@_batch(
    "--exposure-from",
    metavar="FILE",
    type=Place(exists=True, dir_okay=False),
    help="Give all pictures the tone of this one.",
)
@click.option(
    "--report",
    metavar="PAGE",
    type=OnDisk("pages are written on disks alone"),
    help="Write a page to judge the results by and to choose other settings: a file PAGE.html, or a folder.",
)
@_batch("--variants", help="On that page, also show what other exposures and shadows would give.")
@_batch("--sidecars", help="Copy the XMP and AAE files that lie beside pictures to their results, or ignore them.")
@picture_options
@click.option(
    "--gt",
    "reference",
    metavar="DIR",
    type=Place(exists=True, file_okay=False),
    help="At the end, score the results against the pictures of the same names in DIR.",
)
@click.option("--dry-run", is_flag=True, help="Only show what would be done.")
@engine_option
@_batch("--fail-fast", help="Stop at the first file that fails.")
@_enhance("--strict", help="Fail files of which there is anything to warn, such as damage or lost metadata.")
@json_option("file on stdout")
@settings_option
@pass_state
@click.pass_context
def command(
    ctx: click.Context,
    state: State,
    /,
    inputs: tuple[Path, ...],
    files_from: Path | None,
    null: bool,
    reference: Path | None,
    report: Path | None,
    dry_run: bool,
    as_json: bool,
    **values: Any,
) -> None:
    """Enhance the pictures in INPUT... (files and folders) and write them to a folder, under the same names.

    Size, bit depth, orientation and metadata are kept, and the inputs are never changed except by --in-place. After an
    interruption, run the same line again: only what is missing is done. With - as INPUT, the picture is read from
    stdin and written to stdout.

    Exit codes: 0 all done or skipped, 2 usage, 3 some files failed, 4 all failed or nothing found, 5 model or device
    unavailable, 6 output or page not writable, 130 stopped by Ctrl-C.
    """
    from lumen.enhance.picture_rules import PictureOptions

    runtime, enhancing = options_of(RuntimeOptions, values), options_of(EnhanceOptions, values)
    pictures = PictureOptions(enhancing, rules_of(ctx))
    if STREAM in (*inputs, values["output"]):
        ctx.exit(_to_stdout(ctx, inputs, values, runtime, pictures))
    batching = options_of(BatchOptions, values, previews=report is not None)
    engine = _engine(batching.engine, runtime, inputs, dry_run=dry_run)
    from lumen.batch.clips import settle_clips

    batching = with_named_result(inputs if files_from is None else (), batching)
    batching = settle_clips(inputs, batching)
    page = PageReport(report, inputs, batching, is_hinted=not (as_json or dry_run))
    if reference is not None:
        _check_scoring(batching, pictures, reference, dry_run=dry_run)
    from lumen.batch.plan import plan_jobs
    from lumen.batch.run import Batch
    from lumen.cli.views.batch import BatchView
    from lumen.cli.views.notes import notes_after
    from lumen.runtime.open import asked_model

    plan = plan_jobs(inputs, batching, listed=_listed(inputs, files_from, null), reference=reference)
    _log_settings(ctx)
    view = BatchView(state, as_json=as_json)
    asked = asked_model(runtime), settings_given(ctx)
    batch = Batch(plan, engine, enhancing, batching, view, pictures.rules, *asked)
    notes = partial(notes_after, plan, batch.report, batching)
    with stop_on_ctrl_c(batch.stop), view:
        _run(state, batch, view, page, notes, dry_run=dry_run)
    if batch.stopped:
        ctx.exit(Exit.SIGINT)
    scored = Exit.OK
    if reference is not None:
        from lumen.cli.views.scores import results_of, score_results

        results = results_of(plan, batch.report, batching)
        scored = score_results(state, results, reference, pictures.reading(), as_json=as_json)
    ctx.exit(batch.report.exit_code or scored or page.exit_code)


def _run(
    state: State,
    batch: Batch,
    view: BatchView,
    page: PageReport,
    notes_after: Callable[[], tuple[list[str], str]],
    *,
    dry_run: bool,
) -> None:
    """Run a batch and make its page, and say how it ended, also after Ctrl-C."""
    try:
        if dry_run:
            batch.dry_run()
        else:
            batch.run()
            page.write(state, view)
    finally:
        notes, place = notes_after()
        view.summarize(batch.report, notes + page.hint(state, batch.report), page.beside(place))


def _engine(choice: EngineChoice, runtime: RuntimeOptions, inputs: Sequence[Path], *, dry_run: bool) -> BatchEngine:
    """Return what works on the files; for one picture models are opened at once, during the imports that follow.

    Raises:
        ModelError: There is no such model; where all results exist, nobody would be told of it later.
    """
    from lumen.runtime.model_files import find_model

    if not dry_run:
        find_model(runtime.model)
    if choice == "ray":
        from lumen.batch.engines.ray_engine import RayEngine

        return RayEngine(runtime)
    from lumen.runtime.memory import return_freed_memory
    from lumen.runtime.open import model_sets

    return_freed_memory()
    models = model_sets(runtime)
    if len(inputs) == 1 and inputs[0].is_file() and not dry_run:
        models[0].open_ahead()
    from lumen.batch.engines.local import LocalEngine  # after that: it takes as long

    return LocalEngine(models)


def _log_settings(ctx: click.Context) -> None:
    """Say with -v how the pictures are enhanced, as far as it was asked for."""
    names = {field.name for field in fields(EnhanceOptions)}
    asked = [f"{option} {ctx.params[name]}" for name, option in given_options(ctx).items() if name in names]
    logging.getLogger("lumen").info("settings: %s", ", ".join(asked) or "the defaults")


def _check_scoring(batching: BatchOptions, pictures: PictureOptions, reference: Path, *, dry_run: bool) -> None:
    """Refuse `--gt` where there would be nothing to score."""
    if isinstance(reference, StorePath):
        require_input(reference)
        if not is_folder(reference):
            raise UsageError(f"expected a folder after --gt, got the file {printable(reference)}")
    if any(each.unchanged == "skip" for each in pictures.variants()):
        raise UsageError("--gt cannot be combined with --unchanged skip, because results would be missing")
    if batching.in_place:
        raise UsageError("--gt cannot be combined with --in-place, because the inputs would be gone")
    if dry_run:
        raise UsageError("--gt cannot be combined with --dry-run, because nothing would be written")


def _listed(inputs: tuple[Path, ...], list_file: Path | None, null: bool) -> PathList | Sequence[Path]:
    """Return the paths in the list of `--files-from`."""
    if list_file is None:
        if null:
            raise UsageError("expected --null together with --files-from")
        if not inputs:
            raise UsageError("expected files or folders, - for stdin, or --files-from")
        return []
    from lumen.batch.listed import read_list

    try:
        data = sys.stdin.buffer.read() if list_file == STREAM else list_file.read_bytes()
    except OSError as error:
        if isinstance(list_file, StorePath):
            from lumen.files.stores import store_error

            raise store_error(list_file, error) from error
        raise UsageError(f"cannot read the list {printable(list_file)}: {error.strerror}") from error
    return read_list(data, null=null)


def _to_stdout(
    ctx: click.Context,
    inputs: tuple[Path, ...],
    values: Mapping[str, Any],
    runtime: RuntimeOptions,
    pictures: PictureOptions,
) -> Exit:
    """Enhance one picture to stdout; refuse what makes no sense then."""
    out = values["output"]
    if len(inputs) != 1:
        raise UsageError(f"expected one picture for stdout, got {len(inputs)} inputs")
    if out not in (None, STREAM):
        raise UsageError(f"expected --out - with a picture from stdin, got {printable(out)}; write > FILE instead")
    for name, option in given_options(ctx).items():
        if name in BATCH_ONLY:
            raise UsageError(f"expected no {option} with a picture for stdout")
    require_input(inputs[0])
    from lumen.cli.pipe import enhance_to_stdout

    return enhance_to_stdout(inputs[0], runtime, pictures.of(Path(inputs[0].name)), values["format"])
