"""One run over files of every kind: the sound ones come through whole, the broken ones are named, each by its reason.

Sources and results are read by other means than the code under test, and compared.
"""

from __future__ import annotations

import json
import os
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from io import BytesIO
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import pytest
import tifffile
from PIL import Image, ImageCms, ImageOps, IptcImagePlugin

from tests.conftest import Run
from tests.support.corpus import ADOBE, LINEAR, PROPHOTO, Broken, File, Sound, broken_files, sound_files
from tests.support.crafted import cmyk_profile, gray_profile, png_chunk
from tests.support.fakes import write_fake_onnx
from tests.support.files import Array, deep_png, ramp, saved, tags, tiff

TAKEN = 1_000_000_000  # when every source was changed: in 2001
TIFF_MARKS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
JXL_MARKS = (b"\xff\x0a", b"\0\0\0\x0cJXL ")
TURNS: dict[int, Callable[[Array], Array]] = {
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.swapaxes(0, 1),
    6: lambda a: a.swapaxes(0, 1)[:, ::-1],
    7: lambda a: a.swapaxes(0, 1)[::-1, ::-1],
    8: lambda a: a.swapaxes(0, 1)[::-1],
}


@dataclass(frozen=True)
class Corpus:
    """The files, and what a run made of them."""

    folder: Path
    code: int
    outcomes: dict[str, dict[str, Any]]
    sound: tuple[Sound, ...]
    broken: tuple[Broken, ...]
    stderr: str

    @property
    def files(self) -> tuple[File, ...]:
        return (*self.sound, *self.broken)

    @cached_property
    def done(self) -> list[tuple[Sound, bytes]]:
        return [(file, (self.folder / "out" / file.result).read_bytes()) for file in self.sound]


@pytest.fixture(scope="module")
def identity(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that changes nothing, for 8 and 16 bits."""
    folder = tmp_path_factory.mktemp("identity")
    write_fake_onnx(folder / "same.u16.onnx", "uint16", gain=1.0, radius=0)
    return write_fake_onnx(folder / "same.onnx", gain=1.0, radius=0)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory, identity: Path, lumen_here: Run) -> Corpus:
    folder = tmp_path_factory.mktemp("corpus")
    (folder / "in").mkdir()
    sound, broken = tuple(sound_files()), tuple(broken_files())
    files: tuple[File, ...] = (*sound, *broken)
    for file in files:
        (folder / "in" / file.name).write_bytes(file.data)
        os.utime(folder / "in" / file.name, (TAKEN, TAKEN))
    done = lumen_here(
        "-q", "enhance", "in", "-o", "out", "--json", "--unchanged", "encode", "--model", identity, cwd=folder
    )
    outcomes = {Path(each["source"]).name: each for each in map(json.loads, done.stdout.splitlines())}
    return Corpus(folder, done.returncode, outcomes, sound, broken, done.stderr)


def test_there_are_enough_of_each(corpus: Corpus) -> None:
    assert len(corpus.sound) >= 120
    assert len(corpus.broken) >= 30
    assert corpus.outcomes.keys() == {file.name for file in corpus.files}


def test_every_sound_file_is_done_without_a_needless_warning(corpus: Corpus) -> None:
    for file in corpus.sound:
        outcome = corpus.outcomes[file.name]
        assert outcome["status"] == "done", (file.name, outcome["reason"])
        assert len(outcome["warnings"]) == bool(file.warning), (file.name, outcome["warnings"])
        assert file.warning in "".join(outcome["warnings"]), (file.name, outcome["warnings"])


def test_every_broken_file_fails_by_its_own_reason_and_leaves_nothing(corpus: Corpus) -> None:
    assert corpus.code == 3
    assert "Traceback" not in corpus.stderr
    for file in corpus.broken:
        outcome = corpus.outcomes[file.name]
        assert outcome["status"] == "failed", file.name
        assert file.reason in outcome["reason"], (file.name, outcome["reason"])
    results = {path.name for path in (corpus.folder / "out").iterdir()}
    assert results == {".lumen", *(file.result for file in corpus.sound)}


def test_inputs_are_untouched_and_results_show_their_time(corpus: Corpus) -> None:
    for file in corpus.files:
        path = corpus.folder / "in" / file.name
        assert path.read_bytes() == file.data, file.name
        assert path.stat().st_mtime == TAKEN, file.name
    for file in corpus.sound:
        assert (corpus.folder / "out" / file.result).stat().st_mtime == TAKEN, file.name


@pytest.mark.filterwarnings("ignore:Truncated File Read")  # Pillow, at malformed EXIF blocks
def test_pictures_are_displayed_as_before_in_the_same_depth(corpus: Corpus) -> None:
    faults = {file.name: difference(file, result) for file, result in corpus.done}
    assert {name: fault for name, fault in faults.items() if fault} == {}


@pytest.mark.filterwarnings("ignore:Truncated File Read")  # Pillow, at malformed EXIF blocks
def test_metadata_is_as_before(corpus: Corpus) -> None:
    wrong = {}
    for file, result in corpus.done:
        if file.name.startswith(("a ", "bad-packing", "bad-checksum", "bmp-4", "bmp-array", "bmp-red")):
            continue  # stored as another format, or nothing that others could read
        before, after = facts(file.data), facts(result)
        if "CMYK" in file.warning:
            assert b"RGB " in (after.pop("icc"))[:20], file.name
            before.pop("icc")
        if file.result.endswith(".png") and file.name.endswith(".gif"):
            before["texts"] = {"Comment": before.pop("comment")} if "comment" in before else {}
            after.setdefault("texts", {})
        if file.name.lower().endswith(".dng"):
            before |= {"icc": b"", "dpi": None}
            after |= {"icc": b"", "dpi": None}
        lost = {name: (before.get(name), after.get(name)) for name in before if before[name] != after.get(name)}
        if lost:
            wrong[file.name] = lost
    assert wrong == {}


def test_a_lossless_webp_stays_lossless_and_a_lossy_one_small(corpus: Corpus) -> None:
    for file, result in corpus.done:
        if file.name.endswith(".webp"):
            assert (b"VP8L" in result) is (b"VP8L" in file.data), file.name


def difference(file: Sound, result: bytes) -> str:
    """Return what is wrong with a result, an empty text when nothing is."""
    after = displayed(result)
    if (bits_of(result) == 10) is not (file.bits == 10) or (after.dtype == np.uint8) is not (file.bits == 8):
        return f"expected {file.bits} bits, got {after.dtype}"
    if file.name.lower().endswith(".dng"):
        return "" if after.shape[:2] in ((64, 96), (96, 64)) else f"size {after.shape}"
    before = displayed(file.data) if file.shown is None else file.shown
    if file.shown is not None:
        after = after[..., :3]
    if before.shape != after.shape or before.dtype != after.dtype:
        return f"{before.shape} {before.dtype} became {after.shape} {after.dtype}"
    apart = np.abs(before.astype(int) - after)
    if before.shape[2] in (2, 4) and not file.name.endswith((".avif", ".heic")) and apart[..., -1].any():
        return "the alpha has changed"
    if file.exact:
        return f"{int(apart.max())} levels apart" if apart.any() else ""
    mean = float(apart.mean()) / (257 if before.dtype == np.uint16 else 1)
    return f"{mean:.1f} levels apart" if mean > 2.5 else ""


def displayed(data: bytes) -> Array:
    """Return [H, W, 1 to 4] as it is displayed."""
    if data[:4] in TIFF_MARKS:
        found = _displayed_tiff(data)
    elif data.startswith(b"\x89PNG") and data[24] == 16:
        orientation = Image.open(BytesIO(data)).getexif().get(0x0112, 1)
        odd = b"tRNS" in data or data[28]  # transparent by colour, or interlaced
        found = TURNS[orientation](imagecodecs.png_decode(data) if odd else deep_samples(data))
    elif b"ftyphei" in data[:32] or b"ftyphevc" in data[:32]:
        found = _displayed_heif(data)
    elif bits_of(data) == 10:
        found = imagecodecs.avif_decode(data, index=0) << np.uint16(6)
    elif data.startswith(JXL_MARKS):
        found = imagecodecs.jpegxl_decode(data)
    else:
        with Image.open(BytesIO(data)) as image:
            found = np.asarray(_plain(ImageOps.exif_transpose(image)))
    return found if found.ndim == 3 else found[..., np.newaxis]


def bits_of(data: bytes) -> int:
    if b"ftypavif" in data[:32]:
        return 10 if imagecodecs.avif_decode(data, index=0).dtype == np.uint16 else 8
    if b"ftyphei" not in data[:32]:
        return 0
    import pillow_heif

    return int(pillow_heif.open_heif(BytesIO(data), convert_hdr_to_8bit=False).info["bit_depth"])


def facts(data: bytes) -> dict[str, Any]:
    """Return what a file says about its picture, but for the orientation, which its display shows."""
    if data[:4] in TIFF_MARKS:
        return _facts_tiff(data)
    if data.startswith(JXL_MARKS):
        import pylibjxl

        metadata = pylibjxl.decode(data, metadata=True)[1]
        exif = tags(metadata.get("exif") or b"") | {"orientation": None}
        return {"exif": exif, "icc": metadata.get("icc", b""), "xmp": metadata.get("xmp", b"")}
    if b"ftyphei" in data[:32]:
        import pillow_heif

        image = pillow_heif.open_heif(BytesIO(data)).to_pillow()
    else:
        image = Image.open(BytesIO(data))
    with image:
        image.load()
        info: dict[str, Any] = dict(image.info)
        exif = tags(image.getexif().tobytes())
        found: dict[str, Any] = {"exif": exif | {"orientation": None}, "icc": info.get("icc_profile") or b""}
        xmp = info.get("xmp") or info.get("XML:com.adobe.xmp") or b""
        found["xmp"] = xmp.encode() if isinstance(xmp, str) else bytes(xmp)
        dpi = info.get("dpi")
        found["dpi"] = tuple(round(float(value)) for value in dpi) if dpi and image.format != "WEBP" else None
        x, y = info.get("aspect") or (info["jfif_density"] if info.get("jfif_unit") == 0 else (1, 1))
        found["aspect"] = y / x
        if image.format == "GIF" and data[12]:
            found["aspect"] = (data[12] + 15) / 64
        found |= {name: info[name] for name in ("gamma", "chromaticity", "srgb") if name in info}
        if "comment" in info:
            found["comment"] = bytes(info["comment"]).decode()
        if image.format == "PNG":
            found["texts"] = {key: str(text) for key, text in image.text.items() if not key.startswith("XML")}
            found["private"] = b"luMe" in data and data[data.index(b"luMe") :][:12]
            found["code"] = b"cICP" in data and data[data.index(b"cICP") :][:8]
        if image.format in ("JPEG", "MPO"):
            found["iptc"] = IptcImagePlugin.getiptcinfo(image)
            found["long XMP"] = [part for name, part in image.applist if b"xmp/extension" in part[:40]]
    return found


def _facts_tiff(data: bytes) -> dict[str, Any]:
    with tifffile.TiffFile(BytesIO(data)) as file:
        page = file.pages.first
        names = ("ImageDescription", "Make", "Model", "Artist", "ExifTag", "GPSTag")
        found: dict[str, Any] = {"exif": {name: page.tags.valueof(name) for name in names}}
        found["icc"] = page.tags.valueof("InterColorProfile") or b""
        found["xmp"] = bytes(page.tags.valueof(700) or b"")
        pairs = [page.tags.valueof(name) for name in ("XResolution", "YResolution")]
        known = page.tags.valueof("ResolutionUnit", default=2) != 1
        found["dpi"] = tuple(round(up / down) for up, down in pairs) if all(pairs) and known else None
        found["aspect"] = (pairs[1][0] / pairs[1][1]) / (pairs[0][0] / pairs[0][1]) if all(pairs) else 1
        found["iptc"] = bytes(page.tags.valueof(33723) or b"")
        found |= {str(code): page.tags.valueof(code) for code in (286, 318, 34118)}
        found["extra channel"] = 0 in page.extrasamples
        return found


def deep_samples(data: bytes) -> Array:
    """Return the samples [H, W, C] of a 16-bit PNG file: unpacked, and each row's filter undone by the standard."""
    width, height, _, color = struct.unpack_from(">IIBB", data, 16)
    channels = {0: 1, 2: 3, 4: 2, 6: 4}[color]
    packed, at = b"", 8
    while at < len(data):
        size, kind = struct.unpack_from(">I4s", data, at)
        packed += data[at + 8 : at + 8 + size] if kind == b"IDAT" else b""
        at += size + 12
    pixel = 2 * channels
    rows = np.frombuffer(zlib.decompress(packed), np.uint8).reshape(height, 1 + width * pixel)
    done = np.zeros((height + 1, (width + 1) * pixel), int)  # a black row above, a black pixel on the left
    for y, (kind, *row) in enumerate(rows.tolist(), 1):
        line, above = done[y], done[y - 1]
        for x, value in enumerate(row, pixel):
            a, b, c = int(line[x - pixel]), int(above[x]), int(above[x - pixel])
            nearest = min((a, b, c), key=lambda each: abs(a + b - c - each))
            line[x] = (value + (0, a, b, (a + b) // 2, nearest)[kind]) % 256
    found = done[1:, pixel:].reshape(height, width, channels, 2)
    return np.asarray(found[..., 0] * 256 + found[..., 1], np.uint16)


def _displayed_tiff(data: bytes) -> Array:
    with tifffile.TiffFile(BytesIO(data)) as file:
        page = file.pages.first
        if page.bitspersample < 8 or page.photometric not in (1, 2):
            with Image.open(BytesIO(data)) as image:
                return np.asarray(_plain(image if image.mode == "RGB" else ImageOps.exif_transpose(image)))
        samples = page.asarray()
        samples = np.moveaxis(samples, 0, -1) if page.axes.startswith("S") else samples
        return TURNS[int(page.tags.valueof("Orientation", default=1))](samples)


def _displayed_heif(data: bytes) -> Array:
    import pillow_heif

    return np.asarray(pillow_heif.open_heif(BytesIO(data), convert_hdr_to_8bit=False))


def _plain(image: Image.Image) -> Image.Image:
    if image.mode in ("P", "1") or "transparency" in image.info:
        gray = image.mode in ("1", "L")
        clear = "transparency" in image.info
        return image.convert(("LA" if clear else "L") if gray else "RGBA" if clear else "RGB")
    return image


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (lambda image: Image.merge("RGBA", [image.split()[band] for band in (2, 1, 0, 3)]), "levels apart"),
        (lambda image: image.rotate(180), "the alpha has changed"),
        (lambda image: image.rotate(90, expand=True), "became"),
        (lambda image: image.convert("LA"), "became"),
        (lambda image: Image.merge("RGBA", [*image.split()[:3], image.split()[0]]), "the alpha has changed"),
        (lambda image: image.point(lambda level: min(255, level + 1)), "the alpha has changed"),
    ],
)
def test_the_comparison_sees_what_goes_wrong(change: Callable[[Image.Image], Image.Image], fault: str) -> None:
    image = Image.fromarray(ramp(channels=4))
    file = Sound(name="a.png", data=saved(image, "PNG"))
    assert difference(file, saved(image, "PNG")) == ""
    assert fault in difference(file, saved(change(image), "PNG"))
    assert "bits" in difference(file, deep_png(ramp(channels=4, dtype=np.uint16)))


@pytest.fixture(scope="module")
def gradients(tmp_path_factory: pytest.TempPathFactory, identity: Path, lumen_here: Run) -> Path:
    """A dark gradient of 600 levels of 16 bits in several files, and what the model that changes nothing made of it."""
    folder = tmp_path_factory.mktemp("gradients")
    (folder / "in").mkdir()
    levels = np.tile(np.arange(600, dtype=np.uint16), (16, 1))
    pixels = np.repeat(levels[..., np.newaxis], 3, axis=2)
    plain = deep_png(pixels)
    for name, profile in (("plain", None), ("adobe", ADOBE), ("linear", LINEAR)):
        chunk = png_chunk(b"iCCP", b"x\0\0" + zlib.compress(profile)) if profile else b""
        (folder / "in" / f"{name}.png").write_bytes(plain[:33] + chunk + plain[33:])
        (folder / "in" / f"{name}.tiff").write_bytes(tiff(pixels, iccprofile=profile))
    done = lumen_here("enhance", "in", "-o", "out", "--unchanged", "encode", "--model", identity, cwd=folder)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.mark.parametrize("name", ["plain", "adobe", "linear"])
@pytest.mark.parametrize("suffix", ["png", "tiff"])
def test_a_dark_gradient_keeps_its_levels(gradients: Path, name: str, suffix: str) -> None:
    data = (gradients / "out" / f"{name}.{suffix}").read_bytes()
    found = deep_samples(data) if suffix == "png" else tifffile.imread(BytesIO(data))
    assert found.dtype == np.uint16
    assert len(np.unique(found)) > 550
    # Eight bits stretched to sixteen would leave multiples of 257 alone.
    assert np.mean(found % 257 == 0) < 0.01
    np.testing.assert_array_equal(found[0, :, 0], np.arange(600))


def test_the_gradient_would_show_a_detour_over_8_bits(gradients: Path) -> None:
    with Image.open(gradients / "in" / "plain.png") as image:  # Pillow reads 8 bits of it, without a word
        assert len(np.unique(np.asarray(image))) < 5


def test_the_profiles_of_the_corpus_are_real() -> None:
    for profile in (ADOBE, PROPHOTO, LINEAR, cmyk_profile(), gray_profile()):
        assert ImageCms.getProfileDescription(ImageCms.ImageCmsProfile(BytesIO(profile)))
