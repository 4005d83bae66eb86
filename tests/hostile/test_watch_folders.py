"""`lumen watch` beside somebody who means ill: what is below its folders is not what it was a moment ago."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from benchmarks.races import COMMANDS, KINDS, check
from benchmarks.watching.harness import CannotError, Place, Watch, in_namespace, run_once, save, statuses
from tests.support.commands import ENVIRONMENT

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="links, pipes and mounts of Linux")

QUICK: tuple[Any, ...] = ("--min-free", 0, "--rescan", "500ms")


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place.make(tmp_path / "here")


def private(place: Place) -> Path:
    """Make a folder that is nobody's business, with a picture of the name that is watched."""
    return save(place.folder / "private" / "a.png", 77).parent


@pytest.mark.parametrize("then", ["delete", "move"])
@pytest.mark.parametrize("swapped", ["cam", "cam/a.png"])
def test_what_is_swapped_for_a_link_is_not_read_published_or_removed(place: Place, swapped: str, then: str) -> None:
    """The first picture is half there, so that it is waited for; then its folder or itself becomes a link."""
    secret = private(place)
    whole = save(place.watched / "cam" / "a.png", 1)
    whole.write_bytes(whole.read_bytes()[:-600])
    options = ("--on-success", then if then == "delete" else f"move:{place.folder / 'done'}")
    with Watch(place, *QUICK, *options, "--incomplete-timeout", "2s", "--retries", 4) as watch:
        watch.wait_for("retry")
        (place.watched / swapped).rename(place.watched / ".old")
        (place.watched / swapped).symlink_to(secret / Path(swapped).relative_to("cam"))
        save(place.watched / "b.png", 2)
        watch.wait_done(["b.png"])
        time.sleep(2.0)
        assert watch.stop() == 0
    assert [path.name for path in secret.iterdir()] == ["a.png"]
    assert not (place.out / "cam" / "a.png").exists()
    assert watch.done() == {"b.png"}


def test_hidden_files_of_fixed_names_are_not_written_through(place: Place) -> None:
    victim = place.folder / "victim"
    victim.write_bytes(b"precious")
    place.out.mkdir()
    (place.out / ".probe.lumen-tmp").symlink_to(victim)
    save(place.watched / "a.png", 1)
    assert run_once(place, *QUICK).done() == {"a.png"}
    assert victim.read_bytes() == b"precious"


def test_a_link_in_the_output_is_not_followed_and_the_file_waits(place: Place) -> None:
    secret = private(place)
    place.out.mkdir()
    (place.out / "cam").symlink_to(secret)
    for name in ("cam/b.png", "c.png"):
        save(place.watched / name, 1)
    with Watch(place, *QUICK, "--on-success", "delete") as watch:
        watch.wait_for("deferred")
        watch.wait_done(["c.png"])
        assert watch.stop() == 0
    assert "is a link" in watch.named("deferred")[0]["reason"]
    assert [path.name for path in secret.iterdir()] == ["a.png"]
    assert (place.watched / "cam" / "b.png").exists()


def test_folders_that_are_named_may_be_links(place: Place, tmp_path: Path) -> None:
    save(place.watched / "cam" / "a.png", 1)
    for folder in (place.watched, place.out):
        real = tmp_path / "elsewhere" / folder.name
        real.parent.mkdir(exist_ok=True)
        if folder.exists():
            folder.rename(real)
        else:
            real.mkdir()
        folder.symlink_to(real)
    assert run_once(place, *QUICK).done() == {"cam/a.png"}
    assert (tmp_path / "elsewhere" / "out" / "cam" / "a.png").exists()


@pytest.mark.parametrize(
    "mounts",
    ["mount --bind in out", "mount --bind in/sub out", "mount --bind out in/sub", "mount --bind in other", "none"],
)
def test_folders_that_are_mounted_twice_are_refused(place: Place, mounts: str) -> None:
    try:
        prefix = in_namespace("-m")
    except CannotError as error:
        pytest.skip(f"needs mount: {error}")
    for folder in (place.out, place.watched / "sub", place.folder / "other"):
        folder.mkdir(exist_ok=True)
    original = save(place.watched / "a.png", 1).read_bytes()
    output = "other/deeper" if "other" in mounts else "out"
    watching = f"{sys.executable} -m lumen watch in {output} --oneshot --settle 50ms --min-free 0 -m {place.model}"
    script = watching if mounts == "none" else f"{mounts} || exit 77; {watching}"
    done = subprocess.run(
        [*prefix, "sh", "-c", script], cwd=place.folder, env=ENVIRONMENT, capture_output=True, text=True, check=False
    )
    if done.returncode == 77:
        pytest.skip(f"needs mount: {done.stderr}")
    assert done.returncode == (0 if mounts == "none" else 2), done.stderr
    assert mounts == "none" or "elsewhere" in done.stderr
    assert (place.watched / "a.png").read_bytes() == original


def test_an_upload_does_not_become_a_program_of_who_runs_lumen(place: Place) -> None:
    """A copy on another disk belongs to the service: rights to run as its owner must not come along."""
    far = Path("/dev/shm", f"lumen-test-{os.getpid()}")
    if not far.parent.is_dir() or far.parent.stat().st_dev == place.folder.stat().st_dev:
        pytest.skip("needs another disk at /dev/shm")
    program = place.watched / "program.jpg"
    program.write_bytes(b"#!/bin/sh\n")
    program.chmod(0o4777)
    try:
        run_once(place, *QUICK, "--failed-dir", far, "--retries", 1)
        assert (far / "program.jpg").stat().st_mode & 0o7777 == 0o777
    finally:
        subprocess.run(["rm", "-r", far], check=True)


def test_an_output_that_others_can_replace_is_told(place: Place) -> None:
    place.watched.chmod(0o777)
    inner = Place(folder=place.folder)
    with Watch(inner, *QUICK, "--oneshot") as watch:
        watch.end()
    assert not watch.named("exposed")
    line = [sys.executable, "-m", "lumen", "watch", "in", "in/out", "--oneshot", "-m", str(place.model)]
    said = subprocess.run(line, cwd=place.folder, env=ENVIRONMENT, capture_output=True, text=True, check=True).stderr
    assert " warning exposed path=" in said


def test_a_pipe_in_the_place_of_a_file_keeps_nothing_waiting(place: Place) -> None:
    save(place.watched / "a.png", 1)
    with Watch(place, *QUICK) as watch:
        watch.wait_done(["a.png"])
        (place.watched / "a.png").unlink()
        os.mkfifo(place.watched / "a.png")
        save(place.watched / "b.png", 2)
        watch.wait_done(["b.png"])
        began = time.monotonic()
        assert watch.stop() == 0
        assert time.monotonic() - began < 15
    assert statuses(place.out) == {"a.png": ["done"], "b.png": ["done"]}


HANGING = """
import sys, time
import lumen.watching.worker as worker
from lumen.cli.main import main
read = worker.read_source
worker.read_source = lambda path, *a, **k: time.sleep(1000) if path.name[0] == "x" else read(path, *a, **k)
sys.exit(main(sys.argv[1:]))
"""


def test_decoders_that_do_not_come_back_fail_their_files_and_end_the_process_in_the_end(place: Place) -> None:
    for index, name in enumerate(("x1.png", "a.png", "x2.png", "b.png", "x3.png")):
        save(place.watched / name, index)
    options = ["--timeout", "4s", "--settle", "50ms", "--min-free", "0", "-m", str(place.model)]
    line = [sys.executable, "-c", HANGING, "watch", "in", "out", *options]
    done = subprocess.run(
        line, cwd=place.folder, env=ENVIRONMENT, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 5, done.stderr
    assert done.stderr.splitlines()[-1].startswith("lumen: 3 files hang in their decoders")
    ended = {f"x{number}.png": ["failed"] for number in (1, 2, 3)}
    assert ended.items() <= statuses(place.out).items()


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("kind", KINDS)
def test_races(kind: str, command: str) -> None:
    if (kind, command) == ("result-link", "in-place"):
        pytest.skip("in place there is no output")
    found = check(kind, command, seconds=2.0)
    if found["holds"] is None:
        pytest.skip(found["not here"])
    assert found["holds"], found["fault"]
    assert found["exchanges"] > 100
