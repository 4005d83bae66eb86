from __future__ import annotations

import hashlib
import json
import os
import tracemalloc
from pathlib import Path
from typing import BinaryIO

import pytest

from lumen.batch import in_place as module
from lumen.batch.in_place import NAME, Journal, digest_of
from lumen.files.inputs import NotPlainError, hold_folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("a.jpg", "b.jpg"):
        (tmp_path / name).write_bytes(f"original {name}".encode())
    return tmp_path


def digest(path: Path) -> str:
    with path.open("rb") as stream:
        return digest_of(stream)


def note(path: Path, result: bytes) -> None:
    with hold_folder(path.parent) as held:
        Journal().note(held, path.name, digest(path), result)


def note_fingerprint(path: Path) -> None:
    journal = Journal()
    with hold_folder(path.parent) as held:
        journal.refresh(held)
        journal.note_fingerprint(held, path.name)


def enhance(path: Path, result: bytes) -> None:
    """Do what a run does with one picture."""
    note(path, result)
    path.write_bytes(result)
    note_fingerprint(path)


def state(path: Path) -> str:
    journal = Journal()
    with hold_folder(path.parent) as held:
        journal.refresh(held)
        return journal.state(held, path.name)


def test_only_what_was_enhanced_is_known(folder: Path) -> None:
    assert state(folder / "a.jpg") == "new"
    enhance(folder / "a.jpg", b"result")
    assert [state(folder / name) for name in ("a.jpg", "b.jpg")] == ["enhanced", "new"]


def test_what_has_its_fingerprint_is_not_read_again(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    enhance(folder / "a.jpg", b"result")

    def never(_: BinaryIO) -> str:
        raise AssertionError

    monkeypatch.setattr(module, "digest_of", never)
    assert [state(folder / name) for name in ("a.jpg", "b.jpg")] == ["enhanced", "new"]


def test_a_copy_under_another_time_or_name_is_recognised(folder: Path) -> None:
    enhance(folder / "a.jpg", b"result")
    os.utime(folder / "a.jpg", (1, 1))
    (folder / "renamed.jpg").write_bytes(b"result")
    assert [state(folder / name) for name in ("a.jpg", "renamed.jpg")] == ["enhanced", "enhanced"]


def test_a_crash_before_the_replacement_leaves_the_picture_new_and_after_it_enhanced(folder: Path) -> None:
    path = folder / "a.jpg"
    note(path, b"result")
    assert state(path) == "new"
    path.write_bytes(b"result")
    assert state(path) == "enhanced"


def test_an_original_that_came_back_is_new_and_other_content_is_changed(folder: Path) -> None:
    path = folder / "a.jpg"
    original = path.read_bytes()
    enhance(path, b"result")
    path.write_bytes(original)
    assert state(path) == "new"
    path.write_bytes(b"edited")
    assert state(path) == "changed"


def test_an_original_of_the_same_size_and_time_is_new(folder: Path) -> None:
    path = folder / "a.bmp"
    path.write_bytes(b"original")
    os.utime(path, (5, 5))
    note(path, b"enhanced")
    path.write_bytes(b"enhanced")
    os.utime(path, (5, 5))
    note_fingerprint(path)
    assert state(path) == "enhanced"
    path.write_bytes(b"original")
    os.utime(path, (5, 5))
    assert state(path) == "new"


def note_fine(path: Path) -> None:
    journal = Journal()
    with hold_folder(path.parent) as held:
        journal.note_fine(held, path.name, digest(path))


def test_what_was_fine_is_known_also_under_another_name_and_new_again_after_a_replacement(folder: Path) -> None:
    path = folder / "a.jpg"
    original = path.read_bytes()
    note_fine(path)
    assert state(path) == "fine"
    os.utime(path, (1, 1))
    (folder / "renamed.jpg").write_bytes(original)
    assert [state(folder / name) for name in ("a.jpg", "renamed.jpg")] == ["fine", "fine"]
    enhance(path, b"result")  # with other settings
    assert state(path) == "enhanced"
    path.write_bytes(original)
    assert state(path) == "new"


def test_a_result_that_is_fine_stays_a_result(folder: Path) -> None:
    enhance(folder / "a.jpg", b"result")
    note_fine(folder / "a.jpg")
    os.utime(folder / "a.jpg", (1, 1))
    assert state(folder / "a.jpg") == "enhanced"


def test_the_first_original_is_known_after_every_round(folder: Path) -> None:
    path = folder / "a.jpg"
    original = path.read_bytes()
    enhance(path, b"first")
    enhance(path, b"second")
    path.write_bytes(original)
    assert state(path) == "new"


def test_the_original_of_a_result_is_that_of_the_first_round(folder: Path) -> None:
    path = folder / "a.jpg"
    original, content = digest(path), path.read_bytes()
    for result in (b"first", b"second", content):  # with the last settings nothing changed
        enhance(path, result)
    other = path.rename(folder / "c.jpg")
    enhance(other, b"third")
    journal = Journal()
    with hold_folder(folder) as held:
        journal.refresh(held)
    for result in (b"first", b"second", content, b"third"):
        assert journal.original_of(hashlib.sha256(result).hexdigest()) == ("a.jpg", original)


def test_every_result_there_ever_was_is_known(folder: Path) -> None:
    path = folder / "a.jpg"
    enhance(path, b"first")
    enhance(path, b"second")
    path.write_bytes(b"first")
    assert state(path) == "enhanced"


@pytest.mark.parametrize(
    "torn",
    [
        b"",
        b'{"name": "b.jpg", "bef',
        b"\xff\xfe",
        b"5",
        b'{"seal": 1}',
        b'{"seal": [1, 2]}',
        b'{"name": "a.jpg", "seal": [Infinity]}',
    ],
)
def test_half_a_line_spoils_no_other(folder: Path, torn: bytes) -> None:
    enhance(folder / "a.jpg", b"result")
    with (folder / ".lumen" / NAME).open("ab") as file:
        file.write(torn)
    enhance(folder / "b.jpg", b"other")
    assert [state(folder / name) for name in ("a.jpg", "b.jpg")] == ["enhanced", "enhanced"]


def test_names_of_all_kinds_are_kept(folder: Path) -> None:
    path = folder / os.fsdecode(b"new\nline \xff.jpg")
    path.write_bytes(b"original")
    enhance(path, b"result")
    assert state(path) == "enhanced"
    assert len((folder / ".lumen" / NAME).read_bytes().splitlines()) == 2


def test_what_others_write_is_seen(folder: Path) -> None:
    journal = Journal()
    enhance(folder / "a.jpg", b"result")
    assert journal.state_of("a.jpg", digest(folder / "a.jpg")) == "new"
    with hold_folder(folder) as held:
        journal.refresh(held)
        assert journal.state(held, "a.jpg") == "enhanced"


@pytest.mark.parametrize("kind", ["folder", "link", "pipe", "huge"])
def test_a_journal_that_lumen_has_not_written_is_refused_at_once(folder: Path, kind: str) -> None:
    path = folder / ".lumen" / NAME
    path.parent.mkdir()
    if kind == "folder":
        path.mkdir()
    elif kind == "link":
        path.symlink_to("/dev/zero")
    elif kind == "pipe":
        os.mkfifo(path)
    else:
        path.touch()
        os.truncate(path, 1 << 40)
    with pytest.raises(NotPlainError):
        state(folder / "a.jpg")
    if kind != "huge":
        with pytest.raises(NotPlainError):
            note(folder / "a.jpg", b"result")


def test_a_line_without_end_takes_no_memory_and_spoils_no_other(folder: Path) -> None:
    enhance(folder / "a.jpg", b"result")
    with (folder / ".lumen" / NAME).open("ab") as file:
        file.write(b'{"name": "' + bytes(300_000))
    enhance(folder / "b.jpg", b"other")
    tracemalloc.start()
    assert [state(folder / name) for name in ("a.jpg", "b.jpg")] == ["enhanced", "enhanced"]
    assert tracemalloc.get_traced_memory()[1] < 300_000
    tracemalloc.stop()


def test_the_journal_is_json_lines(folder: Path) -> None:
    enhance(folder / "a.jpg", b"result")
    note, seal = map(json.loads, (folder / ".lumen" / NAME).read_text().splitlines())
    assert note.keys() == {"name", "before", "after", "size"}
    facts = (folder / "a.jpg").stat()
    assert seal["seal"] == [6, facts.st_mtime_ns, facts.st_ctime_ns]
