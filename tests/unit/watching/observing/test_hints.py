"""Hints are bounded, counted once, and end the wait."""

from __future__ import annotations

import threading

from lumen.watching.observing.hints import Hints, HintSet


def test_notes_are_taken_once_and_equal_ones_count_once() -> None:
    hints = Hints()
    for _ in range(3):
        hints.file("a")
    hints.folder("d")
    assert hints.take() == HintSet(files={"a"}, folders={"d"})
    assert hints.take() == HintSet()


def test_too_many_notes_become_one_scan() -> None:
    hints = Hints(limit=10)
    for index in range(1000):
        hints.file(str(index))
    taken = hints.take()
    assert len(taken.files) == 10
    assert taken.scan


def test_a_note_from_another_thread_ends_the_wait() -> None:
    hints = Hints()
    hints.take()
    threading.Timer(0.05, hints.file, ["a"]).start()
    hints.wait(60.0)
    assert hints.take().files == {"a"}
    hints.file("b")
    hints.wait(60.0)  # a note that came before the wait ends it at once
