from __future__ import annotations

from pathlib import Path
from typing import get_args

import click
import pytest

from lumen.cli.values import FormatChoice, OnDisk, Place, parse_number
from lumen.config import OutputFormat
from lumen.errors import MissingExtraError, UsageError
from lumen.extras import Package
from lumen.files.store_path import path_of


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


def test_a_place_is_on_a_disk_or_in_a_store() -> None:
    place = Place(exists=True)
    assert place.convert("s3://bucket/a.jpg", None, None) == path_of("s3://bucket/a.jpg")
    assert place.convert(str(Path.cwd()), None, None) == Path.cwd()
    with pytest.raises(click.BadParameter, match="does not exist"):
        place.convert("none.jpg", None, None)
    with pytest.raises(UsageError, match="begins with one of"):
        place.convert("ftp://host/a.jpg", None, None)


def test_what_must_be_on_a_disk_says_so_without_secrets() -> None:
    on_disk = OnDisk("there is no other way")
    assert on_disk.convert("file:///tmp/a%20b", None, None) == Path("/tmp/a b")
    for url in ("s3://bucket/in", "https://me:word@host/a.jpg?sig=1a2b"):
        with pytest.raises(click.BadParameter, match=r"on a disk.*there is no other way") as refused:
            on_disk.convert(url, None, None)
        assert "word" not in refused.value.message and "1a2b" not in refused.value.message
