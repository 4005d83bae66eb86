"""How values are typed, on the command line and in settings: paths, fractions, percents, formats by any name."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import click

from lumen.files.store_path import StorePath, is_url, masked, path_of
from lumen.imaging.formats import CODECS, SUFFIXES


class Place(click.Path):
    """A file or folder, on a disk or in a store: a path, or a URL. Whether a store has it is asked later."""

    def __init__(self, **checks: Any) -> None:
        """Take what `click.Path` checks of paths on a disk."""
        super().__init__(path_type=Path, **checks)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the path; raises `UsageError` if it is a URL that lumen cannot use."""
        path = path_of(value)
        return path if isinstance(path, StorePath) else super().convert(path, param, ctx)


class OnDisk(Place):
    """A file or folder that must be on a disk."""

    def __init__(self, why: str = "a store cannot do what is needed there", **checks: Any) -> None:
        """Take why a store will not do, and what `click.Path` checks."""
        super().__init__(**checks)
        self._why = why

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the path; URLs are refused, but for those of files."""
        if is_url(str(value)) and isinstance(path_of(value), StorePath):
            self.fail(f"expected a path on a disk, got {masked(str(value))}: {self._why}", param, ctx)
        return super().convert(value, param, ctx)


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
