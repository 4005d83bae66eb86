"""Files of every kind people have, sound and broken, written by other means than the code under test.

`sound_files` and `broken_files` yield them; `python -m tests.support.corpus FOLDER` writes them all, to look at or to
try other programs on.
"""

from __future__ import annotations

import io
import struct
import sys
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from importlib.util import find_spec
from itertools import product
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
from PIL import Image, PngImagePlugin

from lumen.color.icc import P3_PRIMARIES, matrix_profile, p3_profile
from tests.support.crafted import (
    MODES,
    associated,
    bmp,
    bmp_565,
    bmp_array,
    bmp_fields,
    bmp_top_down,
    bmp_with_alpha,
    cmyk_profile,
    dng,
    gray_profile,
    heic,
    interlaced,
    jpeg_segment,
    old_jpeg,
    patched,
    png_bomb,
    png_chunk,
    printed,
    sized_jpeg,
    sized_tiff,
    small_gray,
    text_for_width,
    with_reduced_page,
)
from tests.support.files import RGB, XMP, Array, deep_png, exif, icc, ramp, saved, tiff, with_thumbnail

IPTC_FIELDS = b"\x1c\x02\x78\0\x0dA dark street\x1c\x02\x19\0\x05night"
RESOURCES = b"8BIM\x04\x04\0\0" + struct.pack(">I", len(IPTC_FIELDS)) + IPTC_FIELDS + bytes(len(IPTC_FIELDS) % 2)
PREVIEW = b"8BIM\x04\x0c\0\0" + struct.pack(">I", 6) + b"\xff\xd8\xff\xd9\0\0"
LONG_XMP = b"http://ns.adobe.com/xmp/extension/\0" + b"0" * 32 + struct.pack(">II", 5, 0) + b"<a/> "
ADOBE = matrix_profile(((0.64, 0.33), (0.21, 0.71), (0.15, 0.06)), "like Adobe RGB", 2.2)
PROPHOTO = matrix_profile(((0.7347, 0.2653), (0.1596, 0.8404), (0.0366, 0.0001)), "like ProPhoto RGB", 1.8)
LINEAR = matrix_profile(P3_PRIMARIES, "linear", 1.0)


@dataclass(frozen=True, kw_only=True)
class File:
    """One file.

    Attributes:
        name: Unique in the corpus; its suffix is the format's own, but for a few that lie on purpose.
        data: What it holds.
    """

    name: str
    data: bytes


@dataclass(frozen=True, kw_only=True)
class Sound(File):
    """A file that must come through whole.

    Attributes:
        result: What its result is called.
        exact: Whether not one level may change on the way through a model that changes nothing.
        bits: Bits a sample that the result has.
        warning: A part of the only warning there may be; empty for none.
        shown: What is displayed, [H, W, 3], where no other decoder says it; None leaves it to them.
    """

    result: str = ""
    exact: bool = True
    bits: int = 8
    warning: str = ""
    shown: Array | None = field(default=None, compare=False)

    def __post_init__(self) -> None:
        if not self.result:
            object.__setattr__(self, "result", self.name)


@dataclass(frozen=True, kw_only=True)
class Broken(File):
    """A file that must fail by its own reason, of which `reason` is a part."""

    reason: str


def sound_files() -> Iterator[Sound]:
    """Yield every sound kind that the installed packages can make."""
    yield from _png()
    yield from _png_metadata()
    yield from _tiff()
    yield from _tiff_oddities()
    yield from _jpeg()
    yield from _webp()
    yield from _avif()
    yield from _bmp_and_gif()
    yield from _orientations()
    yield from _sizes_and_names()
    yield from _harmless_faults()
    if find_spec("pillow_heif"):
        yield from _heif()
    if find_spec("pylibjxl"):
        yield from _jxl()
    if find_spec("rawpy"):
        yield Sound(name="bayer.dng", data=dng(), result="bayer.tiff", bits=16)
        yield Sound(name="turned.DNG", data=dng(orientation=6), result="turned.tiff", bits=16)


def broken_files() -> Iterator[Broken]:
    """Yield every broken kind, and sound files of kinds that are refused."""
    yield Broken(name="empty.jpg", data=b"", reason="the file is empty")
    yield from _halves()
    yield from _other_contents()
    yield from _bombs()
    yield from _several_pictures()
    yield from _damaged()
    yield from _refused()


def _png() -> Iterator[Sound]:
    for bits, channels in product((8, 16), MODES):
        samples = ramp(channels=channels, dtype=np.uint16 if bits == 16 else np.uint8)
        data = deep_png(samples) if bits == 16 else saved(Image.fromarray(samples), "PNG")
        yield Sound(name=f"png-{MODES[channels]}-{bits}.png", data=data, bits=bits)
    for bits in (1, 2, 4):
        yield Sound(name=f"png-grey-{bits}.png", data=small_gray(bits))
        yield Sound(name=f"png-palette-{bits}.png", data=saved(RGB.quantize(2**bits), "PNG", bits=bits))
    yield Sound(name="png-palette-8.png", data=saved(RGB.quantize(200), "PNG"))
    yield Sound(name="png-palette-clear.png", data=saved(RGB.quantize(20), "PNG", transparency=3))
    yield Sound(name="png-palette-soft.png", data=saved(RGB.quantize(4), "PNG", transparency=b"\x00\x40\xc0\xff"))
    yield Sound(name="png-grey-clear.png", data=saved(RGB.convert("L"), "PNG", transparency=80))
    yield Sound(name="png-rgb-clear.png", data=saved(RGB, "PNG", transparency=(0, 40, 80)))
    for bits in (8, 16):
        samples = ramp(dtype=np.uint16 if bits == 16 else np.uint8)
        yield Sound(name=f"png-interlaced-{bits}.png", data=interlaced(samples), bits=bits)
    deep, key = deep_png(ramp(dtype=np.uint16)), struct.pack(">3H", *ramp(dtype=np.uint16)[5, 5])
    yield Sound(name="png-rgb-clear-16.png", data=deep[:33] + png_chunk(b"tRNS", key) + deep[33:], bits=16)


def _png_metadata() -> Iterator[Sound]:
    plain = saved(RGB, "PNG")
    for name, profile in (("srgb", icc()), ("p3", p3_profile()), ("adobe", ADOBE), ("prophoto", PROPHOTO)):
        yield Sound(name=f"png-icc-{name}.png", data=saved(RGB, "PNG", icc_profile=profile))
    deep = deep_png(ramp(dtype=np.uint16))
    for name, profile in (("adobe", ADOBE), ("linear", LINEAR)):
        chunk = png_chunk(b"iCCP", b"x\0\0" + zlib.compress(profile))
        yield Sound(name=f"png-icc-{name}-16.png", data=deep[:33] + chunk + deep[33:], bits=16)
    yield Sound(name="png-exif.png", data=saved(RGB, "PNG", exif=b"Exif\0\0" + exif(1)))
    info = PngImagePlugin.PngInfo()
    info.add_itxt("XML:com.adobe.xmp", XMP.decode())
    yield Sound(name="png-xmp.png", data=saved(RGB, "PNG", pnginfo=info))
    yield Sound(name="png-dpi.png", data=saved(RGB, "PNG", dpi=(300, 150)))
    for name, kind, content in (
        ("text", b"tEXt", b"Author\0somebody"),
        ("packed-text", b"zTXt", b"Comment\0\0" + zlib.compress(b"in the street")),
        ("long-text", b"iTXt", b"Title\0\0\0de\0Titel\0" + "Straße bei Nacht".encode()),
        ("gamma", b"gAMA", struct.pack(">I", 55556)),
        ("linear", b"gAMA", struct.pack(">I", 100000)),
        ("primaries", b"cHRM", struct.pack(">8I", 31270, 32900, 68000, 32000, 26500, 69000, 15000, 6000)),
        ("srgb", b"sRGB", b"\0"),
        ("code", b"cICP", b"\x0c\x0d\0\x01"),
        ("anamorphic", b"pHYs", struct.pack(">IIB", 8, 32, 0)),
        ("private", b"luMe", b"anything"),
    ):
        yield Sound(name=f"png-{name}.png", data=plain[:33] + png_chunk(kind, content) + plain[33:])


def _tiff() -> Iterator[Sound]:
    for bits, channels, packing in product((8, 16), MODES, ("none", "lzw", "zlib")):
        samples = ramp(channels=channels, dtype=np.uint16 if bits == 16 else np.uint8)
        options = {"extrasamples": ["unassalpha"]} if channels in (2, 4) else {}
        data = tiff(samples, compression=packing, predictor=packing != "none" and channels != 2, **options)
        yield Sound(name=f"tiff-{MODES[channels]}-{bits}-{packing}.tif", data=data, bits=bits)


def _tiff_oddities() -> Iterator[Sound]:
    deep, rgb, gray = ramp(dtype=np.uint16), ramp(), ramp(channels=1)
    extratags = [
        (33723, 7, len(IPTC_FIELDS), IPTC_FIELDS, True),
        (700, 1, len(XMP), XMP, True),
        (270, 2, 0, "a dark street", True),
        (315, 2, 0, "somebody", True),
        (286, 5, 1, (30, 10), True),
        (318, 5, 2, (3127, 10000, 329, 1000), True),
        (34118, 2, 0, "AP_MAG = 500 X", True),
    ]
    for name, data, bits in (
        ("big-endian", tiff(deep, byteorder=">"), 16),
        ("bigtiff", tiff(deep, bigtiff=True, byteorder=">"), 16),
        ("tiled", tiff(deep, tile=(16, 32), compression="zlib"), 16),
        ("planar", tiff(np.moveaxis(deep, -1, 0), planarconfig="separate", photometric="rgb"), 16),
        ("packbits", tiff(rgb, compression="packbits"), 8),
        ("zstd", tiff(deep, compression="zstd"), 16),
        ("lzma", tiff(deep, compression="lzma"), 16),
        ("white-is-zero", tiff(255 - gray, photometric="miniswhite"), 8),
        ("strips", tiff(deep, rowsperstrip=5), 16),
        ("metadata", tiff(deep, extratags=extratags, resolution=(300, 150), resolutionunit="INCH"), 16),
        ("icc-adobe", tiff(deep, iccprofile=ADOBE), 16),
        ("icc-linear", tiff(deep, iccprofile=LINEAR), 16),
        ("icc-p3", tiff(rgb, iccprofile=p3_profile()), 8),
        ("palette", saved(RGB.quantize(20), "TIFF"), 8),
        ("bilevel", saved(RGB.convert("1"), "TIFF"), 8),
        ("fax", saved(RGB.convert("1"), "TIFF", compression="group4"), 8),
        ("thumbnail-page", with_reduced_page(deep), 16),
        ("anamorphic", tiff(rgb, resolution=(59, 54), resolutionunit="NONE"), 8),
        ("selection", tiff(ramp(channels=4), extrasamples=["unspecified"]), 8),
        ("infrared", tiff(ramp(channels=2, dtype=np.uint16), planarconfig="contig", extrasamples=["unspecified"]), 16),
    ):
        yield Sound(name=f"tiff-{name}.tif", data=data, bits=bits)
    for bits in (10, 12, 14):
        low = deep >> (16 - bits)
        shown = low << (16 - bits) | low >> (2 * bits - 16)
        yield Sound(name=f"tiff-{bits}.tif", data=tiff(low, bitspersample=bits), bits=16, shown=shown)
    yield Sound(name="tiff-jpeg.tif", data=tiff(ramp(64, 64), compression="jpeg"))
    yield Sound(name="tiff-old-jpeg.tif", data=old_jpeg(), exact=False)
    yield Sound(name="tiff-old-jpeg-turned.tif", data=old_jpeg(turn=6), exact=False)
    yield Sound(name="tiff-associated.tif", data=associated(), exact=False, shown=ramp())
    inks = ramp(channels=4, dtype=np.uint16) // 2
    eight = (inks >> 8).astype(np.uint8)
    for bits, samples in ((8, eight), (16, inks)):
        for name, profile, warning in (
            ("", None, "CMYK to RGB without a sound"),
            ("-icc", cmyk_profile(), "CMYK to RGB with its colour"),
        ):
            shown = printed(eight, profile).astype(samples.dtype) * (257 if bits == 16 else 1)
            yield Sound(
                name=f"tiff-cmyk{name}-{bits}.tif",
                data=tiff(samples, photometric="separated", iccprofile=profile),
                bits=bits,
                exact=False,
                warning=warning,
                shown=shown,
            )


def _jpeg() -> Iterator[Sound]:
    def made(name: str, image: Image.Image = RGB, **options: Any) -> Sound:
        return Sound(name=f"jpeg-{name}.jpg", data=saved(image, "JPEG", quality=92, **options), exact=False)

    for chroma in ("4:4:4", "4:2:2", "4:2:0"):
        yield made(chroma.replace(":", ""), subsampling=chroma)
    yield made("progressive", progressive=True)
    yield made("grey", RGB.convert("L"))
    yield made("restart", restart_marker_rows=1)
    for name, profile, warning in (
        ("", None, "CMYK to RGB without a sound"),
        ("-icc", cmyk_profile(), "CMYK to RGB with its colour"),
    ):
        inks = ramp(channels=4) // 2
        image = Image.frombytes("CMYK", RGB.size, inks.tobytes())
        data = saved(image, "JPEG", quality=97, **({"icc_profile": profile} if profile else {}))
        shown = printed(inks, profile)
        yield Sound(name=f"jpeg-cmyk{name}.jpg", data=data, exact=False, warning=warning, shown=shown)
    for name, profile in (("srgb", icc()), ("p3", p3_profile()), ("adobe", ADOBE), ("prophoto", PROPHOTO)):
        yield made(f"icc-{name}", icc_profile=profile)
    yield made("icc-grey", RGB.convert("L"), icc_profile=gray_profile())
    yield made("exif", exif=b"Exif\0\0" + exif(1))
    yield made("exif-preview", exif=b"Exif\0\0" + with_thumbnail(exif(1), saved(RGB.resize((20, 14)), "JPEG")))
    yield made("xmp", xmp=XMP)
    yield made("dpi", dpi=(300, 300))
    low = made("half-height")
    shape = low.data.index(b"JFIF\0") + 7
    yield replace(low, data=patched(low.data, shape, struct.pack(">BHH", 0, 1, 2)))
    yield replace(low, name="jpeg-per-cm.jpg", result="", data=patched(low.data, shape, struct.pack(">BHH", 2, 1, 2)))
    yield made("comment", comment="in the street")
    yield made("iptc", extra=jpeg_segment(0xED, b"Photoshop 3.0\0" + PREVIEW + RESOURCES))
    yield made("long-xmp", xmp=XMP, extra=jpeg_segment(0xE1, LONG_XMP))
    everything: dict[str, Any] = {"exif": b"Exif\0\0" + exif(1), "icc_profile": p3_profile(), "xmp": XMP}
    everything |= {"comment": "all", "dpi": (240, 240), "extra": jpeg_segment(0xED, b"Photoshop 3.0\0" + RESOURCES)}
    yield made("everything", **everything)
    more = saved(RGB, "MPO", save_all=True, append_images=[RGB.resize((20, 14))])
    yield Sound(name="jpeg-several.jpg", data=more, exact=False)
    gain = XMP.replace(b"adobe:ns:meta/", b"adobe:ns:meta/hdrgm:Version")
    yield Sound(
        name="jpeg-gain-map.jpg", data=saved(RGB, "JPEG", quality=92, xmp=gain), exact=False, warning="gain map"
    )

    film = b"\0\0\0\x18ftypmp42" + bytes(500)
    said = XMP.replace(b"<x:xmpmeta ", b'<x:xmpmeta a:MicroVideo="1" a:MicroVideoOffset="%d" ' % len(film))
    motion = saved(RGB, "JPEG", quality=92, xmp=said) + film
    yield Sound(name="jpeg-motion.jpg", data=motion, exact=False, warning="video of the motion photo was kept")
    centimetres = bytearray(saved(RGB, "JPEG", quality=92, dpi=(1, 2)))
    centimetres[13] = 2  # the unit of its density
    yield Sound(name="jpeg-per-cm.jpg", data=bytes(centimetres), exact=False)


def _webp() -> Iterator[Sound]:
    clear = Image.fromarray(ramp(channels=4))
    for name, image in (("rgb", RGB), ("rgba", clear)):
        yield Sound(name=f"webp-{name}.webp", data=saved(image, "WEBP", quality=92), exact=False)
        data = saved(image, "WEBP", lossless=True, exact=True)
        yield Sound(name=f"webp-{name}-lossless.webp", data=data)
    for name, options in (
        ("exif", {"exif": b"Exif\0\0" + exif(1)}),
        ("xmp", {"xmp": XMP}),
        ("icc", {"icc_profile": p3_profile()}),
        ("icc-adobe", {"icc_profile": ADOBE}),
    ):
        yield Sound(name=f"webp-{name}.webp", data=saved(RGB, "WEBP", lossless=True, **options))


def _avif() -> Iterator[Sound]:
    clear = Image.fromarray(ramp(channels=4))
    for name, image, options in (
        ("rgb", RGB, {}),
        ("rgb-444", RGB, {"subsampling": "4:4:4"}),
        ("rgba", clear, {}),
        ("grey", RGB.convert("L"), {}),
        ("exif", RGB, {"exif": b"Exif\0\0" + exif(1)}),
        ("xmp", RGB, {"xmp": XMP}),
        ("icc", RGB, {"icc_profile": p3_profile()}),
    ):
        yield Sound(name=f"avif-{name}.avif", data=saved(image, "AVIF", quality=92, **options), exact=False)

    ten = np.asarray(ramp(64, 96, dtype=np.uint16) >> 6, np.uint16)
    data = bytes(imagecodecs.avif_encode(ten, level=95, bitspersample=10, pixelformat="444"))
    yield Sound(name="avif-deep.avif", data=data, exact=False, bits=10)
    film = b"\0\0\0\x18ftypmp42" + bytes(500)
    motion = saved(RGB, "AVIF", xmp=XMP) + struct.pack(">I4s", len(film) + 8, b"mpvd") + film
    yield Sound(name="avif-motion.avif", data=motion, exact=False, warning="video of the motion photo was kept")


def _bmp_and_gif() -> Iterator[Sound]:
    for name, image in (
        ("rgb", RGB),
        ("grey", RGB.convert("L")),
        ("palette", RGB.quantize(20)),
        ("bilevel", RGB.convert("1")),
    ):
        yield Sound(name=f"bmp-{name}.bmp", data=saved(image, "BMP", dpi=(300, 300)))
    yield Sound(name="bmp-alpha.bmp", data=bmp_with_alpha())
    yield Sound(name="bmp-565.bmp", data=bmp_565())
    with Image.open(io.BytesIO(bmp_top_down())) as inner:  # Pillow opens no arrays
        yield Sound(name="bmp-array.bmp", data=bmp_array(bmp_top_down()), shown=np.asarray(inner))
    for name, bits, masks in (
        ("4444", 16, (0xF00, 0xF0, 0xF, 0xF000)),
        ("444", 16, (0xF00, 0xF0, 0xF, 0)),
        ("red-last", 32, (0xFF, 0xFF00, 0xFF0000, 0)),
    ):
        data, shares = bmp_fields(bits, masks)
        shown = np.rint(shares * 255).astype(np.uint8)
        yield Sound(name=f"bmp-{name}.bmp", data=data, shown=shown[..., :3])
    yield Sound(name="bmp-top-down.bmp", data=bmp_top_down())
    yield Sound(name="gif.gif", data=saved(RGB.quantize(200), "GIF"), result="gif.png")
    yield Sound(name="gif-clear.gif", data=saved(RGB.quantize(20), "GIF", transparency=3), result="gif-clear.png")
    wide = patched(saved(RGB.quantize(20), "GIF"), 12, b"\x71")  # pixels twice as wide as tall
    yield Sound(name="gif-anamorphic.gif", data=wide, result="gif-anamorphic.png")
    commented = saved(RGB.quantize(20), "GIF", comment=b"in the street")
    yield Sound(name="gif-comment.gif", data=commented, result="gif-comment.png")


def _orientations() -> Iterator[Sound]:
    for kind, suffix, options in (
        ("JPEG", "jpg", {"quality": 92}),
        ("PNG", "png", {}),
        ("WEBP", "webp", {"lossless": True}),
        ("TIFF", "tif", {}),
        ("AVIF", "avif", {"quality": 92}),
    ):
        for turn in range(1, 9):
            data = saved(RGB, kind, exif=b"Exif\0\0" + exif(turn), **options)
            exact = kind not in ("JPEG", "AVIF")
            yield Sound(name=f"turned-{turn}-{suffix}.{suffix}", data=data, exact=exact)
    for turn in range(1, 9):
        data = tiff(ramp(dtype=np.uint16), extratags=[(274, 3, 1, turn, True)])
        yield Sound(name=f"turned-{turn}-deep.tif", data=data, bits=16)


def _sizes_and_names() -> Iterator[Sound]:
    for width, height in ((1, 1), (1, 7), (9, 1)):
        image = RGB.crop((0, 0, width, height))
        for kind, suffix in (("PNG", "png"), ("TIFF", "tif"), ("BMP", "bmp"), ("JPEG", "jpg"), ("WEBP", "webp")):
            data = saved(image, kind)
            name = f"size-{width}x{height}-{suffix}.{suffix}"
            yield Sound(name=name, data=data, exact=kind not in ("JPEG", "WEBP"))
        data = saved(image, "AVIF", quality=92)
        yield Sound(name=f"size-{width}x{height}-avif.avif", data=data, exact=False)
    wide = np.tile(ramp(8, 1000), (1, 100, 1))
    yield Sound(name="size-100000x8.png", data=saved(Image.fromarray(wide), "PNG", compress_level=1))
    yield Sound(name="size-100000x8.tif", data=tiff(wide))
    tall = Image.fromarray(wide[:, :65000]).rotate(90, expand=True)
    yield Sound(name="size-8x65000.jpg", data=saved(tall, "JPEG"), exact=False)
    yield Sound(name="UPPER.JPG", data=saved(RGB, "JPEG", quality=92), exact=False)
    yield Sound(name="dots.in.name.jpeg", data=saved(RGB, "JPEG", quality=92), exact=False)
    yield Sound(name="a png.jpg", data=saved(RGB, "PNG"), exact=False, warning="the result is a lossy jpeg")
    yield Sound(name="a jpeg.png", data=saved(RGB, "JPEG", quality=92))
    yield Sound(name="a webp.tif", data=saved(RGB, "WEBP", lossless=True))
    yield Sound(
        name="a clear png.jpg",
        data=saved(Image.fromarray(ramp(channels=4)), "PNG"),
        warning="the result is a png file like the input",
    )


def _harmless_faults() -> Iterator[Sound]:
    """Yield files whose metadata is broken and whose picture is whole."""
    bad = b"rubbish" * 40
    malformed = "the colour profile is malformed"
    data = saved(RGB, "JPEG", quality=92, icc_profile=bad)
    yield Sound(name="bad-icc.jpg", data=data, exact=False, warning=malformed)
    yield Sound(name="bad-icc.png", data=saved(RGB, "PNG", icc_profile=bad), warning=malformed)
    yield Sound(name="bad-icc.tif", data=tiff(ramp(), iccprofile=bad), warning=malformed)
    yield Sound(name="bad-icc.webp", data=saved(RGB, "WEBP", lossless=True, icc_profile=bad), warning=malformed)
    block = b"Exif\0\0" + exif(1)[:60]
    for kind, suffix in (("JPEG", "jpg"), ("WEBP", "webp"), ("PNG", "png")):
        data = saved(RGB, kind, exif=block, lossless=True) if kind == "WEBP" else saved(RGB, kind, exif=block)
        yield Sound(name=f"bad-exif.{suffix}", data=data, exact=kind != "JPEG", warning="the EXIF block is malformed")
    plain = saved(RGB, "PNG")
    broken = png_chunk(b"iCCP", b"x\0\0not packed")
    warning = "colour profile was left out"
    yield Sound(name="bad-packing.png", data=plain[:33] + broken + plain[33:], warning=warning, shown=ramp())
    wrong_sum = png_chunk(b"tEXt", b"Author\0somebody")[:-1] + b"\0"
    yield Sound(name="bad-checksum.png", data=plain[:33] + wrong_sum + plain[33:], shown=ramp())
    yield Sound(name="more-behind.jpg", data=saved(RGB, "JPEG", quality=92) + b"\0" * 5000, exact=False)
    yield Sound(name="more-behind.png", data=plain + b"trailing bytes")


def _heif() -> Iterator[Sound]:
    for name, channels in (("rgb", 3), ("rgba", 4), ("grey", 1)):
        yield Sound(name=f"heif-{name}.heic", data=heic(ramp(64, 96, channels)), exact=False)
    yield Sound(name="heif-exif.heic", data=heic(ramp(64, 96), exif=b"Exif\0\0" + exif(1)), exact=False)
    yield Sound(name="heif-turned.HEIC", data=heic(ramp(64, 96), exif=b"Exif\0\0" + exif(6)), exact=False)
    yield Sound(name="heif-icc.heif", data=heic(ramp(64, 96), icc_profile=p3_profile(), xmp=XMP), exact=False)
    yield Sound(name="heif-deep.hif", data=heic(ramp(64, 96, dtype=np.uint16)), exact=False, bits=10)


def _jxl() -> Iterator[Sound]:
    import pylibjxl

    for name, samples, options in (
        ("rgb", ramp(), {}),
        ("grey", ramp(channels=1), {}),
        ("exif", ramp(), {"exif": exif(1), "xmp": XMP}),
        ("icc", ramp(), {"icc": p3_profile(), "lossless": True}),
    ):
        yield Sound(name=f"jxl-{name}.jxl", data=bytes(pylibjxl.encode(samples, **options)), exact=False)
    deep = bytes(imagecodecs.jpegxl_encode(ramp(dtype=np.uint16), lossless=True))
    yield Sound(name="jxl-deep.jxl", data=deep, exact=False, bits=16)


def _halves() -> Iterator[Broken]:
    for name, data in (
        ("jpg", saved(RGB, "JPEG", quality=92)),
        ("progressive.jpg", saved(RGB, "JPEG", progressive=True)),
        ("png", saved(RGB, "PNG")),
        ("deep.png", deep_png(ramp(dtype=np.uint16))),
        ("webp", saved(RGB, "WEBP")),
        ("tif", tiff(ramp())),
        ("deep.tif", tiff(ramp(dtype=np.uint16), compression="zlib")),
        ("bmp", saved(RGB, "BMP")),
        ("gif", saved(RGB.quantize(200), "GIF")),
        ("avif", saved(RGB, "AVIF", quality=92)),
    ):
        full = f"half-{name.replace('.', '-')}.{name.rpartition('.')[2]}"
        told_by_pillow = name in ("jpg", "progressive.jpg", "bmp", "gif")
        reason = "file ends too early" if told_by_pillow else "file is damaged or truncated"
        yield Broken(name=full, data=data[: len(data) // 2], reason=reason)
    if find_spec("pillow_heif"):
        data = heic(ramp(64, 96))
        yield Broken(name="half-heic.heic", data=data[: len(data) // 2], reason="the heif file is damaged or truncated")
    if find_spec("rawpy"):
        data = dng()
        yield Broken(name="half-dng.dng", data=data[: len(data) // 2], reason="damaged or truncated: LibRaw reports")
    yield Broken(name="no-last-byte.tif", data=tiff(ramp())[:-1], reason="the tiff file is damaged or truncated")
    yield Broken(name="no-end-mark.png", data=saved(RGB, "PNG")[:-12], reason="ends before its end mark")


def _other_contents() -> Iterator[Broken]:
    unknown = "an unknown or damaged file"
    for name, data, reason in (
        ("text.jpg", b"Dear diary, it was dark.\n", "not a picture, but text"),
        ("page.png", b"<!doctype html><title>404</title>", "got a web page"),
        ("drawing.webp", b'<svg xmlns="http://www.w3.org/2000/svg"/>', "got XML, such as an SVG"),
        ("archive.tif", b"PK\3\4" + b"\0" * 60, "got a ZIP archive"),
        ("zeros.jpg", b"\0" * 4096, unknown),
        ("paper.jpg", b"%PDF-1.7\n", "got PDF"),
        ("film.heic", b"\0\0\0\x18ftypisom" + b"\0" * 80, "got a video"),
        ("short.heic", b"\0\0\0\x10ftypmif3heic" + b"\0" * 60, "got HEIF of the kind with a short header"),
        ("layers.tif", b"8BPS\0\1" + b"\0" * 60, "got Photoshop"),
        ("wavelets.jpg", b"\0\0\0\x0cjP  \r\n\x87\n" + b"\0" * 60, "got JPEG 2000"),
        (
            "next.jpg",
            b"\xff\x0a" + b"\0" * 60,
            "the jxl file is damaged" if find_spec("pylibjxl") else "JPEG XL needs pylibjxl",
        ),
    ):
        yield Broken(name=name, data=data, reason=reason)


def _bombs() -> Iterator[Broken]:
    """Yield small files that claim to be huge."""
    limit = "expected at most 512 megapixels"
    yield Broken(name="bomb.png", data=png_bomb(60_000, 60_000), reason=limit)
    yield Broken(name="bomb-deep.png", data=png_bomb(60_000, 60_000, bits=16), reason=limit)
    yield Broken(name="bomb-within.png", data=png_bomb(20_000, 20_000), reason="the file is too short for them")
    yield Broken(name="bomb-jpg.jpg", data=sized_jpeg(65_500, 65_500), reason=limit)
    yield Broken(name="bomb-tif.tif", data=sized_tiff(60_000, 60_000), reason=limit)
    yield Broken(name="bomb-within.tif", data=sized_tiff(20_000, 20_000), reason="the file is too short for them")
    yield Broken(name="bomb-within.jpg", data=sized_jpeg(20_000, 20_000), reason="the file is too short for them")
    yield Broken(name="text-for-width.tif", data=text_for_width(), reason="its size is not a number")
    data = patched(saved(RGB, "BMP"), 18, struct.pack("<ii", 60_000, 60_000))
    yield Broken(name="bomb-bmp.bmp", data=data, reason=limit)
    data = patched(saved(RGB.quantize(9), "GIF"), 6, b"\xff\xff\xff\xff")
    yield Broken(name="bomb-gif.gif", data=data, reason=limit)
    data = saved(RGB, "AVIF")
    yield Broken(name="bomb-avif.avif", data=patched(data, data.index(b"ispe") + 8, b"\0\0\xff\xff" * 2), reason=limit)
    twenty = patched(data, data.index(b"ispe") + 8, struct.pack(">II", 20_000, 20_000))
    yield Broken(name="bomb-within.avif", data=twenty, reason="expected an AVIF of at most 268 megapixels")
    head = b"VP8X\x0a\0\0\0\0\0\0\0\xff\xff\xff\xff\xff\xff" + b"VP8 \0\0\0\0"
    yield Broken(name="bomb-webp.webp", data=b"RIFF" + struct.pack("<I", len(head) + 4) + b"WEBP" + head, reason=limit)


def _several_pictures() -> Iterator[Broken]:
    frames = {"save_all": True, "append_images": [RGB.rotate(180), RGB.rotate(90)]}
    for kind, suffix in (("GIF", "gif"), ("PNG", "png"), ("WEBP", "webp"), ("AVIF", "avif")):
        reason = "an animation of 3 frames; take the first with --frames first"
        yield Broken(name=f"three-frames-{suffix}.{suffix}", data=saved(RGB, kind, **frames), reason=reason)
    deep = np.stack([ramp(64, 96, dtype=np.uint16) >> 6] * 3)
    data = bytes(imagecodecs.avif_encode(deep, level=90, bitspersample=10))
    yield Broken(name="three-frames-deep.avif", data=data, reason="an animation of 3 frames")
    yield Broken(name="three-pages.tif", data=saved(RGB, "TIFF", **frames), reason="a TIFF of 3 pages")


def _damaged() -> Iterator[Broken]:
    png, jpeg, strips = saved(RGB, "PNG"), saved(RGB, "JPEG", quality=92), tiff(ramp(), compression="lzw")
    body = png.index(b"IDAT")
    samples = jpeg.index(b"\xff\xda")
    for name, data in (
        ("checksum.png", patched(png, body + 40, b"\0\xff\0\xff")),
        ("no-samples.png", png[: body - 4] + png[-12:]),
        ("no-header.png", png[:8] + png[33:]),
        ("no-frame.jpg", jpeg[:2] + b"\xff\xd9"),
        ("no-tables.jpg", jpeg[:20] + jpeg[samples:]),
        ("no-samples.jpg", jpeg[:samples] + b"\xff\xd9"),
        ("loop.tif", b"II*\0\x08\0\0\0\1\0\x69\x87\4\0\1\0\0\0\x08\0\0\0\0\0\0\0"),
        ("no-directory.tif", b"II*\0\xff\xff\0\0" + b"\0" * 60),
        ("no-strips.tif", patched(strips, 4, struct.pack("<I", len(strips) - 2))),
        ("only-header.webp", b"RIFF\x04\0\0\0WEBP"),
        ("no-picture.webp", b"RIFF\x16\0\0\0WEBPVP8X\x0a\0\0\0\0\0\0\0\x34\0\0\x24\0\0"),
        ("only-header.bmp", saved(RGB, "BMP")[:54]),
        ("no-frame.gif", saved(RGB.quantize(9), "GIF")[:13] + b";"),
        ("only-brand.avif", saved(RGB, "AVIF")[:32]),
    ):
        kind = {"jpg": "jpeg", "tif": "tiff"}.get(name[-3:], name.rpartition(".")[2])
        yield Broken(name=f"damaged-{name}", data=data, reason=f"the {kind} file is damaged or truncated")


def _refused() -> Iterator[Broken]:
    yield Broken(name="float.tif", data=tiff(ramp().astype(np.float32)), reason="got floating-point ones of 32 bits")
    yield Broken(name="32-bit.tif", data=tiff(ramp().astype(np.uint32)), reason="1 to 16 bits, got unsigned ones of 32")
    yield Broken(name="signed.tif", data=tiff(ramp(dtype=np.int16)), reason="got signed ones of 16 bits")
    yield Broken(name="lab.tif", data=saved(RGB.convert("LAB"), "TIFF"), reason="palette TIFF, got CIELAB")
    yield Broken(name="five.tif", data=tiff(ramp(channels=5), planarconfig="contig"), reason="expected 3 or 4 channels")
    png = saved(RGB, "PNG")
    hdr = png[:33] + png_chunk(b"cICP", b"\x09\x10\0\x01") + png[33:]
    yield Broken(name="hdr.png", data=hdr, reason="got one for HDR (PQ)")
    jpeg = saved(RGB, "JPEG")
    yield Broken(name="deep.jpg", data=patched(jpeg, jpeg.index(b"\xff\xc0") + 4, b"\x0c"), reason="12-bit")
    yield Broken(
        name="half-floats.jpe", data=tiff(ramp().astype(np.float16)), reason="got floating-point ones of 16 bits"
    )
    lossless = bytes(imagecodecs.ljpeg_encode(ramp(64, 64, 1, dtype=np.uint16)))
    yield Broken(name="lossless.jpg", data=lossless, reason="got a lossless 16-bit one")
    yield Broken(name="jpeg-ls.jpg", data=bytes(imagecodecs.jpegls_encode(ramp(64, 64))), reason="got JPEG-LS")
    odd = saved(RGB, "AVIF").replace(b"ispe", b"free")
    yield Broken(name="no-size.avif", data=odd, reason="got one that libavif refuses")
    if find_spec("pillow_heif"):
        other = heic(ramp(64, 96)).replace(b"hvc1", b"av01")
        yield Broken(name="av1-inside.heic", data=other, reason="got one with AV1")
    deep_fields, _ = bmp_fields(32, (0x3FF00000, 0xFFC00, 0x3FF, 0))
    yield Broken(name="ten-bit.bmp", data=deep_fields, reason="expected 8-bit pixels for bmp, got 16-bit ones")
    yield Broken(
        name="array.bmp", data=bmp_array(bmp_top_down(), bmp_565()), reason="array of 2 bitmaps; take the first"
    )
    yield Broken(name="jpeg-inside.bmp", data=bmp(53, 37, 0, 4, (0, 0, 0, 0), jpeg), reason="got JPEG inside")
    yield Broken(name="unknown.nef", data=tiff(ramp(8, 8), subfiletype=1), reason="camera raw data")
    yield Broken(name="damaged.cr3", data=b"\0\0\0\x18ftypcrx " + ramp().tobytes()[:400], reason="camera raw data")


def main() -> None:
    """Write all files into a folder."""
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    files: list[File] = [*sound_files(), *broken_files()]
    for file in files:
        (folder / file.name).write_bytes(file.data)


if __name__ == "__main__":
    main()
