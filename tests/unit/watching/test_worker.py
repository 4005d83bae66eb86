"""Files through the stages: together where they are alike, alone where one is at fault, and never more than fit."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from lumen.config import EnhanceOptions, Unchanged
from lumen.enhance.file_io import read_source
from lumen.enhance.picture_rules import PictureOptions
from lumen.errors import DecodeError, ModelError, NotFiniteError, OutputError
from lumen.files.inputs import Parent
from lumen.imaging.picture import Picture
from lumen.stages import LeftError, Stages
from lumen.watching.observing.tree import Tree
from lumen.watching.versions import Settled
from lumen.watching.work import ChangedError, Ending, HangingError, KnownError, Work
from lumen.watching.worker import AHEAD, LONGEST_TURN_S, Worker
from tests.support.fakes import FakeModels, Meeting
from tests.support.files import needs_attributes

Make = Callable[..., Worker]


class Shop:
    """A worker on one folder."""

    def __init__(self, folder: Path) -> None:
        self.tree = Tree(folder / "in")
        (folder / "in").mkdir()
        self.tree.open()
        self.out = folder / "out"
        self.woken = threading.Event()
        self.endings: list[Ending] = []

    def open(self, helpers: int = 1, **arguments: Any) -> Worker:
        self.models = FakeModels(gain=2.0, **arguments)
        self.shop = Worker([self.models], EnhanceOptions(), self.tree, self.out, self.woken.set, helpers=helpers)
        return self.shop

    def picture(self, name: str, level: int = 10, size: tuple[int, int] = (60, 40)) -> Work:
        path = self.tree.root / name
        path.parent.mkdir(exist_ok=True)
        Image.new("RGB", size, (level, level, level)).save(path)
        return self.work(name)

    def noise(self, name: str) -> Work:
        Image.fromarray(np.random.default_rng(0).integers(0, 99, (40, 60, 3), np.uint8)).save(self.tree.root / name)
        return self.work(name)

    def work(self, name: str, known_digests: tuple[bytes, ...] = ()) -> Work:
        version = self.tree.look(name)
        assert version is not None
        settled = Settled(key=1, path=self.tree.path(name), relative=name, version=version, known_digests=known_digests)
        return Work(settled=settled, target=self.out / name)

    def begin(self, *works: Work) -> None:
        """Begin with files: the first is alone in the model, the others wait decoded."""
        self.shop.begin(works[0])
        self.run(until=lambda: self.shop._stages.working)
        for work in works[1:]:
            self.shop.begin(work)
        self.run(until=lambda: len(self.shop._stages.ready) == len(works) - 1)

    def run(self, until: Callable[[], object] | None = None) -> dict[str, Exception | None]:
        """Go on until nothing is inside, or a condition holds."""
        deadline = time.monotonic() + 60
        while self.shop.inside if until is None else not until():
            assert time.monotonic() < deadline
            self.woken.wait(0.05)
            self.woken.clear()
            self.endings += self.shop.advance()
        return {work.settled.relative: error for work, error in self.endings}


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    shop = Shop(tmp_path)
    yield shop
    shop.shop.close()


def level(path: Path) -> int:
    with Image.open(path) as image:
        return int(np.asarray(image)[0, 0, 0])


def test_a_file_becomes_its_result_in_folders_that_are_made(shop: Shop) -> None:
    opened = shop.open()
    work = shop.picture("d/a.png")
    opened.begin(work)
    assert shop.run() == {"d/a.png": None}
    assert level(shop.out / "d" / "a.png") == 20
    assert work.settled.version.mtime_ns == (shop.out / "d" / "a.png").stat().st_mtime_ns
    assert work.digest and work.data is None and work.megapixels == pytest.approx(0.0024)


def test_a_backlog_of_equal_frames_shares_runs(shop: Shop) -> None:
    gate = threading.Event()
    shop.open(fault=lambda _tiles: gate.wait(30))
    works = [shop.picture(f"{index}.png", 10 * index) for index in range(6)]
    works.append(shop.picture("other.png", 9, (61, 40)))
    shop.begin(*works)
    gate.set()
    assert set(shop.run().values()) == {None}
    assert sorted(shape[0] for shape in shop.models.for_sample("uint8").shapes) == [1, 1, 5]
    assert [level(shop.out / f"{index}.png") for index in range(6)] == [0, 20, 40, 60, 80, 100]
    assert sorted(work.together for work in works) == [1, 1, 5, 5, 5, 5, 5]


def test_a_backlog_shares_the_threads_and_a_picture_alone_has_all(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    meeting, gate = Meeting(2), threading.Event()

    def fault(tiles: Any) -> None:
        gate.wait(30)
        if tiles.max() != 77:  # the first one is alone
            meeting(tiles)

    lent: list[int] = []

    def with_threads(models: FakeModels, threads: int) -> FakeModels:
        lent.append(threads)
        return models

    monkeypatch.setattr(FakeModels, "with_threads", with_threads)
    shop.open(threads=2, fault=fault)
    works = [shop.picture(f"{index}.png", 10 * index, (60 + index, 60)) for index in range(6)]
    shop.begin(shop.picture("first.png", 77))
    for work in works:
        shop.shop.begin(work)
    shop.run(until=lambda: shop.shop._stages.waiting == 5)  # the sixth waits for threads
    gate.set()
    assert set(shop.run().values()) == {None}
    assert [level(shop.out / f"{index}.png") for index in range(6)] == [0, 20, 40, 60, 80, 100]
    assert len(meeting.threads) == 2
    assert lent and set(lent) == {1} and len(lent) < 7


@pytest.mark.parametrize("together", [False, True])
@pytest.mark.parametrize("unchanged", ["copy", "skip", "encode"])
def test_frames_that_are_fine_are_copied_or_skipped(shop: Shop, together: bool, unchanged: Unchanged) -> None:
    gate = threading.Event()
    opened = shop.open(fault=lambda _tiles: gate.wait(30))
    opened._options = PictureOptions(EnhanceOptions(unchanged=unchanged))
    works = [shop.picture(name, level) for name, level in {"first.png": 2, "a.png": 2, "dark.png": 50}.items()]
    if together:
        shop.begin(*works)
        gate.set()
    else:
        gate.set()
        for work in works:
            opened.begin(work)
    assert set(shop.run().values()) == {None}
    assert [work.is_left for work in works] == [unchanged != "encode", unchanged != "encode", False]
    assert [work.is_to_keep for work in works] == [unchanged == "skip", unchanged == "skip", False]
    assert level(shop.out / "dark.png") == 100
    if unchanged == "skip":
        assert [path.name for path in shop.out.iterdir()] == ["dark.png"]
    else:
        same = (shop.out / "a.png").read_bytes() == (shop.tree.root / "a.png").read_bytes()
        assert same is (unchanged == "copy")


def test_one_bad_frame_does_not_fail_those_beside_it(shop: Shop) -> None:
    gate = threading.Event()

    def fault(tiles: np.ndarray[Any, Any]) -> None:
        gate.wait(30)
        if (tiles == 77).any():
            raise NotFiniteError("infinity")

    shop.open(fault=fault)
    names = {"first.png": 1, "a.png": 2, "bad.png": 77, "b.png": 3}
    shop.begin(*(shop.picture(name, value) for name, value in names.items()))
    gate.set()
    found = shop.run()
    assert isinstance(found.pop("bad.png"), NotFiniteError)
    assert found == {"first.png": None, "a.png": None, "b.png": None}


def test_a_file_that_changed_before_it_was_read_is_not_taken(shop: Shop) -> None:
    opened = shop.open()
    work = shop.picture("a.png")
    (shop.tree.root / "a.png").write_bytes(b"something else")
    opened.begin(work)
    assert isinstance(shop.run()["a.png"], ChangedError)
    assert not (shop.out / "a.png").exists()


def test_a_file_that_changes_while_it_is_read_is_not_taken(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = shop.open()
    work = shop.picture("a.png")

    def read(path: Path, *arguments: Any, **more: Any) -> Picture:
        picture = read_source(
            path, *arguments, **more
        )  # the whole picture: only the file itself tells that it was replaced
        shop.picture("a.png", level=30, size=(50, 40))
        return picture

    monkeypatch.setattr("lumen.watching.worker.read_source", read)
    opened.begin(work)
    error = shop.run()["a.png"]
    assert isinstance(error, ChangedError)
    assert "while it was read" in str(error)
    assert not (shop.out / "a.png").exists()


def test_a_damaged_file_is_a_decode_error_and_one_that_went_has_changed(shop: Shop) -> None:
    opened = shop.open()
    (shop.tree.root / "bad.png").write_bytes(b"\x89PNG\r\n\x1a\n and no more")
    opened.begin(shop.work("bad.png"))
    gone = shop.picture("gone.png")
    gone.settled.path.unlink()
    opened.begin(gone)
    found = shop.run()
    assert isinstance(found["bad.png"], DecodeError)
    assert isinstance(found["gone.png"], ChangedError)


def test_a_file_with_the_content_of_a_finished_version_is_known(shop: Shop) -> None:
    opened = shop.open()
    first = shop.picture("a.png")
    opened.begin(first)
    shop.run()
    opened.begin(shop.work("a.png", known_digests=(b"another", first.digest)))
    shop.run()
    assert isinstance(shop.endings[-1][1], KnownError)
    assert len(shop.models.for_sample("uint8").shapes) == 1  # for the first file alone


def test_a_result_that_cannot_be_written_is_kept_and_written_later(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = shop.open()
    work = shop.picture("a.png")
    with monkeypatch.context() as patch:
        patch.setattr(
            "lumen.watching.results.write_atomically", lambda *_, **__: (_ for _ in ()).throw(OutputError("full"))
        )
        opened.begin(work)
        assert isinstance(shop.run()["a.png"], OutputError)
    assert work.data and work.stage == "write"
    opened.write_again(work)
    assert shop.run() == {"a.png": None}
    assert level(shop.out / "a.png") == 20
    assert len(shop.models.for_sample("uint8").shapes) == 1  # the model did not work twice


def test_without_helpers_there_is_one_file_at_a_time(shop: Shop) -> None:
    opened = shop.open(helpers=0)
    first, second = shop.picture("a.png"), shop.picture("b.png")
    assert opened.room == 1
    opened.begin(first)
    assert opened.room == 0
    assert shop.run() == {"a.png": None}
    assert opened.room == 1
    opened.begin(second)
    assert shop.run() == {"a.png": None, "b.png": None}


def test_no_more_is_taken_than_there_is_room_for(shop: Shop) -> None:
    gate = threading.Event()
    opened = shop.open(fault=lambda _tiles: gate.wait(30), helpers=2)
    begun = 0
    while begun < 100:
        if opened.room:
            opened.begin(shop.picture(f"{begun}.png"))
            begun += 1
            continue
        shop.run(until=lambda: not opened._stages.reading)
        if not opened.room:
            break
    assert AHEAD <= begun <= AHEAD + 3
    gate.set()
    assert set(shop.run().values()) == {None}
    assert opened.room > 0


def test_large_pictures_are_not_decoded_ahead_by_the_dozen(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lumen.watching.worker.AHEAD_BYTES", 10_000)
    gate = threading.Event()
    opened = shop.open(fault=lambda _tiles: gate.wait(30))
    for index in range(3):
        opened.begin(shop.picture(f"{index}.png"))
        shop.run(until=lambda: not opened._stages.reading)
    assert len(opened._stages.ready) == 2 and opened.room == 0
    gate.set()
    shop.run()


@pytest.mark.parametrize(("limit", "value"), [("BEHIND", 2), ("BEHIND_BYTES", 10_000)])
def test_nothing_is_begun_while_the_writing_is_behind(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, limit: str, value: int
) -> None:
    monkeypatch.setattr(f"lumen.watching.worker.{limit}", value)
    gate = threading.Event()

    def write(*_: Any, **__: Any) -> None:
        gate.wait(30)

    monkeypatch.setattr("lumen.watching.results.write_atomically", write)
    opened = shop.open(helpers=2)
    for name in ("a.png", "b.png"):
        assert opened.room > 0
        opened.begin(shop.noise(name))  # what is encoded is as large as what was decoded
        shop.run(until=lambda: opened.inside == len(opened._stages.writing))
    assert len(opened._stages.writing) == 2
    assert opened.room == 0
    gate.set()
    shop.run()
    assert opened.room > 0


def test_models_wait_too_while_the_writing_is_behind(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lumen.watching.worker.BEHIND", 1)
    gate = threading.Event()
    monkeypatch.setattr("lumen.watching.results.write_atomically", lambda *_, **__: gate.wait(30))
    opened = shop.open()
    first, second = shop.picture("a.png"), shop.picture("b.png")
    opened.write_again(first)
    opened.begin(second)
    shop.run(until=lambda: not opened._stages.reading)
    assert opened._stages.ready and not opened._stages.working
    gate.set()
    assert shop.run() == {"a.png": None, "b.png": None}


def test_the_names_of_folders_that_are_made_reach_the_disk(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    flushed: list[Path] = []
    monkeypatch.setattr("lumen.files.atomic.flush_folder", flushed.append)
    monkeypatch.setattr(Parent, "flush", lambda self: flushed.append(self.path))
    opened = shop.open()
    (shop.tree.root / "d").mkdir()
    opened.begin(shop.picture("d/e/a.png"))
    assert shop.run() == {"d/e/a.png": None}
    assert set(flushed) == {shop.out.parent, shop.out, shop.out / "d", shop.out / "d" / "e"}


def test_a_link_below_the_output_folder_is_a_fault_of_the_output_and_not_followed(shop: Shop, tmp_path: Path) -> None:
    (tmp_path / "private").mkdir()
    shop.out.mkdir()
    (shop.out / "cam").symlink_to(tmp_path / "private")
    opened = shop.open()
    opened.begin(shop.picture("cam/a.png"))
    error = shop.run()["cam/a.png"]
    assert isinstance(error, OutputError)
    assert "is a link" in str(error)
    assert not list((tmp_path / "private").iterdir())


@pytest.mark.parametrize("swapped", ["cam", "cam/a.png"])
@pytest.mark.parametrize("kind", ["link", "pipe"])
def test_what_takes_the_place_of_a_settled_file_is_not_read(
    shop: Shop, tmp_path: Path, swapped: str, kind: str
) -> None:
    opened = shop.open()
    work = shop.picture("cam/a.png")
    (tmp_path / "private").mkdir()
    os.link(work.settled.path, tmp_path / "private" / "a.png")  # the same size, time and inode: only the way differs
    (shop.tree.root / swapped).rename(shop.tree.root / ".old")
    if kind == "pipe":
        os.mkfifo(shop.tree.root / swapped)
    else:
        (shop.tree.root / swapped).symlink_to(tmp_path / "private" / Path(swapped).relative_to("cam"))
    opened.begin(work)
    assert isinstance(shop.run()["cam/a.png"], ChangedError)
    assert not work.digest and not shop.out.exists()


def test_all_is_read_from_the_file_that_was_opened(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = shop.open()
    work = shop.picture("a.png", level=10)
    seen: list[int] = []

    def read(path: Path, *arguments: Any, **more: Any) -> Picture:
        path.unlink()
        shop.picture("a.png", level=30)
        picture = read_source(path, *arguments, **more)
        seen.append(int(picture.pixels[0, 0, 0]))
        return picture

    monkeypatch.setattr("lumen.watching.worker.read_source", read)
    opened.begin(work)
    assert isinstance(shop.run()["a.png"], ChangedError)
    assert seen == [10]


def test_leaving_gives_back_what_had_not_begun_and_finishes_the_rest(shop: Shop) -> None:
    gate = threading.Event()
    opened = shop.open(fault=lambda _tiles: gate.wait(30))
    works = [shop.picture(f"{index}.png", size=(60 + index, 40)) for index in range(4)]
    shop.begin(*works)
    assert opened.leave() == works[1:]
    gate.set()
    assert shop.run() == {"0.png": None}
    late = shop.picture("late.png")
    opened.begin(late)
    assert isinstance(shop.run()["late.png"], LeftError)


def test_aborting_leaves_a_picture_in_the_middle(shop: Shop) -> None:
    entered = threading.Event()
    opened = shop.open(fault=lambda _tiles: entered.set())
    opened._options = PictureOptions(EnhanceOptions(tile_px=64))
    opened.begin(shop.picture("large.png", size=(2000, 2000)))
    shop.run(until=entered.is_set)
    opened.abort()
    assert isinstance(shop.run()["large.png"], LeftError)
    assert not shop.out.exists()


def test_aborting_interrupts_a_run_without_end(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    entered, terminated = threading.Event(), threading.Event()
    monkeypatch.setattr("lumen.watching.worker.terminate_runs", terminated.set)

    def fault(_tiles: Any) -> None:
        entered.set()
        assert terminated.wait(30)
        raise ModelError("Exiting due to terminate flag being set to true")

    opened = shop.open(fault=fault)
    opened.begin(shop.picture("a.png"))
    shop.run(until=entered.is_set)
    opened.abort()
    assert isinstance(shop.run()["a.png"], LeftError)


def test_a_fault_of_the_program_is_an_ending_like_others(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = shop.open()
    monkeypatch.setattr("lumen.watching.worker.encode_result", lambda *_: 1 / 0)
    opened.begin(shop.picture("a.png"))
    assert isinstance(shop.run()["a.png"], ZeroDivisionError)


def test_a_file_whose_decoder_does_not_come_back_is_left_behind(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    gate = threading.Event()

    def read(path: Path, *arguments: Any, **more: Any) -> Picture:
        if path.name == "stuck.png":
            gate.wait(30)
        return read_source(path, *arguments, **more)

    monkeypatch.setattr("lumen.watching.worker.read_source", read)
    opened = shop.open()
    opened._timeout_s = 0.2
    opened.begin(shop.picture("stuck.png"))
    assert isinstance(shop.run()["stuck.png"], HangingError)
    assert opened.hanging == 1 and opened.room > 0
    opened.begin(shop.picture("a.png"))
    assert shop.run()["a.png"] is None
    gate.set()
    shop.run(until=lambda: not opened.hanging)
    assert not (shop.out / "stuck.png").exists()


def test_a_slow_disk_is_progress_and_standing_still_is_not_counted(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    work = shop.picture("a.png")
    with (tmp_path / "slow").open("w+b", buffering=0) as work.stream:
        for _ in range(5):
            work.stream.write(b"x")
            work.wait(1.0)
            assert work.still_s == 0.0
        work.wait(1.0)
        assert work.still_s == 1.0
    work.wait(1.0)  # it is closed: the decoder has all of it
    work.wait(1.0)
    assert work.still_s == 1.0
    now = [1000.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    opened = shop.open()
    monkeypatch.setattr(Stages, "reading", [work])
    now[0] += 3600.0  # stopped by Ctrl-Z
    list(opened._leave_hanging())
    assert work.still_s == 1.0 + LONGEST_TURN_S


def test_tags_that_people_gave_a_file_go_to_its_result(shop: Shop) -> None:
    opened = shop.open()
    path = shop.picture("a.png").settled.path
    needs_attributes(path.parent)
    os.setxattr(path, "user.xdg.tags", b"night")
    opened.begin(shop.work("a.png"))
    assert shop.run() == {"a.png": None}
    assert os.getxattr(shop.out / "a.png", "user.xdg.tags") == b"night"
