from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lumen.batch.engines.local import LocalEngine
from lumen.batch.plan import plan_jobs
from lumen.batch.run import Batch
from lumen.codecs.codec import read_picture, write_picture
from lumen.config import BatchOptions, EnhanceOptions
from lumen.errors import DiskFullError, OutputError, UsageError
from lumen.files.inputs import Parent
from lumen.imaging.picture import Picture
from tests.support.batches import Quiet
from tests.support.fakes import FakeModels

NAMES = ("a.png", "sub/b.png")


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory, with two pictures of old times in `in`."""
    monkeypatch.chdir(tmp_path)
    for level, name in enumerate(NAMES, start=1):
        Path("in", name).parent.mkdir(parents=True, exist_ok=True)
        pixels = np.full((20, 30, 3), level * 20, np.uint8)
        write_picture(Picture(pixels=pixels, format="png"), Path("in", name))
        Path("in", name).chmod(0o640)
        os.utime(Path("in", name), ns=(10**18 + 123_456_789, 10**18 + 123_456_789))
    return tmp_path


def run(*inputs: str, gain: float = 2.0, backup: str = "kept", listener: Quiet | None = None, **options: Any) -> Quiet:
    listener = listener or Quiet()
    batching = BatchOptions(in_place=True, backup=Path(backup), recursive=True, **options)
    plan = plan_jobs([Path(name) for name in inputs or ("in",)], batching)
    Batch(plan, LocalEngine(FakeModels(gain=gain)), EnhanceOptions(), batching, listener).run()
    return listener


def contents(folder: str) -> dict[str, bytes]:
    return {name: Path(folder, name).read_bytes() for name in NAMES}


def reason(listener: Quiet, name: str) -> str:
    return next(outcome.reason for outcome in listener.outcomes if outcome.source.name == name)


@pytest.mark.usefixtures("place")
def test_originals_are_kept_as_they_were_and_nothing_else_is() -> None:
    before = contents("in")
    facts = {name: Path("in", name).stat() for name in NAMES}
    assert run().statuses() == {"a.png": "done", "b.png": "done"}
    assert contents("kept") == before
    assert contents("in") != before
    for name in NAMES:
        kept = Path("kept", name).stat()
        assert (kept.st_mtime_ns, kept.st_mode) == (facts[name].st_mtime_ns, facts[name].st_mode)
        assert (kept.st_ino, kept.st_nlink) != (Path("in", name).stat().st_ino, 2)
        assert kept.st_nlink == 1
    assert sorted(str(path) for path in Path("kept").rglob("*")) == ["kept/a.png", "kept/sub", "kept/sub/b.png"]


@pytest.mark.usefixtures("place")
def test_the_oldest_original_stays_when_pictures_are_enhanced_again() -> None:
    before = contents("in")
    run()
    assert run(existing="overwrite").statuses() == {"a.png": "done", "b.png": "done"}
    assert contents("kept") == before


def kept_files() -> list[str]:
    return sorted(str(path) for path in Path("kept").rglob("*") if path.is_file())


def level(name: str) -> int:
    return int(read_picture(Path(name)).pixels.flat[0])


@pytest.mark.usefixtures("place")
def test_a_result_that_is_named_is_made_again_from_its_original() -> None:
    before = contents("in")
    run()
    for gain in (1.5, 3.0, 1.0):  # with the last one, the original itself would be fine
        assert run("in/sub/b.png", gain=gain, existing="overwrite").statuses() == {"b.png": "done"}
        assert level("in/sub/b.png") == 40 * gain
    assert kept_files() == ["kept/a.png", "kept/sub/b.png"]
    assert contents("kept") == before


@pytest.mark.usefixtures("place")
def test_the_original_of_a_result_is_found_wherever_its_picture_was_named() -> None:
    run("in/sub/b.png")
    assert kept_files() == ["kept/b.png"]
    Path("in/sub/b.png").rename("in/sub/c.png")
    assert run("in/sub", gain=3.0, existing="overwrite").statuses() == {"c.png": "done"}
    assert (level("in/sub/c.png"), kept_files()) == (120, ["kept/b.png"])
    Path("kept/in/sub").mkdir(parents=True)
    Path("kept/b.png").rename("kept/in/sub/b.png")
    assert run("in", gain=4.0, existing="overwrite").statuses() == {"a.png": "done", "c.png": "done"}
    assert (level("in/sub/c.png"), kept_files()) == (160, ["kept/a.png", "kept/in/sub/b.png"])


@pytest.mark.usefixtures("place")
@pytest.mark.parametrize("there", ["nothing", "another", "link"])
def test_a_result_without_its_original_is_neither_kept_nor_replaced(there: str) -> None:
    run("in/a.png", backup="first")
    Path("kept").mkdir()
    if there == "another":
        Path("kept/a.png").write_bytes(b"of somebody")
    elif there == "link":
        Path("kept/a.png").symlink_to(Path("first/a.png").absolute())
    before, files = contents("in"), kept_files()
    listener = run("in/a.png", existing="overwrite")
    assert listener.statuses() == {"a.png": "failed"}
    assert "its original is not in kept" in reason(listener, "a.png")
    assert (contents("in"), kept_files()) == (before, files)


@pytest.mark.usefixtures("place")
@pytest.mark.parametrize("name", ['"../first/a.png"', '""', '"."', '".."', "3", '"\\u0000"'])
def test_no_journal_leads_out_of_the_backup(name: str) -> None:
    run("in/a.png", backup="first")
    Path("kept").mkdir()
    journal = Path("in/.lumen/in-place.jsonl")
    journal.write_text(journal.read_text().replace('"a.png"', name))
    listener = run("in/a.png", existing="overwrite")
    assert "its original is not in kept" in reason(listener, "a.png")


@pytest.mark.usefixtures("place")
def test_an_original_that_is_named_joins_those_of_its_neighbours() -> None:
    run()
    for name in ("in/new.png", "in/sub/new.png"):
        write_picture(Picture(pixels=np.full((20, 30, 3), 9, np.uint8), format="png"), Path(name))
        assert run(name).statuses() == {"new.png": "done"}
    assert kept_files() == ["kept/a.png", "kept/new.png", "kept/sub/b.png", "kept/sub/new.png"]


@pytest.mark.usefixtures("place")
def test_what_is_skipped_says_where_its_original_is() -> None:
    run()
    assert {each.reason for each in run().outcomes} == {
        "enhanced in place before; --existing overwrite starts again from originals in kept"
    }
    assert "put back" in reason(run(backup="other"), "a.png")


@pytest.mark.usefixtures("place")
def test_an_original_that_is_put_back_is_enhanced_again() -> None:
    before = contents("in")
    run()
    result = contents("in")
    for name in NAMES:
        Path("in", name).write_bytes(Path("kept", name).read_bytes())
    assert run().statuses() == {"a.png": "done", "b.png": "done"}
    assert (contents("in"), contents("kept")) == (result, before)


@pytest.mark.usefixtures("place")
@pytest.mark.parametrize("what", ["foreign", "edited", "link", "itself"])
def test_what_would_be_lost_is_not_replaced(what: str) -> None:
    if what == "edited":  # after it was enhanced: neither the original nor a result
        run()
        write_picture(Picture(pixels=np.full((20, 30, 3), 33, np.uint8), format="png"), Path("in/a.png"))
    else:
        Path("kept").mkdir()
        if what == "foreign":
            Path("kept/a.png").write_bytes(b"of somebody")
        elif what == "link":
            Path("kept/a.png").symlink_to(Path("in/a.png").absolute())
        else:
            Path("kept/a.png").hardlink_to("in/a.png")
    before, there = Path("in/a.png").read_bytes(), Path("kept/a.png").read_bytes()
    listener = run(existing="update")
    assert listener.statuses()["a.png"] == "failed"
    assert "kept/a.png" in reason(listener, "a.png")
    assert Path("in/a.png").read_bytes() == before
    assert Path("kept/a.png").read_bytes() == there


@pytest.mark.usefixtures("place")
@pytest.mark.parametrize("has_links", [True, False])
def test_an_original_that_appears_just_now_is_not_overwritten(monkeypatch: pytest.MonkeyPatch, has_links: bool) -> None:
    link = Parent.link

    def late(self: Parent, name: str, other: str, into: Parent | None = None) -> None:
        if self.path.name == "kept":
            Path("kept/a.png").write_bytes(b"of somebody")
        if not has_links:
            raise OSError(errno.EPERM, "no links here")
        link(self, name, other, into)

    monkeypatch.setattr(Parent, "link", late)
    before = Path("in/a.png").read_bytes()
    assert run().statuses() == {"a.png": "failed", "b.png": "done"}
    assert (Path("in/a.png").read_bytes(), Path("kept/a.png").read_bytes()) == (before, b"of somebody")


@pytest.mark.usefixtures("place")
@pytest.mark.parametrize(("number", "expected"), [(errno.ENOSPC, DiskFullError), (errno.EACCES, OutputError)])
def test_without_a_backup_nothing_is_replaced(
    monkeypatch: pytest.MonkeyPatch, number: int, expected: type[OutputError]
) -> None:
    create = Parent.create

    def full(self: Parent, name: str, mode: int = 0o666) -> Any:
        if "kept" in self.path.parts:
            raise OSError(number, os.strerror(number))
        return create(self, name, mode)

    before, listener = contents("in"), Quiet()
    with monkeypatch.context() as patched:
        patched.setattr(Parent, "create", full)
        with pytest.raises(expected, match="kept"):
            run(listener=listener)
    assert {(each.status, each.stops_run) for each in listener.outcomes} == {("failed", True)}
    assert contents("in") == before
    assert run().statuses() == {"a.png": "done", "b.png": "done"}
    assert contents("kept") == before


@pytest.mark.usefixtures("place")
def test_the_original_is_on_the_disk_before_its_picture_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    steps: list[str] = []
    rename, link, flush = Parent.rename, Parent.link, Parent.flush

    def renamed(self: Parent, name: str, other: str) -> None:
        steps.append(f"replaced {other}")
        rename(self, name, other)

    def linked(self: Parent, name: str, other: str, into: Parent | None = None) -> None:
        steps.append(f"kept {other}")
        link(self, name, other, into)

    def flushed(self: Parent) -> None:
        steps.append(f"flushed {self.path.name}")
        flush(self)

    monkeypatch.setattr(Parent, "rename", renamed)
    monkeypatch.setattr(Parent, "link", linked)
    monkeypatch.setattr(Parent, "flush", flushed)
    run("in/a.png")
    kept = steps.index("kept a.png")
    assert "flushed kept" in steps[kept : steps.index("replaced a.png")]


@pytest.mark.usefixtures("place")
def test_what_a_killed_run_left_goes_and_what_others_write_stays() -> None:
    Path("kept").mkdir()
    Path("kept/.0-other.lumen-tmp").touch()

    def die(*_: Any) -> None:
        raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(Parent, "link", die)
        patched.setattr(Parent, "unlink", die)
        with pytest.raises(KeyboardInterrupt):
            run("in/a.png")
    assert len(list(Path("kept").iterdir())) == 2
    run("in/a.png")
    assert sorted(path.name for path in Path("kept").iterdir()) == [".0-other.lumen-tmp", "a.png"]


@pytest.mark.usefixtures("place")
@pytest.mark.parametrize(
    ("inputs", "backup", "message"),
    [
        (("in",), "in", "would lie in the input folder"),
        (("in",), "in/kept", "would lie in the input folder"),
        (("in",), "alias/kept", "would lie in the input folder"),
        (("in",), ".", "lie in the backup folder"),
        (("in/a.png",), "in", "lie in the backup folder"),
        (("in/a.png",), ".", "lie in the backup folder"),
        (("in/a.png", "other"), "kept", "would both become"),
        (("in",), "in/a.png", "got the file"),
        (("in",), "kept.jpg", "names a picture"),
    ],
)
def test_unsafe_places_are_refused_before_anything_happens(inputs: tuple[str, ...], backup: str, message: str) -> None:
    Path("alias").symlink_to("in")
    Path("other").mkdir()
    write_picture(read_picture(Path("in/a.png")), Path("other/a.png"))
    before = contents("in")
    with pytest.raises(UsageError, match=message):
        run(*inputs, backup=backup)
    assert contents("in") == before


@pytest.mark.usefixtures("place")
def test_without_in_place_there_is_nothing_to_keep() -> None:
    with pytest.raises(UsageError, match="together with --in-place"):
        BatchOptions(output=Path("out"), backup=Path("kept"))
