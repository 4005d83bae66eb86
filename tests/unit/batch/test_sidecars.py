"""Files that belong to a picture come along, and replace nothing."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from lumen.batch.job import Job
from lumen.batch.sidecars import MOST_BYTES, copy_sidecars
from lumen.errors import DecodeError
from lumen.files.inputs import Identity, Input, open_input


def opened(job: Job) -> Input:
    try:
        return open_input(job.source.parent, job.source.name)
    except OSError as error:
        raise DecodeError("cannot read the file") from error


def copied(folder: Path, source: str = "in/a.jpg", target: str = "out/a.jpg", *, replaces: bool = False) -> list[str]:
    def put(job: Job, data: bytes, _: Identity) -> None:
        job.target.write_bytes(data)

    (folder / "out").mkdir(exist_ok=True)
    job = Job(source=folder / source, target=folder / target)
    return list(copy_sidecars(job, opened, put, replaces=replaces))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "in").mkdir()
    return tmp_path


def there(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (folder / "out").iterdir()}


def test_sidecars_are_called_after_the_result(folder: Path) -> None:
    for name in ("a.xmp", "a.jpg.xmp", "a.AAE", "b.xmp", "a.txt", "a.png.xmp"):
        (folder / "in" / name).write_bytes(name.encode())
    assert copied(folder, target="out/a_bright.tiff") == []
    assert there(folder) == {
        "a_bright.xmp": b"a.xmp",
        "a_bright.tiff.xmp": b"a.jpg.xmp",
        "a_bright.AAE": b"a.AAE",
    }


def test_another_file_is_replaced_only_where_results_are(folder: Path) -> None:
    (folder / "in" / "a.xmp").write_bytes(b"new")
    (folder / "out").mkdir()
    (folder / "out" / "a.xmp").write_bytes(b"of another picture")
    assert copied(folder) == ["the sidecar a.xmp was left out: another file is there already"]
    assert there(folder) == {"a.xmp": b"of another picture"}
    assert copied(folder, replaces=True) == copied(folder) == []
    assert there(folder) == {"a.xmp": b"new"}


def test_a_pipe_or_a_link_in_the_place_of_the_copy_stays(folder: Path) -> None:
    (folder / "in" / "a.xmp").touch()
    (folder / "out").mkdir()
    os.mkfifo(folder / "out" / "a.xmp")
    assert len(copied(folder)) == 1
    (folder / "out" / "a.xmp").unlink()
    (folder / "out" / "a.xmp").symlink_to("elsewhere")
    assert len(copied(folder)) == 1
    assert not (folder / "out" / "elsewhere").exists()


def test_links_pipes_and_endless_files_are_not_copied(folder: Path) -> None:
    (folder / "secret").write_bytes(b"secret")
    (folder / "in" / "a.xmp").symlink_to(folder / "secret")
    os.mkfifo(folder / "in" / "a.aae")
    assert copied(folder) == []
    with (folder / "in" / "a.jpg.xmp").open("wb") as file:
        file.truncate(MOST_BYTES + 1)
    assert copied(folder) == ["the sidecar a.jpg.xmp was left out: it is larger than 16 MiB"]
    assert there(folder) == {}


def test_what_says_how_to_develop_raw_data_is_told(folder: Path) -> None:
    (folder / "in" / "a.xmp").touch()
    told = ["the sidecar a.xmp was left out: it says how to develop the raw data"]
    assert copied(folder, "in/a.NEF", "out/a.tiff") == told
