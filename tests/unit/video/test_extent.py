"""How long a clip says it is."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest

from lumen.video.extent import promised_bytes
from tests.support.clips import frame_times, write_clip


@pytest.mark.parametrize("name", ["a.mp4", "a.mov", "a.mkv", "a.avi", "a.ts"])
def test_a_clip_is_as_long_as_it_says(name: str, tmp_path: Path) -> None:
    pytest.importorskip("av")
    options: dict[str, Any] = {"options": {"bf": "0"}} if name == "a.avi" else {}
    data = write_clip(tmp_path / name, times=frame_times(steady=True), **options).read_bytes()
    expected = 0 if name == "a.ts" else len(data)
    assert promised_bytes(io.BytesIO(data)) == expected
    assert promised_bytes(io.BytesIO(data[:-1000])) in (expected, len(data) - 1000, 0)
    assert promised_bytes(io.BytesIO(data + bytes(5))) == expected


def box(kind: bytes, content: bytes) -> bytes:
    return (8 + len(content)).to_bytes(4) + kind + content


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"", 0),
        (b"text, and no clip at all", 0),
        (box(b"ftyp", b"isom") + (1000).to_bytes(4) + b"mdat", 1012),
        (box(b"ftyp", b"isom") + (1).to_bytes(4) + b"mdat" + (5000).to_bytes(8), 5012),
        (box(b"ftyp", b"isom") + (0).to_bytes(4) + b"mdat to the end", 12),
        (b"RIFF" + (500).to_bytes(4, "little") + b"AVI LIST", 508),
        (b"RIFF" + bytes(4) + b"AVI LIST", 0),
        (b"\x1a\x45\xdf\xa3\x80\x18\x53\x80\x67\x41\x00", 11 + 256),
        (b"\x1a\x45\xdf\xa3\x80\x18\x53\x80\x67\x01\xff\xff\xff\xff\xff\xff\xff", 0),
        (b"\x1a\x45\xdf\xa3\x80\x18\x53\x80\x67\x00", 0),
    ],
)
def test_sizes_of_containers(data: bytes, expected: int) -> None:
    assert promised_bytes(io.BytesIO(data)) == expected
