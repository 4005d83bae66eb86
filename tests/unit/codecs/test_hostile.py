"""Files of a few bytes that ask for minutes, gigabytes or a deep stack: each is refused, or read for what it holds."""

from __future__ import annotations

import struct
from io import BytesIO
from typing import Any

import imagecodecs
import numpy as np
import pytest
import tifffile
from PIL import Image

from lumen.codecs import exif, jpeg, png, tiff
from lumen.codecs.codec import decode_picture
from lumen.errors import DecodeError, UnsupportedError
from lumen.imaging.picture import Picture
from tests.support.crafted import patched, png_chunk
from tests.support.files import RGB, ramp, saved
from tests.support.files import tiff as tiff_file

MALFORMED = "the EXIF block is malformed; it is carried as it is where the format lets it"


def read(data: bytes, **options: Any) -> Picture:
    return decode_picture(BytesIO(data), **options)


def levels_of_directories(levels: int, width: int) -> bytes:
    """Return an EXIF block in which each of `levels` directories points `width` times to the next one."""
    block, step = b"II*\0\x08\0\0\0", 2 + 12 * width + 4
    for level in range(1, levels):
        entry = struct.pack("<HHII", exif.EXIF_IFD, 4, 1, 8 + level * step)
        block += struct.pack("<H", width) + entry * width + bytes(4)
    return block + bytes(6)


def test_directories_that_share_a_place_are_not_read_again_and_again() -> None:
    # With a hundred entries on each of six levels this would never end; with two on three it is only told.
    for levels, width in ((3, 2), (6, 100)):
        block = levels_of_directories(levels, width)
        with pytest.raises(ValueError, match="share a place"):
            exif.parse_block(block)
        found = read(saved(RGB, "JPEG", exif=b"Exif\0\0" + block))
        assert found.notes == (MALFORMED,)
        assert found.metadata.exif == block


def test_a_deep_chain_of_directories_costs_no_picture() -> None:
    block = levels_of_directories(2000, 1)
    assert read(saved(RGB, "JPEG", exif=b"Exif\0\0" + block)).notes == (MALFORMED,)
    assert exif.is_sound(levels_of_directories(4, 1))


def test_many_tags_of_one_place_take_no_memory_for_each(monkeypatch: pytest.MonkeyPatch) -> None:
    entries = b"".join(struct.pack("<HHII", tag, 1, 1000, 0) for tag in range(1, 41))
    block = (b"II*\0\x08\0\0\0" + struct.pack("<H", 40) + entries + bytes(4)).ljust(1000, b"\0")
    assert len(exif.parse_block(block)) == 40
    monkeypatch.setattr(exif, "_MAX_VALUES", 39_999)
    with pytest.raises(ValueError, match="more values than there is room for"):
        exif.parse_block(block)


def test_chunks_without_number_are_left_out_and_told(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = saved(RGB, "PNG")
    data = plain[:33] + png_chunk(b"tEXt", b"A\0") * 100 + plain[33:]
    assert len(read(data).metadata.extras) == 100
    assert read(data).notes == ()
    monkeypatch.setattr(png, "_MAX_EXTRAS", 5000)  # even an empty one is counted
    found = read(data)
    assert len(found.metadata.extras) < 20
    assert found.notes == ("a part of the texts was left out: they are too long",)


def chain_of_pages(count: int, *, back_to: int) -> bytes:
    """Return a TIFF whose first directory is followed by `count` ones of previews, the last linked to another."""
    data = bytearray(tiff_file(ramp()))
    (first,) = struct.unpack_from("<I", data, 4)
    link = first + 2 + 12 * struct.unpack_from("<H", data, first)[0]
    base = len(data) + len(data) % 2
    struct.pack_into("<I", data, link, base)
    data = data.ljust(base, b"\0")
    for number in range(count):
        following = number + 1 if number + 1 < count else back_to
        data += struct.pack("<HHHIII", 1, 254, 4, 1, 1, base + 18 * following)
    return bytes(data)


def test_a_chain_of_pages_is_followed_so_far_and_no_further(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tiff, "_MOST_PAGES", 200)
    loaded = []
    real = tifffile.TiffPage.__init__

    def counted(self: Any, *args: Any, **kwargs: Any) -> None:
        loaded.append(1)
        real(self, *args, **kwargs)

    monkeypatch.setattr(tifffile.TiffPage, "__init__", counted)
    np.testing.assert_array_equal(read(chain_of_pages(3000, back_to=2500)).pixels, ramp())
    assert len(loaded) <= 200
    monkeypatch.setattr(tiff, "_MOST_PAGES", 3)
    several = saved(RGB, "TIFF", save_all=True, append_images=[RGB] * 5)
    with pytest.raises(UnsupportedError, match="a TIFF of 3 pages or more; take the first"):
        read(several)


def test_a_jpeg_stream_in_a_tiff_may_not_be_larger_than_its_part() -> None:
    data = tiff_file(ramp(64, 64), compression="jpeg")
    assert read(data).pixels.shape == (64, 64, 3)
    at = data.index(b"\xff\xc0") + 5
    with pytest.raises(DecodeError, match="says 60000x30000, more than its part"):
        read(patched(data, at, struct.pack(">HH", 30_000, 60_000)))
    with pytest.raises(DecodeError, match="a JPEG stream in it has no size"):
        read(patched(data, at - 5, b"\xff\xd9"))


def test_jpeg_tiles_and_strips_that_are_sound_are_read() -> None:
    for options in ({"tile": (64, 64)}, {"rowsperstrip": 16}, {"tile": (256, 256)}):
        found = read(tiff_file(ramp(150, 200), compression="jpeg", **options))
        assert np.abs(found.pixels.astype(int) - ramp(150, 200)).mean() < 6


@pytest.mark.parametrize("packing", ["jpeg2000", "webp", "png"])
def test_tiff_files_packed_as_files_of_their_own_are_refused_by_name(packing: str) -> None:
    data = tiff_file(ramp(64, 64), compression=packing)
    with pytest.raises(UnsupportedError, match=f"Deflate, LZW, JPEG or not at all, got {packing.upper()}"):
        read(data)


def test_a_jpeg_may_not_go_over_its_picture_without_end() -> None:
    data = saved(Image.new("L", (200, 200), 128), "JPEG", progressive=True)
    last, end = data.rindex(b"\xff\xc4", 0, data.rindex(b"\xff\xda")), data.rindex(b"\xff\xd9")
    assert read(data[:end] + data[last:end] * 50 + data[end:]).pixels.shape == (200, 200, 3)
    more = data[:end] + data[last:end] * 120 + data[end:]
    with pytest.raises(DecodeError, match="more than 100 scans"):
        read(more)
    packed = bytearray(tiff_file(np.zeros((200, 200), np.uint8), compression="jpeg"))
    with tifffile.TiffFile(BytesIO(bytes(packed))) as file:
        place, length = (file.pages.first.tags[code] for code in (273, 279))
    for tag, value in ((place, len(packed)), (length, len(more))):
        struct.pack_into("<I" if tag.dtype == 4 else "<H", packed, tag.valueoffset, value)
    with pytest.raises(DecodeError, match="more than 100 scans"):
        read(bytes(packed) + more)
    jpeg.check_scans(data + more)  # what stands behind the picture is not counted
    jpeg.check_scans(data[:20] + b"\xff\xe5" + struct.pack(">H", 602) + b"\xff\xda" * 300 + data[20:])  # nor segments


def test_sides_that_libpng_refuses_are_told_as_what_they_are() -> None:
    data = bytes(imagecodecs.png_encode(np.zeros((1, 10, 3), np.uint16)))
    header = b"IHDR" + struct.pack(">II", 1_000_001, 1) + data[24:29]
    wide = data[:12] + header + png_chunk(header[:4], header[4:])[-4:] + png_chunk(b"IDAT", bytes(9000)) + data[-12:]
    with pytest.raises(UnsupportedError, match="16-bit PNG of at most 1000000 a side, got 1000001x1; save it as TIFF"):
        read(wide)
