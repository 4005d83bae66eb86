"""The options that several commands share, and how their values are read."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, TypeVar, get_args

import click

from lumen.config import (
    DEFAULT_MODEL,
    QUALITY_PASSES,
    EnhanceOptions,
    Frames,
    MetadataChoice,
    OutputFormat,
    PrecisionChoice,
    RuntimeOptions,
    Subsampling,
)

F = TypeVar("F", bound=Callable[..., Any])

model_option = click.option(
    "-m",
    "--model",
    default=DEFAULT_MODEL,
    show_default=True,
    help="A bundled model (see `lumen models`) or .onnx file.",
)

device_option = click.option(
    "--device", default="auto", show_default=True, metavar="auto|cpu|cuda[:N]", help="Where the model runs."
)

devices_option = click.option(
    "--device",
    default="auto",
    show_default=True,
    metavar="auto|cpu|cuda[:N,M]",
    help="Where the model runs; several GPUs share the pictures.",
)

precision_option = click.option(
    "--precision",
    type=click.Choice(get_args(PrecisionChoice)),
    default="auto",
    show_default=True,
    help="fp16 takes the model's half-precision file, auto does on a GPU if there is one.",
)

_UNITS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "ki": 2**10, "mi": 2**20, "gi": 2**30}

_AMOUNT = re.compile(r"(\d+(?:\.\d+)?)\s*([kmg]i?)?(?:b|px)?", re.IGNORECASE)


def parse_amount(text: str) -> int:
    """Return a positive number with an optional unit: k, M, G are thousands; Ki, Mi, Gi multiples of 1024.

    >>> parse_amount("512M"), parse_amount("2GiB")
    (512000000, 2147483648)
    """
    match = _AMOUNT.fullmatch(text.strip())
    number = int(float(match[1]) * _UNITS[(match[2] or "").lower()]) if match else 0
    if number < 1:
        raise click.BadParameter(f"expected a number above 0 such as 512M or 2GiB, got {text!r}")
    return number


def parse_tile(text: str) -> int | None:
    """Return a number of pixels, None for `auto`."""
    text = text.strip().lower()
    if text == "auto":
        return None
    if not text.isdecimal():
        raise click.BadParameter(f"expected auto or a number of pixels, got {text!r}")
    return int(text)


def parse_shard(text: str) -> tuple[int, int]:
    """Return the two numbers of `I/N`; that they fit together is checked by `BatchOptions`."""
    match = re.fullmatch(r"\s*(\d{1,9})\s*/\s*(\d{1,9})\s*", text)
    if match is None:
        raise click.BadParameter(f"expected I/N such as 1/4, got {text!r}")
    return int(match[1]), int(match[2])


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
