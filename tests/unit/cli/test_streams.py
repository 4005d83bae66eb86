"""Standard streams take every text, or drop it."""

from __future__ import annotations

import io
import os
import sys
from pathlib import Path
from typing import TextIO, cast

import pytest

from lumen.cli.streams import Forgiving, journal_prefix, open_streams


class Full(io.RawIOBase):
    def writable(self) -> bool:
        return True

    def write(self, _data: object) -> int:
        raise OSError(28, "No space left on device")


def text_of(raw: io.RawIOBase | io.BytesIO) -> io.TextIOWrapper:
    return io.TextIOWrapper(cast("io.BytesIO", raw), encoding="ascii", write_through=True)


def test_what_stderr_cannot_take_is_dropped() -> None:
    stream = text_of(Full())
    with pytest.raises(OSError, match="No space"):
        stream.write("a")
    forgiving = Forgiving(stream)
    assert forgiving.write("ab") == 2
    forgiving.flush()
    assert forgiving.encoding == "ascii"


def test_streams_are_made_safe_once(monkeypatch: pytest.MonkeyPatch) -> None:
    out, err = io.BytesIO(), io.BytesIO()
    monkeypatch.setattr(sys, "stdout", text_of(out))
    monkeypatch.setattr(sys, "stderr", text_of(err))
    open_streams()
    first: TextIO = sys.stderr
    open_streams()
    assert sys.stderr is first
    for stream in (sys.stdout, sys.stderr):
        stream.write("ü")
        stream.flush()
    assert (out.getvalue(), err.getvalue()) == (b"\\xfc", b"\\xfc")


@pytest.mark.parametrize(("level", "prefix"), [("error", "<3>"), ("warning", "<4>"), ("info", "<6>"), ("debug", "<7>")])
def test_lines_have_a_priority_where_the_stream_leads_to_the_journal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, level: str, prefix: str
) -> None:
    with (tmp_path / "journal").open("w") as journal, (tmp_path / "file").open("w") as other:
        facts = os.fstat(journal.fileno())
        monkeypatch.setenv("JOURNAL_STREAM", f"{facts.st_dev}:{facts.st_ino}")
        assert journal_prefix(level, journal) == prefix
        assert journal_prefix(level, other) == ""  # it was redirected
        monkeypatch.setenv("JOURNAL_STREAM", f"{facts.st_dev + 1}:{facts.st_ino}")
        assert journal_prefix(level, journal) == ""
        monkeypatch.delenv("JOURNAL_STREAM")
        assert journal_prefix(level, journal) == ""


def test_a_stream_without_a_number_leads_to_no_journal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JOURNAL_STREAM", "1:2")
    assert journal_prefix("error", io.StringIO()) == ""
