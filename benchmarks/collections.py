"""Real files, such as the test files of picture libraries: run `python benchmarks/collections.py FOLDER...`.

Runs `lumen enhance --strength 0` over each folder, which reads and writes all but leaves the levels, and judges each
result against its input by other readers: ExifTool, which must be on the PATH, for metadata; Pillow, tifffile and
imagecodecs for pixels. Prints a row per folder: results, refusals, and deviations, each as `told+silent`, where told
means that lumen warned of something. A refusal is doubtful if it calls a file damaged that another reader decodes
completely. `--list` also prints every silent deviation, every doubtful refusal, and how often each other reason is
given; both must be explained by somebody who looks.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import subprocess
import sys
import tempfile
import warnings
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import pillow_heif
import tifffile
from PIL import Image, ImageOps

from lumen.imaging.formats import SUFFIXES as SUFFIXES_BY_FORMAT

KINDS = ("size", "depth", "alpha", "profile", "exif", "text", "aspect", "orientation", "pixels")
EXIF_GROUPS = ("IFD0", "ExifIFD", "GPS", "InteropIFD")
TEXT_GROUPS = ("XMP-", "IPTC", "Photoshop", "PNG", "GIF", "File")
TEXTS = {"Comment", "Description", "Title", "Author", "Copyright", "Software"}
# What says how a file is stored, and previews, which would stay dark.
STORAGE = re.compile(
    r"(Image)?(Width|Height|Size)|Bits.*|Compress.*|Photometric.*|Strip.*|Tile.*|SamplesPer.*|RowsPer.*|Planar.*|"
    r"Predictor|FillOrder|ExtraSamples|SampleFormat|SubfileType|OldSubfileType|YCbCr.*|Jpg.*|JPEG.*|ColorMap|Thumb.*|"
    r"Preview.*|.*Offset.*|[XY]Resolution|ResolutionUnit|Orientation|XP.*|MakerNote.*|.*Digest|Page.*|(Min|Max)Sample.*|"
    r"T[46]Options|OtherImage.*|ReferenceBlackWhite|InkSet|S(Min|Max)SampleValue|DataType|ImageDepth|Matteing|CleanFaxData|.*BadFaxLines|HalftoneHints|Thresholding|Cell(Width|Length)|Interlace|Filter|ColorType|BitDepth|Palette|Transparency|BackgroundColor|Exif(Image)?(Width|Height)"
)
LOSSY_LEVELS, ROUNDED_LEVELS = 6.0, 0.6  # mean differences that coding, and going from 16 to 8 bits, leave
SUFFIXES = frozenset(SUFFIXES_BY_FORMAT)
LOSSY = (".jpg", ".jpeg", ".jpe", ".jfif", ".webp", ".avif", ".avifs", ".heic", ".heif", ".hif", ".jxl")


@dataclass(frozen=True)
class File:
    """What other readers say of a file; `tags` are those of ExifTool."""

    path: Path
    tags: dict[str, Any]

    @cached_property
    def pixels(self) -> np.ndarray[Any, Any] | None:
        """[H, W, C] as displayed, uint8 by Pillow, or of the file's own type; None if nothing decodes it completely."""
        for read in (_by_pillow, _by_tifffile, _by_imagecodecs):
            with suppress(Exception):  # readers may raise anything
                return np.asarray(read(self.path))
        return None

    @property
    def size(self) -> tuple[int, ...] | None:
        """Rows and columns as displayed."""
        return None if self.pixels is None else self.pixels.shape[:2]

    @property
    def depth(self) -> int:
        """Bits per sample, 8 if there are fewer."""
        names = ("PNG:BitDepth", "IFD0:BitsPerSample", "File:BitsPerSample", "Meta:ImagePixelDepth")
        told = next((str(self.tags[name]) for name in names if name in self.tags), "8")
        if self.tags.get("IFD0:PhotometricInterpretation") == 3:
            return 8  # the bits of an index
        return max(8, *map(int, re.findall(r"\d+", told)))

    @property
    def alpha(self) -> bool:
        """Whether a pixel is not opaque."""
        return self.pixels is not None and self.pixels.shape[2] in (2, 4) and bool((self.pixels[..., -1] < 255).any())

    @property
    def profile(self) -> dict[str, Any]:
        """The tags of the colour profile."""
        return {name: value for name, value in self.tags.items() if name.startswith("ICC")}

    @property
    def exif(self) -> dict[str, Any]:
        """The tags of the EXIF block that describe the picture."""
        return self._tags(EXIF_GROUPS)

    @property
    def text(self) -> dict[str, Any]:
        """XMP, IPTC, comments and texts."""
        found = self._tags(TEXT_GROUPS)
        plain = {name.partition(":")[2]: value for name, value in found.items()}  # other formats, other groups
        described = {name: value for name, value in found.items() if name.startswith(("XMP-", "IPTC"))}
        return described | {name: value for name, value in plain.items() if name in TEXTS}

    @property
    def orientation(self) -> int:
        """The EXIF orientation, by which the pixels are turned here."""
        return int(self.tags.get("IFD0:Orientation", 1))

    @property
    def aspect(self) -> float:
        """Pixels per length, horizontal by vertical, of the file as stored."""
        for x, y in (
            ("JFIF:XResolution", "JFIF:YResolution"),
            ("PNG-pHYs:PixelsPerUnitX", "PNG-pHYs:PixelsPerUnitY"),
            ("IFD0:XResolution", "IFD0:YResolution"),
        ):
            pair = self.tags.get(x), self.tags.get(y)
            if all(isinstance(value, int | float) and value > 0 for value in pair):
                return float(Fraction(pair[0]) / Fraction(pair[1]))
        return 1.0

    def _tags(self, groups: tuple[str, ...]) -> dict[str, Any]:
        split = ((name.partition(":"), value) for name, value in self.tags.items())
        return {
            f"{group}:{name}": value
            for (group, _, name), value in split
            if group.startswith(groups) and not STORAGE.fullmatch(name)
        }


def _by_pillow(path: Path) -> Image.Image:
    with Image.open(path) as image:
        image.load()
        if image.mode.startswith(("I", "F")) or (image.format == "TIFF" and image.tag_v2.get(284) == 2):
            raise ValueError("more than 8 bits, or separate planes, both of which Pillow gets wrong")
        return ImageOps.exif_transpose(image).convert("RGBA" if image.has_transparency_data else "RGB")


def _by_tifffile(path: Path) -> np.ndarray[Any, Any]:
    with tifffile.TiffFile(path) as file:
        page = file.pages.first
        samples = page.asarray().astype(np.float64) * 255 / (2**page.bitspersample - 1)
        samples = np.moveaxis(samples, 0, -1) if page.axes.startswith("S") else samples
        samples = samples if samples.ndim == 3 else samples[..., None]
        colors = 1 if page.photometric < 2 else 3
        if page.photometric > 2 or not samples.size:
            return np.zeros((*samples.shape[:2], 0))  # a size alone
        samples = 255 - samples if page.photometric == 0 else samples
        if page.extrasamples[:1] == (1,):
            samples[..., :colors] *= 255 / np.maximum(samples[..., colors:], 1e-9)
        known = page.extrasamples[:1] in ((1,), (2,))
        parts = [np.repeat(samples[..., :1], 3, axis=2) if colors == 1 else samples[..., :3]]
        pixels = np.dstack([*parts, samples[..., colors]] if known else parts)
        turn = {3: lambda a: a[::-1, ::-1], 6: lambda a: np.rot90(a, -1), 8: np.rot90}
        orientation = page.tags.valueof("Orientation", default=1)
        return turn.get(int(orientation), lambda a: a)(np.rint(pixels).astype(np.uint8))


def _by_imagecodecs(path: Path) -> np.ndarray[Any, Any]:
    samples = imagecodecs.jpegxl_decode(path.read_bytes(), index=0)
    samples = samples >> 8 if samples.dtype == np.uint16 else samples
    samples = samples if samples.ndim == 3 else samples[..., None]
    if samples.shape[2] < 3:
        samples = np.dstack([np.repeat(samples[..., :1], 3, axis=2), samples[..., 1:]])
    return samples.astype(np.uint8)


def enhance(folder: Path, work: Path, limit: float) -> list[tuple[Path, Path | None, dict[str, Any]]]:
    """Run lumen on copies of all files below a folder; return (input, result, row of `--json`) for each."""
    inputs, results = work / "in", work / "out"
    inputs.mkdir()
    for number, path in enumerate(sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES)):
        shutil.copyfile(path, inputs / f"{number:05d}-{path.name}")  # no two results share a name
    command = [sys.executable, "-m", "lumen", "enhance", inputs, "-o", results, "--json"]
    command += ["--strength", "0", "--frames", "first", "--device", "cpu"]
    run = subprocess.run(command, capture_output=True, text=True, timeout=limit, check=False)
    if run.returncode not in (0, 3, 4):
        raise SystemExit(f"lumen ended with {run.returncode} in {folder}: {run.stderr[-500:]}")
    rows = [json.loads(line) for line in run.stdout.splitlines()]
    if len(rows) != len(list(inputs.iterdir())):
        raise SystemExit(f"lumen gave {len(rows)} rows for {len(list(inputs.iterdir()))} files in {folder}")
    return [(Path(row["source"]), Path(row["target"]) if row["status"] == "done" else None, row) for row in rows]


def tags_below(folder: Path) -> dict[Path, dict[str, Any]]:
    """Return what ExifTool says of each file below a folder."""
    if not folder.exists():
        return {}
    command = ["exiftool", "-json", "-n", "-G1", "-recurse", "-q", "-q", "-m", "-ext", "*", folder]
    output = subprocess.run(command, capture_output=True, check=False).stdout.decode("utf-8", "replace")
    return {Path(found["SourceFile"]): found for found in json.loads(output or "[]")}


def deviations(before: File, after: File) -> dict[str, str]:
    """Return in what a result departs from its input, by kind."""
    found = {kind: (getattr(before, kind), getattr(after, kind)) for kind in KINDS if kind != "pixels"}
    same_family = before.path.suffix.lower() == after.path.suffix.lower()
    wanted = (
        before.depth
        if same_family and before.depth in (10, 12) and after.path.suffix in LOSSY
        else 8 * (1 + (before.depth > 8))
    )
    away = {kind: f"{old} -> {new}" for kind, (old, new) in found.items() if old != new}
    if after.depth == wanted:
        away.pop("depth", None)
    for kind in ("profile", "exif", "text"):
        old, new = found[kind]
        lost = sorted(name for name in old if new.get(name) != old[name])
        away.pop(kind, None)
        if lost:
            away[kind] = ", ".join(
                f"{name} {str(old[name])[:40]!r} -> {str(new.get(name))[:40]!r}" for name in lost[:6]
            )
    if abs(found["aspect"][0] / found["aspect"][1] - 1) < 0.005:
        away.pop("aspect", None)
    if (apart := distance(before, after)) is not None:
        if apart > (LOSSY_LEVELS if after.path.suffix.lower() in LOSSY else ROUNDED_LEVELS):
            away["pixels"] = f"{apart:.1f} levels apart"
    return away


def distance(before: File, after: File) -> float | None:
    """Return the mean difference of the pixels in 8-bit levels, where they are not transparent; None if unknown."""
    if before.pixels is None or after.pixels is None or before.pixels.shape[:2] != after.pixels.shape[:2]:
        return None
    old, new = before.pixels, after.pixels
    if old.dtype != np.uint8 or new.dtype != np.uint8 or min(old.shape[2], new.shape[2]) < 3:
        return None
    weight = old[..., 3:] / 255 if old.shape[2] == 4 else np.ones((*old.shape[:2], 1))
    apart = np.abs(old[..., :3].astype(int) - new[..., :3].astype(int)) * weight
    return float(apart.sum() / max(weight.sum() * 3, 1))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="+", type=Path)
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--limit", type=float, default=1800)
    args = parser.parse_args()
    warnings.simplefilter("ignore")
    Image.MAX_IMAGE_PIXELS = None
    pillow_heif.register_heif_opener()
    for folder in args.folders:
        with tempfile.TemporaryDirectory() as work:
            pairs = enhance(folder, Path(work), args.limit)
            before, after = tags_below(Path(work) / "in"), tags_below(Path(work) / "out")
            counts, lines = Counter(), []
            for source, target, row in pairs:
                old = File(source, before.get(source, {}))
                if target is None:
                    damaged = "damaged" in row["reason"] or "empty" in row["reason"]
                    kind = "damaged" if damaged else "unsupported"
                    counts[kind] += 1
                    if damaged and old.pixels is not None and old.pixels.size:
                        counts["doubtful"] += 1
                        kind = "DOUBTFUL"
                    lines.append(f"  {kind} {source.name}: {row['reason']}")
                    continue
                counts["done"] += 1
                counts["damaged done"] += row["damaged"]
                new = File(target, after.get(target, {}))
                for kind, text in deviations(old, new).items():
                    told = bool(row["warnings"])
                    counts[f"{kind} {'told' if told else 'silent'}"] += 1
                    lines.append(f"  {'told' if told else 'SILENT'} {kind} {source.name}: {text} {row['warnings']}")
                if old.pixels is None:
                    lines.append(f"  NOTREAD {source.name}")
                if new.pixels is None:
                    lines.append(f"  RESULTNOTREAD {target.name}")
            print(folder.name, len(pairs), dict(counts), flush=True)
            if args.list:
                print(*lines, sep="\n", flush=True)


if __name__ == "__main__":
    main()
