"""Names of formats, and that each has one record."""

from __future__ import annotations

from typing import get_args

from lumen.config import OutputFormat
from lumen.imaging.formats import CODECS, SUFFIXES, Format, format_of, result_suffix, stored_as


def test_names_of_formats() -> None:
    assert format_of("a/b.JPEG") == "jpeg"
    assert format_of("a.NEF") == "raw"
    assert format_of("jpg") is None
    assert result_suffix(".HEIC") == ".HEIC"
    assert result_suffix(".xyz") == ".xyz"
    assert result_suffix(".xyz", "avif") == ".avif"
    assert result_suffix(".JPE", "jpg") == ".JPE"
    assert result_suffix(".gif") == ".png"
    assert all(suffix == suffix.lower() for suffix in SUFFIXES)


def test_every_format_has_one_record_and_suffixes_of_its_own() -> None:
    assert list(CODECS) == list(get_args(Format))
    assert all(codec.name == name for name, codec in CODECS.items())
    assert sum(len(codec.suffixes) for codec in CODECS.values()) == len(SUFFIXES)


def test_every_choice_of_a_format_is_a_format_that_is_written() -> None:
    chosen = [codec for codec in CODECS.values() if codec.choice]
    assert {codec.choice for codec in chosen} | {"same"} == set(get_args(OutputFormat))
    assert all(stored_as(codec.name) == codec.name for codec in chosen)


def test_results_of_formats_that_are_only_read_have_one_that_is_written() -> None:
    assert all(stored_as(stored_as(name)) == stored_as(name) for name in CODECS)
