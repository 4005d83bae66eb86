"""Hints: taken once, bounded, from any thread."""

from __future__ import annotations

import threading

from lumen.watching.observing.hints import Hints, Places
from lumen.watching.versions import Version

ONE, TWO = Version(1, 1, 1), Version(2, 1, 1)


def test_notes_are_taken_once_and_equal_ones_count_once() -> None:
    hints = Hints()
    for _ in range(3):
        hints.file("a")
    hints.folder("d")
    assert hints.take() == Places(files={"a"}, folders={"d"})
    assert hints.take() == Places()


def test_too_many_notes_become_one_scan() -> None:
    hints = Hints(limit=10)
    for index in range(1000):
        hints.file(str(index))
    notes = hints.take()
    assert len(notes.files) == 10
    assert notes.scan


def test_a_note_from_another_thread_ends_the_wait() -> None:
    hints = Hints()
    hints.take()
    threading.Timer(0.05, hints.file, ["a"]).start()
    hints.wait(60.0)
    assert hints.take().files == {"a"}
    hints.file("b")
    hints.wait(60.0)  # a note that came before the wait ends it at once
