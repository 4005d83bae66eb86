"""Before and after, side by side: run `python benchmarks/sheets.py PICTURES -o sheet.jpg`.

A row for each picture: the input, the input scaled to the result's mean (what is really in it), the result, and the
reference where there is one. `--crop 240` shows the busiest square of that size at 1:1 instead of the whole picture,
`--darken 3` first takes that many stops of light, so that the picture itself is the reference.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.darkened import darken
from lumen.codecs.codec import displayed_8bit, read_picture
from lumen.config import EnhanceOptions, RuntimeOptions
from lumen.enhance.pipeline import enhance_picture
from lumen.imaging.formats import SUFFIXES
from lumen.imaging.picture import Metadata, Picture
from lumen.metrics.fidelity import psnr
from lumen.runtime.open import ModelSet

Pixels = NDArray[np.uint8]
CAPTION_PX = 16


def pictures_in(places: Sequence[Path]) -> list[Path]:
    """Return files as they are given, and the pictures of folders in name order."""
    found: list[Path] = []
    for place in places:
        inside = sorted(place.iterdir()) if place.is_dir() else [place]
        found.extend(file for file in inside if file.suffix.lower() in SUFFIXES)
    return found


def scaled_to(pixels: Pixels, other: Pixels) -> Pixels:
    """Return the pixels [H, W, 3] multiplied so that their mean is about that of another picture."""
    gain = other.mean() / max(float(pixels.mean()), 0.1)
    bright: Pixels = np.rint(np.clip(pixels * gain, 0, 255)).astype(np.uint8)
    return bright


def busiest(pixels: Pixels, side: int) -> tuple[slice, slice]:
    """Return the square of a side with the most texture, on a grid of half its side."""
    grey = pixels.astype(np.float32).mean(axis=2)
    texture = np.abs(np.diff(grey, axis=0, prepend=grey[:1])) + np.abs(np.diff(grey, axis=1, prepend=grey[:, :1]))
    height, width = grey.shape
    side = min(side, height, width)
    places = [(y, x) for y in range(0, height - side + 1, side // 2) for x in range(0, width - side + 1, side // 2)]
    y, x = max(places, key=lambda p: float(texture[p[0] : p[0] + side, p[1] : p[1] + side].sum()))
    return slice(y, y + side), slice(x, x + side)


def row(title: str, panels: Sequence[tuple[str, Pixels]], width: int) -> Image.Image:
    """Return labelled panels beside each other, each `width` wide."""
    height = max(round(width * pixels.shape[0] / pixels.shape[1]) for _, pixels in panels)
    sheet = Image.new("RGB", (len(panels) * (width + 4) - 4, height + CAPTION_PX), "white")
    draw = ImageDraw.Draw(sheet)
    for index, (label, pixels) in enumerate(panels):
        panel = Image.fromarray(pixels).resize((width, round(width * pixels.shape[0] / pixels.shape[1])))
        sheet.paste(panel, (index * (width + 4), CAPTION_PX))
        draw.text((index * (width + 4) + 2, 2), label if index else f"{title}: {label}", fill="black")
    return sheet


def main() -> None:
    """Enhance and draw."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pictures", type=Path, nargs="+", help="files and folders")
    parser.add_argument("-o", "--out", type=Path, required=True)
    parser.add_argument("--reference", type=Path, help="folder with well-lit pictures of the same names")
    parser.add_argument("--darken", type=float, metavar="STOPS", help="take that many stops of light first")
    parser.add_argument("--ev", type=float, default=0.0)
    parser.add_argument("--crop", type=int, metavar="PX", help="show the busiest square at 1:1")
    parser.add_argument("--width", type=int, default=300, help="of a panel showing a whole picture")
    parser.add_argument("--model", default=RuntimeOptions().model)
    args = parser.parse_args()
    models = ModelSet(RuntimeOptions(model=args.model))
    references = {file.stem: file for file in pictures_in([args.reference])} if args.reference else {}
    rows = []
    for index, file in enumerate(pictures_in(args.pictures)):
        low = displayed_8bit(read_picture(file))
        reference = displayed_8bit(read_picture(references[file.stem])) if file.stem in references else None
        if args.darken is not None:
            low, reference = darken(low, args.darken, np.random.default_rng([int(args.darken), index])), low
        picture = Picture(pixels=low, metadata=Metadata(), format="png")
        result = np.asarray(enhance_picture(picture, models, EnhanceOptions(ev=args.ev)).pixels, np.uint8)
        score = "" if reference is None else f", {psnr(result, reference, data_range=255):.1f} dB"
        panels = [("input", low), ("input, scaled", scaled_to(low, result)), (f"result{score}", result)]
        panels += [] if reference is None else [("reference", reference)]
        if args.crop:
            part = busiest(result if reference is None else reference, args.crop)
            panels = [(label, pixels[part]) for label, pixels in panels]
        rows.append(row(file.stem, panels, args.crop or args.width))
    sheet = Image.new("RGB", (max(r.width for r in rows), sum(r.height + 4 for r in rows)), "white")
    top = 0
    for part_of_sheet in rows:
        sheet.paste(part_of_sheet, (0, top))
        top += part_of_sheet.height + 4
    sheet.save(args.out, quality=92)
    print(f"{args.out}: {len(rows)} pictures")


if __name__ == "__main__":
    main()
