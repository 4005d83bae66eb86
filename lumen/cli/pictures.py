"""The options that say what is done to each picture, shared by the commands that write results."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar, get_args

import click

from lumen.cli.params import devices_option, model_option, parse_amount, parse_tile, precision_option
from lumen.config import (
    QUALITY_PASSES,
    EnhanceOptions,
    Frames,
    MetadataChoice,
    OutputFormat,
    RuntimeOptions,
    Subsampling,
)

F = TypeVar("F", bound=Callable[..., Any])

_OPTIONS = (
    model_option,
    click.option("--suffix", default="", metavar="TEXT", help="Added to each result's name, before the extension."),
    click.option(
        "--format",
        type=click.Choice(get_args(OutputFormat)),
        default="same",
        show_default=True,
        help="What results are stored as; same makes a TIFF of camera raw and a PNG of a GIF.",
    ),
    click.option(
        "--quality", type=click.IntRange(1, 100), default=95, show_default=True, help="Of JPEG, WebP, AVIF and HEIC."
    ),
    click.option(
        "--subsampling",
        type=click.Choice(get_args(Subsampling)),
        default="auto",
        show_default=True,
        help="How finely JPEG, AVIF and HEIC store colours; auto is 444 from quality 90 on, "
        "keep is as a JPEG has them.",
    ),
    click.option(
        "--metadata",
        type=click.Choice(get_args(MetadataChoice)),
        default="keep",
        show_default=True,
        help="Keep all of it, or only what decides how a picture looks.",
    ),
    click.option("--allow-8bit", is_flag=True, help="Store 16-bit pictures also in formats of 8 bits."),
    click.option(
        "--frames",
        type=click.Choice(get_args(Frames)),
        default="refuse",
        show_default=True,
        help="Refuse animations and files of several pages, or take their first picture.",
    ),
    click.option(
        "--ev",
        type=float,
        default=0.0,
        show_default=True,
        help="Brighter (+) or darker (-) than the automatic choice, in stops.",
    ),
    click.option(
        "--strength",
        type=float,
        default=1.0,
        show_default=True,
        help="How much of the change is made: 0 keeps the input, 1 is the full result.",
    ),
    click.option(
        "--quality-passes",
        type=click.Choice(QUALITY_PASSES),
        default=1,
        show_default=True,
        help="Mean of so many runs on the picture mirrored and turned: as many times slower.",
    ),
    devices_option,
    precision_option,
    click.option(
        "--tile",
        type=parse_tile,
        metavar="auto|N",
        default="auto",
        show_default=True,
        help="Largest window in pixels; never changes results.",
    ),
    click.option(
        "--max-memory",
        type=parse_amount,
        metavar="SIZE",
        help="Working memory of the model, such as 500M. [default: by free memory]",
    ),
    click.option(
        "--max-pixels",
        type=parse_amount,
        metavar="SIZE",
        default="512M",
        show_default=True,
        help="Refuse pictures with more pixels.",
    ),
)


def picture_options(command: F) -> F:
    """Give a command the options; `runtime_options` and `enhance_options` read them."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def runtime_options(options: Mapping[str, Any]) -> RuntimeOptions:
    """Return how the model is run, from the values of the options."""
    return RuntimeOptions(model=options["model"], device=options["device"], precision=options["precision"])


def enhance_options(options: Mapping[str, Any]) -> EnhanceOptions:
    """Return what is done to each picture, from the values of the options."""
    return EnhanceOptions(
        ev=options["ev"],
        strength=options["strength"],
        quality_passes=options["quality_passes"],
        tile_px=options["tile"],
        max_memory_bytes=options["max_memory"],
        quality=options["quality"],
        subsampling=options["subsampling"],
        metadata=options["metadata"],
        allow_8bit=options["allow_8bit"],
        frames=options["frames"],
        max_pixels=options["max_pixels"],
    )
