"""Standard streams take every text, or drop it."""

from __future__ import annotations

import io
import sys
from typing import TextIO, cast

import pytest

from lumen.cli.streams import Forgiving, open_streams


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
