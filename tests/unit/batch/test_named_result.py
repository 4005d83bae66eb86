"""`--out better.jpg` for one picture."""

from __future__ import annotations

from pathlib import Path

import pytest

from lumen.batch.named_result import with_named_result
from lumen.config import BatchOptions, OutputFormat
from lumen.errors import MissingExtraError, UsageError
from lumen.extras import Package
from tests.support.batches import planned

pytestmark = pytest.mark.usefixtures("folder")


def targets(out: str, *inputs: str, suffix: str = "", kind: OutputFormat = "same") -> list[str]:
    given = [Path(name) for name in inputs]
    options = with_named_result(given, BatchOptions(output=Path(out), suffix=suffix, format=kind))
    return [str(job.target) for job in planned(given, options).jobs]


@pytest.mark.parametrize("out", ["better.jpg", "there/better.JPEG", "better.png", "better.tif"])
def test_the_result_of_one_picture_is_the_file(out: str) -> None:
    assert targets(out, "in/a.jpg") == [out]


def test_a_folder_of_that_name_is_a_folder() -> None:
    Path("better.jpg").mkdir()
    assert targets("better.jpg", "in/a.jpg") == ["better.jpg/a.jpg"]
    assert targets("better", "in/a.jpg") == ["better/a.jpg"]
    Path("night.docx").mkdir()
    assert targets("night.docx", "in/a.jpg") == ["night.docx/a.jpg"]


@pytest.mark.parametrize("out", ["out.2024", "v1.final", "St.Moritz"])
def test_a_new_folder_may_have_a_dot_in_its_name(out: str) -> None:
    assert targets(out, "in/a.jpg") == [f"{out}/a.jpg"]


def test_a_format_that_is_the_same_is_no_contradiction() -> None:
    assert targets("better.jpeg", "in/a.png", kind="jpg") == ["better.jpeg"]


@pytest.mark.parametrize(
    ("inputs", "suffix", "kind", "out", "says"),
    [
        (("in",), "", "same", "better.jpg", "only the result of one picture"),
        (("in/a.jpg", "in/B.JPG"), "", "same", "better.jpg", "only the result of one picture"),
        (("in/a.jpg", "in/B.JPG"), "", "same", "in/notes.txt", "only the result of one picture"),
        (("in/a.jpg",), "", "same", "in/a.jpg", "a result would overwrite the input in/a.jpg"),
        (("in/a.jpg",), "", "same", "better.nef", "expected --out with the suffix of a format that lumen writes"),
        (("in/a.jpg",), "", "png", "better.jpg", "expected --out better.png with --format png, got better.jpg"),
        (("in/a.jpg",), "", "same", "night.DOCX", "expected a picture or a folder after --out, got night.DOCX"),
        (("in/a.jpg",), "-x", "same", "better.jpg", "--suffix cannot be combined with --out better.jpg"),
    ],
)
def test_what_would_be_another_file_is_refused(
    inputs: tuple[str, ...], suffix: str, kind: OutputFormat, out: str, says: str
) -> None:
    with pytest.raises(UsageError, match=says):
        targets(out, *inputs, suffix=suffix, kind=kind)


def test_a_format_whose_package_is_missing_is_refused_before_the_work(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Package, "is_installed", lambda _: False)
    with pytest.raises(MissingExtraError, match="choose another suffix after --out"):
        targets("better.heic", "in/a.jpg")
