from __future__ import annotations

from typing import get_args

import click
import pytest

from lumen.cli.values import FormatChoice, parse_number
from lumen.config import OutputFormat
from lumen.errors import MissingExtraError
from lumen.extras import Package


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("0.5", 0.5),
        ("+1", 1.0),
        ("1/3", 1 / 3),
        ("+1/3", 1 / 3),
        ("-2/3", -2 / 3),
        (" 1 1/3 ", 4 / 3),
        ("-1 1/3", -4 / 3),
        ("-0 1/3", -1 / 3),
        ("50%", 0.5),
        ("+12.5 %", 0.125),
    ],
)
def test_numbers_are_read_as_photographers_write_them(text: str, number: float) -> None:
    assert parse_number(text) == pytest.approx(number)


@pytest.mark.parametrize("text", ["", "%", "50%%", "1/0", "1/", "/3", "1 2 1/3", "1 -1/3", "1.5 1/3", "0,5", "a half"])
def test_what_is_no_number_is_refused_with_examples(text: str) -> None:
    with pytest.raises(click.BadParameter, match=r"expected a number such as 0\.5, 1/3"):
        parse_number(text)


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("jpg", "jpg"),
        ("jpeg", "jpg"),
        (".JPG", "jpg"),
        ("tif", "tiff"),
        ("PNG", "png"),
        ("same", "same"),
        ("avif", "avif"),
    ],
)
def test_a_format_has_all_names_of_its_files(text: str, word: str) -> None:
    choice = FormatChoice(["same", "png", "jpg", "tiff", "avif"])
    assert choice.convert(text, None, None) == word


@pytest.mark.parametrize("text", ["heic", "gif", "nef", "tape"])
def test_formats_that_are_not_offered_are_refused(text: str) -> None:
    with pytest.raises(click.BadParameter, match="is not one of 'same', 'png'"):
        FormatChoice(["same", "png"]).convert(text, None, None)


@pytest.mark.parametrize("text", ["heic", "heif", ".HIF"])
def test_heic_is_offered_where_its_package_is_installed(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    choice = FormatChoice(get_args(OutputFormat))
    monkeypatch.setattr(Package, "is_installed", lambda _: True)
    assert choice.convert(text, None, None) == "heic"
    monkeypatch.setattr(Package, "is_installed", lambda _: False)
    with pytest.raises(MissingExtraError, match=r"HEIF needs pillow-heif; .*\[heif\]', or choose another --format"):
        choice.convert(text, None, None)
