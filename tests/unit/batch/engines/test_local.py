from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lumen.batch.destinations import destination_of
from lumen.batch.engines.local import LocalEngine
from lumen.batch.job import Job
from lumen.batch.work import PictureWork
from lumen.codecs.codec import write_picture
from lumen.config import BatchOptions, EnhanceOptions
from lumen.enhance.picture_rules import PictureOptions
from lumen.errors import DecodeError
from lumen.files.store_path import StorePath
from lumen.imaging.picture import Picture
from tests.support.fakes import FakeModels


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    write_picture(Picture(pixels=np.full((8, 8, 3), 10, np.uint8), format="png"), tmp_path / "a.png")
    return tmp_path / "a.png"


def engine(tmp_path: Path) -> LocalEngine:
    options = BatchOptions(output=tmp_path / "out")
    work = PictureWork(
        pictures=PictureOptions(EnhanceOptions()),
        options=options,
        destination=destination_of(options),
        is_target=lambda _: False,
    )
    opened = LocalEngine(FakeModels(gain=2.0), helpers=1)
    assert opened.open(work, [EnhanceOptions()])["name"] == "fake"
    return opened


def jobs(picture: Path, taken: list[int]) -> Iterator[Job]:
    for number in count():
        taken.append(number)
        yield Job(source=picture, target=picture.parent / "out" / f"{number}.png")


def test_jobs_without_end_are_taken_as_there_is_room(picture: Path, tmp_path: Path) -> None:
    taken: list[int] = []
    local = engine(tmp_path)
    running = local.run(jobs(picture, taken))
    ended = [each for each in (next(running) for _ in range(20)) if each is not None]
    assert len(taken) <= len(ended) + 10
    local.leave()
    rest = [each for each in running if each is not None]
    assert local.close() == []
    assert len({job for job, _ in ended + rest}) == len(ended + rest) <= len(taken)


def test_an_engine_takes_one_sequence_of_jobs_after_the_other(picture: Path, tmp_path: Path) -> None:
    local = engine(tmp_path)
    for start in (0, 10):
        some = [Job(source=picture, target=tmp_path / "out" / f"{start + index}.png") for index in range(3)]
        assert {job for job, _ in filter(None, local.run(iter(some)))} == set(some)
        assert local.close() == []
    assert len(list((tmp_path / "out").glob("*.png"))) == 6


@pytest.mark.parametrize(
    ("source", "granted", "helpers"),
    [(Path("a.png"), 0, 0), (Path("a.png"), 4, 1), (StorePath("s3:", "bucket", "a.png"), 0, 1)],
)
def test_where_one_core_is_granted_nothing_runs_beside_the_work_but_the_network(
    source: Path, granted: int, helpers: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read() -> Any:
        raise DecodeError("no picture")

    monkeypatch.setattr("lumen.batch.engines.local.helper_threads", lambda _: granted)
    local = engine(tmp_path)
    some = [Job(source=source, target=tmp_path / "out" / f"{index}.png") for index in range(3)]
    monkeypatch.setattr(PictureWork, "read", lambda *_: read())
    assert len(list(filter(None, local.run(iter(some))))) == 3
    assert local._stages is not None and local._stages.helpers == helpers


def test_closing_before_the_first_job_is_fine(tmp_path: Path) -> None:
    local = engine(tmp_path)
    local.leave()
    assert local.close() == []
    assert local.progress() == {}
