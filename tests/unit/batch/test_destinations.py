"""Results that are there already."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from lumen.batch.destinations import OutputFolder
from lumen.batch.job import Job
from lumen.config import BatchOptions, Existing
from lumen.errors import UsageError
from tests.support.batches import block_of, pairs, plan, touch

pytestmark = pytest.mark.usefixtures("folder")


def output(existing: Existing = "skip") -> OutputFolder:
    return OutputFolder(BatchOptions(output=Path("out"), existing=existing), Path("out"))


def reason(existing: Existing, job: Job) -> str | None:
    (found,) = output(existing).skip_reasons(block_of(job))
    return found


def test_files_that_cannot_be_looked_at_are_kept_to_fail_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    real = Path.stat

    def closed(path: Path, **options: bool) -> os.stat_result:
        if path.name == "a.jpg":
            raise PermissionError(13, "Permission denied", str(path))
        return real(path, **options)

    monkeypatch.setattr(Path, "stat", closed)
    found = plan("in")
    assert ("in/a.jpg", "out/a.jpg") in pairs(found)
    policies: list[Existing] = ["skip", "update"]
    assert [reason(existing, found.jobs[1]) for existing in policies] == [None, None]
    output().refuse_existing(block_of(*found.jobs))


def test_a_lost_input_is_left_to_the_reader() -> None:
    touch("out/a.jpg")
    lost = Job(source=Path("in/lost.jpg"), target=Path("out/a.jpg"))
    assert reason("update", lost) is None
    assert reason("skip", lost) == "the result exists"


@pytest.mark.parametrize(
    ("existing", "newer", "expected"),
    [
        ("skip", False, "the result exists"),
        (
            "skip",
            True,
            "the result exists, but its picture has changed since; add --existing update to make it again",
        ),
        ("update", False, "the result is newer than the input"),
        ("update", True, None),
        ("overwrite", False, None),
    ],
)
def test_existing_results(existing: Existing, newer: bool, expected: str | None) -> None:
    touch("out/a.jpg")
    os.utime("out/a.jpg", (1000, 1000))
    os.utime("in/a.jpg", (2000, 2000) if newer else (500, 500))
    job = Job(source=Path("in/a.jpg"), target=Path("out/a.jpg"))
    assert reason(existing, job) == expected
    assert reason(existing, Job(source=job.source, target=Path("out/b.jpg"))) is None


def test_what_lies_behind_a_linked_folder_is_no_result() -> None:
    touch("elsewhere/a.jpg", "elsewhere/moved.jpg")
    Path("out").mkdir()
    Path("out/cam").symlink_to("../elsewhere")
    Path("out/moved.jpg").symlink_to("../elsewhere/moved.jpg")
    Path("out/gone.jpg").symlink_to("../elsewhere/gone.jpg")
    linked, moved, gone = (
        Job(source=Path("in/a.jpg"), target=Path("out", name)) for name in ("cam/a.jpg", "moved.jpg", "gone.jpg")
    )
    assert reason("skip", linked) is None
    output().refuse_existing(block_of(linked))
    output().refuse_existing(block_of(gone))
    assert reason("skip", moved) == "the result exists"
    assert reason("skip", gone) is None


def test_the_policy_error_names_a_result() -> None:
    touch("out/a.png")
    with pytest.raises(UsageError, match=r"1 exist, such as out/a\.png"):
        output("error").refuse_existing(block_of(*plan("in").jobs))
