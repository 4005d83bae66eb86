"""Collections of real files, such as the tests of picture libraries: run `python benchmarks/public_files.py FOLDER...`.

Runs `lumen enhance --strength 0` on copies, which reads and writes all but leaves the levels, and judges each result
against its input by ExifTool, which must be on the PATH, and by Pillow and tifffile. A refusal is doubtful if it calls
a file damaged that another reader decodes completely. Deviations are counted as `told/silent`: told means that lumen
warned. `--list` prints each refusal and deviation, to be explained by somebody who looks.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import warnings
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pillow_heif
import tifffile
from PIL import Image, ImageOps

from lumen.imaging.formats import SUFFIXES, format_of

Pixels = npt.NDArray[Any]
KINDS = ("size", "depth", "alpha", "profile", "exif", "text", "aspect", "orientation", "pixels")
# What says how a file is stored, or belongs to the old levels or inks, and previews, which would stay dark.
STORAGE = re.compile(
    r"(Image)?(Width|Height|Size|Depth)|Exif(Image)?(Width|Height)|Bits.*|Compress.*|Photometric.*|Strip.*|Tile.*|"
    r"SamplesPer.*|RowsPer.*|Planar.*|Predictor|FillOrder|ExtraSamples|SampleFormat|DataType|Matteing|(Old)?SubfileType|"
    r"YCbCr.*|ReferenceBlackWhite|Jpg.*|JPEG.*|Thumb.*|Preview.*|OtherImage.*|.*Offset.*|[XY]Resolution|ResolutionUnit|"
    r"Orientation|MakerNote.*|.*Digest|S?(Min|Max)SampleValue|T[46]Options|CleanFaxData|.*BadFaxLines|HalftoneHints|"
    r"Thresholding|Cell(Width|Length)|InkSet|DotRange|PageNumber|TargetPrinter|ColorMap|XMPToolkit"
)
TEXTS = {"Comment", "Description", "Title", "Author", "Copyright", "Software"}
DENSITIES = ("JFIF:{}Resolution", "PNG-pHYs:PixelsPerUnit{}", "IFD0:{}Resolution")
DEPTHS = ("PNG:BitDepth", "File:BitsPerSample", "IFD0:BitsPerSample", "Meta:ImagePixelDepth")
LOSSY_LEVELS, LOSSLESS_LEVELS = 6.0, 0.7  # mean differences that coding, and rounding of depth and opacity, leave
PALETTE = 3


@dataclass(frozen=True)
class File:
    """What other readers say of a file; `tags` are those of ExifTool by group and name."""

    path: Path
    tags: dict[str, Any]

    @cached_property
    def pixels(self) -> Pixels | None:
        """uint8 [H, W, 3 or 4] as displayed, [H, W, 0] if only the size is known; None if nothing decodes it."""
        for read in (_by_pillow, _by_tifffile):
            with suppress(Exception):  # readers may raise anything
                return np.asarray(read(self.path))
        return None

    def facts(self) -> dict[str, Any]:
        """Return what is compared, by kind."""
        groups = {name: value for name, value in self.tags.items() if not STORAGE.fullmatch(name.partition(":")[2])}
        texts = {name.partition(":")[2]: value for name, value in groups.items()}  # other formats, other groups
        pixels, turn = self.pixels, self.tags.get("IFD0:Orientation", 1)
        upright = format_of(self.path) == "heif"  # by a property of its own; the tag means nothing
        bits = next((str(self.tags[name]) for name in DEPTHS if name in self.tags), "8")
        indexed = self.tags.get("IFD0:PhotometricInterpretation") == PALETTE
        pairs = [[self.tags.get(name.format(axis)) for axis in "XY"] for name in DENSITIES]
        told = [x / y for x, y in pairs if isinstance(x, int | float) and isinstance(y, int | float) and min(x, y) > 0]
        return {
            "size": None if pixels is None else pixels.shape[:2],
            "depth": 8 if indexed else max(8, *map(int, re.findall(r"\d+", bits))),
            "alpha": None
            if pixels is None or not pixels.size
            else pixels.shape[2] == 4 and bool(pixels[..., 3].min() < 255),
            "profile": {name: value for name, value in self.tags.items() if name.startswith("ICC")},
            "exif": {name: v for name, v in groups.items() if name.startswith(("IFD0", "ExifIFD", "GPS", "Interop"))},
            "text": {name: value for name, value in groups.items() if name.startswith(("XMP-", "IPTC"))}
            | {name: value for name, value in texts.items() if name in TEXTS},
            "aspect": told[0] if told else 1.0,
            "orientation": 1 if upright else turn,
        }


def _by_pillow(path: Path) -> Any:
    with Image.open(path) as image:
        image.load()
        if image.mode.startswith(("I", "F")) or getattr(image, "tag_v2", {}).get(284) == 2:
            raise ValueError("more than 8 bits a sample, or separate planes, which Pillow gets wrong")
        shown = ImageOps.exif_transpose(image)
        return shown.convert("RGBA" if image.has_transparency_data else "RGB")


def _by_tifffile(path: Path) -> Pixels:
    with tifffile.TiffFile(path) as file:
        page = file.pages.first
        if not page.asarray().size:
            raise ValueError("no samples")
        return np.zeros((page.imagelength, page.imagewidth, 0), np.uint8)


def enhanced(folder: Path, work: Path) -> list[dict[str, Any]]:
    """Return the rows of `--json` for copies of all picture files below a folder."""
    inputs = work / "in"
    inputs.mkdir()
    found = sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES and path.is_file())
    for number, path in enumerate(found):
        shutil.copyfile(path, inputs / f"{number:05d}-{path.name}")  # no two results share a name
    command = [
        sys.executable,
        "-m",
        "lumen",
        "enhance",
        str(inputs),
        "-o",
        str(work / "out"),
        "--json",
        "--device",
        "cpu",
    ]
    run = subprocess.run(
        [*command, "--strength", "0", "--unchanged", "encode", "--frames", "first"],
        capture_output=True,
        text=True,
        check=False,
    )
    rows = [json.loads(line) for line in run.stdout.splitlines()]
    if run.returncode not in (0, 3, 4) or len(rows) != len(found):
        raise SystemExit(
            f"{folder}: exit code {run.returncode}, {len(rows)} of {len(found)} files: {run.stderr[-500:]}"
        )
    return rows


def tags_below(folder: Path) -> dict[str, dict[str, Any]]:
    """Return the tags of each file in a folder, by its path."""
    command = ["exiftool", "-json", "-n", "-G1", "-q", "-q", "-ext", "*", str(folder)]
    output = subprocess.run(command, capture_output=True, check=False).stdout.decode("utf-8", "replace")
    return {found["SourceFile"]: found for found in json.loads(output or "[]")}


def deviations(before: File, after: File) -> Iterator[tuple[str, str]]:
    """Yield kind and description of each difference that a reader of the files sees."""
    raw, old, new = format_of(before.path) == "raw", before.facts(), after.facts()
    deep = old["depth"] if format_of(after.path) in ("avif", "heif") else 16
    old["depth"] = deep if old["depth"] > 8 else 8
    for kind in ("size", "depth", "alpha", "aspect", "orientation") if before.pixels is not None and not raw else ():
        same = abs(old[kind] / new[kind] - 1) < 0.005 if kind == "aspect" else old[kind] == new[kind]
        if not same and None not in (old[kind], new[kind]):
            yield kind, f"{old[kind]} -> {new[kind]}"
    for kind in ("text",) if raw else ("profile", "exif", "text"):
        lost = [name for name in old[kind] if old[kind][name] != new[kind].get(name)]
        if lost:
            yield kind, ", ".join(f"{name} {str(old[kind][name])[:30]!r}" for name in lost[:6])
    if before.pixels is not None and after.pixels is not None and not raw and old["size"] == new["size"]:
        apart = _distance(before.pixels, after.pixels)
        lossy = format_of(after.path) in ("jpeg", "webp", "avif", "heif", "jxl")
        if apart > (LOSSY_LEVELS if lossy else LOSSLESS_LEVELS):
            yield "pixels", f"{apart:.1f} levels apart"


def _distance(old: Pixels, new: Pixels) -> float:
    """Return the mean difference of the pixels, weighed by their opacity."""
    weight = old[..., 3:] / 255 if old.shape[2] == 4 else np.ones((*old.shape[:2], 1))
    colors = min(old.shape[2], new.shape[2], 3)
    apart = np.abs(old[..., :colors].astype(int) - new[..., :colors]) * weight
    return float(apart.sum() / max(weight.sum() * colors, 1))


def judged(folder: Path, work: Path) -> Iterator[tuple[str, str]]:
    """Yield the column and a line about each file, and about each deviation."""
    rows = enhanced(folder, work)
    before, after = (tags_below(work / name) for name in ("in", "out"))
    for row in rows:
        told, name = row["warnings"], Path(row["source"]).name
        old = File(Path(row["source"]), before.get(row["source"], {}))
        if row["status"] != "done":
            kind = "damaged" if re.search("damaged|empty", row["reason"]) else "unsupported"
            for each in (kind, "doubtful") if kind == "damaged" and old.pixels is not None else (kind,):
                yield each, f"{name}: {row['reason']}"
            continue
        new = File(Path(row["target"]), after.get(row["target"], {}))
        yield "done" if old.pixels is not None and new.pixels is not None else "unjudged", name
        for kind, text in deviations(old, new):
            yield f"{kind} {'told' if told else 'silent'}", f"{name}: {text} {told}"


def main() -> None:
    """Judge folder by folder, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="+", type=Path)
    parser.add_argument("--list", action="store_true", help="print a line for each refusal and deviation")
    args = parser.parse_args()
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # what C libraries say of damaged files
    warnings.simplefilter("ignore")
    Image.MAX_IMAGE_PIXELS = None
    pillow_heif.register_heif_opener()
    columns = ("files", "done", "damaged", "unsupported", "doubtful", "unjudged")
    print("collection", *columns, *KINDS, sep=" | ")
    for folder in args.folders:
        with tempfile.TemporaryDirectory() as work:
            found = list(judged(folder, Path(work)))
        counts = Counter(column for column, _ in found)
        counts["done"] += counts["unjudged"]
        counts["files"] = sum(counts[column] for column in columns[1:4])
        cells = [f"{counts[f'{kind} told']}/{counts[f'{kind} silent']}" for kind in KINDS]
        print(folder.name, *(counts[column] for column in columns), *cells, sep=" | ", flush=True)
        if args.list:
            print(*(f"  {column}: {line}" for column, line in sorted(found) if column != "done"), sep="\n", flush=True)


if __name__ == "__main__":
    main()
