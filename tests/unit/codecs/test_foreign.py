"""What can never become a picture is known at once; what may still become one is not."""

from __future__ import annotations

import io

import pytest

from lumen.codecs.codec import _recognise, decode_picture
from lumen.errors import DecodeError, UnsupportedError
from tests.support.corpus import sound_files

FOREIGN = {
    "text": (b"Dear diary, it was dark.\n", "text"),
    "short text": (b"hi", "text"),
    "text that begins as a TIFF file": (b"II. The second chapter", "text"),
    "text that begins as a camera raw file": (b"FUJI is a mountain", "text"),
    "text in UTF-8": ("ünï".encode() * 9, "text"),
    "text whose last character is cut": (b"a" * 63 + "ü".encode()[:1], "text"),
    "text in UTF-16": ("text".encode("utf-16"), "text"),
    "a page": (b"\n <!DOCTYPE html><title>404", "a web page"),
    "a page after a mark of UTF-8": (b"\xef\xbb\xbf<html><body>", "a web page"),
    "a drawing": (b'<?xml version="1.0"?><svg', "XML"),
    "PDF": (b"%PDF-1.7\n", "PDF"),
    "ZIP": (b"PK\3\4" + bytes(60), "a ZIP archive"),
    "MP4": (b"\0\0\0\x20ftypisom\0\0\2\0isomiso2avc1mp41" + bytes(32), "a video"),
    "MP4 of a camera": (b"\0\0\0\x18ftypM4V \0\0\0\1M4V mp42" + bytes(40), "a video"),
    "3GP": (b"\0\0\0\x18ftyp3gp5\0\0\0\1isom3gp4" + bytes(40), "a video"),
    "QuickTime of old": (b"\0\0\0\x08wide\0\1\0\0mdat" + bytes(40), "a video"),
    "AVI": (b"RIFF\0\1\0\0AVI LIST", "a video"),
    "Matroska": (b"\x1aE\xdf\xa3" + bytes(60), "a video"),
    "MPEG": (b"\0\0\1\xba" + bytes(60), "a video"),
    "a transport stream": (b"G\x40\0\x10" + bytes(60), "a video"),
    "a program": (b"\x7fELF\2\1\1" + bytes(57), "a file that begins with 7f 45 4c 46"),
}


@pytest.mark.parametrize(("head", "kind"), FOREIGN.values(), ids=FOREIGN)
def test_what_is_no_picture_is_unsupported_at_once(head: bytes, kind: str) -> None:
    with pytest.raises(UnsupportedError, match=rf"^(expected JPEG, .*, got|it is not a picture, but) {kind}"):
        decode_picture(io.BytesIO(head))


HEADS = {file.name: file.data[:64] for file in sound_files()}


def test_no_beginning_of_a_picture_is_foreign() -> None:
    assert len(HEADS) > 50
    wrong = []
    for name, head in HEADS.items():
        for end in range(1, 65):
            try:
                _recognise(head[:end])
            except UnsupportedError:
                wrong.append((name, end))
            except DecodeError:
                pass
    assert wrong == []


@pytest.mark.parametrize(
    "data",
    [b"", bytes(1), bytes(4096), bytes(16) + b"\xff\xd8\xff", b"\xff", b"\x89PN", b"RIFF\0\1\0\0", b"\0\0\0\x18ftyp"],
)
def test_what_may_still_become_a_picture_is_damaged_or_incomplete(data: bytes) -> None:
    with pytest.raises(DecodeError):
        decode_picture(io.BytesIO(data))
