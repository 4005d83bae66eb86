"""Somebody else may write into the folders of `lumen enhance`, and puts links and pipes in the place of what is there.

What is exchanged is exchanged at a chosen moment, in the process of the test, where it would be a race otherwise.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from lumen.batch.engines.local import LocalEngine
from lumen.batch.plan import plan_jobs
from lumen.batch.run import Batch
from lumen.codecs.codec import read_picture
from lumen.config import BatchOptions, EnhanceOptions
from tests.support.batches import Quiet
from tests.support.commands import command, run, run_here, save
from tests.support.fakes import FakeModels

UNREAD = "it is a pipe or device, not a plain file"


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory: pictures in `in/cam`, which others may write, and in `private`, which they may not."""
    monkeypatch.chdir(tmp_path)
    for name in ("in/a.png", "in/cam/b.png", "private/b.png"):
        save(tmp_path / name, size=(40, 60 + len(name)))
    (tmp_path / "private" / ".0.lumen-tmp").write_bytes(b"theirs")
    return tmp_path


def contents(folder: Path) -> dict[str, bytes]:
    """Return the names of all files below a folder, with what is in them."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def exchange_folder() -> None:
    """Put a link to `private` in the place of `in/cam`."""
    Path("in/cam").rename("in/.old")
    Path("in/cam").symlink_to("../private")


def exchange_file() -> None:
    """Put a link to a private file in the place of `in/cam/b.png`."""
    Path("in/cam/b.png").rename("in/cam/.old")
    Path("in/cam/b.png").symlink_to("../../private/b.png")


def exchange_for_pipe() -> None:
    """Put a pipe in the place of `in/cam/b.png`."""
    Path("in/cam/b.png").unlink()
    os.mkfifo("in/cam/b.png")


EXCHANGES = [exchange_folder, exchange_file, exchange_for_pipe]


def enhance(between: Callable[[], None], *, late: bool, **options: Any) -> Quiet:
    """Enhance `in` with its sub-folders, and do something before a file is read, or when all are in memory."""
    batching = BatchOptions(recursive=True, **options)
    plan = plan_jobs([Path("in")], batching)
    blocks = list(plan.blocks)
    once = threading.Lock()

    def fault(_tiles: object) -> None:
        if late and once.acquire(blocking=False):
            between()

    if not late:
        between()
    heard = Quiet()
    # The picture of the sub-folder comes last: read before anything else is written, if it is alone.
    lone = [block.part([name == "b.png" for name in block.names]) for block in blocks if "b.png" in block.names]
    plan = replace(plan, blocks=lone if late else blocks)
    Batch(plan, LocalEngine(FakeModels(gain=2.0, fault=fault)), EnhanceOptions(), batching, heard).run()
    return heard


@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize("exchange", EXCHANGES)
def test_in_place_nothing_is_replaced_through_a_link(place: Path, exchange: Callable[[], None], late: bool) -> None:
    private, mine = contents(place / "private"), (place / "in" / "cam" / "b.png").read_bytes()
    heard = enhance(exchange, late=late, in_place=True)
    assert heard.statuses()["b.png"] == "failed"
    assert contents(place / "private") == private
    old = [path for path in (place / "in").rglob("*") if path.name == ".old" and path.is_file()]
    assert all(path.read_bytes() == mine for path in old)
    assert late or heard.statuses()["a.png"] == "done"


@pytest.mark.parametrize("exchange", EXCHANGES)
def test_without_following_links_nothing_is_read_through_one(place: Path, exchange: Callable[[], None]) -> None:
    heard = enhance(exchange, late=False, output=Path("out"), follow_links=False)
    assert heard.statuses() == {"a.png": "done", "b.png": "failed"}
    assert not (place / "out" / "cam").exists()


def test_links_are_followed_unless_it_is_refused(place: Path, fake_model: Path) -> None:
    (place / "in" / "there").symlink_to("../private")
    (place / "in" / "one.png").symlink_to("../private/b.png")
    for option, expected in (
        ("--follow-links", ["a.png", "cam/b.png", "one.png", "there/b.png"]),
        ("--no-follow-links", ["a.png", "cam/b.png"]),
    ):
        shutil.rmtree("out", ignore_errors=True)
        code, _, _ = run_here(command("enhance", "in", "-r", "-o", "out", option, model=fake_model))
        found = sorted(str(path.relative_to("out")) for path in Path("out").rglob("*.png"))
        assert (code, found) == (0, expected)


def test_what_is_named_may_be_a_link(place: Path, fake_model: Path) -> None:
    for name, target in (("link", "in"), ("link.png", "private/b.png"), ("out", "disk")):
        (place / name).symlink_to(target)
    (place / "disk").mkdir()
    line = command("enhance", "link", "link.png", "-r", "-o", "out", "--no-follow-links", model=fake_model)
    assert run_here(line)[0] == 0
    assert sorted(contents(place / "disk").keys() - {".lumen/lock"})[1:] == ["a.png", "cam/b.png", "link.png"]
    before = read_picture(place / "private" / "b.png").pixels
    code, _, _ = run_here(command("enhance", "link", "link.png", "-r", "--in-place", model=fake_model))
    assert code == 0
    assert (place / "link.png").is_symlink()
    assert (read_picture(place / "private" / "b.png").pixels > before).any()


def test_a_file_with_several_names_and_one_that_is_backed_up_are_enhanced(place: Path) -> None:
    os.link("in/cam/b.png", "in/cam/c.png")
    heard = enhance(lambda: os.link("in/cam/b.png", "backup.png"), late=True, in_place=True)
    assert heard.statuses() == {"b.png": "done"}
    assert (place / "backup.png").read_bytes() == (place / "in" / "cam" / "c.png").read_bytes()


def test_in_place_content_that_was_exchanged_under_its_old_time_stays(place: Path) -> None:
    path = place / "in" / "cam" / "b.png"
    facts = path.stat()

    def rewrite() -> None:
        with path.open("r+b") as file:
            file.seek(-1, os.SEEK_END)
            file.write(b"!")
        os.utime(path, ns=(facts.st_atime_ns, facts.st_mtime_ns))

    heard = enhance(rewrite, late=True, in_place=True)
    assert heard.statuses() == {"b.png": "failed"}
    assert path.read_bytes().endswith(b"!")


def test_results_do_not_go_through_a_link_below_the_output(place: Path, fake_model: Path) -> None:
    (place / "out").mkdir()
    (place / "out" / "cam").symlink_to("../private")
    private = contents(place / "private")
    code, _, err = run_here(command("enhance", "in", "-r", "-o", "out", "--existing", "overwrite", model=fake_model))
    assert code == 3
    assert "failed: in/cam/b.png: cannot write 'out/cam/b.png': the folder 'cam' is a link" in err
    assert contents(place / "private") == private
    assert (place / "out" / "a.png").exists()


def make(kind: str, path: Path) -> None:
    """Put something that is no plain file at a path; a link leads to `victim`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if kind == "pipe":
        os.mkfifo(path)
    else:
        path.symlink_to({"link": "../../victim", "device": "/dev/zero"}[kind])


@pytest.mark.parametrize("kind", ["link", "pipe", "device"])
@pytest.mark.parametrize("name", ["lock", "in-place.jsonl"])
def test_own_files_are_plain_files(place: Path, fake_model: Path, kind: str, name: str) -> None:
    (place / "victim").write_bytes(b"theirs")
    make(kind, place / "in" / ".lumen" / name)
    before = (place / "in" / "a.png").read_bytes()
    code, _, err = run_here(command("enhance", "in", "-r", "--in-place", model=fake_model))
    assert code == 3, "the other folder is done"
    assert err.count("failed: ") == 1
    assert "it is a" in err
    assert (place / "in" / "a.png").read_bytes() == before
    if name == "lock":
        make(kind, place / "out" / ".lumen" / name)
        code, _, err = run_here(command("enhance", "in", "-o", "out", model=fake_model))
        assert (code, len(err.splitlines())) == (6, 1)
        assert "cannot write to the folder out: it is a" in err
    assert (place / "victim").read_bytes() == b"theirs"


@pytest.mark.parametrize("state", [".lumen", ".lumen/runs"])
def test_own_folders_are_no_links(place: Path, fake_model: Path, state: str) -> None:
    records = [place / "records" / f"{index:04}.jsonl" for index in range(250)]  # more than are kept
    for record in records:
        record.parent.mkdir(exist_ok=True)
        record.touch()
    for folder in ("in", "out"):
        (place / folder / state).parent.mkdir(parents=True, exist_ok=True)
        (place / folder / state).symlink_to(place / "records")
    code, _, err = run_here(command("enhance", "in", "-o", "out", model=fake_model))
    assert (code, err.count("is a link")) == ((6, 1) if state == ".lumen" else (0, 1))
    code, _, err = run_here(command("enhance", "in", "-r", "--in-place", model=fake_model))
    assert code == (3 if state == ".lumen" else 0)
    assert "is a link" in err
    assert sorted((place / "records").iterdir()) == records


@pytest.mark.usefixtures("place")
def test_pipes_and_devices_are_not_waited_for(fake_model: Path) -> None:
    os.mkfifo("in/pipe.png")
    code, _, err = run(command("enhance", "in", "-o", "out", model=fake_model))
    assert (code, "pipe" in err) == (0, False)
    code, _, err = run(command("enhance", "in/pipe.png", "/dev/zero", "-o", "out", model=fake_model))
    assert code == 4
    assert [line for line in err.splitlines() if "failed: " in line] == [
        f"failed: in/pipe.png: cannot read the file: {UNREAD}",
        f"failed: /dev/zero: cannot read the file: {UNREAD}",
    ]
    code, _, err = run(command("enhance", "in/pipe.png", "-o", "-", model=fake_model))
    assert (code, err) == (4, f"failed: in/pipe.png: cannot read the file: {UNREAD}\n")


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root can give files away")
def test_foreign_owners_are_a_warning(place: Path, fake_model: Path) -> None:
    for path in ("out/.lumen", "out/.lumen/lock"):
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        Path(path).touch() if path.endswith("lock") else Path(path).mkdir()
        os.chown(path, 12345, 12345)
    code, _, err = run_here(command("enhance", "in", "-o", "out", model=fake_model))
    assert code == 0
    assert err.count("belongs to user 12345") == 1
    assert (place / "out" / "a.png").exists()


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root can become another user")
def test_folders_that_may_be_entered_but_not_listed_are_used() -> None:
    with TemporaryDirectory() as folder:  # unlike those of pytest, it has no closed folders around it
        use_closed_folder(Path(folder))


def use_closed_folder(root: Path) -> None:
    """Read from a folder, and write to it, as a user who may not list it."""
    closed = root / "closed"
    save(closed / "a.png")
    program = (
        "import os, sys, pathlib\n"
        "from lumen.files.atomic import write_atomically\n"
        "from lumen.files.inputs import open_input\n"
        "root = pathlib.Path(sys.argv[1])\n"
        "os.setgid(12345); os.setuid(12345)\n"
        "open_input(root, 'closed/a.png').stream.close()\n"
        "write_atomically(root / 'closed' / 'b', b'x')\n"
    )
    root.chmod(0o711)
    closed.chmod(0o733)
    (closed / "a.png").chmod(0o644)
    subprocess.run([sys.executable, "-c", program, root], check=True, cwd=Path(__file__).parents[2])
    assert (closed / "b").read_bytes() == b"x"
