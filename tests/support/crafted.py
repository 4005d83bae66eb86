"""Pictures and pieces of files that no library writes, made byte by byte for the corpus."""

from __future__ import annotations

import struct
import zlib
from io import BytesIO
from itertools import product
from typing import Any

import numpy as np
import tifffile
from PIL import Image, ImageCms

from tests.support.files import RGB, Array, ramp, saved, tiff

MODES = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}


def png_chunk(kind: bytes, data: bytes) -> bytes:
    """Return a chunk with its length and checksum."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def jpeg_segment(marker: int, data: bytes) -> bytes:
    """Return a segment with its marker and length."""
    return struct.pack(">BBH", 0xFF, marker, len(data) + 2) + data


def heic(samples: Array, **options: Any) -> bytes:
    """Return a HEIC file of [H, W] or [H, W, 3 to 4]; uint16 becomes 10 bits."""
    import pillow_heif

    mode = MODES[1 if samples.ndim == 2 else samples.shape[2]] + (";16" if samples.dtype == np.uint16 else "")
    file = BytesIO()
    size = (samples.shape[1], samples.shape[0])
    pillow_heif.encode(mode, size, samples.tobytes(), file, quality=90, **options)
    return file.getvalue()


def dng(height: int = 64, width: int = 96, orientation: int = 1, xmp: bytes = b"") -> bytes:
    """Return a small camera raw file: a Bayer pattern with what a converter must know."""
    y, x = np.mgrid[:height, :width]
    samples = ((x * 30 + y * 20) % 4000 + 200).astype(np.uint16)
    matrix = np.linalg.inv([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
    rationals = tuple(int(number) for value in matrix.ravel() for number in (round(value * 10_000), 10_000))
    extratags = [
        (271, 2, 0, "Maker", True),
        (272, 2, 0, "Model", True),
        (274, 3, 1, orientation, True),
        (33421, 3, 2, (2, 2), True),  # repeats every 2x2
        (33422, 1, 4, (0, 1, 1, 2), True),  # red, green, green, blue
        (50706, 1, 4, (1, 4, 0, 0), True),
        (50707, 1, 4, (1, 1, 0, 0), True),
        (50708, 2, 0, "Maker Model", True),
        (50717, 4, 1, 4300, True),  # white level
        (50721, 10, 9, rationals, True),  # colour matrix
        (50728, 5, 3, (1, 1, 1, 1, 1, 1), True),  # neutral
        (50778, 3, 1, 21, True),  # D65
    ]
    if xmp:
        extratags.append((700, 1, len(xmp), xmp, True))
    return tiff(samples, photometric=32803, extratags=extratags, software=False)


def printed(inks: Array, profile: bytes | None) -> Array:
    """Return what uint8 [H, W, 4] of inks look like, uint8 [H, W, 3], by Pillow."""
    image = Image.frombytes("CMYK", (inks.shape[1], inks.shape[0]), inks.tobytes())
    if profile is None:
        return np.asarray(image.convert("RGB"))
    shown = ImageCms.profileToProfile(
        image,
        ImageCms.ImageCmsProfile(BytesIO(profile)),
        ImageCms.createProfile("sRGB"),
        renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC,
        outputMode="RGB",
        flags=ImageCms.Flags.BLACKPOINTCOMPENSATION,
    )
    assert shown is not None
    return np.asarray(shown)


def cmyk_profile() -> bytes:
    """Return a CMYK profile whose inks swallow light as no printer's do: cyan leaves red by half only, and so on."""
    corners = np.array(list(product((0.0, 1.0), repeat=4)))
    light = (1 - 0.5 * corners[:, :3]) * (1 - 0.8 * corners[:, 3:])
    lab = np.asarray(_lab_of(light))
    table = np.empty((16, 3), ">u2")
    table[:, 0] = np.rint(lab[:, 0] * 652.8)
    table[:, 1:] = np.rint((lab[:, 1:] + 128) * 256)
    straight = np.array([0, 65535], ">u2").tobytes()
    unchanged = struct.pack(">9i", *(65536 * value for value in (1, 0, 0, 0, 1, 0, 0, 0, 1)))
    lut = b"mft2\0\0\0\0" + bytes([4, 3, 2, 0]) + unchanged
    lut += struct.pack(">HH", 2, 2) + straight * 4 + table.tobytes() + straight * 3
    return _profile(b"prtr", b"CMYK", b"Lab ", {b"A2B0": lut})


def gray_profile() -> bytes:
    """Return a grey profile of gamma 2.2."""
    return _profile(b"mntr", b"GRAY", b"XYZ ", {b"kTRC": b"curv\0\0\0\0" + struct.pack(">IH", 1, round(2.2 * 256))})


def _lab_of(light: Array) -> Array:
    """Return CIE L*a*b* of sRGB light, by LittleCMS."""
    levels = np.where(light <= 0.0031308, light * 12.92, 1.055 * light ** (1 / 2.4) - 0.055)
    image = Image.fromarray(np.rint(levels * 255).astype(np.uint8)[np.newaxis])
    converted = ImageCms.profileToProfile(
        image, ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"), outputMode="LAB"
    )
    assert converted is not None
    lab: Array = np.asarray(converted)[0].astype(float)
    lab[:, 0] *= 100 / 255
    lab[:, 1:] = np.where(lab[:, 1:] > 127, lab[:, 1:] - 256, lab[:, 1:])
    return lab


def _profile(kind: bytes, space: bytes, connection: bytes, tags: dict[bytes, bytes]) -> bytes:
    white = b"XYZ \0\0\0\0" + struct.pack(">3i", 63190, 65536, 54061)
    text = b"test\0"
    tags = {
        b"desc": b"desc\0\0\0\0" + struct.pack(">I", len(text)) + text + bytes(78),
        b"cprt": b"text\0\0\0\0none\0",
        b"wtpt": white,
        **tags,
    }
    at, table, body = 132 + 12 * len(tags), struct.pack(">I", len(tags)), b""
    for name, content in tags.items():
        table += struct.pack(">4sII", name, at + len(body), len(content))
        body += content + bytes(-len(content) % 4)
    head = struct.pack(">I4sI4s4s4s", at + len(body), b"\0" * 4, 0x02100000, kind, space, connection)
    head += struct.pack(">6H", 2000, 1, 1, 0, 0, 0) + b"acsp" + bytes(28) + white[8:]
    return head.ljust(128, b"\0") + table + body


def small_gray(bits: int) -> bytes:
    """Return a grey PNG of 1, 2 or 4 bits a pixel, which Pillow does not write."""
    width, height = 53, 37
    values = ramp(height, width, 1) >> (8 - bits)
    spread = (values[..., np.newaxis] >> np.arange(bits - 1, -1, -1)) & 1
    rows = np.packbits(spread.reshape(height, width * bits), axis=1)
    raw = b"".join(b"\0" + row.tobytes() for row in rows)
    header = struct.pack(">IIBBBBB", width, height, bits, 0, 0, 0, 0)
    parts = [png_chunk(b"IHDR", header), png_chunk(b"IDAT", zlib.compress(raw)), png_chunk(b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def interlaced(samples: Array) -> bytes:
    """Return an RGB PNG in the seven passes of Adam7."""
    height, width = samples.shape[:2]
    big = samples.astype(samples.dtype.newbyteorder(">"))
    raw = b""
    passes = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
    for x, y, right, down in passes:
        raw += b"".join(b"\0" + row.tobytes() for row in big[y::down, x::right] if row.size)
    header = struct.pack(">IIBBBBB", width, height, samples.dtype.itemsize * 8, 2, 0, 0, 1)
    parts = [png_chunk(b"IHDR", header), png_chunk(b"IDAT", zlib.compress(raw)), png_chunk(b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def with_reduced_page(samples: Array) -> bytes:
    file = BytesIO()
    with tifffile.TiffWriter(file) as writer:
        writer.write(samples, photometric="rgb", metadata=None)
        writer.write(ramp(8, 8), photometric="rgb", metadata=None, subfiletype=1)
    return file.getvalue()


def associated() -> bytes:
    color, alpha = ramp(), np.full((37, 53, 1), 128, np.uint8)
    return tiff(np.dstack([(color * (alpha / 255.0) + 0.5).astype(np.uint8), alpha]), extrasamples=["assocalpha"])


def bmp(width: int, height: int, bits: int, compression: int, masks: tuple[int, ...], rows: bytes) -> bytes:
    """Return a BMP whose header of version 5 says how its pixels are packed."""
    start = 14 + 124
    header = struct.pack("<2sIHHI", b"BM", start + len(rows), 0, 0, start)
    header += struct.pack("<IiiHHIIiiII", 124, width, height, 1, bits, compression, len(rows), 2835, 2835, 0, 0)
    return (header + struct.pack("<4I", *masks) + b"BGRs").ljust(start, b"\0") + rows


def bmp_array(*bitmaps: bytes) -> bytes:
    """Return BMP files as an array of OS/2."""
    data = b""
    for number, bitmap in enumerate(bitmaps, 1):
        after = len(data) + 14 + len(bitmap)
        (start,) = struct.unpack_from("<I", bitmap, 10)
        data += struct.pack("<2sIIHH", b"BA", 40, after if number < len(bitmaps) else 0, 0, 0)
        data += bitmap[:10] + struct.pack("<I", start + len(data)) + bitmap[14:]
    return data


def bmp_with_alpha() -> bytes:
    samples = ramp(channels=4)[::-1, :, [2, 1, 0, 3]]
    return bmp(53, 37, 32, 3, (0xFF0000, 0xFF00, 0xFF, 0xFF000000), samples.tobytes())


def bmp_565() -> bytes:
    color = ramp(37, 52)[::-1].astype(np.uint16)
    packed = (color[..., 0] >> 3 << 11 | color[..., 1] >> 2 << 5 | color[..., 2] >> 3).astype("<u2")
    return bmp(52, 37, 16, 3, (0xF800, 0x07E0, 0x001F, 0), packed.tobytes())


def bmp_fields(bits: int, masks: tuple[int, int, int, int], *, short: bool = False) -> tuple[bytes, Array]:
    """Return a BMP with bit fields, by a header of 40 bytes if `short`; and the shares of each channel in it."""
    packed = np.random.default_rng(0).integers(0, 2**bits, (37, 53), np.uint32)
    padded = np.pad(packed[::-1], ((0, 0), (0, 53 % 2 if bits == 16 else 0))).astype("<u2" if bits == 16 else "<u4")
    shifts = [(mask & -mask).bit_length() - 1 for mask in masks if mask]
    shares = [
        ((packed & mask) >> shift) / (mask >> shift)
        for mask, shift in zip((m for m in masks if m), shifts, strict=True)
    ]
    data = bmp(53, 37, bits, 3, masks, padded.tobytes())
    if short:
        more = struct.pack("<3I", *masks[:3]) if not masks[3] else struct.pack("<4I", *masks)
        info = struct.pack("<IiiHHI", 40, 53, 37, 1, bits, 6 if masks[3] else 3) + data[34:54]
        start = 14 + 40 + len(more)
        data = struct.pack("<2sIHHI", b"BM", start + padded.nbytes, 0, 0, start) + info + more + padded.tobytes()
    return data, np.dstack(shares)


def bmp_top_down() -> bytes:
    return bmp(52, -37, 24, 0, (0, 0, 0, 0), ramp(37, 52)[..., ::-1].tobytes())


def patched(data: bytes, at: int, new: bytes) -> bytes:
    return data[:at] + new + data[at + len(new) :]


def png_bomb(width: int, height: int, bits: int = 8) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, bits, 2, 0, 0, 0)
    parts = [png_chunk(b"IHDR", header), png_chunk(b"IDAT", zlib.compress(bytes(10_000))), png_chunk(b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def sized_jpeg(width: int, height: int) -> bytes:
    data = saved(RGB, "JPEG", quality=92)
    return patched(data, data.index(b"\xff\xc0") + 5, struct.pack(">HH", height, width))


def sized_tiff(width: int, height: int) -> bytes:
    """Return a small deflated TIFF whose directory claims another size."""
    data = bytearray(tiff(ramp(), compression="zlib"))
    (at,) = struct.unpack_from("<I", data, 4)
    (count,) = struct.unpack_from("<H", data, at)
    for entry in range(at + 2, at + 2 + 12 * count, 12):
        tag, kind = struct.unpack_from("<HH", data, entry)
        if tag in (256, 257, 278):
            struct.pack_into("<I" if kind == 4 else "<H", data, entry + 8, width if tag == 256 else height)
    return bytes(data)


def old_jpeg(turn: int = 1, *, gray: bool = False, order: str = "<") -> bytes:
    """Return a TIFF packed by old-style JPEG: its header stands in one place, its samples are the only strip."""
    stream = saved(RGB.convert("L") if gray else RGB, "JPEG", quality=95, subsampling=0)
    at, channels = stream.index(b"\xff\xda"), 1 if gray else 3
    samples = at + 2 + int.from_bytes(stream[at + 2 : at + 4], "big")
    start = 8 + len(stream) + len(stream) % 2
    tags = [(256, 4, RGB.width), (257, 4, RGB.height), (258, 3, 8), (259, 3, 6), (262, 3, 1 if gray else 6)]
    tags += [(273, 4, 8 + samples), (274, 3, turn), (277, 3, channels), (278, 4, RGB.height)]
    tags += [(279, 4, len(stream) - samples), (512, 3, 1), (513, 4, 8), (514, 4, len(stream))]
    head = struct.pack(order + "2sHI", b"II" if order == "<" else b"MM", 42, start) + stream.ljust(start - 8, b"\0")
    entries = [
        struct.pack(order + "HHI", tag, kind, 1) + struct.pack(order + ("I" if kind == 4 else "Hxx"), value)
        for tag, kind, value in tags
    ]
    end = start + 2 + 12 * (len(tags) + 1) + 4
    entries[2] = struct.pack(order + "HHII", 258, 3, 3, end) if not gray else entries[2]
    entries.append(struct.pack(order + "HHIHH", 530, 3, 2, 1, 1))
    return (
        head
        + struct.pack(order + "H", len(entries))
        + b"".join(entries)
        + bytes(4)
        + struct.pack(order + "3H", 8, 8, 8)
    )


def text_for_width() -> bytes:
    """Return a TIFF whose width is a text; a program that multiplies by it gets a long one."""
    data = bytearray(tiff(ramp()))
    struct.pack_into("<H", data, data.index(struct.pack("<HH", 256, 4), 8) + 2, 2)
    return bytes(data)


CHUNKS = (
    (b"gAMA", struct.pack(">I", 55556)),
    (b"cHRM", struct.pack(">8I", 31270, 32900, 68000, 32000, 26500, 69000, 15000, 6000)),
    (b"tEXt", b"Author\0somebody"),
    (b"zTXt", b"Comment\0\0" + zlib.compress(b"dark")),
    (b"iTXt", b"Title\0\0\0de\0Titel\0" + "Straße".encode()),
    (b"luMe", b"private"),
)
"""One of each kind that a PNG may hold beside its pixels."""


def with_chunks(*chunks: tuple[bytes, bytes], data: bytes | None = None) -> bytes:
    """Return a PNG with more chunks behind its header."""
    whole = data or saved(RGB, "PNG")
    return whole[:33] + b"".join(png_chunk(kind, content) for kind, content in chunks) + whole[33:]
