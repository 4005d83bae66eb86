"""`lumen enhance`: dark pictures in, good ones out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from lumen.cli.params import device_option, model_option, parse_amount, parse_tile
from lumen.cli.state import State, pass_state
from lumen.config import QUALITY_PASSES, BatchOptions, EnhanceOptions, Existing, RuntimeOptions


@click.command("enhance")
@click.argument("inputs", nargs=-1, required=True, metavar="INPUT...", type=click.Path(path_type=Path))
@click.option("-o", "--out", required=True, metavar="DIR", type=click.Path(path_type=Path), help="Folder for results.")
@model_option
@click.option("-r", "--recursive", is_flag=True, help="Look into sub-folders too; their tree is mirrored.")
@click.option(
    "--existing",
    type=click.Choice(["skip", "update", "overwrite", "error"]),
    default="skip",
    show_default=True,
    help="When a result is there already: skip it, update it if the input is newer, overwrite it, or refuse to start.",
)
@click.option("--suffix", default="", metavar="TEXT", help="Added to each result's name, before the extension.")
@click.option("--quality", type=click.IntRange(1, 100), default=95, show_default=True, help="Of JPEG and WebP results.")
@click.option(
    "--ev",
    type=float,
    default=0.0,
    show_default=True,
    help="Brighter (+) or darker (-) than the automatic choice, in stops.",
)
@click.option(
    "--strength",
    type=float,
    default=1.0,
    show_default=True,
    help="How much of the change is made: 0 keeps the input, 1 is the full result.",
)
@click.option(
    "--quality-passes",
    type=click.Choice(QUALITY_PASSES),
    default=1,
    show_default=True,
    help="Mean of so many runs on the picture mirrored and turned: as many times slower.",
)
@device_option
@click.option(
    "--tile",
    type=parse_tile,
    metavar="auto|N",
    default="auto",
    show_default=True,
    help="Largest window in pixels; never changes results.",
)
@click.option(
    "--max-memory",
    type=parse_amount,
    metavar="SIZE",
    help="Working memory of the model, such as 500M. [default: by free memory]",
)
@click.option(
    "--max-pixels",
    type=parse_amount,
    metavar="SIZE",
    default="512M",
    show_default=True,
    help="Refuse pictures with more pixels.",
)
@click.option("--dry-run", is_flag=True, help="Only say what would be done.")
@click.option("--fail-fast", is_flag=True, help="Stop at the first file that fails.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object per file on stdout.")
@pass_state
@click.pass_context
def command(
    ctx: click.Context,
    state: State,
    /,
    inputs: tuple[Path, ...],
    out: Path,
    existing: Existing,
    dry_run: bool,
    as_json: bool,
    **options: Any,
) -> None:
    """Enhance the pictures in INPUT... (files and folders) and write them to a folder, under the same names.

    Size, depth, orientation and metadata stay as they are, and the inputs are never touched. Run the same line again
    after an interruption: only what is missing is done.

    Exit codes: 0 all done or skipped, 2 usage, 3 some files failed, 4 all failed or nothing found, 5 model or device
    unavailable, 6 output unwritable.
    """
    runtime = RuntimeOptions(model=options["model"], device=options["device"])
    enhancing = EnhanceOptions(
        ev=options["ev"],
        strength=options["strength"],
        quality_passes=options["quality_passes"],
        tile_px=options["tile"],
        max_memory_bytes=options["max_memory"],
        quality=options["quality"],
        max_pixels=options["max_pixels"],
    )
    batching = BatchOptions(
        output=out,
        recursive=options["recursive"],
        existing=existing,
        suffix=options["suffix"],
        fail_fast=options["fail_fast"],
    )
    from lumen.batch import Batch
    from lumen.cli.console import BatchView
    from lumen.runtime.session import ModelSet
    from lumen.sources import plan_jobs

    plan = plan_jobs(inputs, batching)
    with BatchView(state, as_json=as_json) as view:
        batch = Batch(plan, ModelSet(runtime), enhancing, batching, view)
        try:
            report = batch.dry_run() if dry_run else batch.run()
        finally:
            view.summarize(batch.report)  # also after Ctrl-C: it says how many are left
    ctx.exit(report.exit_code)
