"""GIF: what stands beside the picture."""

from __future__ import annotations

from io import BytesIO

import pytest
from PIL import Image

from lumen.codecs.codec import encode_picture
from lumen.color.icc import p3_profile
from tests.support.codecs import read
from tests.support.files import RGB, XMP, saved

PLAIN = saved(RGB.quantize(20), "GIF")
MAGIC = b"\1" + bytes(range(255, -1, -1)) + b"\0"


def blocks(content: bytes) -> bytes:
    parts = [content[at : at + 255] for at in range(0, len(content), 255)]
    return b"".join(bytes([len(part)]) + part for part in parts) + b"\0"


def application(name: bytes, content: bytes) -> bytes:
    return b"\x21\xff\x0b" + name + content


def with_blocks(*parts: bytes, at: int = len(PLAIN) - 1) -> bytes:
    return b"GIF89a" + PLAIN[6:at] + b"".join(parts) + PLAIN[at:]


def test_every_comment_of_a_gif_is_kept_wherever_it_stands() -> None:
    colors = 13 + 3 * 2 ** ((PLAIN[10] & 7) + 1)
    before = with_blocks(b"\x21\xfe" + blocks(b"first " + b"x" * 300), at=colors)
    found = read(before[:-1] + b"\x21\xfe" + blocks(b"behind the picture") + before[-1:])
    assert found.metadata.comment == b"first " + b"x" * 300 + b"\nbehind the picture"
    data, warnings = encode_picture(found, "png")
    assert warnings == ()
    with Image.open(BytesIO(data)) as image:
        assert image.info["Comment"] == "first " + "x" * 300 + "\nbehind the picture"
    _, warnings = encode_picture(found, "webp")
    assert warnings == ("the comment was left out: webp cannot hold it; the picture looks the same",)


def test_xmp_and_profile_of_a_gif_go_into_its_result() -> None:
    data = with_blocks(application(b"XMP DataXMP", XMP + MAGIC), application(b"ICCRGBG1012", blocks(p3_profile())))
    found = read(data)
    assert (found.metadata.xmp, found.metadata.icc) == (XMP, p3_profile())
    again = read(encode_picture(found, "png")[0]).metadata
    assert (again.xmp, again.icc) == (XMP, p3_profile())


@pytest.mark.parametrize("end", [b"\x21\xfe", b"\x21\xfe\x09cut", b"\x21\xff\x0bXMP DataXMP\x05"])
def test_blocks_that_break_off_cost_nothing(end: bytes) -> None:
    data = with_blocks(b"\x21\xfe" + blocks(b"whole"))[:-1] + end
    comment = read(data).metadata.comment or b""
    assert comment.startswith(b"whole")
