"""Options, and values of options, that several commands share."""

from __future__ import annotations

import re
from typing import get_args

import click

from lumen.config import DEFAULT_MODEL, PrecisionChoice

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
