"""`lumen watch` with a ledger of another folder, a forged one, and files rewritten with their old times."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from lumen.codecs.codec import read_picture
from lumen.watching.ledger.ledger import Ledger
from tests.conftest import Run
from tests.support.commands import save
from tests.support.ledger import NOW, add, version
from tests.support.watching import outcome

Watch = Callable[..., tuple[int, list[str], str]]
SAME_NS = 1_700_000_000_000_000_000


@pytest.fixture
def watch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fake_model: Path, lumen_here: Run) -> Watch:
    """Run `lumen watch ... --oneshot`; return the exit code, what was done, and what was told of warnings."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: object) -> tuple[int, list[str], str]:
        line = ("--oneshot", "--settle", "50ms", "--min-free", "0", "--json", "-m", str(fake_model))
        ended = lumen_here("watch", *map(str, arguments), *line, cwd=tmp_path)
        events = [json.loads(text) for text in ended.stdout.splitlines()]
        done = [event["path"] for event in events if event["event"] in ("done", "failed")]
        told = [event["message"] for event in events if event["level"] == "warning" and "message" in event]
        return ended.returncode, sorted(done), "\n".join([*told, ended.stderr])

    return run


def rewrite(path: Path, size: tuple[int, int]) -> None:
    """Put another picture into a file in place, with its old size and time."""
    before = path.stat()
    other = path.with_name("other")
    save(other.with_suffix(".bmp"), size=size)
    data = bytearray(other.with_suffix(".bmp").read_bytes())
    other.with_suffix(".bmp").unlink()
    data[-30:] = bytes([200]) * 30
    assert len(data) == before.st_size
    with path.open("r+b") as file:
        file.write(data)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    after = path.stat()
    assert (after.st_ino, after.st_size, after.st_mtime_ns) == (before.st_ino, before.st_size, before.st_mtime_ns)


def test_another_folder_does_not_replace_the_results_of_the_first(watch: Watch) -> None:
    for folder, size in (("one", (10, 20)), ("two", (30, 40))):
        for name in ("a.png", "b.png"):
            save(Path(folder, name), size=size)
    assert watch("one", "out")[:2] == (0, ["a.png", "b.png"])
    before = Path("out/a.png").read_bytes()
    code, done, told = watch("two", "out")
    assert (code, done) == (2, [])
    assert told.count("\n") == 1 and "--moved-from" in told and str(Path("one").absolute()) in told
    assert Path("out/a.png").read_bytes() == before
    assert watch("one", "out")[:2] == (0, [])  # the first may go on
    code, done, told = watch("two", "out", "--moved-from", "one")  # as a person says
    assert (code, done) == (0, ["a.png", "b.png"])
    assert "was" in told and "one" in told
    assert watch("two", "out", "--moved-from", "one")[:2] == (0, [])
    assert watch("one", "out", "--moved-from", "one")[0] == 2


def test_a_folder_that_was_moved_goes_on(watch: Watch) -> None:
    save(Path("in/a.png"))
    assert watch("in", "out")[:2] == (0, ["a.png"])
    Path("in").rename("elsewhere")
    code, done, told = watch("elsewhere", "out")
    assert (code, done) == (0, [])
    assert "before" in told
    assert watch("elsewhere", "out") == (0, [], "")  # told once
    shutil.copytree("elsewhere", "copy")
    assert watch("copy", "out")[:2] == (0, [])


def test_a_link_to_the_folder_is_the_folder(watch: Watch) -> None:
    save(Path("in/a.png"))
    Path("link").symlink_to("in")
    assert watch("link", "out")[:2] == (0, ["a.png"])
    assert watch("in", "out") == (0, [], "")
    save(Path("other/a.png"), size=(9, 9))
    Path("link").unlink()
    Path("link").symlink_to("other")
    assert watch("link", "out")[0] == 2


def test_a_new_output_folder_with_nothing_done_belongs_to_nobody(watch: Watch) -> None:
    Path("one").mkdir()
    assert watch("one", "out")[:2] == (0, [])
    save(Path("two/a.png"))
    assert watch("two", "out")[:2] == (0, ["a.png"])


def test_a_file_rewritten_with_its_old_time_is_done_again(watch: Watch) -> None:
    path = Path("in/a.bmp")
    save(path)
    os.utime(path, ns=(SAME_NS, SAME_NS))
    assert watch("in", "out", "--format", "png")[:2] == (0, ["a.bmp"])
    before = read_picture(Path("out/a.png")).pixels.max()
    rewrite(path, (40, 60))
    assert watch("in", "out", "--format", "png")[:2] == (0, ["a.bmp"])
    assert read_picture(Path("out/a.png")).pixels.max() > before
    assert watch("in", "out", "--format", "png")[:2] == (0, [])


def test_modes_links_and_renames_do_nothing_again(watch: Watch) -> None:
    for name in ("a.png", "b.png", "c.png", "bad.png"):
        save(Path("in", name))
    Path("in/bad.png").write_bytes(b"\x89PNG")
    arguments = ("in", "out", "--retries", "1")
    assert watch(*arguments)[:2] == (3, ["a.png", "b.png", "bad.png", "c.png"])
    Path("in/a.png").chmod(0o600)
    os.link("in/b.png", "backup")
    Path("in/c.png").rename("in/.hidden")
    Path("in/.hidden").rename("in/c.png")
    Path("in/bad.png").chmod(0o600)
    assert watch(*arguments)[:2] == (0, [])
    with closing(sqlite3.connect("out/.lumen/watch.db")) as database:
        assert database.execute("SELECT COUNT(*) FROM versions").fetchone() == (4,)


def test_an_earlier_version_that_comes_back_is_done_again(watch: Watch) -> None:
    save(Path("in/a.png"), size=(10, 20))
    shutil.copy2("in/a.png", "first")
    assert watch("in", "out")[1] == ["a.png"]
    save(Path("in/a.png"), size=(30, 40))
    assert watch("in", "out")[1] == ["a.png"]
    shutil.copy2("first", "in/a.png")  # from a backup, with its old time
    assert watch("in", "out")[1] == ["a.png"]
    assert read_picture(Path("out/a.png")).pixels.shape[:2] == (10, 20)


def test_nothing_unseen_is_removed(watch: Watch) -> None:
    """A file that could not be removed at once is rewritten with its old time: it is not removed as the old one."""
    path = Path("in/a.bmp")
    save(path)
    os.utime(path, ns=(SAME_NS, SAME_NS))
    assert watch("in", "out")[1] == ["a.bmp"]
    with closing(sqlite3.connect("out/.lumen/watch.db")) as database:
        database.execute("UPDATE versions SET retire = 1")
        database.commit()
    rewrite(path, (40, 60))
    first = Path("out/a.bmp").read_bytes()
    assert watch("in", "out", "--on-success", "delete")[1] == ["a.bmp"]
    assert Path("out/a.bmp").read_bytes() != first
    assert not path.exists()


def test_a_database_of_another_program_is_refused_and_kept(watch: Watch) -> None:
    save(Path("in/a.png"))
    Path("out/.lumen").mkdir(parents=True)
    with closing(sqlite3.connect("out/.lumen/watch.db")) as database:
        database.execute("CREATE TABLE versions (mail TEXT)")
    before = Path("out/.lumen/watch.db").read_bytes()
    code, done, told = watch("in", "out")
    assert (code, done, told.count("\n")) == (6, [], 1)
    assert "another program" in told
    assert Path("out/.lumen/watch.db").read_bytes() == before


@pytest.mark.parametrize("path", ["{victim}", "../victim/v.png", "d/../../victim/v.png"])
def test_rows_that_lead_elsewhere_are_not_believed(watch: Watch, tmp_path: Path, path: str) -> None:
    victim = tmp_path / "victim" / "v.png"
    save(victim)
    facts = victim.stat()
    Path("in/d").mkdir(parents=True)
    assert watch("in", "out")[0] == 0
    stored = os.fsencode(path.format(victim=victim))
    values = (stored, facts.st_size, facts.st_mtime_ns, facts.st_ino)
    for status, finished, retire in (("done", 1.0, 1), ("ready", None, 0)):
        with closing(sqlite3.connect("out/.lumen/watch.db")) as database:
            database.execute("DELETE FROM versions")
            database.execute(
                "INSERT INTO versions (path, size, mtime_ns, inode, status, first_seen, finished_at, retire) "
                "VALUES (?, ?, ?, ?, ?, 1.0, ?, ?)",
                (*values, status, finished, retire),
            )
            database.commit()
        code, done, told = watch("in", "out", "--on-success", "delete")
        assert (code, done) == (6, []), told
        assert "did not write" in told
        assert victim.exists()
        assert not Path("out/v.png").exists()


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE facts SET value = 'no json'",
        "UPDATE facts SET value = '-Infinity'",
        "UPDATE facts SET value = '\"\\u001b[2J\"'",
        "UPDATE versions SET path = 'text', status = 'failed'",
        "UPDATE versions SET status = 'failed', finished_at = 'never'",
        "UPDATE versions SET status = 'failed', finished_at = 9e300",
        "UPDATE versions SET status = 'failed', reason = char(27) || '[2J'",
        "UPDATE versions SET status = 'ready', finished_at = NULL, first_seen = -9e999",
        "UPDATE versions SET status = char(27) || '[2J'",
    ],
)
@pytest.mark.parametrize("more", [(), ("--json",)])
def test_the_status_of_an_altered_ledger_is_one_line_or_right(
    lumen_here: Run, tmp_path: Path, change: str, more: tuple[str, ...]
) -> None:
    with closing(Ledger(tmp_path / "out")) as ledger:
        add(ledger, a=version())
        ledger.finish(outcome(1, "done", NOW))
        ledger.write_facts(state="watching", noted_at=NOW, pid=1, input="in")
        ledger._database.execute(change)
    ended = lumen_here("watch", "--status", "out", *more, cwd=tmp_path)
    assert "\x1b" not in ended.stdout + ended.stderr
    assert (ended.returncode, ended.stderr.count("\n")) in ((0, 0), (3, 0), (6, 0), (6, 1)), ended.stderr
