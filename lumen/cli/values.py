"""How values are typed, on the command line and in settings: fractions, percents, formats by any of their names."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import click

from lumen.imaging.formats import CODECS, SUFFIXES


class FormatChoice(click.Choice[str]):
    """A format by its word or by any suffix of its files, in any case: `jpg`, `jpeg`, `.JPG`."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the word of the format.

        Raises:
            MissingExtraError: The package that writes it is not installed.
        """
        text = str(value).strip().lower().removeprefix(".")
        kind = SUFFIXES.get(f".{text}")
        word = super().convert((kind and CODECS[kind].choice) or text, param, ctx)
        if kind and (package := CODECS[kind].package):
            package.require(CODECS[kind].label, "choose another --format")
        return word


def parse_number(text: str) -> float:
    """Parse a decimal number, a fraction such as exposure steps of cameras have, or a share in percent.

    A sign holds for the whole number.

    >>> [round(parse_number(text), 3) for text in ("+0.5", "1/3", "-1 1/3", "50%")]
    [0.5, 0.333, -1.333, 0.5]

    Raises:
        click.BadParameter: It is no number.
    """
    number = text.strip().removesuffix("%")
    try:
        value = _mixed(number) if "/" in number else float(number)
    except (ValueError, ZeroDivisionError, OverflowError) as error:
        raise click.BadParameter(f"expected a number such as 0.5, 1/3, 1 1/3 or 50%, got {text!r}") from error
    return value / 100 if text.strip().endswith("%") else value


def _mixed(text: str) -> float:
    """Return the value of `1/3` or `1 1/3`."""
    *whole, fraction = text.split()
    if len(whole) > 1 or (whole and not fraction[0].isdecimal()):
        raise ValueError("expected at most a whole number before a fraction")
    sign = -1 if whole and whole[0].startswith("-") else 1
    return float(sum(map(int, whole)) + sign * Fraction(fraction))
